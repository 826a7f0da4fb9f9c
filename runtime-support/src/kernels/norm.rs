//! The normalisations for every float type, computed in f64; [`norm_f32`](super::norm_f32) has the tuned ones.

use super::fmath;
use super::num::Float;
use crate::error::Fault;

/// Checks lengths that the compiler guarantees.
#[inline]
fn need(holds: bool) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Internal { what: "normalisation: lengths" }) }
}

/// Mean and variance (biased) of values, in two passes.
fn moments(values: impl Iterator<Item = f64> + Clone, count: usize) -> (f64, f64) {
    let mean = values.clone().sum::<f64>() / count as f64;
    (mean, values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / count as f64)
}

/// LayerNormalization: each of `rows` rows of `len` to mean 0 and variance 1, then times `scale` plus `bias` (both of `len`).
///
/// `mean` and `inv_std`, of `rows` each, are optional outputs: empty if not wanted.
pub fn layer_norm<T: Float>(
    out: &mut [T],
    mean_out: &mut [T],
    inv_std_out: &mut [T],
    x: &[T],
    scale: Option<&[T]>,
    bias: Option<&[T]>,
    rows: usize,
    len: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == rows * len && out.len() == x.len())?;
    need(scale.is_none_or(|s| s.len() == len) && bias.is_none_or(|b| b.len() == len))?;
    need([mean_out.len(), inv_std_out.len()].iter().all(|&l| l == 0 || l == rows))?;
    for r in 0..rows {
        let x = &x[r * len..(r + 1) * len];
        let (mean, variance) = moments(x.iter().map(|v| v.widen()), len);
        let inv_std = 1.0 / fmath::sqrt(variance + epsilon as f64);
        for (i, (y, v)) in out[r * len..].iter_mut().zip(x).enumerate() {
            let normal = (v.widen() - mean) * inv_std;
            *y = T::narrow(normal * scale.map_or(1.0, |s| s[i].widen()) + bias.map_or(0.0, |b| b[i].widen()));
        }
        if let Some(y) = mean_out.get_mut(r) {
            *y = T::narrow(mean);
        }
        if let Some(y) = inv_std_out.get_mut(r) {
            *y = T::narrow(inv_std);
        }
    }
    Ok(())
}

/// RMSNormalization: each row divided by the root of its mean square, times `scale` (of `len`).
pub fn rms_norm<T: Float>(out: &mut [T], x: &[T], scale: Option<&[T]>, rows: usize, len: usize, epsilon: f32) -> Result<(), Fault> {
    need(x.len() == rows * len && out.len() == x.len() && scale.is_none_or(|s| s.len() == len))?;
    for r in 0..rows {
        let x = &x[r * len..(r + 1) * len];
        let square = x.iter().map(|v| v.widen() * v.widen()).sum::<f64>() / len as f64;
        let inverse = 1.0 / fmath::sqrt(square + epsilon as f64);
        for (i, (y, v)) in out[r * len..].iter_mut().zip(x).enumerate() {
            *y = T::narrow(v.widen() * inverse * scale.map_or(1.0, |s| s[i].widen()));
        }
    }
    Ok(())
}

/// BatchNormalization at inference over `outer, channels, inner`: (x - mean) / sqrt(variance + epsilon) * scale + bias, all per channel.
pub fn batch_norm<T: Float>(
    out: &mut [T],
    x: &[T],
    scale: &[T],
    bias: &[T],
    mean: &[T],
    variance: &[T],
    outer: usize,
    channels: usize,
    inner: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == outer * channels * inner && out.len() == x.len())?;
    need([scale, bias, mean, variance].iter().all(|p| p.len() == channels))?;
    for (line, (out, x)) in out.chunks_mut(inner.max(1)).zip(x.chunks(inner.max(1))).enumerate() {
        let c = line % channels;
        let factor = scale[c].widen() / fmath::sqrt(variance[c].widen() + epsilon as f64);
        for (y, v) in out.iter_mut().zip(x) {
            *y = T::narrow((v.widen() - mean[c].widen()) * factor + bias[c].widen());
        }
    }
    Ok(())
}

/// BatchNormalization in training mode: the batch's own mean and variance normalise; `running_*` outputs are
/// `old * momentum + batch * (1 - momentum)`.
pub fn batch_norm_training<T: Float>(
    out: &mut [T],
    running_mean: &mut [T],
    running_variance: &mut [T],
    x: &[T],
    scale: &[T],
    bias: &[T],
    mean: &[T],
    variance: &[T],
    outer: usize,
    channels: usize,
    inner: usize,
    epsilon: f32,
    momentum: f32,
) -> Result<(), Fault> {
    need(x.len() == outer * channels * inner && out.len() == x.len())?;
    need([scale, bias, mean, variance].iter().all(|p| p.len() == channels))?;
    need([running_mean.len(), running_variance.len()].iter().all(|&l| l == 0 || l == channels))?;
    let momentum = momentum as f64;
    for c in 0..channels {
        let line = |o: usize| (o * channels + c) * inner..(o * channels + c + 1) * inner;
        let values = (0..outer).flat_map(|o| &x[line(o)]).map(|v| v.widen());
        let (batch_mean, batch_variance) = moments(values, outer * inner);
        let factor = scale[c].widen() / fmath::sqrt(batch_variance + epsilon as f64);
        for o in 0..outer {
            for (y, v) in out[line(o)].iter_mut().zip(&x[line(o)]) {
                *y = T::narrow((v.widen() - batch_mean) * factor + bias[c].widen());
            }
        }
        if let Some(y) = running_mean.get_mut(c) {
            *y = T::narrow(mean[c].widen() * momentum + batch_mean * (1.0 - momentum));
        }
        if let Some(y) = running_variance.get_mut(c) {
            *y = T::narrow(variance[c].widen() * momentum + batch_variance * (1.0 - momentum));
        }
    }
    Ok(())
}

/// GroupNormalization over `outer, channels, inner`: the channels of each of `groups` groups normalised together, then times `scale`, plus
/// `bias`, both of `channels`. With as many groups as channels it is InstanceNormalization. `channels` is a multiple of `groups`.
pub fn group_norm<T: Float>(
    out: &mut [T],
    x: &[T],
    scale: &[T],
    bias: &[T],
    outer: usize,
    channels: usize,
    inner: usize,
    groups: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == outer * channels * inner && out.len() == x.len())?;
    need(scale.len() == channels && bias.len() == channels && groups > 0 && channels.is_multiple_of(groups))?;
    let per_group = channels / groups;
    let len = (per_group * inner).max(1);
    for (group, (out, x)) in out.chunks_mut(len).zip(x.chunks(len)).enumerate() {
        let (mean, variance) = moments(x.iter().map(|v| v.widen()), len);
        let inv_std = 1.0 / fmath::sqrt(variance + epsilon as f64);
        let first = group % groups * per_group;
        for (i, (y, v)) in out.iter_mut().zip(x).enumerate() {
            let c = first + i / inner.max(1);
            *y = T::narrow((v.widen() - mean) * inv_std * scale[c].widen() + bias[c].widen());
        }
    }
    Ok(())
}

/// LpNormalization along the middle axis: x over its p-norm; 0 where the norm is 0. ONNX has p 1 and 2.
pub fn lp_norm<T: Float>(out: &mut [T], x: &[T], outer: usize, axis: usize, inner: usize, p: i64) -> Result<(), Fault> {
    need(x.len() == outer * axis * inner && out.len() == x.len())?;
    if x.is_empty() {
        return Ok(());
    }
    for (out, x) in out.chunks_exact_mut(axis * inner).zip(x.chunks_exact(axis * inner)) {
        for i in 0..inner {
            let line = || x[i..].iter().step_by(inner).map(|v| v.widen().abs());
            let norm = match p {
                1 => line().sum(),
                2 => fmath::sqrt(line().map(|v| v * v).sum()),
                _ => fmath::pow(line().map(|v| fmath::pow(v, p as f64)).sum(), 1.0 / p as f64),
            };
            for (y, v) in out[i..].iter_mut().step_by(inner).zip(x[i..].iter().step_by(inner)) {
                *y = T::narrow(if norm == 0.0 { 0.0 } else { v.widen() / norm });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn near(got: &[f64], want: &[f64]) {
        assert!(got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} {want:?}");
    }

    #[test]
    fn rows() {
        let x = [1.0, 3.0, 5.0, 5.0];
        let (mut y, mut mean, mut inv) = ([0f64; 4], [0f64; 2], [0f64; 2]);
        layer_norm(&mut y, &mut mean, &mut inv, &x, Some(&[2.0, 3.0]), Some(&[0.5, 0.0]), 2, 2, 0.0).unwrap();
        near(&y[..2], &[-1.5, 3.0]);
        assert!(y[2].is_nan(), "a constant row without epsilon is 0/0");
        near(&mean, &[2.0, 5.0]);
        layer_norm(&mut y, &mut [], &mut inv, &x, None, None, 2, 2, 1.0).unwrap();
        near(&inv, &[0.5f64.sqrt(), 1.0]);
        rms_norm(&mut y, &x, Some(&[1.0, 2.0]), 2, 2, 0.0).unwrap();
        near(&y, &[1.0 / 5f64.sqrt(), 6.0 / 5f64.sqrt(), 1.0, 2.0]);
    }

    #[test]
    fn channels() {
        // Two samples, two channels, two positions.
        let x: Vec<f64> = [0, 2, 10, 30, 4, 6, 20, 20].iter().map(|&v| v as f64).collect();
        let mut y = [0f64; 8];
        batch_norm(&mut y, &x, &[2.0, 1.0], &[1.0, 0.0], &[1.0, 10.0], &[4.0, 25.0], 2, 2, 2, 0.0).unwrap();
        near(&y, &[0.0, 2.0, 0.0, 4.0, 4.0, 6.0, 2.0, 2.0]);
        let (mut m, mut v) = ([0f64; 2], [0f64; 2]);
        let zeros = [0.0; 2];
        batch_norm_training(&mut y, &mut m, &mut v, &x, &[1.0; 2], &zeros, &zeros, &zeros, 2, 2, 2, 0.0, 0.5).unwrap();
        near(&m, &[1.5, 10.0]);
        near(&v, &[2.5, 25.0]);
        near(&y[..3], &[-3.0 / 5f64.sqrt(), -1.0 / 5f64.sqrt(), -2f64.sqrt()]);
        group_norm(&mut y, &x, &[1.0, 2.0], &[0.0, 5.0], 2, 2, 2, 2, 0.0).unwrap();
        near(&y[..6], &[-1.0, 1.0, 3.0, 7.0, -1.0, 1.0]);
        group_norm(&mut y, &x, &[1.0, 2.0], &[0.0, 5.0], 2, 2, 2, 1, 0.0).unwrap();
        let deviation = (x[4..].iter().map(|v| (v - 12.5) * (v - 12.5)).sum::<f64>() / 4.0).sqrt();
        near(&y[4..], &[-8.5 / deviation, -6.5 / deviation, 5.0 + 15.0 / deviation, 5.0 + 15.0 / deviation]);
    }

    #[test]
    fn powers() {
        let mut y = [0f64; 4];
        lp_norm(&mut y, &[3.0, 0.0, -4.0, 0.0], 1, 2, 2, 2).unwrap();
        near(&y, &[0.6, 0.0, -0.8, 0.0]);
        lp_norm(&mut y, &[3.0, 1.0, -1.0, 3.0], 2, 2, 1, 1).unwrap();
        near(&y, &[0.75, 0.25, -0.25, 0.75]);
    }
}
