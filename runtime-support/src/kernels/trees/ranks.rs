//! Ranks: each feature is replaced by how many of its cuts are less, so that tests compare small integers.

use super::Score;
use super::sums::BLOCK;

/// What a byte of a rank is flipped by where it is compared as signed, which is what vector instructions do.
pub(super) const SIGN: u8 = 0x80;
/// Cuts that are counted rather than searched. Those of a feature fill whole windows, with NaN, which is not less than anything.
pub const WINDOW: usize = 32;
/// Words a feature in the tables.
pub const FEATURE: usize = 3;

/// Features and their cuts, as [`sums`](super::sums::sums) has them.
#[derive(Clone, Copy)]
pub(super) struct Cuts<'a, T> {
    pub features: &'a [u32],
    pub sorted: &'a [T],
}

impl<T: Score> Cuts<'_, T> {
    /// How many features have cuts.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.features.len() / FEATURE
    }

    /// For each of them how many of its cuts are less than the row has; if that is NaN, one more than there are.
    #[inline(always)]
    pub fn of_row(&self, ranks: &mut [u16], x: &[T]) -> Option<()> {
        let (mut start, sorted) = (0, self.sorted.as_chunks().0);
        for (rank, feature) in ranks.iter_mut().zip(self.features.as_chunks::<FEATURE>().0) {
            let cuts = sorted.get(start..feature[1] as usize)?;
            start = feature[1] as usize;
            let x = *x.get(feature[0] as usize)?;
            let less = less(cuts, x)?;
            *rank = if x.is_missing() { feature[2] as u16 + 1 } else { less as u16 };
        }
        Some(())
    }
}

/// Features, cuts and columns, as [`sums`](super::sums::sums) has them.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a, T> {
    pub features: &'a [u32],
    pub sorted: &'a [T],
    pub columns: &'a [u32],
}

/// An unsigned integer that holds a rank.
pub(super) trait Rank: Copy {
    /// The greatest.
    const MOST: u32;
    /// The rank, at most [`MOST`](Self::MOST).
    fn of(rank: u32) -> Self;
}
impl Rank for u8 {
    const MOST: u32 = 0xff;
    #[inline(always)]
    fn of(rank: u32) -> Self {
        rank as u8
    }
}
impl Rank for u16 {
    const MOST: u32 = 0xffff;
    #[inline(always)]
    fn of(rank: u32) -> Self {
        rank as u16
    }
}

/// A column's rank: what is left of the number of lesser cuts after the column's first cut; NaN has the least rank or the greatest.
#[inline(always)]
fn of_column<T: Score, R: Rank>(column: &[u32], less: u32, x: T) -> R {
    let of_nan = if column[2] != 0 { 0 } else { R::MOST };
    R::of(if x.is_missing() { of_nan } else { less.saturating_sub(column[1]).min(R::MOST) })
}

impl<T: Score> Tables<'_, T> {
    /// The ranks of one row.
    #[inline(always)]
    pub fn of_row<R: Rank>(&self, ranks: &mut [R], x: &[T]) -> Option<()> {
        let mut columns = self.columns.chunks_exact(3).zip(ranks).peekable();
        let (mut start, sorted) = (0, self.sorted.as_chunks().0);
        for (place, feature) in self.features.as_chunks::<FEATURE>().0.iter().enumerate() {
            let cuts = sorted.get(start..feature[1] as usize)?;
            start = feature[1] as usize;
            let x = *x.get(feature[0] as usize)?;
            let less = less(cuts, x)?;
            while let Some((column, rank)) = columns.next_if(|(c, _)| c[0] as usize == place) {
                *rank = of_column(column, less, x);
            }
        }
        Some(())
    }

    /// The ranks of a block of `count` rows, each column's together, their sign bits flipped.
    #[inline(always)]
    pub fn of_block(&self, ranks: &mut [[u8; BLOCK]], x: &[T], features: usize, count: usize) -> Option<()> {
        let mut columns = self.columns.chunks_exact(3).zip(ranks).peekable();
        let (mut start, sorted) = (0, self.sorted.as_chunks().0);
        for (place, feature) in self.features.as_chunks::<FEATURE>().0.iter().enumerate() {
            let cuts = sorted.get(start..feature[1] as usize)?;
            start = feature[1] as usize;
            let mut values = [T::default(); BLOCK];
            for (value, x) in values.iter_mut().zip(x.get(feature[0] as usize..)?.iter().step_by(features)).take(count) {
                *value = *x;
            }
            let mut lesses = [0; BLOCK];
            for (less_than, &value) in lesses.iter_mut().zip(&values).take(count) {
                *less_than = less(cuts, value)?;
            }
            while let Some((column, ranks)) = columns.next_if(|(c, _)| c[0] as usize == place) {
                for ((rank, &less), &value) in ranks.iter_mut().zip(&lesses).zip(&values) {
                    *rank = of_column::<T, u8>(column, less, value) ^ SIGN;
                }
            }
        }
        Some(())
    }
}

/// How many of the ascending cuts are less than `x`: the window where it lies is found by halving, without a branch, and counted.
#[inline(always)]
fn less<T: Score>(windows: &[[T; WINDOW]], x: T) -> Option<u32> {
    let (mut start, mut len) = (0, windows.len());
    while len > 1 {
        let half = len / 2;
        let below = windows.get(start + half - 1)?[WINDOW - 1] < x;
        start += half * usize::from(below);
        len -= half;
    }
    // In eight sums: one would become a bit test for each cut.
    let mut counts = [0u32; 8];
    for cuts in windows.get(start)?.as_chunks::<8>().0 {
        for (count, &cut) in counts.iter_mut().zip(cuts) {
            *count += u32::from(cut < x);
        }
    }
    Some((start * WINDOW) as u32 + counts.iter().sum::<u32>())
}
