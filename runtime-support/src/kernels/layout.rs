//! Between channels first (ONNX) and channels last (what convolutions run on): batched matrix transposes, in squares.

use super::gemm::{Shared, promise};
use super::parallel;
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// `x[n][c][pixels]` → `out[n][pixels][c]`.
pub fn to_channels_last(cx: Cx, out: &mut [f32], x: &[f32], n: usize, c: usize, pixels: usize) -> Result<(), Fault> {
    transpose(cx, out, x, n, c, pixels)
}

/// `x[n][pixels][c]` → `out[n][c][pixels]`.
pub fn to_channels_first(cx: Cx, out: &mut [f32], x: &[f32], n: usize, c: usize, pixels: usize) -> Result<(), Fault> {
    transpose(cx, out, x, n, pixels, c)
}

/// `x[count][rows][cols]` → `out[count][cols][rows]`.
fn transpose(cx: Cx, out: &mut [f32], x: &[f32], count: usize, rows: usize, cols: usize) -> Result<(), Fault> {
    let len = count.checked_mul(rows).and_then(|n| n.checked_mul(cols));
    promise(len == Some(out.len()) && len == Some(x.len()), "layout: wrong lengths")?;
    if out.is_empty() {
        return Ok(());
    }
    let strips = cols.div_ceil(SIDE);
    // Moving an element costs about as much as sixteen multiply-adds.
    let work = out.len().saturating_mul(16);
    let tasks = parallel::tasks(cx, work);
    let out = Shared(out.as_mut_ptr());
    parallel::each(cx, work, tasks, |task| {
        let range = parallel::part(count * strips, 1, task, tasks);
        dispatch(cx, Strips { out, x, rows, cols, range });
    });
    Ok(())
}

/// The side of a square.
const SIDE: usize = 8;

/// Some strips of `SIDE` columns, numbered through all matrices.
struct Strips<'a> {
    out: Shared,
    x: &'a [f32],
    rows: usize,
    cols: usize,
    range: Range<usize>,
}

impl WithSimd for Strips<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (rows, cols) = (self.rows, self.cols);
        let each = cols.div_ceil(SIDE);
        for strip in self.range.clone() {
            let (matrix, col) = (strip / each * rows * cols, strip % each * SIDE);
            let width = SIDE.min(cols - col);
            let x = &self.x[matrix..][..rows * cols];
            // SAFETY: the rows of the output that these columns become; they lie in the slice, and no other task has this strip.
            let out = unsafe { core::slice::from_raw_parts_mut(self.out.at(matrix + col * rows), width * rows) };
            let squares = if width == SIDE { rows / SIDE * SIDE } else { 0 };
            for row in (0..squares).step_by(SIDE) {
                square(out, row, rows, &x[row * cols + col..], cols);
            }
            for (j, out) in out.chunks_exact_mut(rows).enumerate() {
                for (i, y) in out.iter_mut().enumerate().skip(squares) {
                    *y = x[i * cols + col + j];
                }
            }
        }
    }
}

/// `out[j][row + i] = x[i][j]`.
#[inline(always)]
fn square(out: &mut [f32], row: usize, rows: usize, x: &[f32], cols: usize) {
    let mut lines = [[0.0f32; SIDE]; SIDE];
    for i in 0..SIDE {
        lines[i].copy_from_slice(&x[i * cols..][..SIDE]);
    }
    for j in 0..SIDE {
        let mut line = [0.0f32; SIDE];
        for i in 0..SIDE {
            line[i] = lines[i][j];
        }
        out[j * rows + row..][..SIDE].copy_from_slice(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    use std::vec;

    #[test]
    fn there_and_back() {
        let mut noise = Noise(31);
        for _ in 0..50 {
            let (n, c, pixels) = (1 + noise.below(2), noise.below(40), noise.below(60));
            let x = noise.floats(n * c * pixels);
            for cx in contexts() {
                let (mut last, mut first) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
                to_channels_last(cx, &mut last, &x, n, c, pixels).unwrap();
                for (i, y) in last.iter().enumerate() {
                    let (image, pixel, channel) = (i / c / pixels, i / c % pixels, i % c);
                    assert_eq!(*y, x[(image * c + channel) * pixels + pixel], "{cx:?} {n} {c} {pixels}");
                }
                to_channels_first(cx, &mut first, &last, n, c, pixels).unwrap();
                assert_eq!(first, x);
            }
        }
    }
}
