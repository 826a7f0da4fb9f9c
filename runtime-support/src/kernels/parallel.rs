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

/// How to cut a grid of `rows` (in multiples of `step`) by `columns` into about `tasks` rectangles: the cuts of each axis with the least largest
/// rectangle, where each task that is not made counts as much as one that is.
pub(crate) fn grid(tasks: usize, rows: usize, step: usize, columns: usize) -> (usize, usize) {
    if tasks <= 1 {
        return (1, 1);
    }
    let steps = rows.div_ceil(step);
    let cost = |&(r, c): &(usize, usize)| (largest(rows, step, r) * columns.div_ceil(c)).saturating_mul(tasks) / (r * c);
    let cuts = (1..=tasks.max(1)).map(|c| ((tasks / c).clamp(1, steps.max(1)), c.clamp(1, columns.max(1))));
    cuts.min_by_key(cost).unwrap_or((1, 1))
}

/// The length of the largest [`part`] of `count`.
fn largest(len: usize, step: usize, count: usize) -> usize {
    let steps = len.div_ceil(step);
    let (each, longer) = (steps / count, steps % count);
    match longer {
        0 => (each * step).min(len),
        // Only the last part has one step more, and that may be a short one.
        1 => (each * step).max(len - each * (count - 1) * step),
        _ => (each + 1) * step,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_cut_where_parts_are_equal() {
        // 32 rows are a step of 24 and one of 8; the four columns are halved.
        assert_eq!(grid(2, 32, 24, 4), (1, 2));
        assert_eq!(grid(2, 48, 24, 3), (2, 1));
        assert_eq!(grid(4, 96, 24, 2), (4, 1));
        assert_eq!(grid(4, 24, 24, 2), (1, 2));
        // Three tasks would leave one thread idle for a third of the time.
        assert_eq!(grid(4, 196, 24, 3), (4, 1));
        assert_eq!((grid(1, 96, 24, 2), grid(8, 0, 24, 0)), ((1, 1), (1, 1)));
    }

    #[test]
    fn the_largest_part_is_as_long_as_it_is_said_to_be() {
        for (len, step, count) in (0..60).flat_map(|len| (1..6).flat_map(move |step| (1..9).map(move |count| (len, step, count)))) {
            let parts = (0..count).map(|i| part(len, step, i, count).len());
            assert_eq!(largest(len, step, count), parts.max().unwrap_or(0), "{len} by {step} in {count}");
        }
    }
}
