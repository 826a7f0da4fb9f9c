//! The shape of a (batched) matrix product.

use crate::error::Fault;

/// A batch of matrix products `C[m, n] = A[m, k] · B[k, n]`: sizes, and strides in elements.
///
/// There are two batch axes, so that heads can be read and written in place (`[batch, seq, head, dim]` seen as `[batch, head, seq, dim]`);
/// an axis that is not there has length 1. A stride of 0 shares a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The lengths of the batch axes.
    pub batch: [usize; 2],
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A and rows of B.
    pub k: usize,
    /// From a matrix A to the next, along each batch axis.
    pub a_batch: [usize; 2],
    /// From a row of A to the next.
    pub a_row: usize,
    /// From a column of A to the next; 1 is fastest.
    pub a_col: usize,
    /// From a matrix B to the next, along each batch axis; **in whole matrices** if B is packed.
    pub b_batch: [usize; 2],
    /// From a row of B to the next; unused if B is packed.
    pub b_row: usize,
    /// From a column of B to the next; unused if B is packed.
    pub b_col: usize,
    /// From a matrix C (and residual) to the next, along each batch axis.
    pub c_batch: [usize; 2],
    /// From a row of C (and of the residual) to the next; its columns are contiguous.
    pub c_row: usize,
}

/// One past the greatest offset that is reached by `count` steps along each axis: `None` if that overflows, 0 if any count is 0.
pub(crate) fn extent(axes: &[(usize, usize)]) -> Option<usize> {
    if axes.iter().any(|axis| axis.0 == 0) {
        return Some(0);
    }
    axes.iter().try_fold(1usize, |sum, &(count, stride)| sum.checked_add((count - 1).checked_mul(stride)?))
}

/// `Fault::Internal` unless the compiler kept its promise.
pub(crate) fn promise(kept: bool, what: &'static str) -> Result<(), Fault> {
    if kept { Ok(()) } else { Err(Fault::Internal { what }) }
}

impl Product {
    /// One product of dense row-major matrices.
    pub const fn dense(m: usize, n: usize, k: usize) -> Self {
        Self { batch: [1, 1], m, n, k, a_batch: [0, 0], a_row: k, a_col: 1, b_batch: [0, 0], b_row: n, b_col: 1, c_batch: [0, 0], c_row: n }
    }

    /// The elements of A that are reached.
    pub(crate) fn a_extent(&self) -> Option<usize> {
        extent(&[(self.batch[0], self.a_batch[0]), (self.batch[1], self.a_batch[1]), (self.m, self.a_row), (self.k, self.a_col)])
    }

    /// The elements of B that are reached if it is not packed.
    pub(crate) fn b_extent(&self) -> Option<usize> {
        extent(&[(self.batch[0], self.b_batch[0]), (self.batch[1], self.b_batch[1]), (self.k, self.b_row), (self.n, self.b_col)])
    }

    /// The elements of C that are reached.
    pub(crate) fn c_extent(&self) -> Option<usize> {
        extent(&[(self.batch[0], self.c_batch[0]), (self.batch[1], self.c_batch[1]), (self.m, self.c_row), (self.n, 1)])
    }

    /// Whether no element of C is written twice (threads write C at once, so this is checked, not trusted).
    pub(crate) fn c_is_disjoint(&self) -> bool {
        if self.c_extent() == Some(0) {
            return true;
        }
        // Sorted by stride, each axis must step over all that the smaller ones reach.
        let mut axes = [(self.m, self.c_row), (self.batch[0], self.c_batch[0]), (self.batch[1], self.c_batch[1])];
        axes.sort_unstable_by_key(|axis| axis.1);
        let mut reach = self.n;
        for (count, stride) in axes {
            if count > 1 {
                if stride < reach {
                    return false;
                }
                reach = (count - 1).saturating_mul(stride).saturating_add(reach);
            }
        }
        true
    }
}
