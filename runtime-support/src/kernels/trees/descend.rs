//! Large trees: a table of nodes, and several descents at a time.
//!
//! A node says where its true branch is, and the column and the greatest rank of its test. The false branch comes right after the true one, so a step
//! adds the outcome of the test to a link and takes no branch. A leaf is its own true branch and its test is true of every rank, so that all descents
//! of a tree take as many steps as its deepest leaf needs, and nobody asks whether they have arrived. What takes time is that each load waits for the
//! one before, so several descents go in step: of many rows in one tree, or of one row in many trees, by gathers. Nodes are packed in one word where they
//! fit, so that a tree of a thousand leaves stays in the L1 cache while a block of rows goes through it. Before it does, the tree's links and columns
//! are looked at once, so that no step has to ask whether they are there.

use super::rows::{self, BROKEN, Flag, Rows, Share};
use super::tally::tally;
use super::{Score, ranks};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{MAX_LANES, Simd, WithSimd, dispatch};

/// Rows that go down one tree in step.
pub const LANES: usize = 16;
/// Vectors of trees that one row goes down in step.
const VECTORS: usize = 4;
/// What ranks and tests are flipped by where they are compared as signed.
const SIGN: u32 = 1 << 31;
/// Rows whose ranks are made together.
pub const BLOCK: usize = 256;
/// Rows that are worth a task of their own, given trees enough.
const STEP: usize = 128;
/// The most cuts that a column of ranks may tell apart.
pub const MOST_CUTS: usize = 0xffff;
/// Words a tree in the table of trees.
const TREE: usize = 3;

/// How nodes are packed. From its high bits on, a node is the greatest rank for which its test is true, the column of that rank, and its true branch,
/// counted from the tree's root: in one word, or in two of which the second is the branch and the first is halved. Ranks are stored at the high end of
/// a word too: a test is false where that is more than the node's whole word, since below its highest bits it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Words a node: 1 or 2.
    pub words: usize,
    /// The bits of a rank: those of a leaf are all set, and those of no other node.
    pub rank_bits: usize,
    /// The bits of a column.
    pub column_bits: usize,
}

impl Packing {
    /// The most bits of rank and column where the branch is in the same word.
    pub const MOST_BITS: usize = 32 - LANES.ilog2() as usize;
    /// Of nodes in two words.
    pub const WIDE: Self = Self { words: 2, rank_bits: 16, column_bits: 16 };

    /// The greatest rank.
    #[inline(always)]
    pub const fn most_rank(self) -> u32 {
        (1 << self.rank_bits) - 1
    }
    /// A rank where it is compared.
    #[inline(always)]
    pub const fn rank(self, rank: u32) -> u32 {
        rank << (32 - self.rank_bits)
    }
    /// The bits of a branch in one word with a test.
    #[inline(always)]
    pub const fn link_bits(self) -> u32 {
        (32 - self.rank_bits - self.column_bits) as u32
    }
    const fn is_valid(self) -> bool {
        match self.words {
            1 => matches!(self.rank_bits, 1..=16) && self.column_bits <= 16 && self.rank_bits + self.column_bits <= Self::MOST_BITS,
            2 => self.rank_bits == 16 && self.column_bits == 16,
            _ => false,
        }
    }
}

/// A node, see [`Packing`].
trait Node: Copy + Send + Sync {
    fn test(self) -> u32;
    fn link(self, packing: Packing) -> u32;
    /// The column, times a power of two up to [`LANES`].
    fn column<const TIMES: usize>(self, packing: Packing) -> u32;
    /// Test, link and column of the nodes at some places.
    fn gather<S: Simd>(s: S, nodes: &[u32], places: S::I32, packing: Packing) -> [S::I32; 3];
}
impl Node for [u32; 1] {
    #[inline(always)]
    fn test(self) -> u32 {
        self[0]
    }
    #[inline(always)]
    fn link(self, packing: Packing) -> u32 {
        self[0] & ((1 << packing.link_bits()) - 1)
    }
    #[inline(always)]
    fn column<const TIMES: usize>(self, packing: Packing) -> u32 {
        let times = TIMES.ilog2();
        self[0].wrapping_shr(packing.link_bits() - times) & ((1 << packing.column_bits) - 1) << times
    }
    #[inline(always)]
    fn gather<S: Simd>(s: S, nodes: &[u32], places: S::I32, packing: Packing) -> [S::I32; 3] {
        let node = s.gather(nodes, places);
        let link = s.and_i32(node, s.splat_i32(((1u32 << packing.link_bits()) - 1) as i32));
        let column = s.and_i32(s.shr_by(node, packing.link_bits()), s.splat_i32((1 << packing.column_bits) - 1));
        [node, link, column]
    }
}
impl Node for [u32; 2] {
    #[inline(always)]
    fn test(self) -> u32 {
        self[0]
    }
    #[inline(always)]
    fn link(self, _: Packing) -> u32 {
        self[1]
    }
    #[inline(always)]
    fn column<const TIMES: usize>(self, _: Packing) -> u32 {
        (self[0] & 0xffff) * TIMES as u32
    }
    #[inline(always)]
    fn gather<S: Simd>(s: S, nodes: &[u32], places: S::I32, _: Packing) -> [S::I32; 3] {
        let places = s.shl::<1>(places);
        let test = s.gather(nodes, places);
        [test, s.gather(nodes, s.add_i32(places, s.splat_i32(1))), s.and_i32(test, s.splat_i32(0xffff))]
    }
}

/// The tables.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    ranks: ranks::Tables<'a, T>,
    nodes: &'a [u32],
    leaves: &'a [u32],
    trees: &'a [[u32; TREE]],
    values: &'a [T],
    packing: Packing,
    share: Share,
}

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features. `ranks`: scratch, [`BLOCK`] times the number of columns for each task that may run at a time.
/// - `features`, `sorted`, `columns`: as [`sums`](super::sums()) has them, with [`MOST_CUTS`] of this module.
/// - `nodes`: as [`Packing`] says, tree after tree, each with one more node at its end that no link names. `leaves`: the first value of each node that is a leaf.
/// - `trees`: three words each: the root, the depth, and the target if the width is 1. `values`: width (1 or targets) a leaf.
pub fn descend<T: Score>(
    cx: Cx,
    scores: &mut [T],
    scratch: &mut [u32],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    nodes: &[u32],
    leaves: &[u32],
    trees: &[u32],
    values: &[T],
    packing: Packing,
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let ranks = ranks::Tables::new(features, sorted, columns);
    let tables = Tables { ranks, nodes, leaves, trees: trees.as_chunks().0, values, packing, share };
    let most = scratch.len().checked_div(columns.len() / 3 * BLOCK).unwrap_or(usize::MAX);
    if most == 0 || !packing.is_valid() {
        return Err(BROKEN);
    }
    let failed = Flag::default();
    // A step takes about 3 cycles.
    let steps = tables.trees.iter().map(|t| t[1] as usize).sum::<usize>();
    let work = steps.saturating_mul(count).saturating_mul(12);
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch, x }, (STEP, most), work, &|rows| {
        failed.note(dispatch(cx, Descend { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}

struct Descend<'a, T> {
    tables: Tables<'a, T>,
    rows: Rows<'a, T, u32>,
}

impl<T: Score> WithSimd for Descend<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Option<()> {
        if self.tables.packing.words == 1 { run::<S, T, 1>(s, self.tables, self.rows) } else { run::<S, T, 2>(s, self.tables, self.rows) }
    }
}

/// All rows of a task, `W` words a node.
#[inline(always)]
fn run<S: Simd, T: Score, const W: usize>(s: S, tables: Tables<'_, T>, rows: Rows<'_, T, u32>) -> Option<()>
where
    [u32; W]: Node,
{
    let (features, columns, targets) = (rows.x.len() / rows.count, tables.ranks.width(), tables.share.targets);
    let packing = tables.packing;
    let most = packing.most_rank();
    rows.scores.fill(T::default());
    for (block, scores) in rows.scores.chunks_mut(BLOCK * targets).enumerate() {
        let x = rows.x.get(block * BLOCK * features..)?;
        let count = scores.len() / targets;
        // What fills the lanes better: rows of one tree (which is read once for all of them), or trees of one row.
        if count >= LANES {
            let ranks = rows.scratch.get_mut(..count.next_multiple_of(LANES) * columns)?;
            tables.ranks.of_rows::<_, _, LANES>(s, ranks.as_chunks_mut().0, x, features, count, most, |rank| packing.rank(rank))?;
            by_rows::<T, W>(&tables, scores, ranks)?;
        } else {
            let ranks = rows.scratch.get_mut(..columns)?;
            for (row, scores) in scores.chunks_exact_mut(targets).enumerate() {
                let x = x.get(row * features..)?;
                tables.ranks.of_row(s, ranks, x, most, |rank| packing.rank(rank) ^ SIGN)?;
                by_trees::<S, T, W>(s, &tables, scores, ranks)?;
            }
        }
    }
    Some(())
}

/// All rows of a block through one tree after the other.
#[inline(always)]
fn by_rows<T: Score, const W: usize>(tables: &Tables<'_, T>, scores: &mut [T], ranks: &[u32]) -> Option<()>
where
    [u32; W]: Node,
{
    let (targets, columns) = (tables.share.targets, tables.ranks.width());
    for (tree, &[root, depth, target]) in tables.trees.iter().enumerate() {
        let places = root as usize..tables.trees.get(tree + 1).map_or(tables.leaves.len(), |next| next[0] as usize);
        let (nodes, leaves) = (tables.nodes.as_chunks::<W>().0.get(places.clone())?, tables.leaves.get(places)?);
        if !is_closed(nodes, tables.packing, columns) {
            return None;
        }
        for (scores, ranks) in scores.chunks_mut(LANES * targets).zip(ranks.chunks_exact(LANES * columns)) {
            let mut places = [0; LANES];
            for _ in 0..depth {
                for (lane, place) in places.iter_mut().enumerate() {
                    // SAFETY: The place is 0, or the link of a node or the place after that: `is_closed` says that all of them are in `nodes`.
                    let node = unsafe { *nodes.get_unchecked(*place as usize) };
                    let column = node.column::<LANES>(tables.packing) as usize;
                    // SAFETY: `is_closed` says that the column is less than `columns`, and `ranks` holds so many times `LANES`.
                    let rank = unsafe { *ranks.get_unchecked(column + lane) };
                    *place = next(node, tables.packing, rank);
                }
            }
            for (scores, &place) in scores.chunks_exact_mut(targets).zip(&places) {
                add(tables, scores, target, *leaves.get(place as usize)?)?;
            }
        }
    }
    Some(())
}

/// Whether each link of a tree, and the place after it, is in the tree, and each column is one of so many.
#[inline(always)]
fn is_closed(nodes: &[impl Node], packing: Packing, columns: usize) -> bool {
    let (mut link, mut column) = (0, 0);
    for node in nodes {
        link = link.max(node.link(packing));
        column = column.max(node.column::<1>(packing));
    }
    (link as usize) < nodes.len().saturating_sub(1) && (column as usize) < columns
}

/// A row, whose ranks are flipped by [`SIGN`], through several trees at a time: as many vectors of them as hide how long a gather takes.
#[inline(always)]
fn by_trees<S: Simd, T: Score, const W: usize>(s: S, tables: &Tables<'_, T>, scores: &mut [T], ranks: &[u32]) -> Option<()>
where
    [u32; W]: Node,
{
    let mut rest = tables.trees;
    while !rest.is_empty() {
        // As few groups as there can be, of nearly as many vectors each.
        let vectors = rest.len().div_ceil(S::LANES);
        let vectors = vectors.div_ceil(vectors.div_ceil(VECTORS));
        let (trees, others) = rest.split_at(rest.len().min(vectors * S::LANES));
        match vectors {
            1 => by_vectors::<S, T, W, 1>(s, tables, trees, scores, ranks)?,
            2 => by_vectors::<S, T, W, 2>(s, tables, trees, scores, ranks)?,
            3 => by_vectors::<S, T, W, 3>(s, tables, trees, scores, ranks)?,
            _ => by_vectors::<S, T, W, VECTORS>(s, tables, trees, scores, ranks)?,
        }
        rest = others;
    }
    Some(())
}

/// A row through `V` vectors of trees. A gather stays in its table whatever is in it, so links are not looked at first, as they are for many rows.
#[inline(always)]
fn by_vectors<S: Simd, T: Score, const W: usize, const V: usize>(
    s: S,
    tables: &Tables<'_, T>,
    trees: &[[u32; TREE]],
    scores: &mut [T],
    ranks: &[u32],
) -> Option<()>
where
    [u32; W]: Node,
{
    let mut lanes = [trees.first()?[0]; VECTORS * MAX_LANES];
    lanes.iter_mut().zip(trees).for_each(|(root, tree)| *root = tree[0]);
    let mut roots = [s.splat_i32(0); V];
    for (root, lanes) in roots.iter_mut().zip(lanes.chunks_exact(S::LANES)) {
        // SAFETY: a chunk has LANES elements; u32 and i32 have one layout.
        *root = unsafe { s.load_i32_ptr(lanes.as_ptr().cast()) };
    }
    let mut places = roots;
    for _ in 0..trees.iter().map(|tree| tree[1]).max()? {
        for (place, &root) in places.iter_mut().zip(&roots) {
            let [test, link, column] = <[u32; W]>::gather(s, tables.nodes, *place, tables.packing);
            let fails = s.gt_i32(s.gather(ranks, column), s.xor_i32(test, s.splat_i32(SIGN as i32)));
            *place = s.add_i32(root, s.select_i32(fails, s.add_i32(link, s.splat_i32(1)), link));
        }
    }
    for (place, lanes) in places.iter().zip(lanes.chunks_exact_mut(S::LANES)) {
        // SAFETY: as above.
        unsafe { s.store_i32_ptr(lanes.as_mut_ptr().cast(), *place) };
    }
    let vote = |(tree, &place): (&[u32; TREE], &u32)| Some((tree[2], *tables.leaves.get(place as usize)? as usize));
    tally(tables.share, scores, tables.values, trees.iter().zip(&lanes).map(vote))
}

/// The node after this one.
#[inline(always)]
fn next(node: impl Node, packing: Packing, rank: u32) -> u32 {
    node.link(packing).wrapping_add(u32::from(rank > node.test()))
}

/// Adds the votes of a leaf, whose first value is `first`.
#[inline(always)]
fn add<T: Score>(tables: &Tables<'_, T>, scores: &mut [T], target: u32, first: u32) -> Option<()> {
    let first = first as usize;
    if tables.share.width == 1 {
        let score = scores.get_mut(target as usize)?;
        *score = *score + *tables.values.get(first)?;
    } else {
        let values = tables.values.get(first..first + tables.share.width)?;
        scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One column with one cut, at 0, and a tree of one test: its leaves are worth 1 and 2.
    fn scores<const ROWS: usize>(nodes: &[u32; 4]) -> Result<[f32; ROWS], Fault> {
        let packing = Packing { words: 1, rank_bits: 1, column_bits: 1 };
        let (mut cuts, share) = ([f32::NAN; ranks::WINDOW], Share { targets: 1, width: 1, least: 0, below: 0 });
        cuts[0] = 0.0;
        let x: [f32; ROWS] = std::array::from_fn(|i| i as f32 - 8.0);
        let (mut scores, mut scratch) = ([7.0; ROWS], [7; BLOCK]);
        let (features, columns, leaves, trees) = (&[0, 1, 1], &[0, 0, 0], &[0, 0, 1, 0], &[0, 1, 0]);
        descend(Cx::detect(), &mut scores, &mut scratch, &x, features, &cuts, columns, nodes, leaves, trees, &[1.0, 2.0], packing, share)?;
        Ok(scores)
    }

    #[test]
    fn no_step_leaves_a_tree() {
        let [test, leaf, column] = [0, 1 << 31, 1 << 30];
        let sound = [test | 1, leaf | 1, leaf | 2, leaf];
        let right = |i| if i <= 8 { 1.0 } else { 2.0 };
        assert_eq!(scores::<LANES>(&sound).unwrap(), std::array::from_fn(right));
        assert_eq!(scores::<10>(&sound).unwrap(), std::array::from_fn(right));
        for broken in
            [[test | 3, leaf | 1, leaf | 2, leaf], [test | 1, leaf | 1, leaf | 3, leaf], [test | column | 1, leaf | 1, leaf | 2, leaf]]
        {
            assert!(scores::<LANES>(&broken).is_err(), "{broken:x?}");
            // Gathers stay in their tables; only the last place is looked at.
            let _ = scores::<1>(&broken);
        }
    }
}
