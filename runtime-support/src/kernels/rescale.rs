//! i32 sums of quantised products as real numbers, or quantised again at once; the loop is [`requantize_lines`](super::requantize::requantize_lines)'s too.

use super::quantize::Quantized;
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// `y = max(acc * factor + bias, low)` over `outer, rows, columns`; factor and bias (none: 0) have one value, or one a row.
pub fn rescale(
    cx: Cx,
    out: &mut [f32],
    acc: &[i32],
    factors: &[f32],
    bias: Option<&[f32]>,
    rows: usize,
    columns: usize,
    low: f32,
) -> Result<(), Fault> {
    lines(cx, out, Sums { acc, factors, bias, rows, columns, low }, Real)
}

/// `saturate(round(y / scale) + zero)` with the y of [`rescale`]; scale and zero (none: 0) have one value.
pub fn rescale_quantized<T: Quantized>(
    cx: Cx,
    out: &mut [T],
    acc: &[i32],
    factors: &[f32],
    bias: Option<&[f32]>,
    scale: &[f32],
    zero: Option<&[T]>,
    rows: usize,
    columns: usize,
    low: f32,
) -> Result<(), Fault> {
    let (&[scale], None | Some([_])) = (scale, zero) else { return Err(Fault::Internal { what: "rescaling: one scale, one zero point" }) };
    let zero = zero.map_or(T::default(), |z| z[0]);
    lines(cx, out, Sums { acc, factors, bias, rows, columns, low }, Quantised { scale, zero })
}

/// What a real number becomes.
pub(super) trait Store<T>: Copy {
    fn make(self, y: f32) -> T;
}

#[derive(Clone, Copy)]
struct Real;

impl Store<f32> for Real {
    #[inline(always)]
    fn make(self, y: f32) -> f32 {
        y
    }
}

#[derive(Clone, Copy)]
struct Quantised<T> {
    scale: f32,
    zero: T,
}

impl<T: Quantized> Store<T> for Quantised<T> {
    #[inline(always)]
    fn make(self, y: f32) -> T {
        T::quantize(y / self.scale, self.zero, true)
    }
}

/// A bias: of the sums (i32, wrapping), or of the real numbers.
pub(super) trait Bias: Copy + Default {
    /// The real number of a sum.
    fn real(self, acc: i32, factor: f32) -> f32;
}

impl Bias for f32 {
    #[inline(always)]
    fn real(self, acc: i32, factor: f32) -> f32 {
        acc as f32 * factor + self
    }
}

impl Bias for i32 {
    #[inline(always)]
    fn real(self, acc: i32, factor: f32) -> f32 {
        acc.wrapping_add(self) as f32 * factor
    }
}

/// Sums over `outer, rows, columns`; factors and biases (none: 0) are one, or one a row. No result is below `low`.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a, B> {
    pub acc: &'a [i32],
    pub factors: &'a [f32],
    pub bias: Option<&'a [B]>,
    pub rows: usize,
    pub columns: usize,
    pub low: f32,
}

/// Stores what each sum becomes.
pub(super) fn lines<T, B: Bias, S: Store<T>>(cx: Cx, out: &mut [T], sums: Sums<'_, B>, store: S) -> Result<(), Fault> {
    let Sums { acc, factors, bias, rows, columns, .. } = sums;
    let image = rows.saturating_mul(columns);
    let fits = out.len() == acc.len()
        && (acc.is_empty() || (image > 0 && acc.len().is_multiple_of(image)))
        && (factors.len() == 1 || factors.len() == rows)
        && bias.is_none_or(|b| b.len() == 1 || b.len() == rows);
    if !fits {
        return Err(Fault::Internal { what: "rescaling: lengths" });
    }
    if !acc.is_empty() {
        dispatch(cx, Lines { out, sums, store });
    }
    Ok(())
}

struct Lines<'a, T, B, S> {
    out: &'a mut [T],
    sums: Sums<'a, B>,
    store: S,
}

impl<T, B: Bias, S: Store<T>> WithSimd for Lines<'_, T, B, S> {
    type Output = ();
    #[inline(always)]
    fn with_simd<V: Simd>(self, _: V) {
        let Self { out, sums: Sums { acc, factors, bias, rows, columns, low }, store } = self;
        if columns > 1 || rows == 1 {
            for (line, (out, acc)) in out.chunks_exact_mut(columns).zip(acc.chunks_exact(columns)).enumerate() {
                let row = line % rows;
                let factor = factors[if factors.len() == 1 { 0 } else { row }];
                let bias = bias.map_or(B::default(), |b| b[if b.len() == 1 { 0 } else { row }]);
                for (y, a) in out.iter_mut().zip(acc) {
                    *y = store.make(at_least(bias.real(*a, factor), low));
                }
            }
            return;
        }
        // Rows are neighbours in memory: the loop goes along them.
        for (out, acc) in out.chunks_exact_mut(rows).zip(acc.chunks_exact(rows)) {
            match (factors, bias) {
                (&[factor], None | Some([_])) => {
                    let bias = bias.map_or(B::default(), |b| b[0]);
                    for (y, a) in out.iter_mut().zip(acc) {
                        *y = store.make(at_least(bias.real(*a, factor), low));
                    }
                }
                (&[factor], Some(bias)) => {
                    for ((y, a), b) in out.iter_mut().zip(acc).zip(bias) {
                        *y = store.make(at_least(b.real(*a, factor), low));
                    }
                }
                (factors, None | Some([_])) => {
                    let bias = bias.map_or(B::default(), |b| b[0]);
                    for ((y, a), f) in out.iter_mut().zip(acc).zip(factors) {
                        *y = store.make(at_least(bias.real(*a, *f), low));
                    }
                }
                (factors, Some(bias)) => {
                    for (((y, a), f), b) in out.iter_mut().zip(acc).zip(factors).zip(bias) {
                        *y = store.make(at_least(b.real(*a, *f), low));
                    }
                }
            }
        }
    }
}

/// The greater; NaN stays.
#[inline(always)]
fn at_least(y: f32, low: f32) -> f32 {
    if y < low { low } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_shape_of_factors_and_biases() {
        let mut noise = Noise(17);
        for round in 0..80 {
            let [outer, rows, columns] = [1 + noise.below(3), 1 + noise.below(40), if round % 2 == 0 { 1 } else { 1 + noise.below(20) }];
            let acc: Vec<i32> = (0..outer * rows * columns).map(|_| noise.next() as i32 >> 16).collect();
            let factors = noise.floats(if round % 3 == 0 { 1 } else { rows });
            let bias = noise.floats(if round % 5 == 0 { 1 } else { rows });
            let bias = (round % 4 > 0).then_some(bias.as_slice());
            let low = if round % 7 == 0 { 0.0 } else { f32::NEG_INFINITY };
            let pick = |x: &[f32], i: usize| x[if x.len() == 1 { 0 } else { i / columns % rows }];
            let real = |i: usize| (acc[i] as f32 * pick(&factors, i) + bias.map_or(0.0, |b| pick(b, i))).max(low);
            let (scale, zero) = ([30.0], [9u8]);
            for cx in contexts() {
                let (mut y, mut q) = (vec![0.0; acc.len()], vec![0u8; acc.len()]);
                rescale(cx, &mut y, &acc, &factors, bias, rows, columns, low).unwrap();
                rescale_quantized(cx, &mut q, &acc, &factors, bias, &scale, Some(&zero), rows, columns, low).unwrap();
                for i in 0..acc.len() {
                    assert_eq!(y[i], real(i), "{i} of {outer} {rows} {columns}");
                    assert_eq!(q[i], ((real(i) / 30.0).round_ties_even() + 9.0).clamp(0.0, 255.0) as u8, "{i} of {outer} {rows} {columns}");
                }
            }
        }
    }
}
