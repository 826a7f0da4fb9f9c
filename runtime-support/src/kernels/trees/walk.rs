//! A few small trees: each is walked from its root, and compares the features themselves.

use super::Score;
use super::rows::{BROKEN, Share};
use crate::error::Fault;

/// The bit of a test's first word that sends NaN to the true branch.
pub const NAN_TRUE: u32 = 1 << 31;
/// The bit of a branch that says that it is a leaf.
pub const WALK_LEAF: u32 = 1 << 15;

/// The sums of the votes of each row of `x` for each target, if the number of rows is in its share.
///
/// - `scores`: rows × targets; `x`: rows × features.
/// - `links`, `cuts`: two words and a number a test: the feature and perhaps [`NAN_TRUE`]; in the low half the branch if `x <= cut`, in the high half
///   the other. A branch is a test's number within the tree, or [`WALK_LEAF`] and a leaf's. The last test is the root.
/// - `trees`, `values`: as [`sums`](super::sums()) has them.
pub fn walk<T: Score>(
    scores: &mut [T],
    x: &[T],
    links: &[u32],
    cuts: &[T],
    trees: &[u32],
    values: &[T],
    share: Share,
) -> Result<(), Fault> {
    let count = share.count(scores.len(), x.len())?;
    if count == 0 {
        return Ok(());
    }
    let features = x.len() / count;
    for (row, scores) in scores.chunks_exact_mut(share.targets).enumerate() {
        scores.fill(T::default());
        let x = &x[row * features..(row + 1) * features];
        for tree in trees.chunks_exact(4) {
            add(scores, x, links, cuts, tree, values, share.width).ok_or(BROKEN)?;
        }
    }
    Ok(())
}

/// Adds the votes of a tree.
#[inline(always)]
fn add<T: Score>(scores: &mut [T], x: &[T], links: &[u32], cuts: &[T], tree: &[u32], values: &[T], width: usize) -> Option<()> {
    let (start, end) = (tree[0] as usize, tree[1] as usize);
    let leaf = tree[2] as usize + leaf(x, links.get(2 * start..2 * end)?, cuts.get(start..end)?)?;
    if width == 1 {
        let score = scores.get_mut(tree[3] as usize)?;
        *score = *score + *values.get(leaf)?;
    } else {
        let values = values.get(leaf * width..)?;
        scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
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
