//! Ensembles whose votes are summed and whose trees are small: the tuned kernel.
//!
//! The compiler has turned every test into `x <= cut` (an equality is two of them), told each test where NaN goes, and given each tree's leaves
//! numbers below 256. A few rows are walked, tree by tree ([`walk`](super::walk)). Many rows are taken 64 at a time, and no branch is taken at all
//! ([`select`](super::select)): every feature is replaced by its *rank* among the cuts that any tree has for it, so that a test is a comparison of
//! bytes; then all nodes of a tree are evaluated from the leaves up, each choosing between the leaf numbers of its branches for all rows at once.

use super::rows::{self, Rows};
use super::{Score, select, walk};
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
/// The bit of a walk's first word that sends NaN to the true branch.
pub const NAN_TRUE: u32 = 1 << 31;
/// The bit of a walk's branch that says that it is a leaf.
pub const WALK_LEAF: u32 = 1 << 15;

/// The tables of the trees and their leaves, which both ways share.
#[derive(Clone, Copy)]
pub(super) struct Forest<'a, T> {
    /// Four words a tree: its first test, the end of its tests, its first leaf, and the target it votes for if `width` is 1.
    pub trees: &'a [u32],
    /// `width` values a leaf.
    pub values: &'a [T],
    /// The number of targets.
    pub targets: usize,
    /// 1, or the number of targets.
    pub width: usize,
}

/// The sums of the votes of each row of `x` for each target.
///
/// - `scores`: rows × `targets`; `x`: rows × features. `ranks`: scratch, [`BLOCK`] times the
///   number of columns for each task that may run at a time.
/// - `links`, `cuts`: for the walk, two words and a number a test: the feature and perhaps [`NAN_TRUE`]; in the low half the branch if
///   `x <= cut`, in the high half the other. A branch is a test's number within the tree, or [`WALK_LEAF`] and a leaf's. The last test is the root.
/// - `features`: two words each: the feature, and the end of its cuts in `sorted`. `columns`: three words each: the place in `features`, the
///   first cut, and 1 if NaN has rank 0 (else 255). `tests`: four halves each: the column, the greatest rank for which it is true, the branches:
///   a leaf's number, or 256 and more for a test's number within the tree.
/// - `trees`: four words each: first test, end of the tests, first leaf, target. `values`: `width` (1 or `targets`) a leaf.
/// - `few`: fewer rows than this are walked.
pub fn sums<T: Score>(
    cx: Cx,
    scores: &mut [T],
    ranks: &mut [u8],
    x: &[T],
    links: &[u32],
    cuts: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    tests: &[u16],
    trees: &[u32],
    values: &[T],
    targets: usize,
    width: usize,
    few: usize,
) -> Result<(), Fault> {
    let broken = Fault::Internal { what: "trees: tables" };
    if scores.is_empty() {
        return Ok(());
    }
    let count = scores.len().checked_div(targets).filter(|_| width == 1 || width == targets).ok_or(broken)?;
    if count == 0 || !x.len().is_multiple_of(count) {
        return Err(broken);
    }
    let forest = Forest { trees, values, targets, width };
    scores.fill(T::default());
    if count < few {
        let walked = walk::walk(&forest, Rows { count, scores, voted: &mut [], scratch: &mut [], x }, links, cuts);
        return walked.ok_or(broken);
    }
    let width = columns.len() / 3;
    let most = ranks.len().checked_div(width * BLOCK).unwrap_or(usize::MAX);
    if most == 0 {
        return Err(broken);
    }
    let tables = select::Tables { forest, features, sorted, columns, tests };
    // A test of 64 rows takes about 5 cycles.
    let work = (tests.len() / 4 * count / 16).max(columns.len() * count);
    let failed = rows::Flag::default();
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch: ranks, x }, (BLOCK, most), work, &|rows| {
        failed.note(dispatch(cx, select::Select { tables, rows }));
    });
    if failed.is_set() { Err(broken) } else { Ok(()) }
}
