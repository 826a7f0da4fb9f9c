//! Rows over threads: the scores and votes of a run of rows are cut off for each task.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::parallel::{self, Parts};
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

/// What a kernel is to do of an ensemble's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The number of targets.
    pub targets: usize,
    /// How many values a leaf has: 1, or one for each target.
    pub width: usize,
    /// The least number of rows that it is for; with fewer it does nothing.
    pub least: usize,
    /// One past the greatest number of rows that it is for; 0 if there is none.
    pub below: usize,
}

impl Share {
    /// The number of rows, or 0 if there are none for this kernel.
    #[inline]
    pub(super) fn count(&self, scores: usize, x: usize) -> Result<usize, Fault> {
        let count = scores.checked_div(self.targets).filter(|_| self.width == 1 || self.width == self.targets).ok_or(BROKEN)?;
        if count == 0 || count < self.least || (self.below != 0 && count >= self.below) {
            return Ok(0);
        }
        if scores.is_multiple_of(self.targets) && x.is_multiple_of(count) { Ok(count) } else { Err(BROKEN) }
    }
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
    if tasks == 1 {
        return f(rows);
    }
    let Rows { count, scores, voted, scratch, x } = rows;
    let Some(columns) = x.len().checked_div(count) else { return };
    let (targets, votes, each) = (scores.len() / count, voted.len() / count, scratch.len() / tasks);
    let (scores, voted, scratch) = (Parts::new(scores), Parts::new(voted), Parts::new(scratch));
    parallel::each(cx, work, tasks, |task| {
        let range = parallel::part(count, step, task, tasks);
        let of = |width: usize| range.start * width..range.end * width;
        // SAFETY: rows of different tasks are different.
        let (scores, voted) = unsafe { (scores.part(of(targets)), voted.part(of(votes))) };
        // SAFETY: each task has its part.
        let scratch = unsafe { scratch.part(task * each..(task + 1) * each) };
        f(Rows { count: range.len(), scores, voted, scratch, x: &x[of(columns)] });
    });
}
