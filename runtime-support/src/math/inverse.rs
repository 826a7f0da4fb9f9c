//! Arcsine, arccosine, arctangent.

use super::polynomial;
use crate::simd::Simd;

/// π/2 in two parts.
const HALF_PI: f32 = core::f32::consts::FRAC_PI_2;
const HALF_PI_LOW: f32 = -4.371139e-8;

/// `(asin x - x) / x³` in `x²` for `|x| <= 1/2`; relative error of the arcsine 3e-10.
const ASIN: [f32; 6] = [0.166666597, 0.0750052184, 0.0445133746, 0.0318390988, 0.0143147064, 0.0376972705];
/// `(atan x - x) / x³` in `x²` for `|x| <= tan π/8`; relative error of the arctangent 7e-10.
const ATAN: [f32; 5] = [-0.333333164, 0.199985251, -0.142442971, 0.105982654, -0.0608733706];

/// For a magnitude up to 1: the arcsine of the reduced argument, and where that argument was `√((1 - a) / 2)`.
#[inline(always)]
fn half_asin<S: Simd>(s: S, a: S::F32) -> (S::F32, S::Mask) {
    let half = s.splat(0.5);
    let large = s.gt(a, half);
    let z = s.select(large, s.neg_mul_add(half, a, half), s.mul(a, a));
    let x = s.select(large, s.sqrt(z), a);
    (s.mul_add(s.mul(z, x), polynomial(s, z, ASIN), x), large)
}

#[inline(always)]
pub(super) fn asin<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // asin a = π/2 - 2 asin √((1 - a) / 2); the root of a negative number is the NaN we want beyond 1.
    let (y, large) = half_asin(s, s.abs(x));
    let from_half_pi = s.sub(s.splat(HALF_PI), s.sub(s.add(y, y), s.splat(HALF_PI_LOW)));
    s.copysign(s.select(large, from_half_pi, y), x)
}

#[inline(always)]
pub(super) fn acos<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let (y, large) = half_asin(s, s.abs(x));
    let twice = s.add(y, y);
    let negative = s.lt(x, s.zero());
    // Near 1 it is twice the half's arcsine, near -1 that from π, between them π/2 - asin x.
    let far = s.sub(s.splat(2.0 * HALF_PI), s.sub(twice, s.splat(2.0 * HALF_PI_LOW)));
    let near = s.sub(s.splat(HALF_PI), s.sub(s.copysign(y, x), s.splat(HALF_PI_LOW)));
    s.select(large, s.select(negative, far, twice), near)
}

#[inline(always)]
pub(super) fn atan<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // Above tan 3π/8: π/2 + atan(-1/a); above tan π/8: π/4 + atan((a - 1) / (a + 1)).
    let (a, one) = (s.abs(x), s.splat(1.0));
    let (high, middle) = (s.gt(a, s.splat(2.4142135)), s.gt(a, s.splat(0.41421357)));
    let over = s.select(high, s.splat(-1.0), s.select(middle, s.sub(a, one), a));
    let under = s.select(high, a, s.select(middle, s.add(a, one), one));
    let offset = s.select(high, s.splat(HALF_PI), s.select(middle, s.splat(0.5 * HALF_PI), s.zero()));
    let offset_low = s.select(high, s.splat(HALF_PI_LOW), s.select(middle, s.splat(0.5 * HALF_PI_LOW), s.zero()));
    let t = s.div(over, under);
    let z = s.mul(t, t);
    let y = s.add(s.mul_add(s.mul(z, t), polynomial(s, z, ATAN), offset_low), t);
    s.copysign(s.add(offset, y), x)
}
