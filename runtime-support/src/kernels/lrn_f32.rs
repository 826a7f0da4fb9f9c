//! The tuned local response normalisation of f32.

use super::fold::by_rows;
use super::lrn::lrn as plain;
use crate::cx::{Cx, Isa};
use crate::error::Fault;
use crate::math::Math;
use crate::simd::{Simd, WithSimd, dispatch};

/// Squares that a line of channels is cut into: those of the block, and of the window around it.
const SQUARES: usize = 256;
/// Wider windows take the plain loop.
const WIDEST: usize = 64;

/// [`lrn`](super::lrn::lrn) of f32: channels last (`inner` is 1) with vectors over channels, else over `inner`.
pub fn lrn(
    cx: Cx,
    out: &mut [f32],
    x: &[f32],
    outer: usize,
    channels: usize,
    inner: usize,
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
) -> Result<(), Fault> {
    if size == 0 || size > WIDEST || matches!(cx.isa(), Isa::Scalar) {
        return plain(out, x, outer, channels, inner, size, alpha, beta, bias);
    }
    if x.len() != outer * channels * inner || out.len() != x.len() {
        return Err(Fault::Internal { what: "lrn: lengths" });
    }
    if !x.is_empty() {
        let factor = alpha / size as f32;
        by_rows(cx, outer, out, x, |_, out, x| dispatch(cx, Lines { out, x, channels, inner, size, factor, beta, bias }));
    }
    Ok(())
}

struct Lines<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    channels: usize,
    inner: usize,
    size: usize,
    factor: f32,
    beta: f32,
    bias: f32,
}

impl WithSimd for Lines<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let plane = self.channels * self.inner;
        let out = core::mem::take(&mut self.out);
        for (out, x) in out.chunks_exact_mut(plane).zip(self.x.chunks_exact(plane)) {
            if self.inner == 1 { self.line(s, out, x) } else { self.plane(s, out, x) }
        }
    }
}

impl Lines<'_> {
    /// `x / (bias + factor * sum)^beta`; the exponents of real networks need no power.
    #[inline(always)]
    fn scaled<S: Simd>(&self, s: S, x: S::F32, sum: S::F32) -> S::F32 {
        let base = s.mul_add(s.splat(self.factor), sum, s.splat(self.bias));
        let power = if self.beta == 0.75 {
            let root = s.sqrt(base);
            s.mul(root, s.sqrt(root))
        } else if self.beta == 1.0 {
            base
        } else {
            s.pow(base, s.splat(self.beta))
        };
        s.div(x, power)
    }

    /// One pixel: neighbours in memory are neighbouring channels.
    #[inline(always)]
    fn line<S: Simd>(&self, s: S, out: &mut [f32], x: &[f32]) {
        let before = (self.size - 1) / 2;
        let block = (SQUARES - self.size) / S::LANES * S::LANES;
        let mut squares = [0.0; SQUARES + crate::simd::MAX_LANES];
        for (i, out) in out.chunks_mut(block).enumerate() {
            let start = i * block;
            // Square `j` is that of channel `start + j - before`, 0 outside.
            let (first, last) = (start.saturating_sub(before), (start + out.len() + self.size - 1 - before).min(x.len()));
            let lead = before - (start - first);
            squares[..lead].fill(0.0);
            let inside = &mut squares[lead..];
            for (to, x) in inside.chunks_mut(S::LANES).zip(x[first..last].chunks(S::LANES)) {
                let x = s.load_head(x);
                s.store_head(to, s.mul(x, x));
            }
            inside[last - first..].fill(0.0);
            for (j, (out, x)) in out.chunks_mut(S::LANES).zip(x[start..].chunks(S::LANES)).enumerate() {
                let mut sum = s.zero();
                for square in squares[j * S::LANES..].windows(S::LANES).take(self.size) {
                    sum = s.add(sum, s.load(square));
                }
                s.store_head(out, self.scaled(s, s.load_head(x), sum));
            }
        }
    }

    /// One image: neighbouring channels are `inner` elements apart.
    #[inline(always)]
    fn plane<S: Simd>(&self, s: S, out: &mut [f32], x: &[f32]) {
        let (before, after) = ((self.size - 1) / 2, self.size / 2);
        for (c, out) in out.chunks_exact_mut(self.inner).enumerate() {
            let near = &x[c.saturating_sub(before) * self.inner..(c + after + 1).min(self.channels) * self.inner];
            let own = &x[c * self.inner..][..self.inner];
            for (i, out) in out.chunks_mut(S::LANES).enumerate() {
                let at = i * S::LANES;
                let mut sum = s.zero();
                for line in near.chunks_exact(self.inner) {
                    let x = s.load_head(&line[at..]);
                    sum = s.mul_add(x, x, sum);
                }
                s.store_head(out, self.scaled(s, s.load_head(&own[at..]), sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn it_agrees_with_the_plain_loop() {
        for (outer, channels, inner) in [(3, 1, 1), (2, 5, 1), (2, 96, 1), (1, 700, 1), (2, 7, 3), (2, 33, 29)] {
            for (size, alpha, beta, bias) in [(5, 1e-4, 0.75, 1.0), (1, 0.5, 1.0, 2.0), (4, 0.3, 0.6, 0.5), (64, 0.1, 0.75, 1.0)] {
                let x: Vec<f32> = (0..outer * channels * inner).map(|i| (i as f32 * 0.7).sin() * 4.0).collect();
                let mut expected = vec![0.0; x.len()];
                plain(&mut expected, &x, outer, channels, inner, size, alpha, beta, bias).unwrap();
                for cx in [Cx::detect(), Cx::detect().with_threads(2), Cx::REFERENCE] {
                    let mut y = vec![f32::NAN; x.len()];
                    lrn(cx, &mut y, &x, outer, channels, inner, size, alpha, beta, bias).unwrap();
                    for (y, e) in y.iter().zip(&expected) {
                        assert!((y - e).abs() <= 2e-6 * e.abs().max(1e-3), "{y} {e} {channels} {inner} {size} {beta}");
                    }
                }
            }
        }
    }
}
