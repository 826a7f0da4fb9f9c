//! Many rows: ranks instead of features, and trees evaluated from the leaves up, 64 rows at a time.

use super::Score;
use super::ranks::{self, SIGN};
use super::rows::Rows;
use super::sums::{BLOCK, Forest, MOST_LEAVES, MOST_TESTS};
use crate::simd::{Simd, WithSimd};

/// A byte for each row of a block.
type Bytes = [u8; BLOCK];

/// See [`sums`](super::sums::sums).
#[derive(Clone, Copy)]
pub(super) struct Tables<'a, T> {
    pub forest: Forest<'a, T>,
    pub ranks: ranks::Tables<'a, T>,
    pub tests: &'a [u16],
}

/// The kernel. `rows.scratch` is for the ranks. Gives `None` if the tables are broken.
pub(super) struct Select<'a, T> {
    pub tables: Tables<'a, T>,
    pub rows: Rows<'a, T>,
}

impl<T: Score> WithSimd for Select<'_, T> {
    type Output = Option<()>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> Option<()> {
        let Self { tables, rows } = self;
        let (features, targets) = (rows.x.len() / rows.count, tables.forest.share.targets);
        let ranks = rows.scratch.get_mut(..tables.ranks.width() * BLOCK)?;
        // The leaf numbers that a test chooses from: first those that are leaves, then those that the tests of this tree have chosen.
        let mut chosen = [[0u8; BLOCK]; MOST_LEAVES + MOST_TESTS];
        for (i, leaf) in chosen.iter_mut().take(MOST_LEAVES).enumerate() {
            *leaf = [i as u8; BLOCK];
        }
        let blocks = rows.scores.chunks_mut(BLOCK * targets).enumerate();
        for (block, scores) in blocks {
            let count = scores.len() / targets;
            let x = rows.x.get(block * BLOCK * features..(block * BLOCK + count) * features)?;
            tables.ranks.of_rows::<_, _, BLOCK>(s, ranks.as_chunks_mut().0, x, features, count, 0xff, |rank| rank as u8 ^ SIGN)?;
            for tree in tables.forest.trees.chunks_exact(4) {
                let tests = tables.tests.get(4 * tree[0] as usize..4 * tree[1] as usize)?;
                let leaves = evaluate(&mut chosen, ranks, tests)?;
                add(&tables.forest, scores, leaves, tree, count)?;
            }
        }
        Some(())
    }
}

/// The leaf of each row.
#[inline(always)]
fn evaluate<'a>(chosen: &'a mut [Bytes; MOST_LEAVES + MOST_TESTS], ranks: &[u8], tests: &[u16]) -> Option<&'a Bytes> {
    let ranks = ranks.as_chunks::<BLOCK>().0;
    let mut place = MOST_LEAVES;
    for test in tests.chunks_exact(4) {
        let (rank, most) = (ranks.get(test[0] as usize)?, (test[1] as u8 ^ SIGN) as i8);
        let (if_true, if_false) = (chosen.get(test[2] as usize)?, chosen.get(test[3] as usize)?);
        let mut out = [0u8; BLOCK];
        for i in 0..BLOCK {
            // Written as a choice, this becomes 64 branches.
            let mask = u8::from(rank[i] as i8 > most).wrapping_neg();
            out[i] = (if_true[i] & !mask) | (if_false[i] & mask);
        }
        *chosen.get_mut(place)? = out;
        place += 1;
    }
    // A tree without tests is its leaf 0.
    chosen.get(if tests.is_empty() { 0 } else { place - 1 })
}

/// Adds what the leaves of a tree say.
#[inline(always)]
fn add<T: Score>(forest: &Forest<'_, T>, scores: &mut [T], leaves: &Bytes, tree: &[u32], count: usize) -> Option<()> {
    let values = forest.values.get(tree[2] as usize * forest.share.width..)?;
    if forest.share.width == 1 {
        for (scores, &leaf) in scores.chunks_exact_mut(forest.share.targets).zip(&leaves[..count]) {
            let score = scores.get_mut(tree[3] as usize)?;
            *score = *score + *values.get(leaf as usize)?;
        }
    } else {
        for (scores, &leaf) in scores.chunks_exact_mut(forest.share.width).zip(&leaves[..count]) {
            let values = values.get(leaf as usize * forest.share.width..)?;
            scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
        }
    }
    Some(())
}
