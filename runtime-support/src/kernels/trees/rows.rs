//! Rows over threads: the scores and votes of a run of rows are cut off for each task.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::{fold, parallel};
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether any task failed.
#[derive(Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    /// Notes a task's result.
    pub fn note(&self, result: Option<()>) {
        if result.is_none() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    /// Whether any was `None`.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What kernels say of tables that do not fit each other.
pub(super) const BROKEN: Fault = Fault::Internal { what: "trees: tables" };

/// The number of rows, or 0 if they are not in `range` (least, and one past the most or 0) and so another
/// kernel's.
#[inline]
pub(super) fn count(scores: usize, x: usize, (targets, width): (usize, usize), range: (usize, usize)) -> Result<usize, Fault> {
    let count = scores.checked_div(targets).filter(|_| width == 1 || width == targets).ok_or(BROKEN)?;
    if count == 0 || count < range.0 || (range.1 != 0 && count >= range.1) {
        return Ok(0);
    }
    if scores.is_multiple_of(targets) && x.is_multiple_of(count) { Ok(count) } else { Err(BROKEN) }
}

/// The outputs and the inputs of a run of rows.
pub(super) struct Rows<'a, T, R = u8> {
    /// How many rows.
    pub count: usize,
    /// Scores, `count` times the number of targets.
    pub scores: &'a mut [T],
    /// Votes: as many as scores, or none.
    pub voted: &'a mut [u8],
    /// Scratch of the task, an equal part of all.
    pub scratch: &'a mut [R],
    /// The features, `count` times their number.
    pub x: &'a [T],
}

/// Calls `f` for all rows, cut in as many runs (of multiples of `step` rows) as are worth a thread at `work` multiply-adds, but `most`.
pub(super) fn each<T: Send + Sync, R: Send>(
    cx: Cx,
    rows: Rows<'_, T, R>,
    (step, most): (usize, usize),
    work: usize,
    f: &(impl Fn(Rows<'_, T, R>) + Sync),
) {
    let tasks = parallel::tasks(cx, work).min(rows.count.div_ceil(step)).min(most).max(1);
    split(rows, step, tasks, f);
}

fn split<T: Send + Sync, R: Send>(rows: Rows<'_, T, R>, step: usize, tasks: usize, f: &(impl Fn(Rows<'_, T, R>) + Sync)) {
    // Rounding may have left fewer rows than tasks.
    if tasks <= 1 || rows.count <= step {
        return f(rows);
    }
    let Rows { count, scores, voted, scratch, x } = rows;
    let left_tasks = tasks / 2;
    let left = ((count.div_ceil(step) * left_tasks / tasks).max(1) * step).min(count);
    let (scores_left, scores_right) = scores.split_at_mut(scores.len() / count * left);
    let (voted_left, voted_right) = voted.split_at_mut(voted.len() / count * left);
    let (scratch_left, scratch_right) = scratch.split_at_mut(scratch.len() / tasks * left_tasks);
    let (x_left, x_right) = x.split_at(x.len() / count * left);
    fold::join(
        || {
            let rows = Rows { count: left, scores: scores_left, voted: voted_left, scratch: scratch_left, x: x_left };
            split(rows, step, left_tasks, f);
        },
        || {
            let rows = Rows { count: count - left, scores: scores_right, voted: voted_right, scratch: scratch_right, x: x_right };
            split(rows, step, tasks - left_tasks, f);
        },
    );
}
