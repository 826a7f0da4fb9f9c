//! Splitting one step over the threads of the pool: static, without allocation, on the caller's thread too.

use crate::cx::Cx;

/// The multiply-adds that are worth waking a thread for (about 10 µs).
pub(crate) const GRAIN: usize = 1 << 18;

/// How many tasks are worth it for `work` multiply-adds.
pub(crate) fn tasks(cx: Cx, work: usize) -> usize {
    cx.threads().min(work / GRAIN).max(1)
}

/// Calls `f` for each of `0..count`, on several threads if the context has them.
pub(crate) fn each(cx: Cx, count: usize, f: impl Fn(usize) + Sync) {
    // Through a reference, so that the machinery of joins is compiled once.
    let f: &Task<'_> = &f;
    if cx.threads() > 1 && count > 1 {
        split(0, count, f);
    } else {
        (0..count).for_each(f);
    }
}

type Task<'f> = dyn Fn(usize) + Sync + 'f;

#[cfg(feature = "rayon")]
fn split(start: usize, end: usize, f: &Task<'_>) {
    if end - start <= 1 {
        return (start..end).for_each(f);
    }
    let middle = start.midpoint(end);
    rayon::join(|| split(start, middle, f), || split(middle, end, f));
}

#[cfg(not(feature = "rayon"))]
fn split(start: usize, end: usize, f: &Task<'_>) {
    (start..end).for_each(f);
}

/// Part `i` of `count` nearly equal parts of `0..len`, each a multiple of `step` (but for the last).
pub(crate) fn part(len: usize, step: usize, i: usize, count: usize) -> core::ops::Range<usize> {
    let steps = len.div_ceil(step);
    let cut = |i: usize| (steps * i / count * step).min(len);
    cut(i)..cut(i + 1)
}

/// How to cut a grid of `rows × columns` units into about `tasks` rectangles: the cuts of each axis with the least largest rectangle.
pub(crate) fn grid(tasks: usize, rows: usize, columns: usize) -> (usize, usize) {
    let cost = |&(r, c): &(usize, usize)| rows.div_ceil(r) * columns.div_ceil(c);
    let cuts = (1..=tasks.max(1)).map(|c| ((tasks / c).clamp(1, rows.max(1)), c.clamp(1, columns.max(1))));
    cuts.min_by_key(cost).unwrap_or((1, 1))
}
