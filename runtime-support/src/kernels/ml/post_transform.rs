//! Transforms of scores that only `ai.onnx.ml` has.

use crate::error::Fault;
use crate::kernels::fmath;
use crate::kernels::num::Float;
use crate::kernels::walk::promise;

/// Softmax of each row of `row` scores, but a score of zero (up to 1e-7) counts nothing in the sum, and becomes itself over the sum.
pub fn softmax_zero<T: Float>(out: &mut [T], x: &[T], row: usize) -> Result<(), Fault> {
    promise(out.len() == x.len(), "softmax_zero: lengths")?;
    for (out, x) in out.chunks_mut(row.max(1)).zip(x.chunks(row.max(1))) {
        let top = x.iter().map(|v| v.widen()).fold(f64::NEG_INFINITY, |a, v| if v > a { v } else { a });
        let zero = |v: f64| (-1e-7..=1e-7).contains(&v);
        let sum: f64 = x.iter().map(|v| v.widen()).filter(|&v| !zero(v)).map(|v| fmath::exp(v - top)).sum();
        for (y, v) in out.iter_mut().zip(x.iter().map(|v| v.widen())) {
            *y = T::narrow(if zero(v) { v * fmath::exp(-top) } else { fmath::exp(v - top) } / sum);
        }
    }
    Ok(())
}

/// The quantile of the normal distribution, by the approximation of the inverse error function that ONNX Runtime uses (about 2e-3 of accuracy),
/// in f32 as there, since it cancels.
pub fn probit<T: Float>(out: &mut [T], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "probit: lengths")?;
    for (y, v) in out.iter_mut().zip(x) {
        *y = T::narrow(f64::from(core::f32::consts::SQRT_2 * inverse_erf(2.0 * v.widen() as f32 - 1.0)));
    }
    Ok(())
}

/// Winitzki's approximation, with pi to six digits.
fn inverse_erf(x: f32) -> f32 {
    const A: f32 = 0.147;
    #[allow(clippy::approx_constant)] // The digits that the results to compare with were computed with.
    const PI: f32 = 3.14159;
    let sqrt = |v: f32| fmath::sqrt(f64::from(v)) as f32;
    let log = fmath::ln(f64::from((1.0 - x) * (1.0 + x))) as f32;
    let v = 2.0 / (PI * A) + 0.5 * log;
    let root = sqrt(sqrt(v * v - 1.0 / A * log) - v);
    if x < 0.0 { -root } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_stay_zeros() {
        let mut out = [0f64; 3];
        softmax_zero(&mut out, &[1.0, 0.0, 1.0], 3).unwrap();
        assert_eq!(out, [0.5, 0.0, 0.5]);
    }

    #[test]
    fn quantiles() {
        let mut out = [0f64; 4];
        probit(&mut out, &[0.5, 0.975, 0.025, 2.0]).unwrap();
        assert!(out[0].abs() < 1e-3 && (out[1] - 1.96).abs() < 5e-3 && (out[1] + out[2]).abs() < 1e-5 && out[3].is_nan(), "{out:?}");
    }
}
