//! Small and middling trees: for each tree a set of bits, one a leaf, from which every test that fails takes the leaves it rules out.
//!
//! Leaves are numbered from the true branch to the false one. A test that fails rules out the leaves below its true branch; of the leaves that
//! remain when all tests of the tree have spoken, the first is the row's (QuickScorer: Lucchese et al., SIGIR 2015). Which tests of a tree fail
//! depends, feature by feature, only on the feature's rank among its cuts. So the compiler takes the trees in groups that fill a few vectors, and
//! stores for each group and feature what all its tests leave, by rank: the kernel ANDs one row of a table for each feature, and there is no
//! branch that data decides. Which row is said by a map, for [`GROUPS`] groups at a time: they are a shelf.

use super::Score;
use super::ranks::Cuts;
use super::rows::{self, BROKEN, Flag, Rows, Share};
use super::tally::tally;
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// Words of leaves in a group.
pub const WORDS: usize = 16;
/// Bits in a word.
pub const WORD_BITS: usize = 32;
/// The most leaves that a tree may have.
pub const MOST_LEAVES: usize = WORDS * WORD_BITS;
/// The most groups of a shelf.
pub const GROUPS: usize = 8;
/// Rows that share a pass over the tables.
pub const BLOCK: usize = 16;
/// The most cuts that a feature may have.
pub const MOST_CUTS: usize = 0xfffd;
/// Words of scratch for a row and a feature: the rank, and where the masks of a shelf's groups are.
pub const SCRATCH: usize = 1 + GROUPS;

/// The leaves of a group.
type Leaves = [u32; WORDS];
/// Where the masks of a shelf's groups are for one rank of a feature.
type Row = [u16; GROUPS];

/// The tables.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    cuts: Cuts<'a, T>,
    shelves: &'a [u32],
    groups: &'a [u32],
    entries: &'a [u32],
    maps: &'a [Row],
    masks: &'a [Leaves],
    trees: &'a [u32],
    values: &'a [T],
    share: Share,
}

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features. `scratch`: [`BLOCK`] × [`SCRATCH`] times the number of features with cuts, for each
///   task that may run at a time.
/// - `features`, `sorted`: as [`sums`](super::sums()) has them. A feature's rank is the number of cuts below it; NaN's is one more than there are cuts.
/// - `shelves`: three words each: the end of its groups, the end of its entries, and its first mask.
/// - `groups`: two words each: the end of its trees, and the words of a tree (a power of two; a group has [`WORDS`]).
/// - `entries`: two words each: the place of the feature, and the row of `maps` for rank 0.
/// - `maps`: [`GROUPS`] halves a row: for each group of the shelf its mask, counted from the shelf's first.
/// - `masks`: [`WORDS`] words each: the leaves of the group that the tests of one feature leave.
/// - `trees`: two words each: the first value, and the target if the width is 1. `values`: width (1 or targets) a leaf.
pub fn bits<T: Score>(
    cx: Cx,
    scores: &mut [T],
    scratch: &mut [u16],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    shelves: &[u32],
    groups: &[u32],
    entries: &[u32],
    maps: &[u16],
    masks: &[u32],
    trees: &[u32],
    values: &[T],
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let cuts = Cuts { features, sorted };
    let (maps, masks) = (maps.as_chunks().0, masks.as_chunks().0);
    let most = scratch.len().checked_div(cuts.count() * BLOCK * SCRATCH).unwrap_or(usize::MAX);
    if most == 0 {
        return Err(BROKEN);
    }
    let tables = Tables { cuts, shelves, groups, entries, maps, masks, trees, values, share };
    let failed = Flag::default();
    // A group takes about 2 cycles a feature, a tree about 4.
    let work = (entries.len() * GROUPS + 2 * trees.len()).saturating_mul(count).saturating_mul(8);
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch, x }, (BLOCK, most), work, &|rows| {
        failed.note(dispatch(cx, Bits { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}

struct Bits<'a, T> {
    tables: Tables<'a, T>,
    rows: Rows<'a, T, u16>,
}

/// A run of groups with their entries, and the tree that is their first.
struct Shelf<'a> {
    groups: &'a [u32],
    entries: &'a [u32],
    masks: &'a [Leaves],
    tree: usize,
}

impl<T: Score> WithSimd for Bits<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Option<()> {
        let Self { tables, rows } = self;
        let (features, targets, columns) = (rows.x.len() / rows.count, tables.share.targets, tables.cuts.count());
        for (block, scores) in rows.scores.chunks_mut(BLOCK * targets).enumerate() {
            let count = scores.len() / targets;
            scores.fill(T::default());
            let (ranks, chosen) = rows.scratch.split_at_mut_checked(count * columns)?;
            for row in 0..count {
                let start = (block * BLOCK + row) * features;
                tables.cuts.of_row(s, ranks.get_mut(row * columns..(row + 1) * columns)?, rows.x.get(start..start + features)?)?;
            }
            let (mut group, mut entry, mut tree) = (0, 0, 0);
            for shelf in tables.shelves.chunks_exact(3) {
                let groups = tables.groups.get(2 * group..2 * shelf[0] as usize)?;
                let entries = tables.entries.get(2 * entry..2 * shelf[1] as usize)?;
                let masks = tables.masks.get(shelf[2] as usize..)?;
                add_shelf(s, &tables, &Shelf { groups, entries, masks, tree }, scores, ranks, chosen.as_chunks_mut().0)?;
                (group, entry) = (shelf[0] as usize, shelf[1] as usize);
                tree = *groups.get(groups.len().checked_sub(2)?)? as usize;
            }
        }
        Some(())
    }
}

/// Adds the votes of the trees of a shelf to the scores of a block of rows.
#[inline(always)]
fn add_shelf<S: Simd, T: Score>(
    s: S,
    tables: &Tables<'_, T>,
    shelf: &Shelf<'_>,
    scores: &mut [T],
    ranks: &[u16],
    chosen: &mut [Row],
) -> Option<()> {
    let (columns, entries) = (tables.cuts.count(), shelf.entries.len() / 2);
    let count = scores.len() / tables.share.targets;
    // First where the masks are, so that no load waits for the one before.
    for row in 0..count {
        let ranks = ranks.get(row * columns..(row + 1) * columns)?;
        for (chosen, entry) in chosen.get_mut(row * entries..(row + 1) * entries)?.iter_mut().zip(shelf.entries.chunks_exact(2)) {
            *chosen = *tables.maps.get(entry[1] as usize + *ranks.get(entry[0] as usize)? as usize)?;
        }
    }
    let mut tree = shelf.tree;
    for (g, group) in shelf.groups.chunks_exact(2).enumerate().take(GROUPS) {
        let trees = tables.trees.get(2 * tree..2 * group[0] as usize)?;
        tree = group[0] as usize;
        for (row, scores) in scores.chunks_exact_mut(tables.share.targets).enumerate() {
            let left = remaining(s, chosen.get(row * entries..(row + 1) * entries)?, g, shelf.masks)?;
            match group[1] {
                1 => add(scores, tables, trees, &left, 1)?,
                2 => add(scores, tables, trees, &left, 2)?,
                words => add(scores, tables, trees, &left, words as usize)?,
            }
        }
    }
    Some(())
}

/// The leaves of group `g` of a shelf that the chosen masks leave.
#[inline(always)]
fn remaining<S: Simd>(s: S, chosen: &[Row], g: usize, masks: &[Leaves]) -> Option<Leaves> {
    let mut all = [s.splat_i32(-1); WORDS];
    for row in chosen {
        let mask = masks.get(*row.get(g)? as usize)?;
        for v in 0..WORDS / S::LANES {
            // SAFETY: a mask has WORDS words, of which this is the chunk `v` of LANES; u32 and i32 have one layout.
            all[v] = s.and_i32(all[v], unsafe { s.load_i32_ptr(mask.as_ptr().add(v * S::LANES).cast()) });
        }
    }
    let mut left = [0; WORDS];
    for v in 0..WORDS / S::LANES {
        // SAFETY: as above.
        unsafe { s.store_i32_ptr(left.as_mut_ptr().add(v * S::LANES).cast(), all[v]) };
    }
    Some(left)
}

/// The first of the leaves that are left of tree `i`, where trees have that many words.
#[inline(always)]
fn first(left: &Leaves, i: usize, words: usize) -> Option<usize> {
    match words {
        1 => Some(left.get(i)?.trailing_zeros() as usize),
        2 => Some(pair(left.as_chunks().0.get(i)?).trailing_zeros() as usize),
        _ => {
            // From the last pair of words to the first: what is found later is nearer.
            let mut leaf = 0;
            for (k, left) in left.get(i * words..(i + 1) * words)?.as_chunks().0.iter().enumerate().rev() {
                let pair = pair(left);
                leaf = if pair == 0 { leaf } else { 2 * k * WORD_BITS + pair.trailing_zeros() as usize };
            }
            Some(leaf)
        }
    }
}

#[inline(always)]
fn pair([low, high]: &[u32; 2]) -> u64 {
    u64::from(*low) | u64::from(*high) << WORD_BITS
}

/// Adds the votes of the leaves of a group in the order of its trees, which have that many words.
#[inline(always)]
fn add<T: Score>(scores: &mut [T], tables: &Tables<'_, T>, trees: &[u32], left: &Leaves, words: usize) -> Option<()> {
    let width = tables.share.width;
    let vote = |(i, tree): (usize, &[u32; 2])| Some((tree[1], tree[0] as usize + first(left, i, words)? * width));
    tally(tables.share, scores, tables.values, trees.as_chunks().0.iter().enumerate().map(vote))
}
