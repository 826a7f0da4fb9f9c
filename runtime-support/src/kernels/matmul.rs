//! Matrix products for every number type and any strides: f64, the halves, the integers (which wrap). f32 has `gemm`.

use super::num::{Acc, Num};
use crate::error::Fault;

/// Where the elements of a batched matrix are.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    batch: &'a [usize],
    row: usize,
    column: usize,
}

impl<'a, T> Matrix<'a, T> {
    fn new(data: &'a [T], strides: &'a [usize], dims: (&[usize], usize, usize)) -> Result<Self, Fault> {
        let (shape, rows, columns) = dims;
        let bad = Err(Fault::Internal { what: "matmul: strides do not fit the operand" });
        let [batch @ .., row, column] = strides else { return bad };
        if batch.len() != shape.len() {
            return bad;
        }
        let empty = rows == 0 || columns == 0 || shape.contains(&0);
        let span = |len: usize, stride: usize| len.saturating_sub(1).saturating_mul(stride);
        let outer: usize = shape.iter().zip(batch).map(|(&l, &s)| span(l, s)).fold(0, usize::saturating_add);
        let last = outer.saturating_add(span(rows, *row)).saturating_add(span(columns, *column));
        if empty || last < data.len() { Ok(Self { data, batch, row: *row, column: *column }) } else { bad }
    }

    /// The offset of the `index`th matrix of the batch.
    fn at(&self, mut index: usize, shape: &[usize]) -> usize {
        let mut offset = 0;
        for (&len, &stride) in shape.iter().zip(self.batch).rev() {
            offset += index % len * stride;
            index /= len;
        }
        offset
    }
}

/// How many columns are accumulated together.
const STRIP: usize = 64;

/// out = a · b for every matrix of the batch; `out` is contiguous: `batch.., m, n`.
///
/// `a_strides` and `b_strides` hold one element stride for each batch axis (0 to broadcast), then the row's and the column's, so that transposed
/// and broadcast operands need no copy. a is m × k, b is k × n.
pub fn matmul<T: Num>(
    out: &mut [T],
    a: &[T],
    b: &[T],
    batch: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
    m: usize,
    k: usize,
    n: usize,
) -> Result<(), Fault> {
    let a = Matrix::new(a, a_strides, (batch, m, k))?;
    let b = Matrix::new(b, b_strides, (batch, k, n))?;
    if out.len() != batch.iter().product::<usize>() * m * n {
        return Err(Fault::Internal { what: "matmul: output length" });
    }
    if out.is_empty() {
        return Ok(());
    }
    for (index, out) in out.chunks_exact_mut(m * n).enumerate() {
        let (a_base, b_base) = (a.at(index, batch), b.at(index, batch));
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            for (strip_index, strip) in row.chunks_mut(STRIP).enumerate() {
                let mut sums = [T::Acc::ZERO; STRIP];
                let sums = &mut sums[..strip.len()];
                let at = Places { a: a_base + i * a.row, b: b_base + strip_index * STRIP * b.column, k };
                accumulate(sums, &a, &b, at);
                for (y, s) in strip.iter_mut().zip(sums) {
                    *y = T::narrow(*s);
                }
            }
        }
    }
    Ok(())
}

struct Places {
    a: usize,
    b: usize,
    k: usize,
}

/// Adds a row of `a` times a strip of columns of `b`.
#[inline(always)]
fn accumulate<T: Num>(sums: &mut [T::Acc], a: &Matrix<'_, T>, b: &Matrix<'_, T>, at: Places) {
    for p in 0..at.k {
        let factor = a.data[at.a + p * a.column].widen();
        let from = at.b + p * b.row;
        if b.column == 1 {
            let line = &b.data[from..from + sums.len()];
            for (s, v) in sums.iter_mut().zip(line) {
                *s = s.add(factor.mul(v.widen()));
            }
        } else {
            for (j, s) in sums.iter_mut().enumerate() {
                *s = s.add(factor.mul(b.data[from + j * b.column].widen()));
            }
        }
    }
}

/// Gemm: out = alpha · a · b + beta · c, all as in [`matmul`] without a batch; `c` is read with its own two strides (0 to broadcast).
///
/// Integers are scaled in f64 and truncated when a factor is not 1.
pub fn gemm<T: Num>(
    out: &mut [T],
    a: &[T],
    b: &[T],
    c: Option<&[T]>,
    a_strides: &[usize],
    b_strides: &[usize],
    c_strides: &[usize],
    m: usize,
    k: usize,
    n: usize,
    alpha: f32,
    beta: f32,
) -> Result<(), Fault> {
    let a = Matrix::new(a, a_strides, (&[], m, k))?;
    let b = Matrix::new(b, b_strides, (&[], k, n))?;
    let c = c.map(|c| Matrix::new(c, c_strides, (&[], m, n))).transpose()?;
    if out.len() != m * n {
        return Err(Fault::Internal { what: "gemm: output length" });
    }
    let scaled = |v: T::Acc, by: f32| if by == 1.0 { v } else { T::Acc::from_f64(v.to_f64() * by as f64) };
    for (i, row) in out.chunks_mut(n.max(1)).enumerate() {
        for (strip_index, strip) in row.chunks_mut(STRIP).enumerate() {
            let first = strip_index * STRIP;
            let mut sums = [T::Acc::ZERO; STRIP];
            let sums = &mut sums[..strip.len()];
            accumulate(sums, &a, &b, Places { a: i * a.row, b: first * b.column, k });
            for (j, (y, s)) in strip.iter_mut().zip(sums).enumerate() {
                let added = c.as_ref().map_or(T::Acc::ZERO, |c| scaled(c.data[i * c.row + (first + j) * c.column].widen(), beta));
                *y = T::narrow(scaled(*s, alpha).add(added));
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

    #[test]
    fn strides_batches_and_wrapping() {
        let (m, k, n) = (3, 5, 70);
        let a: Vec<i32> = (0..2 * m * k).map(|i| i as i32 * 100_003 - 17).collect();
        let b: Vec<i32> = (0..k * n).map(|i| 7 - i as i32 * 30_011).collect();
        let mut out = std::vec![0; 2 * m * n];
        // `a` is stored k × m and `b` is shared by the batch and stored n × k.
        matmul(&mut out, &a, &b, &[2], &[m * k, 1, m], &[0, 1, k], m, k, n).unwrap();
        for t in 0..2 {
            for i in 0..m {
                for j in 0..n {
                    let want = (0..k).fold(0i32, |s, p| s.wrapping_add(a[t * m * k + p * m + i].wrapping_mul(b[j * k + p])));
                    assert_eq!(out[(t * m + i) * n + j], want);
                }
            }
        }
        assert!(matmul(&mut out, &a, &b, &[3], &[m * k, 1, m], &[0, 1, k], m, k, n).is_err());
        let mut empty_sum = [5f64; 2];
        matmul(&mut empty_sum, &[], &[], &[], &[0, 1], &[2, 1], 1, 0, 2).unwrap();
        assert_eq!(empty_sum, [0.0, 0.0]);
    }

    #[test]
    fn gemm_scales_and_adds() {
        let mut out = [0f64; 4];
        let (a, b, c) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 1.0], [10.0, 20.0]);
        gemm(&mut out, &a, &b, Some(&c), &[2, 1], &[2, 1], &[0, 1], 2, 2, 2, 2.0, 0.5).unwrap();
        assert_eq!(out, [7.0, 14.0, 11.0, 18.0]);
        let mut ints = [0i32; 4];
        gemm(&mut ints, &[1, 2, 3, 4], &[1, 0, 0, 1], None, &[1, 2], &[2, 1], &[], 2, 2, 2, 0.5, 1.0).unwrap();
        assert_eq!(ints, [0, 1, 1, 2]);
    }
}
