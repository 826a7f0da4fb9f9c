//! Rows over threads: the scores and votes of a run of rows are cut off for each task.

use crate::cx::Cx;
use crate::kernels::{fold, parallel};

/// The outputs and the inputs of a run of rows.
pub(super) struct Rows<'a, T> {
    /// How many rows.
    pub count: usize,
    /// Scores, `count` times the number of targets.
    pub scores: &'a mut [T],
    /// Votes: as many as scores, or none.
    pub voted: &'a mut [u8],
    /// The features, `count` times their number.
    pub x: &'a [T],
}

/// Calls `f` for all rows, cut in as many runs (of multiples of `step` rows) as are worth a thread at `work` multiply-adds.
pub(super) fn each<T: Send + Sync>(cx: Cx, rows: Rows<'_, T>, step: usize, work: usize, f: &(impl Fn(Rows<'_, T>) + Sync)) {
    let tasks = parallel::tasks(cx, work).min(rows.count.div_ceil(step)).max(1);
    split(rows, step, tasks, f);
}

fn split<T: Send + Sync>(rows: Rows<'_, T>, step: usize, tasks: usize, f: &(impl Fn(Rows<'_, T>) + Sync)) {
    if tasks <= 1 || rows.count <= step {
        return f(rows);
    }
    let Rows { count, scores, voted, x } = rows;
    let left_tasks = tasks / 2;
    let left = (count.div_ceil(step) * left_tasks / tasks).max(1) * step;
    let (scores_left, scores_right) = scores.split_at_mut(scores.len() / count * left);
    let (voted_left, voted_right) = voted.split_at_mut(voted.len() / count * left);
    let (x_left, x_right) = x.split_at(x.len() / count * left);
    fold::join(
        || split(Rows { count: left, scores: scores_left, voted: voted_left, x: x_left }, step, left_tasks, f),
        || split(Rows { count: count - left, scores: scores_right, voted: voted_right, x: x_right }, step, tasks - left_tasks, f),
    );
}
