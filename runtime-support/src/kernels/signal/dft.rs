//! DFT along an axis and STFT, for every float type, computed in f64.

use super::fft::{Plan, plan_len};
use crate::error::Fault;
use crate::kernels::num::Float;
use crate::kernels::walk::promise;

/// The scratch (of f64) that [`dft`] and [`stft`] need for a transform of `n`. `36 * n` is always enough.
pub const fn scratch_len(n: usize) -> usize {
    plan_len(n)
}

/// Binds the product of the dims before an axis (one number, negative from the end of a signal with its parts), its own dim, and the product of those
/// after it. `shape` is that of the signal without its parts.
pub fn around_axis(bind: &mut [i64], shape: &[usize], axis: &[i64]) -> Result<(), Fault> {
    let at = signal_axis(shape, axis)?;
    let product = |dims: &[usize]| dims.iter().product::<usize>() as i64;
    let all = [product(&shape[..at]), shape[at] as i64, product(&shape[at + 1..])];
    promise(bind.len() == 3, "dft: dims")?;
    bind.copy_from_slice(&all);
    Ok(())
}

/// Binds the shape with `bins` in place of the axis.
pub fn replace_axis(bind: &mut [i64], shape: &[usize], axis: &[i64], bins: usize) -> Result<(), Fault> {
    let at = signal_axis(shape, axis)?;
    promise(bind.len() == shape.len(), "dft: dims")?;
    for (i, (to, &d)) in bind.iter_mut().zip(shape).enumerate() {
        *to = if i == at { bins } else { d } as i64;
    }
    Ok(())
}

/// Which axis of the signal is meant; the parts of its numbers are one more.
fn signal_axis(shape: &[usize], axis: &[i64]) -> Result<usize, Fault> {
    let &[axis] = axis else { return Err(Fault::Internal { what: "dft: the axis is one number" }) };
    let at = if axis < 0 { axis.saturating_add(shape.len() as i64 + 1) } else { axis };
    usize::try_from(at).ok().filter(|&at| at < shape.len()).ok_or(Fault::Index { index: axis, len: shape.len() })
}

/// DFT of length `n` along the middle axis: `x` is `outer, axis, inner, parts` (1 real, 2 complex; cut or filled up with zeros to `n`), `out` is
/// `outer, out_axis, inner, out_parts`.
///
/// `out_axis` is `n`, or `n / 2 + 1` for one-sided forward results. The inverse is divided by `n`; with `onesided` it takes the first
/// `n / 2 + 1` of a spectrum that is its own mirror image and gives real numbers (`out_parts` 1).
pub fn dft<T: Float>(
    out: &mut [T],
    scratch: &mut [f64],
    x: &[T],
    outer: usize,
    axis: usize,
    inner: usize,
    parts: usize,
    n: usize,
    out_axis: usize,
    out_parts: usize,
    inverse: bool,
    onesided: bool,
) -> Result<(), Fault> {
    let shaped = (1..=2).contains(&parts) && (1..=2).contains(&out_parts) && out_axis <= n;
    if !shaped || x.len() != outer * axis * inner * parts || out.len() != outer * out_axis * inner * out_parts {
        return Err(Fault::Internal { what: "dft: lengths" });
    }
    if out.is_empty() {
        return Ok(());
    }
    let mut plan = Plan::new(n, inverse, scratch)?;
    let scale = if inverse { 1.0 / n as f64 } else { 1.0 };
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let read = |a: usize| {
            let from = ((o * axis + a) * inner + i) * parts;
            (x[from].widen(), if parts == 2 { x[from + 1].widen() } else { 0.0 })
        };
        let mirrored = inverse && onesided;
        for (j, pair) in plan.line().chunks_exact_mut(2).enumerate() {
            // The upper half of a real signal's spectrum is the lower half's mirror image.
            let mirror = mirrored && j > n / 2;
            let from = if mirror { n - j } else { j };
            let (re, im) = if from < axis { read(from) } else { (0.0, 0.0) };
            // What must be real of such a spectrum is taken as real.
            let im = if mirrored && (j == 0 || 2 * j == n) { 0.0 } else { im };
            pair.copy_from_slice(&[re, if mirror { -im } else { im }]);
        }
        plan.run();
        for (j, pair) in plan.line().chunks_exact(2).take(out_axis).enumerate() {
            let to = ((o * out_axis + j) * inner + i) * out_parts;
            for (y, v) in out[to..to + out_parts].iter_mut().zip(pair) {
                *y = T::narrow(v * scale);
            }
        }
    }
    Ok(())
}

/// STFT: `x` is `batch, len, parts`; frame `f` starts at `f * step`, is multiplied by `window` (of `frame_length`, or all ones) and transformed.
/// `out` is `batch, frames, bins, 2` with `bins` `frame_length`, or `frame_length / 2 + 1` for one-sided results.
pub fn stft<T: Float>(
    out: &mut [T],
    scratch: &mut [f64],
    x: &[T],
    window: Option<&[T]>,
    batch: usize,
    len: usize,
    parts: usize,
    frames: usize,
    frame_length: usize,
    step: usize,
    bins: usize,
) -> Result<(), Fault> {
    let shaped = (1..=2).contains(&parts) && bins <= frame_length && window.is_none_or(|w| w.len() == frame_length);
    if !shaped || x.len() != batch * len * parts || out.len() != batch * frames * bins * 2 {
        return Err(Fault::Internal { what: "stft: lengths" });
    }
    if out.is_empty() {
        return Ok(());
    }
    let mut plan = Plan::new(frame_length, false, scratch)?;
    for (row, out) in out.chunks_exact_mut(bins * 2).enumerate() {
        let (b, first) = (row / frames, row % frames * step);
        for (j, pair) in plan.line().chunks_exact_mut(2).enumerate() {
            let from = (b * len + first + j) * parts;
            let inside = first + j < len;
            let weight = window.map_or(1.0, |w| w[j].widen());
            let part = |i: usize| if inside && i < parts { x[from + i].widen() * weight } else { 0.0 };
            pair.copy_from_slice(&[part(0), part(1)]);
        }
        plan.run();
        out.iter_mut().zip(plan.line().iter()).for_each(|(y, v)| *y = T::narrow(*v));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    /// By the definition.
    fn naive(x: &[(f64, f64)], inverse: bool) -> Vec<(f64, f64)> {
        let n = x.len();
        let sign = if inverse { 1.0 } else { -1.0 };
        let term = |k: usize, j: usize, (re, im): (f64, f64)| {
            let (s, c) = (sign * std::f64::consts::TAU * (k * j % n) as f64 / n as f64).sin_cos();
            (re * c - im * s, re * s + im * c)
        };
        (0..n).map(|k| x.iter().enumerate().map(|(j, &v)| term(k, j, v)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))).collect()
    }

    #[test]
    fn any_length_and_direction() {
        for n in [1, 2, 3, 4, 5, 6, 8, 12, 16, 30, 49, 61, 64, 67, 97, 100, 134, 400, 512, 1009] {
            let x: Vec<(f64, f64)> = (0..n).map(|i| ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 53 % 97) as f64 / 50.0 - 1.0)).collect();
            let flat: Vec<f64> = x.iter().flat_map(|v| [v.0, v.1]).collect();
            let mut scratch = std::vec![0f64; scratch_len(n)];
            assert!(scratch.len() <= 36 * n);
            for inverse in [false, true] {
                let mut out = std::vec![0f64; 2 * n];
                dft(&mut out, &mut scratch, &flat, 1, n, 1, 2, n, n, 2, inverse, false).unwrap();
                let scale = if inverse { n as f64 } else { 1.0 };
                for (y, w) in out.chunks(2).zip(naive(&x, inverse)) {
                    assert!((y[0] * scale - w.0).abs() < 1e-11 * n as f64 && (y[1] * scale - w.1).abs() < 1e-11 * n as f64, "{n}");
                }
            }
        }
    }

    #[test]
    fn one_sided_there_and_back() {
        for n in [6, 7] {
            // Two signals side by side: inner 2.
            let x: Vec<f64> = (0..2 * n).map(|i| (i * i % 13) as f64).collect();
            let bins = n / 2 + 1;
            let mut scratch = std::vec![0f64; scratch_len(n)];
            let mut spectrum = std::vec![0f64; bins * 2 * 2];
            dft(&mut spectrum, &mut scratch, &x, 1, n, 2, 1, n, bins, 2, false, true).unwrap();
            let sum: f64 = x.iter().step_by(2).sum();
            assert!((spectrum[0] - sum).abs() < 1e-12);
            let mut back = std::vec![0f64; 2 * n];
            dft(&mut back, &mut scratch, &spectrum, 1, bins, 2, 2, n, n, 1, true, true).unwrap();
            assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12), "{back:?} {x:?}");
        }
    }

    #[test]
    fn frames() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let window = [0.5, 1.0, 1.0, 0.5];
        let mut out = std::vec![0f64; 4 * 3 * 2];
        stft(&mut out, &mut std::vec![0f64; scratch_len(4)], &x, Some(&window), 1, 10, 1, 4, 4, 2, 3).unwrap();
        // Frame 1 is 2 3 4 5 weighted: 1, 3, 4, 2.5.
        assert!((out[6] - 10.5).abs() < 1e-12, "its sum");
        assert!((out[8] - (1.0 - 4.0)).abs() < 1e-12 && (out[9] - (2.5 - 3.0)).abs() < 1e-12, "its first harmonic");
        assert!((out[10] - (1.0 - 3.0 + 4.0 - 2.5)).abs() < 1e-12, "its last");
    }
}
