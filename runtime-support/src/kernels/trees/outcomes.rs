//! Small trees over not too many features: the outcomes of all tests of a tree at once, as the bits of a word.
//!
//! The ranks of a row are bytes and lie in a few registers. A shuffle brings each test its rank, a comparison makes a word of the outcomes, and the
//! leaf is found from the word, as suits the [`Form`] of the trees. Nothing that data decides is a branch, and the tables are read in one stream.

use super::rows::{self, BROKEN, Flag, Rows, Share};
use super::tally::tally;
use super::{Score, ranks};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, TESTS, WithSimd, dispatch};

/// The most columns of ranks.
pub const MOST_COLUMNS: usize = 64;
/// The most cuts that a column may tell apart.
pub const MOST_CUTS: usize = 255;
/// Rows that share a pass over the tables.
pub const BLOCK: usize = 32;
/// Trees, about, whose tables stay near while a block of rows reads them.
const CHUNK: usize = 64;
/// Trees after which the votes of a single row are added up, so that the sum of some runs beside the tests of the next.
const FEW: usize = 16;
/// Trees that descend side by side.
const LANES: usize = 8;
/// Words a tree in `trees`.
const TREE: usize = 4;

/// How a leaf is found from the outcomes. A set bit means that the test has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All tests of a level are the same (CatBoost's trees): the outcomes are the leaf's number. As many trees share a word as fit.
    Levels,
    /// Trees of a few levels, filled up to complete ones; tests have the places of a heap.
    Heap,
    /// At most 32 leaves. Each test has a long branch and a short one; leaves are numbered from long to short, the test between leaves `i` and
    /// `i + 1` has bit `31 - i`. From where a row is, the first test on the way along long branches that sends it to a short one (the least of their
    /// bits, for it is the uppermost) says where it is next: a few of these steps lead to the leaf.
    Chain,
    /// The same with at most 64 leaves, and bits `63 - i`.
    LongChain,
}

impl Form {
    /// Words of outcomes for a tree, or for as many as share one, if there are so many `steps`.
    pub const fn words(self, steps: usize) -> usize {
        match self {
            Self::Heap if steps > 5 => 2,
            Self::LongChain => 2,
            _ => 1,
        }
    }
    /// Trees that share a word.
    pub const fn sharing(self, steps: usize) -> usize {
        if let (Self::Levels, 1..=TESTS) = (self, steps) { TESTS / steps } else { 1 }
    }
}

/// The tables.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    ranks: ranks::Tables<'a, T>,
    tests: &'a [[u8; TESTS]],
    chains: &'a [u32],
    trees: &'a [u32],
    values: &'a [T],
    form: Form,
    steps: usize,
    share: Share,
}

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features. `scratch`: [`BLOCK`] × [`MOST_COLUMNS`] for each task that may run at a time.
/// - `features`, `sorted`, `columns`: as [`sums`](super::sums()) has them, with the limits of this module.
/// - `tests`: for each word of outcomes the columns of its [`TESTS`] tests, then the least ranks for which they fail. `steps`: the levels of trees, or
///   the most short branches on a way.
/// - `chains`: for chains, 32 (or 64 pairs of) words a tree: by the bit that led there (0 at first) the tests along long branches.
/// - `trees`: four words each: the first value, the target if the width is 1, and for chains which tests have the short branch when they hold (two
///   words). `values`: width (1 or targets) a leaf.
pub fn outcomes<T: Score>(
    cx: Cx,
    scores: &mut [T],
    scratch: &mut [u8],
    x: &[T],
    features: &[u32],
    sorted: &[T],
    columns: &[u32],
    tests: &[u8],
    chains: &[u32],
    trees: &[u32],
    values: &[T],
    form: Form,
    steps: usize,
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let most = scratch.len() / (BLOCK * MOST_COLUMNS);
    if most == 0 || columns.len() > 3 * MOST_COLUMNS || steps > TESTS {
        return Err(BROKEN);
    }
    let ranks = ranks::Tables::new(features, sorted, columns);
    let tables = Tables { ranks, tests: tests.as_chunks().0, chains, trees, values, form, steps, share };
    let failed = Flag::default();
    // A word takes about 4 cycles, a tree about 6, a column about 12.
    let work = (tests.len() / 16 + trees.len() / TREE * 6 + columns.len() * 4).saturating_mul(count).saturating_mul(8);
    rows::each(cx, Rows { count, scores, voted: &mut [], scratch, x }, (BLOCK, most), work, &|rows| {
        failed.note(dispatch(cx, Outcomes { tables, rows }));
    });
    if failed.is_set() { Err(BROKEN) } else { Ok(()) }
}

struct Outcomes<'a, T> {
    tables: Tables<'a, T>,
    rows: Rows<'a, T>,
}

impl<T: Score> WithSimd for Outcomes<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Option<()> {
        let Self { tables, rows } = self;
        let (features, targets, columns) = (rows.x.len() / rows.count, tables.share.targets, tables.ranks.width());
        for (block, scores) in rows.scores.chunks_mut(BLOCK * targets).enumerate() {
            let count = scores.len() / targets;
            scores.fill(T::default());
            let ranks = rows.scratch.get_mut(..count * MOST_COLUMNS)?;
            for (row, ranks) in ranks.chunks_exact_mut(MOST_COLUMNS).enumerate() {
                let start = (block * BLOCK + row) * features;
                let x = rows.x.get(start..start + features)?;
                tables.ranks.of_row(s, ranks, x, 0xff, |rank| rank as u8)?;
            }
            let ranks = ranks.as_chunks().0;
            if columns <= 32 { tables.add::<_, 2>(s, scores, ranks)? } else { tables.add::<_, 4>(s, scores, ranks)? }
        }
        Some(())
    }
}

/// The tables of some trees.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    trees: &'a [u32],
    tests: &'a [[u8; TESTS]],
    chains: &'a [u32],
}

impl<T: Score> Tables<'_, T> {
    /// Adds the votes of all trees to the scores of a block of rows, whose ranks are in the first `N` of four registers each.
    #[inline(always)]
    fn add<S: Simd, const N: usize>(&self, s: S, scores: &mut [T], ranks: &[[u8; 16]]) -> Option<()> {
        let (words, sharing) = (2 * self.form.words(self.steps), self.form.sharing(self.steps));
        let chunk = if scores.len() == self.share.targets { FEW } else { CHUNK };
        let chunk = (chunk / sharing).max(1) * sharing;
        let mut leaves = [0; CHUNK];
        let chain = match self.form {
            Form::Chain => 32,
            Form::LongChain => 128,
            _ => 0,
        };
        for (i, trees) in self.trees.chunks(TREE * chunk).enumerate() {
            let tests = self.tests.get(i * chunk / sharing * words..)?;
            let chunk = Chunk { trees, tests, chains: self.chains.get(i * chunk * chain..)? };
            for (scores, ranks) in scores.chunks_exact_mut(self.share.targets).zip(ranks.chunks_exact(MOST_COLUMNS / 16)) {
                let ranks: &[[u8; 16]; N] = ranks.first_chunk()?;
                let leaves = leaves.get_mut(..trees.len() / TREE)?;
                match self.form {
                    Form::Levels => self.levels(s, leaves, ranks, &chunk),
                    Form::Heap if self.steps > 5 => self.heap::<_, N, 2>(s, leaves, ranks, &chunk),
                    Form::Heap => self.heap::<_, N, 1>(s, leaves, ranks, &chunk),
                    Form::Chain => self.chain(s, leaves, ranks, &chunk),
                    Form::LongChain => self.long_chain(s, leaves, ranks, &chunk),
                }
                let width = self.share.width;
                let vote = |(tree, &leaf): (&[u32; TREE], &u32)| Some((tree[1], tree[0] as usize + leaf as usize * width));
                tally(self.share, scores, self.values, trees.as_chunks().0.iter().zip(&*leaves).map(vote))?;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn levels<S: Simd, const N: usize>(&self, s: S, leaves: &mut [u32], ranks: &[[u8; 16]; N], chunk: &Chunk<'_>) {
        let mask = u32::MAX >> (32 - self.steps as u32).min(31);
        for (leaves, [columns, least]) in leaves.chunks_mut(self.form.sharing(self.steps)).zip(chunk.tests.as_chunks().0) {
            let mut word = s.tests(ranks, columns, least);
            for leaf in leaves {
                *leaf = word & mask;
                word = word.wrapping_shr(self.steps as u32);
            }
        }
    }

    #[inline(always)]
    fn heap<S: Simd, const N: usize, const W: usize>(&self, s: S, leaves: &mut [u32], ranks: &[[u8; 16]; N], chunk: &Chunk<'_>) {
        let mut tests = chunk.tests.as_chunks::<2>().0.chunks_exact(W);
        for leaves in leaves.chunks_mut(LANES) {
            let (mut words, mut places) = ([0u64; LANES], [0u64; LANES]);
            for (word, tests) in words.iter_mut().zip(tests.by_ref().take(leaves.len())) {
                let mut outcomes = 0;
                for (k, [columns, least]) in tests.iter().enumerate() {
                    outcomes |= u64::from(s.tests(ranks, columns, least)) << (k * TESTS);
                }
                *word = outcomes;
            }
            for _ in 0..self.steps {
                for (place, word) in places.iter_mut().zip(&words) {
                    *place = 2 * *place + 1 + (word.wrapping_shr(*place as u32) & 1);
                }
            }
            let inner = 1u32.wrapping_shl(self.steps as u32) - 1;
            for (leaf, place) in leaves.iter_mut().zip(&places) {
                *leaf = (*place as u32).wrapping_sub(inner);
            }
        }
    }

    #[inline(always)]
    fn chain<S: Simd, const N: usize>(&self, s: S, leaves: &mut [u32], ranks: &[[u8; 16]; N], chunk: &Chunk<'_>) {
        let trees = chunk.trees.as_chunks::<TREE>().0.iter().zip(chunk.chains.as_chunks::<32>().0).zip(chunk.tests.as_chunks().0);
        for (leaf, ((tree, chain), [columns, least])) in leaves.iter_mut().zip(trees) {
            let short = s.tests(ranks, columns, least) ^ tree[2];
            let mut bit = 32;
            for _ in 0..self.steps {
                bit = bit.min((short & chain[bit as usize % 32]).trailing_zeros());
            }
            *leaf = 32 - bit;
        }
    }

    #[inline(always)]
    fn long_chain<S: Simd, const N: usize>(&self, s: S, leaves: &mut [u32], ranks: &[[u8; 16]; N], chunk: &Chunk<'_>) {
        let chains = chunk.chains.as_chunks::<2>().0.as_chunks::<64>().0;
        let tests = chunk.tests.as_chunks::<2>().0.as_chunks::<2>().0;
        for (leaf, ((tree, chain), [low, high])) in leaves.iter_mut().zip(chunk.trees.as_chunks::<TREE>().0.iter().zip(chains).zip(tests)) {
            let short = pair([s.tests(ranks, &low[0], &low[1]) ^ tree[2], s.tests(ranks, &high[0], &high[1]) ^ tree[3]]);
            let mut bit = 64;
            for _ in 0..self.steps {
                bit = bit.min((short & pair(chain[bit as usize % 64])).trailing_zeros());
            }
            *leaf = 64 - bit;
        }
    }
}

#[inline(always)]
fn pair([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
