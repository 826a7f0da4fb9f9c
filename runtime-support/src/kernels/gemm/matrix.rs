//! The left-hand side of a matrix product as a source of rows.

use core::ops::Range;

use super::block::{Column, PATCHES, Patches, Segment, Source};

/// A matrix with strides. Its extent lies within `a`.
pub(crate) struct Matrix<'a> {
    /// The elements, from row 0, column 0.
    pub a: &'a [f32],
    /// From a row to the next.
    pub row: usize,
    /// From a column to the next.
    pub col: usize,
    /// The number of columns.
    pub k: usize,
}

impl Source for Matrix<'_> {
    #[inline(always)]
    fn units(&self) -> (usize, usize) {
        (1, self.k)
    }

    #[inline(always)]
    fn in_place(&self) -> bool {
        self.col == 1
    }

    #[inline(always)]
    fn block_rows(&self, _row: usize, limit: usize, k: usize) -> usize {
        if self.in_place() { limit } else { limit.min(PATCHES / k.max(1)) }
    }

    #[inline(always)]
    fn locate(&self, rows: Range<usize>, segment: Segment, patches: &mut Patches, column: &mut Column<'_>) {
        let first = rows.start * self.row + segment.start * self.col;
        if self.in_place() {
            for i in 0..rows.len() {
                column.set(i, self.a.as_ptr().wrapping_add(first + i * self.row));
            }
        } else if let Some(room) = patches.take(rows.len() * segment.len) {
            for (i, row) in room.chunks_exact_mut(segment.len.max(1)).enumerate() {
                column.set(i, row.as_ptr().cast());
            }
            // Columns outside, so that a transposed matrix is read along its rows.
            for l in 0..segment.len {
                for i in 0..rows.len() {
                    room[i * segment.len + l].write(self.a[first + i * self.row + l * self.col]);
                }
            }
        }
    }
}
