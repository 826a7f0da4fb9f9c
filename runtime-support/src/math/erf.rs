//! The error function: odd polynomial up to 1, `1 - e^P(x)` beyond.

use super::{exp_nonpositive, polynomial};
use crate::simd::Simd;

/// `erf x / x - 1` in `x²` for `|x| <= 1`; relative error of erf 1.4e-9.
const SMALL: [f32; 7] = [0.128379166, -0.37612626, 0.112835787, -0.0268533472, 0.0051871622, -0.00079978531, 7.80690389e-05];
/// `log(1 - erf x)` for x from 1 to 4; error of erf 1.1e-9.
const LARGE: [f32; 7] = [-0.000341523031, -1.12708914, -0.63814497, -0.10310661, 0.021838, -0.00294764922, 0.000186379737];

#[inline(always)]
pub(super) fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let z = s.mul(x, x);
    let small = s.mul_add(x, polynomial(s, z, SMALL), x);
    // From 4 on, erf rounds to 1.
    let a = s.min(s.splat(4.0), s.abs(x));
    let large = s.sub(s.splat(1.0), exp_nonpositive(s, polynomial(s, a, LARGE)));
    s.select(s.lt(a, s.splat(1.0)), small, s.copysign(large, x))
}
