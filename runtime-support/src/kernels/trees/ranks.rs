//! Ranks: each feature is replaced by how many of its cuts are less, so that tests compare small integers.

use super::Score;
use crate::simd::Simd;

/// What a byte of a rank is flipped by where it is compared as signed, which is what vector instructions do.
pub(super) const SIGN: u8 = 0x80;
/// Cuts that are counted rather than searched.
pub const WINDOW: usize = 32;
/// Words a feature in the tables.
pub const FEATURE: usize = 3;

/// The levels of the search among that many cuts: the lowest has all of them in windows of [`WINDOW`], filled with NaN, which is not less than
/// anything; each other the last cut of each window of the one below, but the last window's. The topmost is one window, and the first in the tables.
#[inline(always)]
pub const fn levels(cuts: usize) -> u32 {
    let levels = (usize::BITS - cuts.saturating_sub(1).leading_zeros()).div_ceil(WINDOW.ilog2());
    if levels == 0 { 1 } else { levels }
}

/// The windows of a level that there is.
#[inline(always)]
pub const fn windows(cuts: usize, level: u32) -> usize {
    cuts.saturating_sub(1).unbounded_shr((level + 1) * WINDOW.ilog2()) + 1
}

/// Features and their cuts, as [`sums`](super::sums::sums) has them.
#[derive(Clone, Copy)]
pub(super) struct Cuts<'a, T> {
    pub features: &'a [u32],
    pub sorted: &'a [T],
}

/// A feature that is tested, and its cuts, level after level.
#[derive(Clone, Copy)]
struct Feature<'a, T> {
    number: usize,
    windows: &'a [[T; WINDOW]],
    cuts: usize,
}

impl<'a, T: Score> Cuts<'a, T> {
    /// How many features have cuts.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.features.len() / FEATURE
    }

    /// Those features.
    #[inline(always)]
    fn each(self) -> impl Iterator<Item = Option<Feature<'a, T>>> {
        let (mut start, sorted) = (0, self.sorted.as_chunks().0);
        self.features.as_chunks::<FEATURE>().0.iter().map(move |&[number, end, cuts]| {
            let windows = sorted.get(start..end as usize)?;
            start = end as usize;
            Some(Feature { number: number as usize, windows, cuts: cuts as usize })
        })
    }

    /// For each of them how many of its cuts are less than the row has; if that is NaN, one more than there are.
    #[inline(always)]
    pub fn of_row<S: Simd>(self, s: S, ranks: &mut [u16], x: &[T]) -> Option<()> {
        for (rank, feature) in ranks.iter_mut().zip(self.each()) {
            let feature = feature?;
            let x = *x.get(feature.number)?;
            *rank = if x.is_missing() { feature.cuts as u16 + 1 } else { feature.less(s, x)? as u16 };
        }
        Some(())
    }
}

impl<T: Score> Feature<'_, T> {
    /// How many of the cuts are less than `x`: level by level, that many windows are left behind.
    #[inline(always)]
    fn less<S: Simd>(&self, s: S, x: T) -> Option<u32> {
        let mut place = x.count_less(s, self.windows.first()?);
        if self.cuts <= WINDOW {
            return Some(place);
        }
        let mut first = 1;
        for level in (0..levels(self.cuts) - 1).rev() {
            place = place * WINDOW as u32 + x.count_less(s, self.windows.get(first + place as usize)?);
            if level > 0 {
                first += windows(self.cuts, level);
            }
        }
        Some(place)
    }
}

/// Features, cuts and columns, as [`sums`](super::sums::sums) has them.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a, T> {
    pub cuts: Cuts<'a, T>,
    pub columns: &'a [u32],
}

impl<'a, T: Score> Tables<'a, T> {
    /// As the kernels get them.
    pub fn new(features: &'a [u32], sorted: &'a [T], columns: &'a [u32]) -> Self {
        Self { cuts: Cuts { features, sorted }, columns }
    }

    /// How many columns of ranks there are.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.columns.len() / 3
    }

    /// The ranks of a row: `most` is the greatest, and stored is what `rank` makes of them.
    #[inline(always)]
    pub fn of_row<S: Simd, R>(&self, s: S, ranks: &mut [R], x: &[T], most: u32, rank: impl Fn(u32) -> R) -> Option<()> {
        let mut features = self.cuts.each();
        let (mut at, mut value, mut less) = (u32::MAX, T::default(), 0);
        for (&[place, first, nan_true], to) in self.columns.as_chunks::<3>().0.iter().zip(ranks) {
            // The columns of a feature follow each other, and no feature is without.
            if place != at {
                let feature = features.next()??;
                (at, value) = (place, *x.get(feature.number)?);
                less = feature.less(s, value)?;
            }
            *to = rank(if value.is_missing() { of_nan(nan_true, most) } else { less.saturating_sub(first).min(most) });
        }
        Some(())
    }

    /// The ranks of the `count` first rows of `x`, `N` rows after `N` rows, and of those each column's together: `most` is the greatest, and stored is
    /// what `rank` makes of them. Rows that are missing have the ranks of zeros. One feature after the other, so that its cuts stay near.
    #[inline(always)]
    pub fn of_rows<S: Simd, R, const N: usize>(
        &self,
        s: S,
        ranks: &mut [[R; N]],
        x: &[T],
        features: usize,
        count: usize,
        most: u32,
        rank: impl Fn(u32) -> R,
    ) -> Option<()> {
        let (mut columns, mut before) = (self.columns.as_chunks::<3>().0, 0);
        for (place, feature) in self.cuts.each().enumerate() {
            let feature = feature?;
            let x = x.get(feature.number..)?;
            let (mine, others) = columns.split_at(columns.iter().take_while(|c| c[0] as usize == place).count());
            for (first, ranks) in (0..count).step_by(N).zip(ranks.chunks_exact_mut(self.width().max(1))) {
                let mut values = [T::default(); N];
                for (value, x) in values.iter_mut().zip(x.iter().step_by(features).skip(first)).take(count - first) {
                    *value = *x;
                }
                let mut lesses = [0; N];
                for (less, &value) in lesses.iter_mut().zip(&values) {
                    *less = feature.less(s, value)?;
                }
                for (&[_, first, nan_true], ranks) in mine.iter().zip(ranks.get_mut(before..)?) {
                    for ((to, &less), &value) in ranks.iter_mut().zip(&lesses).zip(&values) {
                        *to = rank(if value.is_missing() { of_nan(nan_true, most) } else { less.saturating_sub(first).min(most) });
                    }
                }
            }
            before += mine.len();
            columns = others;
        }
        Some(())
    }
}

/// NaN has the least rank of a column, or the greatest.
#[inline(always)]
fn of_nan(nan_true: u32, most: u32) -> u32 {
    if nan_true != 0 { 0 } else { most }
}
