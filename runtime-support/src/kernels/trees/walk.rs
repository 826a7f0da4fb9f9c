//! A few rows: each tree is walked from its root.

use super::Score;
use super::rows::Rows;
use super::sums::{Forest, NAN_TRUE, WALK_LEAF};

/// Adds the votes of all trees to the scores, row by row, in the order of the trees.
pub(super) fn walk<T: Score>(forest: &Forest<'_, T>, rows: Rows<'_, T>, links: &[u32], cuts: &[T]) -> Option<()> {
    let features = rows.x.len() / rows.count;
    for (row, scores) in rows.scores.chunks_exact_mut(forest.targets).enumerate() {
        let x = &rows.x[row * features..(row + 1) * features];
        for tree in forest.trees.chunks_exact(4) {
            let (start, end) = (tree[0] as usize, tree[1] as usize);
            let leaf = tree[2] as usize + leaf(x, links.get(2 * start..2 * end)?, cuts.get(start..end)?)?;
            if forest.width == 1 {
                let score = scores.get_mut(tree[3] as usize)?;
                *score = *score + *forest.values.get(leaf)?;
            } else {
                let values = forest.values.get(leaf * forest.width..)?;
                scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
            }
        }
    }
    Some(())
}

/// The leaf that a row comes to.
#[inline(always)]
fn leaf<T: Score>(x: &[T], links: &[u32], cuts: &[T]) -> Option<usize> {
    let Some(mut place) = cuts.len().checked_sub(1) else { return Some(0) };
    loop {
        let &[feature, branches] = links.get(2 * place..2 * place + 2)? else { return None };
        let x = *x.get((feature & !NAN_TRUE) as usize)?;
        let holds = x <= *cuts.get(place)? || (feature & NAN_TRUE != 0 && x.is_missing());
        let branch = if holds { branches & 0xffff } else { branches >> 16 };
        place = (branch & !WALK_LEAF) as usize;
        if branch & WALK_LEAF != 0 {
            return Some(place);
        }
    }
}
