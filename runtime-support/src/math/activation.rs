//! Activation functions and the small words of formulas.

use super::{Math, exp_nonpositive, polynomial};
use crate::simd::Simd;

#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // e^-|x| never overflows; for negative x the fraction is expanded by it.
    let e = exp_nonpositive(s, s.neg(s.abs(x)));
    let one = s.splat(1.0);
    s.div(s.select(s.lt(x, s.zero()), e, one), s.add(one, e))
}

#[inline(always)]
pub(super) fn softplus<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let e = exp_nonpositive(s, s.neg(s.abs(x)));
    s.add(relu(s, x), s.log1p(e))
}

#[inline(always)]
pub(super) fn relu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // The second operand is the result if either is NaN.
    s.max(s.zero(), x)
}

/// `log(erfc(a / √2) / 2)` for `a >= 0`, so that its power of e has an error of 7.5e-9. Falls for ever, below -88 from 10 on. The coefficients of
/// even powers and those of odd ones: two chains of half the length.
const TAIL_EVEN: [f32; 5] = [-core::f32::consts::LN_2, -0.31829658, 0.0049043433, -0.00012653235, -1.9214381e-06];
const TAIL_ODD: [f32; 4] = [-0.79788572, -0.036393713, -0.00010110947, 2.6769862e-05];

#[inline(always)]
pub(super) fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // With q the tail of the normal distribution beyond |x|: x (1 - q) or x q, which is max(x, 0) - |x| q. From 14 on q is 0. NaN stays.
    let a = s.min(s.splat(14.0), s.abs(x));
    let z = s.mul(a, a);
    let q = exp_nonpositive(s, s.mul_add(a, polynomial(s, z, TAIL_ODD), polynomial(s, z, TAIL_EVEN)));
    s.neg_mul_add(a, q, s.max(s.zero(), x))
}

#[inline(always)]
pub(super) fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // (1 + tanh u) / 2 = sigmoid(2u); 2 √(2/π) = 1.5957691.
    let z = s.mul(x, x);
    let inner = s.mul_add(z, s.splat(1.595_769_1 * 0.044715), s.splat(1.595_769_1));
    s.mul(x, sigmoid(s, s.mul(x, inner)))
}

#[inline(always)]
pub(super) fn silu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.mul(x, sigmoid(s, x))
}

#[inline(always)]
pub(super) fn mish<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); that is 1 from 20 on.
    let e = exp_nonpositive(s, s.min(s.splat(20.0), x));
    let n = s.mul(e, s.add(e, s.splat(2.0)));
    s.mul(x, s.div(n, s.add(n, s.splat(2.0))))
}

#[inline(always)]
pub(super) fn hard_swish<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let t = s.mul_add(x, s.splat(1.0 / 6.0), s.splat(0.5));
    s.mul(x, s.max(s.zero(), s.min(s.splat(1.0), t)))
}

#[inline(always)]
pub(super) fn rsqrt<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(s.splat(1.0), s.sqrt(x))
}

#[inline(always)]
pub(super) fn reciprocal<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.div(s.splat(1.0), x)
}

#[inline(always)]
pub(super) fn sign<S: Simd>(s: S, x: S::F32) -> S::F32 {
    // Zero and NaN stay themselves (-0 too, as its magnitude is all that counts).
    let one = s.copysign(s.splat(1.0), x);
    s.select(s.gt(s.abs(x), s.zero()), one, x)
}

#[inline(always)]
pub(super) fn round<S: Simd>(s: S, x: S::F32) -> S::F32 {
    s.round_even(x)
}

/// 1 or 0.
#[inline(always)]
fn truth<S: Simd>(s: S, m: S::Mask) -> S::F32 {
    s.select(m, s.splat(1.0), s.zero())
}

#[inline(always)]
pub(super) fn less<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    truth(s, s.lt(a, b))
}

#[inline(always)]
pub(super) fn less_or_equal<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    truth(s, s.le(a, b))
}

#[inline(always)]
pub(super) fn greater<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    truth(s, s.gt(a, b))
}

#[inline(always)]
pub(super) fn greater_or_equal<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    truth(s, s.ge(a, b))
}

#[inline(always)]
pub(super) fn equal<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
    truth(s, s.eq(a, b))
}

#[inline(always)]
pub(super) fn choose<S: Simd>(s: S, condition: S::F32, a: S::F32, b: S::F32) -> S::F32 {
    s.select(s.ne(condition, s.zero()), a, b)
}
