//! Products with few columns: the scores of linear models, and the scaler before them in the same pass over the rows.
//!
//! The tiles of [`gemm`](super::gemm) are 32 columns wide. Where a matrix has one or two, a vector holds features instead of columns, and its lanes
//! are summed at the end.

use super::gemm::{Activation, ActivationKind, activate, load_up_to, promise};
use super::parallel::{self, Parts};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{MAX_LANES, Simd, WithSimd, dispatch};

/// Rows that are summed at once.
const ROWS: usize = 4;
/// Columns that are summed at once.
const COLUMNS: usize = 2;

/// The sizes of such a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the matrix of features.
    pub rows: usize,
    /// Its columns.
    pub features: usize,
    /// Columns of the result.
    pub columns: usize,
}

/// The length of a row of parameters: the features, filled up with zeros to whole vectors of any instruction set.
pub const fn padded(features: usize) -> usize {
    features.div_ceil(MAX_LANES).saturating_mul(MAX_LANES)
}

/// `out = activation(((x - offset) * scale) · weights' + bias)` of `x: [rows, features]`, `out: [rows, columns]`.
///
/// `weights` has a row of [`padded`] length for each column; `scaler`, if there is one, a row of offsets and a row of scales; `bias` an element
/// for each column. There is at least one feature and one column.
pub fn few_columns(
    cx: Cx,
    out: &mut [f32],
    x: &[f32],
    weights: &[f32],
    scaler: Option<&[f32]>,
    bias: Option<&[f32]>,
    sizes: Sizes,
    activation: Activation,
) -> Result<(), Fault> {
    let Sizes { rows, features, columns } = sizes;
    let row = padded(features);
    let fits = |len: usize, rows: usize, row: usize| rows.checked_mul(row).is_some_and(|needed| needed <= len);
    promise(features > 0 && columns > 0, "few_columns: no features or no columns")?;
    promise(fits(x.len(), rows, features) && fits(out.len(), rows, columns), "few_columns: more rows than in a slice")?;
    promise(fits(weights.len(), columns, row) && scaler.is_none_or(|s| fits(s.len(), 2, row)), "few_columns: a row is too short")?;
    promise(bias.is_none_or(|bias| bias.len() >= columns), "few_columns: the bias is too short")?;
    let work = rows.saturating_mul(features).saturating_mul(columns + usize::from(scaler.is_some()));
    let tasks = parallel::tasks(cx, work);
    let parts = Parts::new(out);
    parallel::each(cx, work, tasks, |task| {
        let range = parallel::part(rows, ROWS, task, tasks);
        let x = &x[range.start * features..range.end * features];
        // SAFETY: tasks have different rows.
        let out = unsafe { parts.part(range.start * columns..range.end * columns) };
        dispatch(cx, Rows { out, x, weights, scaler, bias, features, columns, activation });
    });
    Ok(())
}

/// As many rows as `out` has; lengths as [`few_columns`] has checked them.
struct Rows<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    weights: &'a [f32],
    scaler: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    features: usize,
    columns: usize,
    activation: Activation,
}

impl WithSimd for Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        match self.scaler {
            Some(scaler) => {
                let (offsets, scales) = scaler.split_at(padded(self.features));
                self.all(s, Scaled { offsets, scales });
            }
            None => self.all(s, Plain),
        }
    }
}

/// What becomes of features before they are multiplied.
trait Prepare: Copy {
    /// The features from `i`, of which there are parameters for a whole vector.
    fn prepare<S: Simd>(self, s: S, x: S::F32, i: usize) -> S::F32;
}

#[derive(Clone, Copy)]
struct Plain;

impl Prepare for Plain {
    #[inline(always)]
    fn prepare<S: Simd>(self, _: S, x: S::F32, _: usize) -> S::F32 {
        x
    }
}

#[derive(Clone, Copy)]
struct Scaled<'a> {
    offsets: &'a [f32],
    scales: &'a [f32],
}

impl Prepare for Scaled<'_> {
    #[inline(always)]
    fn prepare<S: Simd>(self, s: S, x: S::F32, i: usize) -> S::F32 {
        s.mul(s.sub(x, s.load(&self.offsets[i..])), s.load(&self.scales[i..]))
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn all<S: Simd>(self, s: S, prepare: impl Prepare) {
        let (whole, rest) = self.out.split_at_mut(self.out.len() / (ROWS * self.columns) * (ROWS * self.columns));
        let (x, last) = self.x.split_at(whole.len() / self.columns * self.features);
        let parameters = Parameters { weights: self.weights, bias: self.bias, features: self.features, columns: self.columns };
        for (out, x) in whole.chunks_exact_mut(ROWS * self.columns).zip(x.chunks_exact(ROWS * self.features)) {
            parameters.rows::<S, ROWS>(s, prepare, out, x);
        }
        for (out, x) in rest.chunks_exact_mut(self.columns).zip(last.chunks_exact(self.features)) {
            parameters.rows::<S, 1>(s, prepare, out, x);
        }
        if self.activation.kind != ActivationKind::None {
            // SAFETY: `out`, which is borrowed for this, seen as one row.
            unsafe { activate(s, self.activation, self.out.as_mut_ptr(), 0, 1, self.out.len()) }
        }
    }
}

#[derive(Clone, Copy)]
struct Parameters<'a> {
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    features: usize,
    columns: usize,
}

impl Parameters<'_> {
    /// All columns of `R` rows.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, s: S, prepare: impl Prepare, out: &mut [f32], x: &[f32]) {
        let mut column = 0;
        while column + COLUMNS <= self.columns {
            self.block::<S, R, COLUMNS>(s, prepare, out, x, column);
            column += COLUMNS;
        }
        while column < self.columns {
            self.block::<S, R, 1>(s, prepare, out, x, column);
            column += 1;
        }
    }

    /// `C` columns of `R` rows.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(self, s: S, prepare: impl Prepare, out: &mut [f32], x: &[f32], column: usize) {
        let row = padded(self.features);
        let weights = &self.weights[column * row..][..C * row];
        assert!(x.len() >= R * self.features);
        let mut sums = [[s.zero(); C]; R];
        for i in (0..self.features).step_by(S::LANES) {
            let here = (self.features - i).min(S::LANES);
            let mut w = [s.zero(); C];
            for c in 0..C {
                w[c] = s.load(&weights[c * row + i..]);
            }
            for r in 0..R {
                // SAFETY: `here` features of row `r` are left, and there are `R` rows.
                let features = unsafe { load_up_to(s, x.as_ptr().add(r * self.features + i), here) };
                let features = prepare.prepare(s, features, i);
                for c in 0..C {
                    sums[r][c] = s.mul_add(features, w[c], sums[r][c]);
                }
            }
        }
        for c in 0..C {
            let bias = self.bias.map_or(0.0, |bias| bias[column + c]);
            for r in 0..R {
                out[r * self.columns + column + c] = s.reduce_sum(sums[r][c]) + bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::Isa;
    use std::vec;
    use std::vec::Vec;

    fn noise(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + salt * 6151) % 1009) as f32 / 252.0 - 2.0).collect()
    }

    /// Rows of parameters as the kernel takes them.
    fn pad(rows: &[f32], features: usize) -> Vec<f32> {
        let mut padded_rows = Vec::new();
        for row in rows.chunks(features) {
            padded_rows.extend_from_slice(row);
            padded_rows.resize(padded_rows.len().next_multiple_of(padded(features)), 0.0);
        }
        padded_rows
    }

    #[test]
    fn as_the_definition_says() {
        let contexts: Vec<Cx> = Isa::ALL.iter().filter_map(|&isa| Cx::REFERENCE.with_isa(isa)).map(|cx| cx.with_threads(2)).collect();
        let counts = [(0, 3, 1), (1, 1, 1), (1, 28, 2), (3, 4, 3), (4, 7, 1), (5, 8, 8), (9, 33, 5), (6000, 31, 2)];
        for ((rows, features, columns), cx) in counts.into_iter().flat_map(|sizes| contexts.iter().map(move |&cx| (sizes, cx))) {
            let (x, weights, scaler) = (noise(rows * features, 1), noise(columns * features, 2), noise(2 * features, 3));
            let bias = noise(columns, 4);
            for (scaled, biased, kind) in
                [(true, true, ActivationKind::None), (false, true, ActivationKind::Sigmoid), (true, false, ActivationKind::Relu)]
            {
                let mut out = vec![f32::NAN; rows * columns];
                let (packed, packed_scaler) = (pad(&weights, features), pad(&scaler, features));
                few_columns(
                    cx,
                    &mut out,
                    &x,
                    &packed,
                    scaled.then_some(&packed_scaler[..]),
                    biased.then_some(&bias[..]),
                    Sizes { rows, features, columns },
                    Activation::new(kind),
                )
                .unwrap();
                for (i, &got) in out.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let term = |f: usize| {
                        let x = f64::from(x[row * features + f]);
                        let x = if scaled { (x - f64::from(scaler[f])) * f64::from(scaler[features + f]) } else { x };
                        x * f64::from(weights[column * features + f])
                    };
                    let sum = (0..features).map(term).sum::<f64>() + if biased { f64::from(bias[column]) } else { 0.0 };
                    let want = match kind {
                        ActivationKind::Relu => sum.max(0.0),
                        ActivationKind::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
                        _ => sum,
                    };
                    let size = (0..features).map(|f| term(f).abs()).sum::<f64>();
                    assert!(
                        (f64::from(got) - want).abs() <= 1e-6 * (1.0 + size),
                        "{:?} {rows}x{features}x{columns}: {got} {want}",
                        cx.isa()
                    );
                }
            }
        }
    }

    #[test]
    fn no_feature_of_the_next_row_is_read() {
        let (x, weights) = ([1.0, 2.0, 3.0, f32::NAN, f32::INFINITY, f32::NAN], pad(&[1.0, 1.0, 1.0], 3));
        for cx in Isa::ALL.iter().filter_map(|&isa| Cx::REFERENCE.with_isa(isa)) {
            let (mut out, sizes) = ([0.0; 2], Sizes { rows: 2, features: 3, columns: 1 });
            few_columns(cx, &mut out, &x, &weights, None, None, sizes, Activation::NONE).unwrap();
            assert!(out[0] == 6.0 && out[1].is_nan(), "{out:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_a_fault() {
        let (x, weights) = ([1.0; 6], [1.0; 16]);
        let call = |x: &[f32], weights: &[f32], scaler: Option<&[f32]>, bias: Option<&[f32]>, rows, features, columns| {
            few_columns(Cx::REFERENCE, &mut [0.0; 2], x, weights, scaler, bias, Sizes { rows, features, columns }, Activation::NONE)
        };
        assert!(call(&x, &weights, None, Some(&[0.0]), 2, 3, 1).is_ok());
        assert!(call(&x, &weights, None, None, 3, 3, 1).is_err());
        assert!(call(&x, &weights, None, None, 1, 3, 2).is_err());
        assert!(call(&x, &weights, Some(&weights), None, 2, 3, 1).is_err());
        assert!(call(&x, &weights, None, Some(&[]), 2, 3, 1).is_err());
        assert!(call(&x, &weights, None, None, 0, 0, 1).is_err());
        assert!(call(&x, &weights, None, None, 0, usize::MAX, 1).is_err());
        assert!(call(&x, &weights, None, None, usize::MAX, 3, 1).is_err());
    }
}
