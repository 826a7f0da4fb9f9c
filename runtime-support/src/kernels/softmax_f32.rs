//! The tuned softmax, log-softmax and log-sum-exp of f32 along the middle axis of `outer, axis, inner`.

use super::fmath;
use super::fold::{self, Max};
use crate::cx::Cx;
use crate::error::Fault;
use crate::math::{Math, exp_nonpositive};
use crate::simd::{Simd, WithSimd, dispatch};

/// e^(x - max) / sum along the axis.
pub fn softmax(cx: Cx, out: &mut [f32], x: &[f32], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    lines(cx, out, x, [outer, axis, inner], axis, Kind::Softmax)
}

/// x - max - ln(sum of e^(x - max)) along the axis.
pub fn log_softmax(cx: Cx, out: &mut [f32], x: &[f32], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    lines(cx, out, x, [outer, axis, inner], axis, Kind::LogSoftmax)
}

/// ln(sum of e^x) along the axis, which goes away.
pub(super) fn log_sum_exp(cx: Cx, out: &mut [f32], x: &[f32], outer: usize, axis: usize, inner: usize) -> Result<(), Fault> {
    lines(cx, out, x, [outer, axis, inner], 1, Kind::LogSumExp)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Softmax,
    LogSoftmax,
    LogSumExp,
}

fn lines(cx: Cx, out: &mut [f32], x: &[f32], [outer, axis, inner]: [usize; 3], out_axis: usize, kind: Kind) -> Result<(), Fault> {
    if x.len() != outer * axis * inner || out.len() != outer * out_axis * inner {
        return Err(Fault::Internal { what: "softmax: lengths" });
    }
    if !x.is_empty() {
        fold::by_rows(cx, outer, out, x, |_, out, x| dispatch(cx, Lines { out, x, axis, inner, kind }));
    }
    Ok(())
}

struct Lines<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    axis: usize,
    inner: usize,
    kind: Kind,
}

impl WithSimd for Lines<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { out, x, axis, inner, kind } = self;
        let plane = axis * inner;
        let out_plane = if kind == Kind::LogSumExp { inner } else { plane };
        for (out, x) in out.chunks_exact_mut(out_plane).zip(x.chunks_exact(plane)) {
            if inner == 1 {
                match kind {
                    Kind::Softmax => softmax_row(s, out, x),
                    Kind::LogSoftmax | Kind::LogSumExp => log_row(s, out, x, kind),
                }
            } else {
                let mut first = 0;
                while first < inner {
                    column(s, out, x, (axis, inner), (first, S::LANES.min(inner - first)), kind);
                    first += S::LANES;
                }
            }
        }
    }
}

/// What is subtracted before the exponential: the maximum, but for one that is infinite 0 (e^x itself is then exact: 0, infinity).
#[inline(always)]
fn anchor(top: f32) -> f32 {
    if top == f32::NEG_INFINITY { 0.0 } else { top }
}

#[inline(always)]
fn softmax_row<S: Simd>(s: S, out: &mut [f32], x: &[f32]) {
    let top = fold::run(s, Max, x);
    let sum = exp_row(s, out, x, top);
    let factor = s.splat(1.0 / sum);
    let mut wide = out.chunks_exact_mut(S::LANES);
    for y in &mut wide {
        s.store(y, s.mul(s.load(y), factor));
    }
    let tail = wide.into_remainder();
    s.store_head(tail, s.mul(s.load_head(tail), factor));
}

/// out = e^(x - top); gives the sum.
#[inline(always)]
fn exp_row<S: Simd>(s: S, out: &mut [f32], x: &[f32], top: f32) -> f32 {
    let top = s.splat(top);
    let (mut a, mut b) = (s.zero(), s.zero());
    let mut outs = out.chunks_exact_mut(2 * S::LANES);
    let mut xs = x.chunks_exact(2 * S::LANES);
    for (y, x) in (&mut outs).zip(&mut xs) {
        let left = exp_nonpositive(s, s.sub(s.load(x), top));
        let right = exp_nonpositive(s, s.sub(s.load(&x[S::LANES..]), top));
        s.store(y, left);
        s.store(&mut y[S::LANES..], right);
        (a, b) = (s.add(a, left), s.add(b, right));
    }
    for (y, x) in outs.into_remainder().chunks_mut(S::LANES).zip(xs.remainder().chunks(S::LANES)) {
        let v = exp_nonpositive(s, s.sub(s.load_head(x), top));
        s.store_head(y, v);
        a = s.add(a, s.select(s.head_mask(x.len()), v, s.zero()));
    }
    s.reduce_sum(s.add(a, b))
}

/// The sum of e^(x - top).
#[inline(always)]
fn exp_sum<S: Simd>(s: S, x: &[f32], top: f32) -> f32 {
    let top = s.splat(top);
    let mut sum = s.zero();
    for x in x.chunks(S::LANES) {
        let v = exp_nonpositive(s, s.sub(s.load_head(x), top));
        sum = s.add(sum, s.select(s.head_mask(x.len()), v, s.zero()));
    }
    s.reduce_sum(sum)
}

#[inline(always)]
fn log_row<S: Simd>(s: S, out: &mut [f32], x: &[f32], kind: Kind) {
    let top = fold::run(s, Max, x);
    if kind == Kind::LogSumExp {
        let sum = if top.is_infinite() { 1.0 } else { exp_sum(s, x, anchor(top)) };
        out[0] = top + fmath::ln(sum as f64) as f32;
        return;
    }
    let log = s.splat(fmath::ln(exp_sum(s, x, top) as f64) as f32);
    let top = s.splat(top);
    for (y, x) in out.chunks_mut(S::LANES).zip(x.chunks(S::LANES)) {
        s.store_head(y, s.sub(s.sub(s.load_head(x), top), log));
    }
}

/// Up to one vector of neighbouring columns.
#[inline(always)]
fn column<S: Simd>(s: S, out: &mut [f32], x: &[f32], (axis, inner): (usize, usize), (first, width): (usize, usize), kind: Kind) {
    let mut top = s.splat(f32::NEG_INFINITY);
    for a in 0..axis {
        let v = s.load_head(&x[a * inner + first..][..width]);
        top = s.max_nan(v, top);
    }
    let infinite = s.eq(s.abs(top), s.splat(f32::INFINITY));
    let mut sum = s.zero();
    for a in 0..axis {
        let v = exp_nonpositive(s, s.sub(s.load_head(&x[a * inner + first..][..width]), top));
        sum = s.add(sum, v);
        if kind == Kind::Softmax {
            s.store_head(&mut out[a * inner + first..][..width], v);
        }
    }
    match kind {
        Kind::Softmax => {
            let factor = s.div(s.splat(1.0), sum);
            for a in 0..axis {
                let y = &mut out[a * inner + first..][..width];
                s.store_head(y, s.mul(s.load_head(y), factor));
            }
        }
        Kind::LogSoftmax => {
            let log = s.log(sum);
            for a in 0..axis {
                let v = s.load_head(&x[a * inner + first..][..width]);
                s.store_head(&mut out[a * inner + first..][..width], s.sub(s.sub(v, top), log));
            }
        }
        Kind::LogSumExp => {
            let y = s.add(top, s.log(sum));
            s.store_head(&mut out[first..][..width], s.select(infinite, top, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::Isa;
    use crate::kernels::softmax as generic;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn agrees_with_f64_on_every_isa() {
        for (outer, axis, inner) in [(1, 1, 1), (3, 5, 1), (2, 7, 3), (1, 77, 37), (5, 1000, 1), (300, 512, 1)] {
            let x: Vec<f32> = (0..outer * axis * inner).map(|i| (i * 7919 % 1013) as f32 / 31.0 - 20.0).collect();
            let (mut got, mut want) = (std::vec![0f32; x.len()], std::vec![0f32; x.len()]);
            for isa in Isa::ALL {
                let Some(cx) = Cx::REFERENCE.with_isa(isa) else { continue };
                generic::softmax(&mut want, &x, outer, axis, inner).unwrap();
                softmax(cx.with_threads(2), &mut got, &x, outer, axis, inner).unwrap();
                assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-6 * b.max(1e-6)), "{axis} {inner}");
                generic::log_softmax(&mut want, &x, outer, axis, inner).unwrap();
                log_softmax(cx, &mut got, &x, outer, axis, inner).unwrap();
                assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0)));
            }
        }
    }

    #[test]
    fn masked_and_infinite() {
        let cx = Cx::detect();
        let mut y = [0f32; 3];
        softmax(cx, &mut y, &[f32::NEG_INFINITY, 0.0, 0.0], 1, 3, 1).unwrap();
        assert_eq!(y, [0.0, 0.5, 0.5]);
        softmax(cx, &mut y, &[f32::NEG_INFINITY; 3], 1, 3, 1).unwrap();
        assert!(y.iter().all(|v| v.is_nan()));
        let run = |x: [f32; 2], inner: usize| {
            let mut y = [9f32; 2];
            log_sum_exp(cx, &mut y[..inner], &x, 1, 2 / inner, inner).unwrap();
            y[0]
        };
        assert_eq!(run([f32::NEG_INFINITY; 2], 1), f32::NEG_INFINITY);
        assert_eq!(run([f32::INFINITY, 1.0], 1), f32::INFINITY);
        assert_eq!(run([f32::NEG_INFINITY; 2], 2), f32::NEG_INFINITY);
        assert!(run([f32::NAN, 1.0], 1).is_nan());
    }
}
