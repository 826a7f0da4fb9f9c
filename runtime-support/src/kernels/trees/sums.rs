//! Many rows through small trees.
//!
//! The compiler has turned every test into `x <= cut` (an equality is two of them), told each test where NaN goes, and given each tree's leaves
//! numbers below 256. Rows are taken 64 at a time, and no branch is taken at all ([`select`](super::select)): every feature is replaced by its
//! *rank* among the cuts that any tree has for it, so that a test is a comparison of bytes; then all nodes of a tree are evaluated from the leaves
//! up, each choosing between the leaf numbers of its branches for all rows at once.

pub use super::ranks::{FEATURE, WINDOW, levels, windows};
use super::rows::{self, BROKEN, Rows, Share};
use super::{Score, ranks, select};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::dispatch;

/// Rows in a block.
pub const BLOCK: usize = 64;
/// The most leaves that a tree may have.
pub const MOST_LEAVES: usize = 256;
/// The most tests that a tree may have.
pub const MOST_TESTS: usize = 512;
/// The most cuts that a column of ranks may tell apart.
pub const MOST_CUTS: usize = 255;

/// The tables of the trees and their leaves.
#[derive(Clone, Copy)]
pub(super) struct Forest<'a, T> {
    /// Four words a tree: its first test, the end of its tests, its first leaf, and the target it votes for if the width is 1.
    pub trees: &'a [u32],
    /// Width values a leaf.
    pub values: &'a [T],
    pub share: Share,
}

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features. `ranks`: scratch, [`BLOCK`] times the
///   number of columns for each task that may run at a time.
/// - `features`: three words each: the feature, the end of its cuts in `sorted` (counted in windows of [`WINDOW`], the [`levels`] one after the other), and how many
///   there are. `columns`: three words each: the place in `features`, the
///   first cut, and 1 if NaN has rank 0 (else 255). `tests`: four halves each: the column, the greatest rank for which it is true, the branches:
///   a leaf's number, or 256 and more for a test's number within the tree.
/// - `trees`: four words each: first test, end of the tests, first leaf, target. `values`: width (1 or targets) a leaf.
pub fn sums<T: Score>(
    cx: Cx,
    scores: &mut [T],
    ranks: &mut [u8],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    tests: &[u16],
    trees: &[u32],
    values: &[T],
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let forest = Forest { trees, values, share };
    scores.fill(T::default());
    let width = columns.len() / 3;
    let most = ranks.len().checked_div(width * BLOCK).unwrap_or(usize::MAX);
    if most == 0 {
        return Err(BROKEN);
    }
    let tables = select::Tables { forest, ranks: ranks::Tables::new(features, sorted, columns), tests };
    // A test of a block takes about 5 cycles, a tree about 2 a row, a column about 12.
    let cycles = tests.len() / 4 * 5 / BLOCK + trees.len() / 4 * 2 + columns.len() * 4;
    let work = cycles.saturating_mul(count).saturating_mul(8);
    let failed = rows::Flag::default();
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch: ranks, x }, (BLOCK, most), work, &|rows| {
        failed.note(dispatch(cx, select::Select { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}
