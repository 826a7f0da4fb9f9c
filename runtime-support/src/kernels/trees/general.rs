//! Any ensemble, by the definition: one row and one tree at a time.

use super::rows::{self, Rows};
use super::{LEAF, MISSING_TRUE, Mode, SET_SHIFT, Score};
use crate::cx::Cx;
use crate::error::Fault;

/// How the votes for a target become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// Their sum over the number of trees (the division is left to [`regress`](super::regress)).
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// The tables of an ensemble, as the compiler lays them out.
#[derive(Clone, Copy)]
struct Tables<'a, T> {
    nodes: &'a [u32],
    thresholds: &'a [T],
    sets: &'a [u32],
    members: &'a [T],
    roots: &'a [u32],
    leaves: &'a [u32],
    vote_targets: &'a [u32],
    vote_weights: &'a [T],
}

/// Scores and votes of each row of `x`.
///
/// - `scores`, `voted`: rows × `targets`; `x`: rows × features.
/// - `nodes`: four words each: the feature; mode, [`MISSING_TRUE`] and the number of the set; the link if the test is true, and if not. A link is
///   a node's number, or [`LEAF`] and a leaf's number.
/// - `thresholds`: one a node. `sets`: where each set begins in `members`, and the end; a set's members ascend.
/// - `roots`: a link for each tree. `leaves`: where the votes of each leaf begin in `vote_targets` and `vote_weights`, and the end.
pub fn general<T: Score>(
    cx: Cx,
    scores: &mut [T],
    voted: &mut [u8],
    x: &[T],
    nodes: &[u32],
    thresholds: &[T],
    sets: &[u32],
    members: &[T],
    roots: &[u32],
    leaves: &[u32],
    vote_targets: &[u32],
    vote_weights: &[T],
    targets: usize,
    aggregate: Aggregate,
) -> Result<(), Fault> {
    let broken = Fault::Internal { what: "trees: tables" };
    if scores.is_empty() {
        return Ok(());
    }
    let count = scores.len().checked_div(targets).ok_or(broken)?;
    if count == 0 || voted.len() != scores.len() || !x.len().is_multiple_of(count) {
        return Err(broken);
    }
    let tables = Tables { nodes, thresholds, sets, members, roots, leaves, vote_targets, vote_weights };
    let failed = rows::Flag::default();
    let work = count.saturating_mul(roots.len()).saturating_mul(32);
    rows::each(cx, Rows { count, scores, voted, scratch: &mut [], x }, (1, usize::MAX), work, &|rows| {
        failed.note(run(&tables, rows, targets, aggregate));
    });
    if failed.is_set() { Err(broken) } else { Ok(()) }
}

fn run<T: Score>(tables: &Tables<'_, T>, rows: Rows<'_, T>, targets: usize, aggregate: Aggregate) -> Option<()> {
    let features = rows.x.len() / rows.count;
    for (i, (scores, voted)) in rows.scores.chunks_exact_mut(targets).zip(rows.voted.chunks_exact_mut(targets)).enumerate() {
        let x = &rows.x[i * features..(i + 1) * features];
        scores.fill(T::default());
        voted.fill(0);
        for &root in tables.roots {
            let leaf = tables.leaf(root, x)?;
            let votes = *tables.leaves.get(leaf)? as usize..*tables.leaves.get(leaf + 1)? as usize;
            for (&target, &weight) in tables.vote_targets.get(votes.clone())?.iter().zip(tables.vote_weights.get(votes)?) {
                let (score, voted) = (scores.get_mut(target as usize)?, voted.get_mut(target as usize)?);
                *score = match aggregate {
                    Aggregate::Sum | Aggregate::Average => *score + weight,
                    Aggregate::Min if *voted == 0 || weight < *score => weight,
                    Aggregate::Max if *voted == 0 || weight > *score => weight,
                    Aggregate::Min | Aggregate::Max => *score,
                };
                *voted = 1;
            }
        }
    }
    Some(())
}

impl<T: Score> Tables<'_, T> {
    /// The leaf that a row comes to from a root.
    fn leaf(&self, root: u32, x: &[T]) -> Option<usize> {
        let mut link = root;
        while link & LEAF == 0 {
            let node = link as usize;
            let &[feature, word, if_true, if_false] = self.nodes.get(4 * node..4 * node + 4)? else { return None };
            let x = *x.get(feature as usize)?;
            let threshold = *self.thresholds.get(node)?;
            let holds = match Mode::of(word) {
                Mode::Leq => x <= threshold,
                Mode::Lt => x < threshold,
                Mode::Gte => x >= threshold,
                Mode::Gt => x > threshold,
                Mode::Eq => x == threshold,
                Mode::Neq => x != threshold,
                Mode::Member => self.has((word >> SET_SHIFT) as usize, x)?,
            };
            let missing = x.is_missing() && word & MISSING_TRUE != 0;
            link = if holds || missing { if_true } else { if_false };
        }
        Some((link & !LEAF) as usize)
    }

    fn has(&self, set: usize, x: T) -> Option<bool> {
        let members = self.members.get(*self.sets.get(set)? as usize..*self.sets.get(set + 1)? as usize)?;
        let place = members.partition_point(|m| *m < x);
        Some(members.get(place) == Some(&x))
    }
}
