//! The last step of quantised products: i32 sums to the dtype of the result.

use super::quantize::Quantized;
use super::rescale::{Store, Sums, lines};
use crate::cx::Cx;
use crate::error::Fault;

/// The factors of [`requantize_lines`]: `out[r] = row_scale[r] * column_scale / out_scale[r]`, where one value counts for all.
pub fn requantize_factors(out: &mut [f32], row_scale: &[f32], column_scale: &[f32], out_scale: &[f32]) -> Result<(), Fault> {
    let fits = [row_scale.len(), column_scale.len(), out_scale.len()].iter().all(|&l| l == 1 || l == out.len());
    if !fits {
        return Err(Fault::Internal { what: "requantisation: scales" });
    }
    let pick = |x: &[f32], i: usize| x[if x.len() == 1 { 0 } else { i }];
    for (i, y) in out.iter_mut().enumerate() {
        *y = pick(row_scale, i) * pick(column_scale, i) / pick(out_scale, i);
    }
    Ok(())
}

/// `out = saturate(round((acc + bias[row]) * factors[row]) + zero)` over `outer, factors.len(), columns`, `zero` being one for all.
pub fn requantize_lines<T: Quantized>(
    cx: Cx,
    out: &mut [T],
    acc: &[i32],
    bias: Option<&[i32]>,
    factors: &[f32],
    zero: Option<&[T]>,
    columns: usize,
) -> Result<(), Fault> {
    let (None | Some([_])) = zero else { return Err(Fault::Internal { what: "requantisation: one zero point" }) };
    let sums = Sums { acc, factors, bias, rows: factors.len(), columns, low: f32::NEG_INFINITY };
    lines(cx, out, sums, Rounded { zero: zero.map_or(T::default(), |z| z[0]) })
}

/// A real number in units of the result's scale.
#[derive(Clone, Copy)]
struct Rounded<T> {
    zero: T,
}

impl<T: Quantized> Store<T> for Rounded<T> {
    #[inline(always)]
    fn make(self, y: f32) -> T {
        T::quantize(y, self.zero, true)
    }
}

/// Turns the i32 sums of an integer product, `outer, rows, columns`, into quantised values:
/// out = saturate(round((acc + bias[row]) * row_scale * column_scale / out_scale) + zero).
///
/// A product of matrices has the scales of A by row and those of B by column; a convolution has channels as rows and pixels as columns.
/// `row_scale`, `column_scale`, `out_scale` and `zero` hold one value or as many as there are rows (columns; `out_scale` and `zero`: rows).
pub fn requantize<T: Quantized>(
    out: &mut [T],
    acc: &[i32],
    bias: Option<&[i32]>,
    row_scale: &[f32],
    column_scale: &[f32],
    out_scale: &[f32],
    zero: Option<&[T]>,
    outer: usize,
    rows: usize,
    columns: usize,
) -> Result<(), Fault> {
    let one_or = |len: usize, n: usize| len == 1 || len == n;
    let fits = acc.len() == outer * rows * columns
        && out.len() == acc.len()
        && [row_scale.len(), out_scale.len(), zero.map_or(1, <[T]>::len)].iter().all(|&l| one_or(l, rows))
        && bias.is_none_or(|b| b.len() == rows)
        && one_or(column_scale.len(), columns);
    if !fits {
        return Err(Fault::Internal { what: "requantisation: lengths" });
    }
    if acc.is_empty() {
        return Ok(());
    }
    for (line, (out, acc)) in out.chunks_exact_mut(columns).zip(acc.chunks_exact(columns)).enumerate() {
        let row = line % rows;
        let pick = |x: &[f32]| x[if x.len() == 1 { 0 } else { row }];
        let (factor, over) = (pick(row_scale), pick(out_scale));
        let zero = zero.map_or(T::default(), |z| z[if z.len() == 1 { 0 } else { row }]);
        let bias = bias.map_or(0, |b| b[row]);
        if let [column] = column_scale {
            let factor = factor * column / over;
            out.iter_mut().zip(acc).for_each(|(y, a)| *y = T::quantize(a.wrapping_add(bias) as f32 * factor, zero, true));
        } else {
            for ((y, a), column) in out.iter_mut().zip(acc).zip(column_scale) {
                *y = T::quantize(a.wrapping_add(bias) as f32 * (factor * column / over), zero, true);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn by_row_and_column() {
        let mut y = [0u8; 4];
        requantize(&mut y, &[10, 20, -30, 4000], Some(&[0, 10]), &[0.5, 1.0], &[1.0, 3.0], &[2.0], Some(&[7]), 1, 2, 2).unwrap();
        assert_eq!(y, [9, 22, 0, 255]);
    }

    #[test]
    fn lines_match_the_naive_twin() {
        let mut noise = Noise(11);
        for round in 0..50 {
            let [outer, rows, columns] = [1 + noise.below(3), 1 + noise.below(40), if round % 2 == 0 { 1 } else { 1 + noise.below(40) }];
            let acc: Vec<i32> = (0..outer * rows * columns).map(|_| noise.next() as i32 >> 12).collect();
            let bias: Vec<i32> = (0..rows).map(|_| noise.next() as i32 >> 14).collect();
            let bias = (round % 3 > 0).then_some(bias.as_slice());
            let scales: Vec<f32> = noise.floats(rows).iter().map(|v| v.abs() * 1e-3 + 1e-5).collect();
            let (column, over, zero) = ([0.7], [1.3], [round as i8 - 20]);
            let (mut factors, mut expected, mut got) = (vec![0.0; rows], vec![0i8; acc.len()], vec![0i8; acc.len()]);
            requantize(&mut expected, &acc, bias, &scales, &column, &over, Some(&zero), outer, rows, columns).unwrap();
            requantize_factors(&mut factors, &scales, &column, &over).unwrap();
            for cx in contexts() {
                requantize_lines(cx, &mut got, &acc, bias, &factors, Some(&zero), columns).unwrap();
                assert_eq!(got, expected, "{outer} {rows} {columns}");
            }
        }
    }
}
