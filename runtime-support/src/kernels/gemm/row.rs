//! One row times a small matrix: the product of a linear model, or of the last layer of a small net, for one sample.
//!
//! Blocks, tables of pointers and tiles cost more than such a product itself: 0.2 µs, against some tens of nanoseconds.

use super::epilogue::{Finish, activate};
use super::pack::PANEL;
use crate::simd::{Simd, WithSimd};

/// The most multiply-adds that are done here: about 0.1 µs.
pub(super) const MOST: usize = 1 << 10;

/// `c = finish(a · B)`; `b` are packed panels with a row for each element of `a`, and all columns of `c`.
pub(super) struct Row<'r> {
    pub c: &'r mut [f32],
    pub a: &'r [f32],
    pub b: &'r [f32],
    pub finish: Finish<'r>,
    /// The row of the residual.
    pub residual: Option<&'r [f32]>,
}

impl WithSimd for Row<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { c, a, b, finish, residual } = self;
        let row_bias = finish.row_bias.and_then(|bias| bias.first()).map_or(s.zero(), |&bias| s.splat(bias));
        for (i, out) in c.chunks_mut(S::LANES).enumerate() {
            let column = i * S::LANES;
            let here = |x: &[f32]| s.load_head(&x[column..column + out.len()]);
            let panel = b.get(column / PANEL * PANEL * a.len() + column % PANEL..).unwrap_or_default();
            let mut sum = s.zero();
            for (&x, b) in a.iter().zip(panel.chunks(PANEL)) {
                sum = s.mul_add(s.splat(x), s.load(b), sum);
            }
            sum = s.mul_add(sum, s.splat(finish.alpha), finish.bias.map_or(s.zero(), here));
            sum = s.add(s.add(sum, row_bias), residual.map_or(s.zero(), here));
            if let Some((low, high)) = finish.activation.as_clamp() {
                // In this order of arguments NaN stays NaN.
                sum = s.min(s.splat(high), s.max(s.splat(low), sum));
            }
            s.store_head(out, sum);
        }
        if finish.activation.is_costly() {
            // SAFETY: the one row of `c`, which is borrowed for this.
            unsafe { activate(s, finish.activation, c.as_mut_ptr(), 0, 1, c.len()) }
        }
    }
}
