//! Powers and remainders.
//!
//! `x^y = 2^(y log2 x)` needs the logarithm to 8 more bits than an f32 has, so the lanes' core is f64 arithmetic without fused multiply-add:
//! plain loops over the lanes, which vectorise, and whose result is the same on every instruction set.

use super::{each_lane, exp, log};
use crate::simd::{MAX_LANES, Simd};

/// `log2((1 + t) / (1 - t)) / t` in `t²` for `|t| <= 0.172`; relative error 2.4e-14.
const LOG2: [f64; 7] = [
    2.8853900817778575,
    0.96179669409495216,
    0.5770779496946431,
    0.41220818772600848,
    0.31997550447842582,
    0.28079187641311137,
    0.023868682049419179,
];
/// `2^r` for `|r| <= 1/2`; relative error 8e-13.
const EXP2: [f64; 9] = [
    0.99999999999976241,
    0.69314718054651325,
    0.24022650698880066,
    0.055504109393447548,
    0.0096181285429393082,
    0.0013333452059465026,
    0.00015403851682134831,
    1.5309738154757613e-05,
    1.3175875054707333e-06,
];
/// 1.5 * 2^52: adding it rounds to an integer.
const MAGIC: f64 = 6755399441055744.0;

#[inline(always)]
fn horner<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let mut sum = c[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = sum * x + c[k];
    }
    sum
}

/// `|x|^y` for finite positive `|x|`.
#[inline(always)]
fn power_of_magnitude<S: Simd>(s: S, a: S::F32, y: S::F32) -> S::F32 {
    let (e, m) = log::split(s, a);
    let (mut exponent, mut significand, mut power) = ([0.0f32; MAX_LANES], [0.0f32; MAX_LANES], [0.0f32; MAX_LANES]);
    s.store(&mut exponent, e);
    s.store(&mut significand, m);
    s.store(&mut power, y);
    let mut i = 0;
    while i < S::LANES {
        let m = significand[i] as f64;
        let t = (m - 1.0) / (m + 1.0);
        let w = (exponent[i] as f64 + t * horner(t * t, LOG2)) * power[i] as f64;
        // Beyond ±200 the result is 0 or infinite anyway.
        let w = if w < 200.0 { w } else { 200.0 };
        let w = if w > -200.0 { w } else { -200.0 };
        let n = (w + MAGIC) - MAGIC;
        significand[i] = horner(w - n, EXP2) as f32;
        exponent[i] = n as f32;
        i += 1;
    }
    exp::scale(s, s.load(&significand), s.to_i32_round(s.load(&exponent)))
}

#[inline(always)]
pub(super) fn pow<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    let (a, one, infinite) = (s.abs(x), s.splat(1.0), s.splat(f32::INFINITY));
    let r = power_of_magnitude(s, a, y);
    // 0 and infinity: themselves for positive y, else their reciprocals.
    let extreme = s.mask_or(s.eq(a, s.zero()), s.eq(a, infinite));
    let r = s.select(extreme, s.select(s.gt(y, s.zero()), a, s.div(one, a)), r);
    // 1 to any power, infinite too.
    let r = s.select(s.eq(a, one), one, r);
    // Negative numbers (and -0) have powers for integers only; the odd ones are negative.
    let negative = s.gt_i32(s.splat_i32(0), s.bits(x));
    let half = s.mul(y, s.splat(0.5));
    let integer = s.eq(s.trunc(y), y);
    let odd = s.mask_and(integer, s.ne(s.trunc(half), half));
    let r = s.select(s.mask_and(negative, odd), s.neg(r), r);
    let undefined = s.mask_and(s.mask_and(negative, s.mask_not(integer)), s.mask_not(extreme));
    let undefined = s.mask_or(undefined, s.mask_or(s.is_nan(x), s.is_nan(y)));
    let r = s.select(undefined, s.splat(f32::NAN), r);
    // x^0 and 1^y are 1 even for NaN.
    s.select(s.mask_or(s.eq(y, s.zero()), s.eq(x, one)), one, r)
}

/// One lane of the truncated remainder; the quotient may have any number of bits, so no vector formula is exact.
fn fmod_lane(x: f32, y: f32) -> f32 {
    x % y
}

#[inline(always)]
pub(super) fn fmod<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    each_lane(s, x, y, fmod_lane)
}

#[inline(always)]
pub(super) fn modulo<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    let r = fmod(s, x, y);
    let zero = s.eq(r, s.zero());
    let sign = s.xor_i32(s.bits(r), s.bits(y));
    let differs = s.mask_and(s.gt_i32(s.splat_i32(0), sign), s.mask_not(zero));
    let r = s.select(differs, s.add(r, y), r);
    s.select(zero, s.copysign(r, y), r)
}
