//! Logarithms: `x = 2^e m` with `m` in `[√½, √2)`, then `log x = e ln 2 + log(1 + f)`, `f = m - 1`.

use super::polynomial;
use crate::simd::Simd;

/// ln 2 in two parts; the first has 10 bits, so that its product with any exponent is exact.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.1219444e-4;
const LN2: f32 = core::f32::consts::LN_2;
const SQRT_HALF_BITS: i32 = 0x3f35_04f3;

/// `(log(1 + f) - f + f²/2) / f³` for `1 + f` in `[√½, √2]`; relative error of the logarithm 8e-10.
const P: [f32; 9] =
    [0.333333135, -0.250000089, 0.200020716, -0.166679889, 0.142203584, -0.124062337, 0.118835486, -0.116700977, 0.0674926788];

/// The exponent and the significand in `[√½, √2)` of a positive normal number.
#[inline(always)]
fn split_normal<S: Simd>(s: S, x: S::F32) -> (S::I32, S::F32) {
    let bits = s.bits(x);
    let e = s.sar::<23>(s.sub_i32(bits, s.splat_i32(SQRT_HALF_BITS)));
    (e, s.with_bits(s.sub_i32(bits, s.shl::<23>(e))))
}

/// The same for every positive number, the exponent as f32; some numbers for others.
#[inline(always)]
pub(super) fn split<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    let subnormal = s.lt(x, s.splat(f32::MIN_POSITIVE));
    let scaled = s.select(subnormal, s.mul(x, s.splat(8388608.0)), x);
    let (e, m) = split_normal(s, scaled);
    (s.sub(s.to_f32(e), s.select(subnormal, s.splat(23.0), s.zero())), m)
}

/// `e ln 2 + log(1 + f)`.
#[inline(always)]
fn combine<S: Simd>(s: S, e: S::F32, f: S::F32) -> S::F32 {
    let z = s.mul(f, f);
    let p = s.mul(s.mul(z, f), polynomial(s, f, P));
    let p = s.mul_add(e, s.splat(LN2_LOW), p);
    let p = s.neg_mul_add(s.splat(0.5), z, p);
    s.mul_add(e, s.splat(LN2_HIGH), s.add(f, p))
}

/// `y`, except where the argument of the logarithm is not positive and finite.
#[inline(always)]
fn special<S: Simd>(s: S, x: S::F32, y: S::F32) -> S::F32 {
    let not_positive = s.select(s.eq(x, s.zero()), s.splat(f32::NEG_INFINITY), s.splat(f32::NAN));
    let y = s.select(s.gt(x, s.zero()), y, not_positive);
    // Infinity stays; NaN compares with nothing and stays too.
    s.select(s.lt(x, s.splat(f32::INFINITY)), y, x)
}

#[inline(always)]
pub(super) fn log<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (e, m) = split(s, x);
    special(s, x, combine(s, e, s.sub(m, s.splat(1.0))))
}

#[inline(always)]
pub(super) fn log1p<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let u = s.add(x, one);
    // What the addition lost (Knuth's two-sum).
    let back = s.sub(u, one);
    let lost = s.add(s.sub(one, s.sub(u, back)), s.sub(x, back));
    let (e, m) = split_normal(s, u);
    // 2^-e, or 0 where that is subnormal and the loss nothing.
    let factor = s.with_bits(s.shl::<23>(s.max_i32(s.splat_i32(0), s.sub_i32(s.splat_i32(127), e))));
    let f = s.mul_add(lost, factor, s.sub(m, one));
    let y = special(s, u, combine(s, s.to_f32(e), f));
    s.select(s.lt(s.abs(x), s.splat(6e-8)), x, y)
}

#[inline(always)]
pub(super) fn asinh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // log1p(a + a² / (1 + √(1 + a²))), and log(2a) where the square would overflow.
    let a = s.abs(x);
    let z = s.mul(a, a);
    let one = s.splat(1.0);
    let root = s.add(one, s.sqrt(s.add(z, one)));
    let huge = s.gt(a, s.splat(1e4));
    let y = log1p(s, s.select(huge, s.sub(a, one), s.add(a, s.div(z, root))));
    s.copysign(s.add(y, s.select(huge, s.splat(LN2), s.zero())), x)
}

#[inline(always)]
pub(super) fn acosh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // With t = x - 1: log1p(t + √(t (t + 2))), and log(2x) where the square would overflow.
    let t = s.sub(x, s.splat(1.0));
    let huge = s.gt(x, s.splat(1e4));
    let root = s.sqrt(s.mul(t, s.add(t, s.splat(2.0))));
    let y = log1p(s, s.select(huge, t, s.add(t, root)));
    let y = s.add(y, s.select(huge, s.splat(LN2), s.zero()));
    s.select(s.lt(x, s.splat(1.0)), s.splat(f32::NAN), y)
}

#[inline(always)]
pub(super) fn atanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // log1p(2a / (1 - a)) / 2
    let a = s.abs(x);
    let y = log1p(s, s.div(s.add(a, a), s.sub(s.splat(1.0), a)));
    s.copysign(s.mul(y, s.splat(0.5)), x)
}
