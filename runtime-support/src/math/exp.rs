//! Exponentials: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then `e^x = 2^n (1 + r + r² Q(r))`.

use super::polynomial;
use crate::simd::Simd;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two parts; the first has 10 bits, so that its product with any `n` is exact without fused multiply-add.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.1219444e-4;
/// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits of the sum.
const MAGIC: f32 = 12582912.0;
const MAGIC_BITS: i32 = 0x4b40_0000;
/// With the bias of exponents: the low bits are then the exponent of `2^n`.
const BIASED: f32 = MAGIC + 127.0;

/// `(e^r - 1 - r) / r²` for `|r| <= ln 2 / 2`; relative error of `e^r - 1` 5e-10.
const Q: [f32; 6] = [0.5, 0.166666657, 0.0416664928, 0.00833354425, 0.00139323412, 0.000197634145];
/// The same for `e^r`, which needs less; relative error 3.1e-9.
const Q_SHORT: [f32; 5] = [0.49999994, 0.166665211, 0.0416682735, 0.00836868398, 0.00138200796];

/// `n` (still shifted by MAGIC) and `r`.
#[inline(always)]
fn reduce<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    reduce_by(s, x, MAGIC)
}

/// `2^n` and `r`, for `x` from -88, where the power is 0, to 88.
#[inline(always)]
fn reduce_to_power<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let (shifted, r) = reduce_by(s, x, BIASED);
    // MAGIC's own bits leave by the shift.
    (s.with_bits(s.shl::<23>(s.bits(shifted))), r)
}

#[inline(always)]
fn reduce_by<S: Simd>(s: S, x: S::F32, magic: f32) -> (S::F32, S::F32) {
    let shifted = s.mul_add(x, s.splat(LOG2_E), s.splat(magic));
    let n = s.sub(shifted, s.splat(magic));
    let r = s.neg_mul_add(n, s.splat(LN2_HIGH), x);
    (shifted, s.neg_mul_add(n, s.splat(LN2_LOW), r))
}

/// `e^r - 1` from `r`, by either polynomial.
#[inline(always)]
fn tail<S: Simd, const N: usize>(s: S, r: S::F32, q: [f32; N]) -> S::F32 {
    s.mul_add(s.mul(r, r), polynomial(s, r, q), r)
}

/// `x` within `[low, high]`; NaN stays NaN.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::F32, low: f32, high: f32) -> S::F32 {
    s.min(s.splat(high), s.max(s.splat(low), x))
}

#[inline(always)]
fn to_integer<S: Simd>(s: S, shifted: S::F32) -> S::I32 {
    s.sub_i32(s.bits(shifted), s.splat_i32(MAGIC_BITS))
}

/// `2^n` for `n` from -126 to 127.
#[inline(always)]
fn power_of_two<S: Simd>(s: S, n: S::I32) -> S::F32 {
    s.with_bits(s.shl::<23>(s.add_i32(n, s.splat_i32(127))))
}

/// `p 2^n` for `n` from -252 to 254, rounded once if `p` is not far from 1: two steps, because `2^n` itself may be out of range.
#[inline(always)]
pub(super) fn scale<S: Simd>(s: S, p: S::F32, n: S::I32) -> S::F32 {
    let half = s.sar::<1>(n);
    s.mul(s.mul(p, power_of_two(s, half)), power_of_two(s, s.sub_i32(n, half)))
}

#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // Beyond these the result is 0 or infinite anyway.
    let (shifted, r) = reduce(s, clamp(s, x, -104.0, 89.0));
    let p = s.add(tail(s, r, Q_SHORT), s.splat(1.0));
    scale(s, p, to_integer(s, shifted))
}

/// `e^x` for `x <= 0` (correct up to 88), 1 ULP; 0 below -87.7, where the result would be subnormal. What softmax and sigmoids need.
#[inline(always)]
pub fn exp_nonpositive<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // NaN stays.
    let (power, r) = reduce_to_power(s, s.max(s.splat(-88.0), x));
    s.mul(s.add(tail(s, r, Q_SHORT), s.splat(1.0)), power)
}

#[inline(always)]
pub(super) fn expm1<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (shifted, r) = reduce(s, clamp(s, x, -40.0, 89.0));
    // 2^n (1 + t) - 1 = 2 (h t + (h - 1/2)) with h = 2^(n-1), which is in range for n = 128 too.
    let h = power_of_two(s, s.sub_i32(to_integer(s, shifted), s.splat_i32(1)));
    let y = s.mul_add(h, tail(s, r, Q), s.sub(h, s.splat(0.5)));
    // The sign matters for zero.
    s.copysign(s.add(y, y), x)
}

/// `e^|x| / 2`, finite as long as cosh is.
#[inline(always)]
fn half_exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (shifted, r) = reduce(s, s.min(s.splat(90.0), s.abs(x)));
    let p = s.add(tail(s, r, Q_SHORT), s.splat(1.0));
    scale(s, p, s.sub_i32(to_integer(s, shifted), s.splat_i32(1)))
}

#[inline(always)]
pub(super) fn cosh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let h = half_exp(s, x);
    s.add(h, s.div(s.splat(0.25), h))
}

#[inline(always)]
pub(super) fn sinh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // (sinh x - x) / x³ in x², for |x| <= 1; relative error of sinh 3e-10.
    const P: [f32; 4] = [0.166666672, 0.00833331048, 0.000198428956, 2.78221319e-06];
    let h = half_exp(s, x);
    let large = s.sub(h, s.div(s.splat(0.25), h));
    let z = s.mul(x, x);
    let small = s.mul_add(s.mul(z, x), polynomial(s, z, P), x);
    s.copysign(s.select(s.lt(s.abs(x), s.splat(1.0)), small, large), x)
}

#[inline(always)]
pub(super) fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // With t = e^(-2|x|) - 1, tanh |x| = -t / (2 + t); e^(-2|x|) vanishes beside 1 from 10 on.
    let y = s.min(s.splat(10.0), s.abs(x));
    let (power, r) = reduce_to_power(s, s.mul(y, s.splat(-2.0)));
    let t = s.mul_add(power, tail(s, r, Q), s.sub(power, s.splat(1.0)));
    s.copysign(s.div(t, s.add(t, s.splat(2.0))), x)
}
