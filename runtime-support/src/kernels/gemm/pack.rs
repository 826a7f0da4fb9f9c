//! The packed form of the right-hand matrix: panels of [`PANEL`] columns, each `[k][PANEL]`, the last one padded with zeros.
//!
//! A panel row is two AVX-512 registers, four of AVX2 or eight of NEON, so one form serves every instruction set and weights are packed by
//! the compiler. Convolution weights are packed the same way, with (tap, input channel) in place of the row.

use super::product::{extent, promise};
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::parallel::{self, Parts};

/// The columns of a panel.
pub const PANEL: usize = 32;

/// The elements of a packed `k × n` matrix.
pub const fn pack_len(k: usize, n: usize) -> usize {
    n.div_ceil(PANEL).saturating_mul(PANEL).saturating_mul(k)
}

/// Packs `count` matrices B of `k` rows and `n` columns into `out`, `[count][n / 32][k][32]`.
///
/// `out` has `count * pack_len(k, n)` elements; `matrix`, `row` and `col` are the strides of `b` in elements (`row = 1, col = k` packs the transpose).
pub fn pack_b(out: &mut [f32], b: &[f32], count: usize, k: usize, n: usize, matrix: usize, row: usize, col: usize) -> Result<(), Fault> {
    let needed = extent(&[(count, matrix), (k, row), (n, col)]);
    promise(needed.is_some_and(|e| e <= b.len()), "pack_b: the matrix is longer than its slice")?;
    let len = pack_len(k, n);
    promise(count.checked_mul(len) == Some(out.len()), "pack_b: wrong length of the packed matrix")?;
    if len == 0 {
        return Ok(());
    }
    pack_all(Cx::REFERENCE, out, k, n, row, col, |i| &b[i * matrix..]);
    Ok(())
}

/// Packs whole matrices, `source(i)` being matrix `i`, with threads if that is worth it.
pub(crate) fn pack_all<'b>(
    cx: Cx,
    out: &mut [f32],
    k: usize,
    n: usize,
    row: usize,
    col: usize,
    source: impl Fn(usize) -> &'b [f32] + Sync,
) {
    let panels = n.div_ceil(PANEL);
    let count = out.len() / (k * PANEL);
    // Moving an element costs about as much as eight multiply-adds.
    let work = out.len().saturating_mul(8);
    let tasks = parallel::tasks(cx, work);
    let parts = Parts::new(out);
    parallel::each(cx, work, tasks, |task| {
        for i in parallel::part(count, 1, task, tasks) {
            let j = i % panels * PANEL;
            // SAFETY: panel `i` of `count`, which belongs to one task.
            let panel = unsafe { parts.part(i * k * PANEL..(i + 1) * k * PANEL) };
            pack_one(panel, &source(i / panels)[j * col..], k, PANEL.min(n - j), row, col);
        }
    });
}

/// Packs the panel of the first `cols` columns; the slices are long enough (checked by the callers).
fn pack_one(panel: &mut [f32], b: &[f32], k: usize, cols: usize, row: usize, col: usize) {
    if row == 1 && col != 1 {
        return pack_transposed(panel, b, k, cols, col);
    }
    for (l, line) in panel.chunks_exact_mut(PANEL).enumerate() {
        if col == 1 {
            line[..cols].copy_from_slice(&b[l * row..][..cols]);
            line[cols..].fill(0.0);
        } else {
            for (j, y) in line.iter_mut().enumerate() {
                *y = if j < cols { b[l * row + j * col] } else { 0.0 };
            }
        }
    }
}

/// Packs a panel whose columns are contiguous in memory, in 8 × 8 squares.
fn pack_transposed(panel: &mut [f32], b: &[f32], k: usize, cols: usize, col: usize) {
    const S: usize = 8;
    for j in (0..PANEL).step_by(S) {
        let whole = if j + S <= cols { k - k % S } else { 0 };
        for l in (0..whole).step_by(S) {
            let mut square = [[0.0f32; S]; S];
            for (i, line) in square.iter_mut().enumerate() {
                line.copy_from_slice(&b[(j + i) * col + l..][..S]);
            }
            for (i, line) in panel[l * PANEL + j..].chunks_mut(PANEL).take(S).enumerate() {
                for (x, from) in line.iter_mut().zip(&square) {
                    *x = from[i];
                }
            }
        }
        for l in whole..k {
            for i in j..j + S {
                panel[l * PANEL + i] = if i < cols { b[i * col + l] } else { 0.0 };
            }
        }
    }
}
