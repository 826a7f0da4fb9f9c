//! The portable token: vectors are arrays, and every word is a loop over lanes that the compiler vectorises with the target's baseline.
//! Its results are the reference: they do not depend on the host.

use super::Simd;
use crate::cx::Isa;
use crate::float::F16;

/// The token of portable code; always available.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

const LANES: usize = 8;
type F = [f32; LANES];
type I = [i32; LANES];

/// `lane!(i => expr)`: the array of `expr` for each lane `i`.
macro_rules! lanes {
    ($i:ident => $body:expr) => {{
        let mut out = [Default::default(); LANES];
        let mut $i = 0;
        while $i < LANES {
            out[$i] = $body;
            $i += 1;
        }
        out
    }};
}

/// Methods in one line each: the lane's result from the lanes of the arguments.
macro_rules! lane_words {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $ty),*) -> $ret {
            lanes!(i => {
                $(let $arg = $arg[i];)*
                $body
            })
        }
    )*};
}

/// All ones or all zeros.
#[inline(always)]
fn mask(b: bool) -> i32 {
    -(b as i32)
}

#[inline(always)]
fn pick(m: i32, a: i32, b: i32) -> i32 {
    (m & a) | (!m & b)
}

/// 2^23: from here on every f32 is an integer.
const INTEGERS: f32 = 8388608.0;
const SIGN: u32 = 0x8000_0000;

#[inline(always)]
fn copysign(a: f32, sign: f32) -> f32 {
    f32::from_bits((a.to_bits() & !SIGN) | (sign.to_bits() & SIGN))
}

/// Replaces `x` by its rounded magnitude, unless it is an integer, infinite or NaN already.
#[inline(always)]
fn unless_integer(x: f32, rounded: f32) -> f32 {
    let small = f32::from_bits(x.to_bits() & !SIGN) < INTEGERS;
    if small { copysign(rounded, x) } else { x }
}

#[inline(always)]
pub(crate) fn trunc(x: f32) -> f32 {
    unless_integer(x, to_i32(x) as f32)
}

#[inline(always)]
pub(crate) fn floor(x: f32) -> f32 {
    let t = to_i32(x) as f32;
    unless_integer(x, if t > x { t - 1.0 } else { t })
}

#[inline(always)]
pub(crate) fn ceil(x: f32) -> f32 {
    let t = to_i32(x) as f32;
    unless_integer(x, if t < x { t + 1.0 } else { t })
}

#[inline(always)]
pub(crate) fn round_even(x: f32) -> f32 {
    // Adding 2^23 leaves no room for fraction bits, so the addition rounds.
    let magnitude = f32::from_bits(x.to_bits() & !SIGN);
    unless_integer(x, (magnitude + INTEGERS) - INTEGERS)
}

/// `x as i32` where that is exact or truncates; some number elsewhere. Vectorises without the saturation that `as` has.
#[inline(always)]
fn to_i32(x: f32) -> i32 {
    let safe = if x > -2147483648.0 && x < 2147483648.0 { x } else { 0.0 };
    // SAFETY: not NaN and within the range of i32.
    unsafe { safe.to_int_unchecked() }
}

/// The square root, correctly rounded.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// The square root, correctly rounded.
#[cfg(all(not(feature = "std"), target_arch = "x86_64", target_feature = "sse2"))]
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    use core::arch::x86_64::{_mm_cvtss_f32, _mm_set_ss, _mm_sqrt_ss};
    // SAFETY: the target has SSE (cfg).
    unsafe { _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))) }
}

/// The square root, correctly rounded.
#[cfg(all(not(feature = "std"), not(all(target_arch = "x86_64", target_feature = "sse2"))))]
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    crate::math::soft_sqrt(x as f64) as f32
}

// SAFETY: portable code needs no proof; the arrays have LANES lanes.
unsafe impl Simd for Scalar {
    const LANES: usize = LANES;
    const ISA: Isa = Isa::Scalar;
    type F32 = F;
    type I32 = I;
    type Mask = I;

    super::memory_words! {
        load_ptr(p: *const f32) -> F = p.cast::<F>().read_unaligned();
        store_ptr(p: *mut f32, v: F) = p.cast::<F>().write_unaligned(v);
        load_head_ptr(p: *const f32, n: usize) -> F = lanes!(i => if i < n { *p.add(i) } else { 0.0 });
        load_i32_ptr(p: *const i32) -> I = p.cast::<I>().read_unaligned();
        store_i32_ptr(p: *mut i32, v: I) = p.cast::<I>().write_unaligned(v);
        load_u8_ptr(p: *const u8) -> I = lanes!(i => *p.add(i) as i32);
        load_i8_ptr(p: *const i8) -> I = lanes!(i => *p.add(i) as i32);
        load_bf16_ptr(p: *const u16) -> F = lanes!(i => f32::from_bits((*p.add(i) as u32) << 16));
        load_f16_ptr(p: *const u16) -> F = lanes!(i => F16(*p.add(i)).to_f32());
        store_f16_ptr(p: *mut u16, v: F) = p.cast::<[u16; LANES]>().write_unaligned(lanes!(i => F16::from_f32(v[i]).0));
    }
    #[inline(always)]
    unsafe fn store_head_ptr(self, p: *mut f32, v: F, n: usize) {
        let mut i = 0;
        while i < LANES {
            if i < n {
                // SAFETY: the caller vouches for the first n elements.
                unsafe { *p.add(i) = v[i] };
            }
            i += 1;
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        [x; LANES]
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> I {
        [x; LANES]
    }
    lane_words! {
        add(a: F, b: F) -> F = a + b;
        sub(a: F, b: F) -> F = a - b;
        mul(a: F, b: F) -> F = a * b;
        div(a: F, b: F) -> F = a / b;
        mul_add(a: F, b: F, c: F) -> F = a * b + c;
        neg_mul_add(a: F, b: F, c: F) -> F = c - a * b;
        neg(a: F) -> F = f32::from_bits(a.to_bits() ^ SIGN);
        abs(a: F) -> F = f32::from_bits(a.to_bits() & !SIGN);
        copysign(a: F, sign: F) -> F = copysign(a, sign);
        min(a: F, b: F) -> F = if a < b { a } else { b };
        max(a: F, b: F) -> F = if a > b { a } else { b };
        sqrt(a: F) -> F = sqrt(a);
        floor(a: F) -> F = floor(a);
        ceil(a: F) -> F = ceil(a);
        trunc(a: F) -> F = trunc(a);
        round_even(a: F) -> F = round_even(a);

        lt(a: F, b: F) -> I = mask(a < b);
        le(a: F, b: F) -> I = mask(a <= b);
        eq(a: F, b: F) -> I = mask(a == b);
        select(m: I, a: F, b: F) -> F = f32::from_bits(pick(m, a.to_bits() as i32, b.to_bits() as i32) as u32);
        select_i32(m: I, a: I, b: I) -> I = pick(m, a, b);
        mask_and(a: I, b: I) -> I = a & b;
        mask_or(a: I, b: I) -> I = a | b;
        mask_not(a: I) -> I = !a;

        to_i32_round(a: F) -> I = to_i32(round_even(a));
        to_i32_trunc(a: F) -> I = to_i32(a);
        to_f32(a: I) -> F = a as f32;
        bits(a: F) -> I = a.to_bits() as i32;
        with_bits(a: I) -> F = f32::from_bits(a as u32);
        add_i32(a: I, b: I) -> I = a.wrapping_add(b);
        sub_i32(a: I, b: I) -> I = a.wrapping_sub(b);
        mul_i32(a: I, b: I) -> I = a.wrapping_mul(b);
        dot_i16(a: I, b: I) -> I = {
            let high = (a >> 16).wrapping_mul(b >> 16);
            (a as i16 as i32).wrapping_mul(b as i16 as i32).wrapping_add(high)
        };
        min_i32(a: I, b: I) -> I = if a < b { a } else { b };
        max_i32(a: I, b: I) -> I = if a > b { a } else { b };
        and_i32(a: I, b: I) -> I = a & b;
        or_i32(a: I, b: I) -> I = a | b;
        xor_i32(a: I, b: I) -> I = a ^ b;
        eq_i32(a: I, b: I) -> I = mask(a == b);
        gt_i32(a: I, b: I) -> I = mask(a > b);
    }
    #[inline(always)]
    fn head_mask(self, n: usize) -> I {
        lanes!(i => mask(i < n))
    }
    #[inline(always)]
    fn any(self, a: I) -> bool {
        a.iter().fold(0, |all, m| all | m) != 0
    }
    #[inline(always)]
    fn shl<const K: i32>(self, a: I) -> I {
        lanes!(i => a[i] << K)
    }
    #[inline(always)]
    fn shr<const K: i32>(self, a: I) -> I {
        lanes!(i => (a[i] as u32 >> K) as i32)
    }
    #[inline(always)]
    fn sar<const K: i32>(self, a: I) -> I {
        lanes!(i => a[i] >> K)
    }

    #[inline(always)]
    fn reduce_sum(self, a: F) -> f32 {
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        a.iter().fold(a[0], |m, &x| if x > m { x } else { m })
    }
    #[inline(always)]
    fn reduce_min(self, a: F) -> f32 {
        a.iter().fold(a[0], |m, &x| if x < m { x } else { m })
    }
    #[inline(always)]
    fn reduce_sum_i32(self, a: I) -> i32 {
        a.iter().fold(0i32, |sum, &x| sum.wrapping_add(x))
    }
}
