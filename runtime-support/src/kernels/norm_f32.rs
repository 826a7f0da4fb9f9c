//! The tuned normalisations of f32. Semantics are those of [`norm`](super::norm).

use super::fmath;
use super::fold::{self, Sum, SumSquare, SumSquareFrom};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// Checks lengths that the compiler guarantees.
#[inline]
fn need(holds: bool) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Internal { what: "normalisation: lengths" }) }
}

fn inverse_root(x: f32) -> f32 {
    (1.0 / fmath::sqrt(x as f64)) as f32
}

/// Writes (x - mean) * inverse * scale + bias; `mean` as subtrahend keeps accuracy when it is large.
#[inline(always)]
fn affine_row<S: Simd>(s: S, out: &mut [f32], x: &[f32], (mean, inverse): (f32, f32), scale: Option<&[f32]>, bias: Option<&[f32]>) {
    let (mean, inverse) = (s.splat(mean), s.splat(inverse));
    for (i, (y, x)) in out.chunks_mut(S::LANES).zip(x.chunks(S::LANES)).enumerate() {
        let at = i * S::LANES;
        let mut v = s.mul(s.sub(s.load_head(x), mean), inverse);
        if y.len() == S::LANES {
            v = match (scale, bias) {
                (Some(scale), Some(bias)) => s.mul_add(v, s.load(&scale[at..]), s.load(&bias[at..])),
                (Some(scale), None) => s.mul(v, s.load(&scale[at..])),
                (None, Some(bias)) => s.add(v, s.load(&bias[at..])),
                (None, None) => v,
            };
            s.store(y, v);
        } else {
            v = scale.map_or(v, |scale| s.mul(v, s.load_head(&scale[at..])));
            v = bias.map_or(v, |bias| s.add(v, s.load_head(&bias[at..])));
            s.store_head(y, v);
        }
    }
}

/// LayerNormalization of `rows` rows of `len`; `mean` and `inv_std` (of `rows`, or empty if not wanted) are further outputs.
pub fn layer_norm(
    cx: Cx,
    out: &mut [f32],
    mean_out: &mut [f32],
    inv_std_out: &mut [f32],
    x: &[f32],
    scale: Option<&[f32]>,
    bias: Option<&[f32]>,
    rows: usize,
    len: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == rows * len && out.len() == x.len())?;
    need(scale.is_none_or(|s| s.len() == len) && bias.is_none_or(|b| b.len() == len))?;
    need([mean_out.len(), inv_std_out.len()].iter().all(|&l| l == 0 || l == rows))?;
    if x.is_empty() {
        return Ok(());
    }
    if mean_out.is_empty() && inv_std_out.is_empty() {
        fold::by_rows(cx, rows, out, x, |_, out, x| {
            dispatch(cx, LayerRows { out, mean: &mut [], inv_std: &mut [], x, scale, bias, len, epsilon });
        });
    } else {
        dispatch(cx, LayerRows { out, mean: mean_out, inv_std: inv_std_out, x, scale, bias, len, epsilon });
    }
    Ok(())
}

struct LayerRows<'a> {
    out: &'a mut [f32],
    mean: &'a mut [f32],
    inv_std: &'a mut [f32],
    x: &'a [f32],
    scale: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    len: usize,
    epsilon: f32,
}

impl WithSimd for LayerRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (r, (out, x)) in self.out.chunks_exact_mut(self.len).zip(self.x.chunks_exact(self.len)).enumerate() {
            let (mean, inverse) = moments(s, x, self.epsilon);
            affine_row(s, out, x, (mean, inverse), self.scale, self.bias);
            if let Some(y) = self.mean.get_mut(r) {
                *y = mean;
            }
            if let Some(y) = self.inv_std.get_mut(r) {
                *y = inverse;
            }
        }
    }
}

/// The mean of a run and 1 / sqrt(variance + epsilon).
#[inline(always)]
fn moments<S: Simd>(s: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let mean = fold::run(s, Sum, x) / x.len() as f32;
    let variance = fold::run(s, SumSquareFrom(mean), x) / x.len() as f32;
    (mean, inverse_root(variance + epsilon))
}

/// RMSNormalization of `rows` rows of `len`.
pub fn rms_norm(cx: Cx, out: &mut [f32], x: &[f32], scale: Option<&[f32]>, rows: usize, len: usize, epsilon: f32) -> Result<(), Fault> {
    need(x.len() == rows * len && out.len() == x.len() && scale.is_none_or(|s| s.len() == len))?;
    if !x.is_empty() {
        fold::by_rows(cx, rows, out, x, |_, out, x| dispatch(cx, RmsRows { out, x, scale, len, epsilon }));
    }
    Ok(())
}

struct RmsRows<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    scale: Option<&'a [f32]>,
    len: usize,
    epsilon: f32,
}

impl WithSimd for RmsRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (out, x) in self.out.chunks_exact_mut(self.len).zip(self.x.chunks_exact(self.len)) {
            let square = fold::run(s, SumSquare, x) / x.len() as f32;
            affine_row(s, out, x, (0.0, inverse_root(square + self.epsilon)), self.scale, None);
        }
    }
}

/// Residual add and LayerNormalization (or, with `rms`, RMSNormalization) in one pass over memory: sum = x + skip + input_bias, out = norm(sum).
///
/// `skip` has `skip_rows` rows, used again and again (a divisor of `rows`); `sum` is an optional output, empty if not wanted. This is
/// `com.microsoft` SkipLayerNormalization and SkipSimplifiedLayerNormalization.
pub fn skip_layer_norm(
    cx: Cx,
    out: &mut [f32],
    sum: &mut [f32],
    x: &[f32],
    skip: &[f32],
    input_bias: Option<&[f32]>,
    scale: Option<&[f32]>,
    bias: Option<&[f32]>,
    rows: usize,
    skip_rows: usize,
    len: usize,
    epsilon: f32,
    rms: bool,
) -> Result<(), Fault> {
    need(x.len() == rows * len && out.len() == x.len() && (sum.is_empty() || sum.len() == x.len()))?;
    need(skip.len() == skip_rows * len && [input_bias, scale, bias].iter().all(|p| p.is_none_or(|p| p.len() == len)))?;
    if x.is_empty() {
        return Ok(());
    }
    need(skip_rows > 0)?;
    fold::by_rows(cx, rows, out, x, |first, out, x| {
        dispatch(cx, SkipRows { out, x, skip, input_bias, scale, bias, first, len, epsilon, rms });
    });
    if !sum.is_empty() {
        fold::by_rows(cx, rows, sum, x, |first, sum, x| dispatch(cx, SumRows { sum, x, skip, input_bias, first, len }));
    }
    Ok(())
}

struct SkipRows<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    skip: &'a [f32],
    input_bias: Option<&'a [f32]>,
    scale: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    first: usize,
    len: usize,
    epsilon: f32,
    rms: bool,
}

impl WithSimd for SkipRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let len = self.len;
        for (r, (out, x)) in self.out.chunks_exact_mut(len).zip(self.x.chunks_exact(len)).enumerate() {
            sum_row(s, out, x, skip_row(self.skip, self.first + r, len), self.input_bias);
            let by = if self.rms {
                (0.0, inverse_root(fold::run(s, SumSquare, out) / len as f32 + self.epsilon))
            } else {
                moments(s, out, self.epsilon)
            };
            affine_in_place(s, out, by, self.scale, self.bias);
        }
    }
}

struct SumRows<'a> {
    sum: &'a mut [f32],
    x: &'a [f32],
    skip: &'a [f32],
    input_bias: Option<&'a [f32]>,
    first: usize,
    len: usize,
}

impl WithSimd for SumRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for (r, (sum, x)) in self.sum.chunks_exact_mut(self.len).zip(self.x.chunks_exact(self.len)).enumerate() {
            sum_row(s, sum, x, skip_row(self.skip, self.first + r, self.len), self.input_bias);
        }
    }
}

#[inline(always)]
fn skip_row(skip: &[f32], row: usize, len: usize) -> &[f32] {
    let row = row % (skip.len() / len);
    &skip[row * len..(row + 1) * len]
}

#[inline(always)]
fn sum_row<S: Simd>(s: S, out: &mut [f32], x: &[f32], skip: &[f32], bias: Option<&[f32]>) {
    for (i, (y, x)) in out.chunks_mut(S::LANES).zip(x.chunks(S::LANES)).enumerate() {
        let at = i * S::LANES..i * S::LANES + y.len();
        let mut v = s.add(s.load_head(x), s.load_head(&skip[at.clone()]));
        if let Some(bias) = bias {
            v = s.add(v, s.load_head(&bias[at]));
        }
        s.store_head(y, v);
    }
}

/// As [`affine_row`] on the row itself.
#[inline(always)]
fn affine_in_place<S: Simd>(s: S, x: &mut [f32], (mean, inverse): (f32, f32), scale: Option<&[f32]>, bias: Option<&[f32]>) {
    let (mean, inverse) = (s.splat(mean), s.splat(inverse));
    for (i, y) in x.chunks_mut(S::LANES).enumerate() {
        let at = i * S::LANES..i * S::LANES + y.len();
        let mut v = s.mul(s.sub(s.load_head(y), mean), inverse);
        if let Some(scale) = scale {
            v = s.mul(v, s.load_head(&scale[at.clone()]));
        }
        if let Some(bias) = bias {
            v = s.add(v, s.load_head(&bias[at]));
        }
        s.store_head(y, v);
    }
}

/// BatchNormalization at inference over `outer, channels, inner` (channels last: inner = 1).
pub fn batch_norm(
    cx: Cx,
    out: &mut [f32],
    x: &[f32],
    scale: &[f32],
    bias: &[f32],
    mean: &[f32],
    variance: &[f32],
    outer: usize,
    channels: usize,
    inner: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == outer * channels * inner && out.len() == x.len())?;
    need([scale, bias, mean, variance].iter().all(|p| p.len() == channels))?;
    if x.is_empty() {
        return Ok(());
    }
    let channel = Channels { scale, bias, mean, variance, epsilon };
    fold::by_rows(cx, outer, out, x, |_, out, x| dispatch(cx, BatchNorm { out, x, channel, inner }));
    Ok(())
}

#[derive(Clone, Copy)]
struct Channels<'a> {
    scale: &'a [f32],
    bias: &'a [f32],
    mean: &'a [f32],
    variance: &'a [f32],
    epsilon: f32,
}

struct BatchNorm<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    channel: Channels<'a>,
    inner: usize,
}

impl WithSimd for BatchNorm<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { out, x, channel: c, inner } = self;
        let channels = c.scale.len();
        if inner > 1 {
            for (line, (out, x)) in out.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
                let i = line % channels;
                let factor = c.scale[i] * inverse_root(c.variance[i] + c.epsilon);
                scale_shift(s, out, x, (c.mean[i], factor, c.bias[i]));
            }
            return;
        }
        let epsilon = s.splat(c.epsilon);
        for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (i, (y, x)) in out.chunks_mut(S::LANES).zip(x.chunks(S::LANES)).enumerate() {
                let at = i * S::LANES..i * S::LANES + y.len();
                let root = s.sqrt(s.add(s.load_head(&c.variance[at.clone()]), epsilon));
                let factor = s.div(s.load_head(&c.scale[at.clone()]), root);
                let centred = s.sub(s.load_head(x), s.load_head(&c.mean[at.clone()]));
                s.store_head(y, s.mul_add(centred, factor, s.load_head(&c.bias[at])));
            }
        }
    }
}

/// (x - mean) * factor + bias with the same three for the whole run.
#[inline(always)]
fn scale_shift<S: Simd>(s: S, out: &mut [f32], x: &[f32], (mean, factor, bias): (f32, f32, f32)) {
    let (mean, factor, bias) = (s.splat(mean), s.splat(factor), s.splat(bias));
    let mut outs = out.chunks_exact_mut(S::LANES);
    let mut xs = x.chunks_exact(S::LANES);
    for (y, x) in (&mut outs).zip(&mut xs) {
        s.store(y, s.mul_add(s.sub(s.load(x), mean), factor, bias));
    }
    let (y, x) = (outs.into_remainder(), xs.remainder());
    s.store_head(y, s.mul_add(s.sub(s.load_head(x), mean), factor, bias));
}

/// GroupNormalization over `outer, channels, inner`, channels first; InstanceNormalization has as many groups as channels.
pub fn group_norm(
    cx: Cx,
    out: &mut [f32],
    x: &[f32],
    scale: &[f32],
    bias: &[f32],
    outer: usize,
    channels: usize,
    inner: usize,
    groups: usize,
    epsilon: f32,
) -> Result<(), Fault> {
    need(x.len() == outer * channels * inner && out.len() == x.len())?;
    need(scale.len() == channels && bias.len() == channels && groups > 0 && channels.is_multiple_of(groups))?;
    if x.is_empty() {
        return Ok(());
    }
    fold::by_rows(cx, outer * groups, out, x, |first, out, x| {
        dispatch(cx, GroupNorm { out, x, scale, bias, first, groups, inner, epsilon });
    });
    Ok(())
}

struct GroupNorm<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    scale: &'a [f32],
    bias: &'a [f32],
    first: usize,
    groups: usize,
    inner: usize,
    epsilon: f32,
}

impl WithSimd for GroupNorm<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let per_group = self.scale.len() / self.groups;
        let len = per_group * self.inner;
        for (g, (out, x)) in self.out.chunks_exact_mut(len).zip(self.x.chunks_exact(len)).enumerate() {
            let (mean, inverse) = moments(s, x, self.epsilon);
            let first = (self.first + g) % self.groups * per_group;
            for (c, (out, x)) in out.chunks_exact_mut(self.inner).zip(x.chunks_exact(self.inner)).enumerate() {
                let c = first + c;
                scale_shift(s, out, x, (mean, inverse * self.scale[c], self.bias[c]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::Isa;
    use crate::kernels::norm;
    extern crate std;
    use std::vec::Vec;

    fn contexts() -> Vec<Cx> {
        Isa::ALL.iter().filter_map(|&i| Cx::REFERENCE.with_isa(i)).map(|c| c.with_threads(2)).collect()
    }
    fn data(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + salt * 31) % 1013) as f32 / 501.0 - 0.7 + salt as f32).collect()
    }
    fn close(got: &[f32], want: &[f32]) {
        for (a, b) in got.iter().zip(want) {
            assert!((a - b).abs() <= 2e-5 * b.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn rows_agree_with_f64() {
        for (rows, len) in [(1, 1), (3, 5), (5, 67), (200, 768), (2, 4096)] {
            let (x, scale, bias) = (data(rows * len, 0), data(len, 1), data(len, 2));
            let (mut got, mut want) = (std::vec![0f32; rows * len], std::vec![0f32; rows * len]);
            let (mut mean, mut inv) = (std::vec![0f32; rows], std::vec![0f32; rows]);
            let (mut mean64, mut inv64) = (mean.clone(), inv.clone());
            for cx in contexts() {
                norm::layer_norm(&mut want, &mut mean64, &mut inv64, &x, Some(&scale), Some(&bias), rows, len, 1e-2).unwrap();
                layer_norm(cx, &mut got, &mut [], &mut [], &x, Some(&scale), Some(&bias), rows, len, 1e-2).unwrap();
                close(&got, &want);
                layer_norm(cx, &mut got, &mut mean, &mut inv, &x, Some(&scale), Some(&bias), rows, len, 1e-2).unwrap();
                close(&got, &want);
                close(&mean, &mean64);
                close(&inv, &inv64);
                norm::rms_norm(&mut want, &x, Some(&scale), rows, len, 1e-2).unwrap();
                rms_norm(cx, &mut got, &x, Some(&scale), rows, len, 1e-2).unwrap();
                close(&got, &want);
                let summed: Vec<f32> = x.iter().enumerate().map(|(i, v)| v + scale[i % len] + bias[i % len]).collect();
                let mut sum = std::vec![0f32; rows * len];
                norm::layer_norm(&mut want, &mut [], &mut [], &summed, Some(&scale), None, rows, len, 1e-2).unwrap();
                skip_layer_norm(cx, &mut got, &mut sum, &x, &scale, Some(&bias), Some(&scale), None, rows, 1, len, 1e-2, false).unwrap();
                close(&got, &want);
                close(&sum, &summed);
            }
        }
    }

    #[test]
    fn channels_agree_with_f64() {
        for (outer, channels, inner, groups) in [(2, 6, 1, 3), (3, 4, 35, 4), (1, 40, 1, 1), (4, 8, 3136, 2)] {
            let x = data(outer * channels * inner, 0);
            let params: Vec<Vec<f32>> = (1..5).map(|i| data(channels, i)).collect();
            let (mut got, mut want) = (std::vec![0f32; x.len()], std::vec![0f32; x.len()]);
            let [a, b, c, d] = &params[..] else { panic!() };
            for cx in contexts() {
                norm::batch_norm(&mut want, &x, a, b, c, d, outer, channels, inner, 1e-5).unwrap();
                batch_norm(cx, &mut got, &x, a, b, c, d, outer, channels, inner, 1e-5).unwrap();
                close(&got, &want);
                norm::group_norm(&mut want, &x, a, b, outer, channels, inner, groups, 1e-2).unwrap();
                group_norm(cx, &mut got, &x, a, b, outer, channels, inner, groups, 1e-2).unwrap();
                close(&got, &want);
            }
        }
    }
}
