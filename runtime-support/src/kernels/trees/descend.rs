//! Large trees: a table of nodes, and several descents at a time.
//!
//! A node is two words: where its true branch is, and the column and greatest rank of its test. The false branch comes right after the true one, so
//! a step adds the outcome of the test to a link and takes no branch; a leaf is a node that links to itself. What takes time is that each load waits
//! for the one before, so [`LANES`] descents go in step: of many rows in one tree, or of one row in many trees.

use super::rows::{self, BROKEN, Flag, Rows, Share};
use super::{Score, ranks};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// Descents that go in step.
pub const LANES: usize = 16;
/// Rows whose ranks are made together.
pub const BLOCK: usize = 64;
/// The most cuts that a column of ranks may tell apart.
pub const MOST_CUTS: usize = 0xffff;
/// The greatest rank that a leaf's test has: it is always true.
pub const LEAF_RANK: u32 = 0xffff;
/// Steps until it is asked whether all have arrived.
const STEPS: usize = 4;

/// The tables.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    ranks: ranks::Tables<'a, T>,
    nodes: &'a [[u32; 2]],
    leaves: &'a [u32],
    trees: &'a [u32],
    values: &'a [T],
    share: Share,
}

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features. `ranks`: scratch, [`BLOCK`] times the number of columns for each task that may run at a time.
/// - `features`, `sorted`, `columns`: as [`sums`](super::sums()) has them, with [`MOST_CUTS`] of this module.
/// - `nodes`: two words each: the true branch (a node; the false branch is the next), and the column (high half) and the greatest rank for which the
///   test is true (low half). A leaf is its own true branch, and its rank is [`LEAF_RANK`]. `leaves`: the first value of each node that is a leaf.
/// - `trees`: two words each: the root, and the target if the width is 1. `values`: width (1 or targets) a leaf.
pub fn descend<T: Score>(
    cx: Cx,
    scores: &mut [T],
    scratch: &mut [u16],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    nodes: &[u32],
    leaves: &[u32],
    trees: &[u32],
    values: &[T],
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let ranks = ranks::Tables { features, sorted, columns };
    let tables = Tables { ranks, nodes: nodes.as_chunks().0, leaves, trees, values, share };
    let most = scratch.len().checked_div(columns.len() / 3 * BLOCK).unwrap_or(usize::MAX);
    if most == 0 {
        return Err(BROKEN);
    }
    let failed = Flag::default();
    // A descent takes about 50 cycles.
    let work = (trees.len() / 2).saturating_mul(count).saturating_mul(100);
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch, x }, (BLOCK, most), work, &|rows| {
        failed.note(dispatch(cx, Descend { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}

struct Descend<'a, T> {
    tables: Tables<'a, T>,
    rows: Rows<'a, T, u16>,
}

impl<T: Score> WithSimd for Descend<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<()> {
        let Self { tables, rows } = self;
        let (features, columns) = (rows.x.len() / rows.count, tables.ranks.columns.len() / 3);
        rows.scores.fill(T::default());
        for (block, scores) in rows.scores.chunks_mut(BLOCK * tables.share.targets).enumerate() {
            let count = scores.len() / tables.share.targets;
            let ranks = rows.scratch.get_mut(..count * columns)?;
            for row in 0..count {
                let start = (block * BLOCK + row) * features;
                tables.ranks.of_row(&mut ranks[row * columns..(row + 1) * columns], rows.x.get(start..start + features)?)?;
            }
            // What fills the lanes better: rows of one tree (which is read once for all of them), or trees of one row.
            if count >= LANES {
                by_rows(&tables, scores, ranks, columns)?;
            } else {
                by_trees(&tables, scores, ranks, columns)?;
            }
        }
        Some(())
    }
}

/// All rows of a block through one tree after the other.
#[inline(always)]
fn by_rows<T: Score>(tables: &Tables<'_, T>, scores: &mut [T], ranks: &[u16], columns: usize) -> Option<()> {
    for tree in tables.trees.chunks_exact(2) {
        for (run, scores) in scores.chunks_mut(LANES * tables.share.targets).enumerate() {
            let count = scores.len() / tables.share.targets;
            let mut starts = [0; LANES];
            for (lane, start) in starts.iter_mut().enumerate() {
                *start = (run * LANES + lane.min(count - 1)) * columns;
            }
            let places = arrive(tables, [tree[0]; LANES], ranks, &starts)?;
            for (scores, &place) in scores.chunks_exact_mut(tables.share.targets).zip(&places) {
                add(tables, scores, tree[1], place)?;
            }
        }
    }
    Some(())
}

/// Each row through several trees at a time.
#[inline(always)]
fn by_trees<T: Score>(tables: &Tables<'_, T>, scores: &mut [T], ranks: &[u16], columns: usize) -> Option<()> {
    for trees in tables.trees.chunks(2 * LANES) {
        let mut roots = [trees[0]; LANES];
        for (root, tree) in roots.iter_mut().zip(trees.chunks_exact(2)) {
            *root = tree[0];
        }
        for (row, scores) in scores.chunks_exact_mut(tables.share.targets).enumerate() {
            let places = arrive(tables, roots, ranks, &[row * columns; LANES])?;
            for (tree, &place) in trees.chunks_exact(2).zip(&places) {
                add(tables, scores, tree[1], place)?;
            }
        }
    }
    Some(())
}

/// The leaves that descents from `places` come to; the ranks of each begin at its `start`.
#[inline(always)]
fn arrive<T>(tables: &Tables<'_, T>, mut places: [u32; LANES], ranks: &[u16], starts: &[usize; LANES]) -> Option<[u32; LANES]> {
    // A tree is not deeper than it has nodes.
    for _ in 0..=tables.nodes.len() / STEPS {
        let mut moved = 0;
        for step in 0..STEPS {
            for (place, start) in places.iter_mut().zip(starts) {
                let [link, test] = *tables.nodes.get(*place as usize)?;
                let rank = *ranks.get(start + (test >> 16) as usize)?;
                let next = link + u32::from(u32::from(rank) > test & LEAF_RANK);
                if step == STEPS - 1 {
                    moved |= next ^ *place;
                }
                *place = next;
            }
        }
        if moved == 0 {
            return Some(places);
        }
    }
    None
}

/// Adds the votes of a leaf.
#[inline(always)]
fn add<T: Score>(tables: &Tables<'_, T>, scores: &mut [T], target: u32, place: u32) -> Option<()> {
    let first = *tables.leaves.get(place as usize)? as usize;
    if tables.share.width == 1 {
        let score = scores.get_mut(target as usize)?;
        *score = *score + *tables.values.get(first)?;
    } else {
        let values = tables.values.get(first..first + tables.share.width)?;
        scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
    }
    Some(())
}
