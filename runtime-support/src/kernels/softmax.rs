//! Softmax, LogSoftmax and Hardmax along the middle axis of `outer, axis, inner`.
//!
//! These are for every float type, computed in f64; [`softmax_f32`](super::softmax_f32) has the tuned ones.

use super::fmath;
use super::num::Float;
use crate::error::Fault;

/// e^(x - max) / sum along the axis. A row of minus infinities gives NaN, as in numpy.
pub fn softmax<T: Float>(out: &mut [T], x: &[T], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    lines(out, x, [outer, axis, inner], |sum, v| rounded::<T>(fmath::exp(v)) / sum)
}

/// x - max - ln(sum of e^(x - max)) along the axis.
pub fn log_softmax<T: Float>(out: &mut [T], x: &[T], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    lines(out, x, [outer, axis, inner], |sum, v| v - rounded::<T>(fmath::ln(sum)))
}

/// The nearest number of the type.
fn rounded<T: Float>(x: f64) -> f64 {
    T::narrow(x).widen()
}

/// Each intermediate result is rounded to the type, as the reference does: `value` takes the sum of e^(x - max) and x - max.
fn lines<T: Float>(out: &mut [T], x: &[T], [outer, axis, inner]: [usize; 3], value: impl Fn(f64, f64) -> f64) -> Result<(), Fault> {
    if x.len() != outer * axis * inner || out.len() != x.len() {
        return Err(Fault::Internal { what: "softmax: lengths" });
    }
    if x.is_empty() {
        return Ok(());
    }
    for (out, x) in out.chunks_exact_mut(axis * inner).zip(x.chunks_exact(axis * inner)) {
        for i in 0..inner {
            let line = || x[i..].iter().step_by(inner).map(|v| v.widen());
            let top = line().fold(f64::NEG_INFINITY, |a, v| if v > a || v.is_nan() { v } else { a });
            let below = |v: f64| rounded::<T>(v - top);
            let sum = rounded::<T>(line().map(|v| rounded::<T>(fmath::exp(below(v)))).sum());
            for (y, v) in out[i..].iter_mut().step_by(inner).zip(line()) {
                *y = T::narrow(value(sum, below(v)));
            }
        }
    }
    Ok(())
}

/// 1 at the first greatest element along the axis, 0 elsewhere.
pub fn hardmax<T: Float>(out: &mut [T], x: &[T], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    if x.len() != outer * axis * inner || out.len() != x.len() {
        return Err(Fault::Internal { what: "hardmax: lengths" });
    }
    out.fill(T::narrow(0.0));
    if x.is_empty() {
        return Ok(());
    }
    for (out, x) in out.chunks_exact_mut(axis * inner).zip(x.chunks_exact(axis * inner)) {
        for i in 0..inner {
            let best = (1..axis).fold(0, |best, a| if x[a * inner + i] > x[best * inner + i] { a } else { best });
            out[best * inner + i] = T::narrow(1.0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_at_each_step() {
        use crate::float::F16;
        let x = [0.0f32, 0.3, 1.0].map(F16::from_f32);
        let mut y = x;
        softmax(&mut y, &x, 1, 3, 1).unwrap();
        let half = |v: f64| F16::from_f64(v).to_f32() as f64;
        let e: [f64; 3] = [-1.0, half(half(0.3) - 1.0), 0.0].map(|v: f64| half(v.exp()));
        let sum = half(e[0] + e[1] + e[2]);
        assert_eq!(y, e.map(|e| F16::from_f64(e / sum)));
    }

    #[test]
    fn columns_and_rows() {
        let x = [1.0, 1000.0, 2.0, 1001.0, 3.0, 1001.0];
        let mut y = [0f64; 6];
        softmax(&mut y, &x, 1, 3, 2).unwrap();
        let e = 1f64.exp();
        let want = [1.0 / (1.0 + e + e * e), 1.0 / (1.0 + 2.0 * e), e / (1.0 + e + e * e), e / (1.0 + 2.0 * e)];
        assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-15));
        let mut logs = [0f64; 6];
        log_softmax(&mut logs, &x, 1, 3, 2).unwrap();
        assert!(logs.iter().zip(y).all(|(a, b)| (a - b.ln()).abs() < 1e-14));
        hardmax(&mut y, &x, 1, 3, 2).unwrap();
        assert_eq!(y, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        hardmax(&mut y, &x, 3, 2, 1).unwrap();
        assert_eq!(y, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        softmax::<f32>(&mut [], &[], 3, 0, 1).unwrap();
    }
}
