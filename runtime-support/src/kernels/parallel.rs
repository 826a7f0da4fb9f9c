//! Splitting one step over threads: static, without allocation, on the caller's thread too.

use crate::cx::Cx;
use core::marker::PhantomData;
use core::ops::Range;

/// The multiply-adds that are worth another thread (about 5 µs).
pub(crate) const GRAIN: usize = 1 << 18;

/// How many threads are worth it for `work` multiply-adds.
fn threads(cx: Cx, work: usize) -> usize {
    cx.threads().min(work / GRAIN).max(1)
}

/// How many tasks to make of `work` multiply-adds: one a thread, and two where that makes them no less worth it, for a core may be slower than
/// another or have others' work.
pub(crate) fn tasks(cx: Cx, work: usize) -> usize {
    let threads = threads(cx, work);
    if threads > 1 && work / GRAIN >= 8 * threads { 2 * threads } else { threads }
}

/// Calls `f` for each of `0..count`, which is `work` multiply-adds in all, on as many threads as the context has and the work is worth.
pub(crate) fn each(cx: Cx, work: usize, count: usize, f: impl Fn(usize) + Sync) {
    #[cfg(feature = "threads")]
    if threads(cx, work) > 1 && count > 1 {
        return super::team::TEAM.run(threads(cx, work), work, count, &f);
    }
    let _ = (cx, work);
    (0..count).for_each(f);
}

/// Part `i` of `count` nearly equal parts of `0..len`, each a multiple of `step` (but for the last).
pub(crate) fn part(len: usize, step: usize, i: usize, count: usize) -> Range<usize> {
    if count == 1 {
        // Divisions take longer than a small step.
        return 0..len;
    }
    let steps = len.div_ceil(step);
    let cut = |i: usize| (steps * i / count * step).min(len);
    cut(i)..cut(i + 1)
}

/// How to cut a grid of `rows × columns` units into about `tasks` rectangles: the cuts of each axis with the least largest rectangle.
pub(crate) fn grid(tasks: usize, rows: usize, columns: usize) -> (usize, usize) {
    if tasks <= 1 {
        return (1, 1);
    }
    let cost = |&(r, c): &(usize, usize)| rows.div_ceil(r) * columns.div_ceil(c);
    let cuts = (1..=tasks.max(1)).map(|c| ((tasks / c).clamp(1, rows.max(1)), c.clamp(1, columns.max(1))));
    cuts.min_by_key(cost).unwrap_or((1, 1))
}

/// A slice that tasks cut their parts off, each its own.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: a part is given to one task only (the contract of `part`), so this is as sending each task its part.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The elements of `range`; those outside the slice are left out.
    /// # Safety
    /// Ranges of different calls that are in use at the same time do not overlap.
    #[expect(clippy::mut_from_ref, reason = "the parts are disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        // SAFETY: inside the slice, which is borrowed mutably for as long as this lives, and nobody else has these elements.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(start), end - start) }
    }
}
