//! A few rows: for each tree a set of bits, one a leaf, from which every test that fails takes the leaves it rules out.
//!
//! Leaves are numbered from the true branch to the false one. A test that fails rules out the leaves below its true branch; of the leaves that
//! remain when all tests of the tree have spoken, the first is the row's (QuickScorer: Lucchese et al., SIGIR 2015). Which tests of a tree fail
//! depends, feature by feature, only on the feature's rank among the cuts. So the compiler takes the trees in groups that fill two or four vectors,
//! and stores for each group and feature what all its tests leave, by rank: the kernel ANDs one row of a table for each feature, and there is no
//! branch that data decides.

use super::rows::{self, BROKEN, Flag, Rows};
use super::{Score, ranks};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// Words of leaves in a group.
pub const WORDS: usize = 16;
/// Bits in a word.
pub const WORD_BITS: usize = 32;
/// The most leaves that a tree may have: two words.
pub const MOST_LEAVES: usize = 2 * WORD_BITS;
/// Ranks of a column, and so entries of a map.
pub const RANKS: usize = 256;
/// The most columns.
pub const MOST_COLUMNS: usize = 256;
/// Rows that share a pass over the tables.
const BLOCK: usize = 8;

/// The tables.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    ranks: ranks::Tables<'a, T>,
    groups: &'a [u32],
    entries: &'a [u32],
    maps: &'a [[u8; RANKS]],
    masks: &'a [[u32; WORDS]],
    trees: &'a [u32],
    values: &'a [T],
    targets: usize,
    width: usize,
}

/// The sums of the votes of each row of `x` for each target; does nothing unless there are `least` rows or
/// more, and fewer than `below` (0: no matter how many).
///
/// - `scores`: rows × `targets`; `x`: rows × features.
/// - `features`, `sorted`, `columns`: as [`sums`](super::sums()) has them; at most [`MOST_COLUMNS`].
/// - `groups`: three words each: the end of its entries, the end of its trees, and the words of a tree (1 or 2; a group has [`WORDS`]).
/// - `entries`: two words each: the column, and the first of its `masks`; `maps`: for each entry and rank, how far from there.
/// - `masks`: [`WORDS`] words each: the leaves of the group that the tests of one column leave.
/// - `trees`: two words each: the first value, and the target if `width` is 1. `values`: `width` (1 or `targets`) a leaf.
pub fn bits<T: Score>(
    cx: Cx,
    scores: &mut [T],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    groups: &[u32],
    entries: &[u32],
    maps: &[u8],
    masks: &[u32],
    trees: &[u32],
    values: &[T],
    targets: usize,
    width: usize,
    least: usize,
    below: usize,
) -> Result<(), Fault> {
    let count = rows::count(scores.len(), x.len(), (targets, width), (least, below))?;
    if count == 0 {
        return Ok(());
    }
    if columns.len() > 3 * MOST_COLUMNS {
        return Err(BROKEN);
    }
    let ranks = ranks::Tables { features, sorted, columns };
    let (maps, masks) = (maps.as_chunks().0, masks.as_chunks().0);
    let tables = Tables { ranks, groups, entries, maps, masks, trees, values, targets, width };
    let failed = Flag::default();
    // An entry takes about 3 cycles, a tree about 4.
    let work = (entries.len() / 2 + trees.len() / 2).saturating_mul(count).saturating_mul(16);
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch: &mut [], x }, (BLOCK, usize::MAX), work, &|rows| {
        failed.note(dispatch(cx, Bits { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}

struct Bits<'a, T> {
    tables: Tables<'a, T>,
    rows: Rows<'a, T>,
}

impl<T: Score> WithSimd for Bits<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Option<()> {
        let Self { tables, rows } = self;
        let (features, targets) = (rows.x.len() / rows.count, tables.targets);
        let mut ranks = [[0u8; MOST_COLUMNS]; BLOCK];
        for (block, scores) in rows.scores.chunks_mut(BLOCK * targets).enumerate() {
            let count = scores.len() / targets;
            scores.fill(T::default());
            for (row, ranks) in ranks.iter_mut().take(count).enumerate() {
                let start = (block * BLOCK + row) * features;
                tables.ranks.of_row(ranks, rows.x.get(start..start + features)?)?;
            }
            let (mut entry, mut tree) = (0, 0);
            for group in tables.groups.chunks_exact(3) {
                let (entries_end, trees_end) = (group[0] as usize, group[1] as usize);
                let entries = tables.entries.get(2 * entry..2 * entries_end)?;
                let maps = tables.maps.get(entry..entries_end)?;
                let trees = tables.trees.get(2 * tree..2 * trees_end)?;
                (entry, tree) = (entries_end, trees_end);
                for (ranks, scores) in ranks.iter().zip(scores.chunks_exact_mut(targets)) {
                    let left = remaining(s, entries, maps, tables.masks, ranks)?;
                    let leaves = firsts(&left, group[2]);
                    if tables.width == 1 {
                        add(scores, &tables, trees, &leaves)?;
                    } else {
                        add_all(scores, &tables, trees, &leaves)?;
                    }
                }
            }
        }
        Some(())
    }
}

/// The first leaf of each tree of a group, whose trees have that many words.
#[inline(always)]
fn firsts(left: &[u32; WORDS], words: u32) -> [u32; WORDS] {
    let mut leaves = [0; WORDS];
    if words == 1 {
        for (leaf, left) in leaves.iter_mut().zip(left) {
            *leaf = left.trailing_zeros();
        }
    } else {
        for (leaf, [low, high]) in leaves.iter_mut().zip(left.as_chunks().0) {
            *leaf = (u64::from(*low) | u64::from(*high) << WORD_BITS).trailing_zeros();
        }
    }
    leaves
}

/// The leaves that the tests of a group leave.
#[inline(always)]
fn remaining<S: Simd>(
    s: S,
    entries: &[u32],
    maps: &[[u8; RANKS]],
    masks: &[[u32; WORDS]],
    ranks: &[u8; MOST_COLUMNS],
) -> Option<[u32; WORDS]> {
    // First where the masks are, so that no load waits for the one before.
    let mut chosen = [&[0; WORDS]; MOST_COLUMNS];
    let chosen = chosen.get_mut(..maps.len())?;
    for ((chosen, entry), map) in chosen.iter_mut().zip(entries.chunks_exact(2)).zip(maps) {
        *chosen = masks.get(entry[1] as usize + map[ranks[entry[0] as u8 as usize] as usize] as usize)?;
    }
    let mut left = [0u32; WORDS];
    for (v, left) in left.chunks_exact_mut(S::LANES).enumerate() {
        let mut all = s.splat_i32(-1);
        for mask in chosen.iter() {
            // SAFETY: a mask has WORDS words, of which this is the chunk `v` of LANES; u32 and i32 have one layout.
            all = s.and_i32(all, unsafe { s.load_i32_ptr(mask.as_ptr().add(v * S::LANES).cast()) });
        }
        // SAFETY: a chunk of `left` has LANES words.
        unsafe { s.store_i32_ptr(left.as_mut_ptr().cast(), all) };
    }
    Some(left)
}

/// Adds the votes of leaves with one value each, in the order of the trees.
#[inline(always)]
fn add<T: Score>(scores: &mut [T], tables: &Tables<'_, T>, trees: &[u32], leaves: &[u32]) -> Option<()> {
    // A run of trees with one target is summed in a register.
    let mut target = *trees.get(1)? as usize;
    let mut sum = *scores.get(target)?;
    for (tree, &leaf) in trees.chunks_exact(2).zip(leaves) {
        if tree[1] as usize != target {
            *scores.get_mut(target)? = sum;
            target = tree[1] as usize;
            sum = *scores.get(target)?;
        }
        sum = sum + *tables.values.get(tree[0] as usize + leaf as usize)?;
    }
    *scores.get_mut(target)? = sum;
    Some(())
}

/// Adds the votes of leaves that have a value for each target.
#[inline(always)]
fn add_all<T: Score>(scores: &mut [T], tables: &Tables<'_, T>, trees: &[u32], leaves: &[u32]) -> Option<()> {
    for (tree, &leaf) in trees.chunks_exact(2).zip(leaves) {
        let values = tables.values.get(tree[0] as usize + leaf as usize * tables.width..)?;
        scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
    }
    Some(())
}
