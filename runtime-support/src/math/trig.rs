//! Sine, cosine, tangent: `|x| = n π/2 + r` with `|r| <= π/4`.
//!
//! Up to [`MANAGEABLE`] the reduction subtracts `n` times π/2 in four parts; beyond, each such lane multiplies with the bits of 2/π that matter.

use super::double::TWO_OVER_PI;
use super::polynomial;
use crate::simd::{MAX_LANES, Simd};

/// π/2 in four parts; the first three have so few bits that their products with `n` are exact.
const HALF_PI: [f32; 4] = [1.5703125, 4.837512969970703e-4, 7.549533620476723e-8, 2.563344e-12];
/// Up to here `n` has at most 13 bits.
const MANAGEABLE: f32 = 8192.0;
/// 1.5 * 2^23, see exp.
const MAGIC: f32 = 12582912.0;

/// `(sin r - r) / r³` in `r²`; relative error of the sine 2e-10.
const SIN: [f32; 4] = [-0.166666672, 0.0083333794, -0.000198530688, 2.83262943e-06];
/// `(cos r - 1 + r²/2) / r⁴` in `r²`; relative error of the cosine 1.2e-10.
const COS: [f32; 3] = [0.0416666456, -0.00138873095, 2.44323273e-05];

/// `n` (only its low bits are right) and `r` for a magnitude.
#[inline(always)]
fn reduce<S: Simd>(s: S, a: S::F32) -> (S::I32, S::F32) {
    let shifted = s.mul_add(a, s.splat(core::f32::consts::FRAC_2_PI), s.splat(MAGIC));
    let n = s.sub(shifted, s.splat(MAGIC));
    let mut r = a;
    for part in HALF_PI {
        r = s.neg_mul_add(n, s.splat(part), r);
    }
    let large = s.mask_not(s.le(a, s.splat(MANAGEABLE)));
    if s.any(large) {
        let (mut lanes, mut quadrants) = ([0.0; MAX_LANES], [0; MAX_LANES]);
        s.store(&mut lanes, a);
        reduce_large(&mut lanes, &mut quadrants);
        // SAFETY: the array has MAX_LANES elements.
        let quadrants = unsafe { s.load_i32_ptr(quadrants.as_ptr()) };
        return (s.select_i32(large, quadrants, s.bits(shifted)), s.select(large, s.load(&lanes), r));
    }
    (s.bits(shifted), r)
}

/// Replaces magnitudes above MANAGEABLE by `r` and gives their quadrants.
#[cold]
#[inline(never)]
fn reduce_large(x: &mut [f32; MAX_LANES], quadrants: &mut [i32; MAX_LANES]) {
    for (x, quadrant) in x.iter_mut().zip(quadrants) {
        if !x.is_finite() {
            *x = f32::NAN;
        } else if *x > MANAGEABLE {
            // x = m 2^e with integer m. What 2^e 2/π has above 2^1 makes whole turns; 126 bits below the point are plenty.
            let bits = x.to_bits();
            let (m, e) = (bits & 0x7f_ffff | 0x80_0000, (bits >> 23) as i32 - 150);
            let product = window(e).wrapping_mul(m as u128);
            // Rounded to the nearest quadrant: what is left is a signed fraction of one.
            *quadrant = (product.wrapping_add(1 << 125) >> 126) as i32;
            let rest = (product << 2) as i128;
            *x = (rest as f64 * (core::f64::consts::FRAC_PI_2 / 340282366920938463463374607431768211456.0)) as f32;
        }
    }
}

/// The 128 bits of `2^e 2/π` from 2^1 downwards, for `e` up to 104.
fn window(e: i32) -> u128 {
    // The table's first bit is 2^-1: this many bits of it lie above the window (zeros come in if that is negative).
    let skip = e - 2;
    let part = |i: i32| if i < 0 { 0 } else { TWO_OVER_PI[i as usize % TWO_OVER_PI.len()] };
    let (word, bit) = (skip.div_euclid(64), skip.rem_euclid(64) as u32);
    let high = ((part(word) as u128) << 64) | part(word + 1) as u128;
    let low = part(word + 2) as u128;
    // A shift in two steps, because one by 64 would be none.
    (high << bit) | ((low >> 1) >> (63 - bit))
}

/// Sine and cosine of the reduced argument.
#[inline(always)]
fn sin_cos<S: Simd>(s: S, r: S::F32) -> (S::F32, S::F32) {
    let z = s.mul(r, r);
    let sin = s.mul_add(s.mul(z, r), polynomial(s, z, SIN), r);
    let cos = s.neg_mul_add(s.splat(0.5), z, s.splat(1.0));
    (sin, s.mul_add(s.mul(z, z), polynomial(s, z, COS), cos))
}

#[inline(always)]
fn odd<S: Simd>(s: S, n: S::I32) -> S::Mask {
    s.eq_i32(s.and_i32(n, s.splat_i32(1)), s.splat_i32(1))
}

/// `y` with its sign flipped where bit 1 of `n` is set.
#[inline(always)]
fn flip<S: Simd>(s: S, y: S::F32, n: S::I32) -> S::F32 {
    let sign = s.shl::<30>(s.and_i32(n, s.splat_i32(2)));
    s.with_bits(s.xor_i32(s.bits(y), sign))
}

/// `y`, negated where `x` is negative (-0 too).
#[inline(always)]
fn flip_with<S: Simd>(s: S, y: S::F32, x: S::F32) -> S::F32 {
    let sign = s.and_i32(s.bits(x), s.splat_i32(i32::MIN));
    s.with_bits(s.xor_i32(s.bits(y), sign))
}

#[inline(always)]
pub(super) fn sin<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, r) = reduce(s, s.abs(x));
    let (sin, cos) = sin_cos(s, r);
    flip_with(s, flip(s, s.select(odd(s, n), cos, sin), n), x)
}

#[inline(always)]
pub(super) fn cos<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, r) = reduce(s, s.abs(x));
    let (sin, cos) = sin_cos(s, r);
    // Negative in the second and third quadrant: where bit 1 of n + 1 is set.
    flip(s, s.select(odd(s, n), sin, cos), s.add_i32(n, s.splat_i32(1)))
}

#[inline(always)]
pub(super) fn tan<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (n, r) = reduce(s, s.abs(x));
    let (sin, cos) = sin_cos(s, r);
    let odd = odd(s, n);
    let y = s.div(s.select(odd, s.neg(cos), sin), s.select(odd, sin, cos));
    flip_with(s, y, x)
}
