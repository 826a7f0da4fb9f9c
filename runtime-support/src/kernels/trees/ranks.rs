//! Ranks: each feature is replaced by how many of its cuts are less, so that tests compare small integers.

use super::Score;
use super::sums::BLOCK;

/// What a byte of a rank is flipped by where it is compared as signed, which is what vector instructions do.
pub(super) const SIGN: u8 = 0x80;
/// Cuts that are counted rather than searched.
const WINDOW: usize = 32;

/// Features and columns, as [`sums`](super::sums::sums) has them.
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
        let mut start = 0;
        for (place, feature) in self.features.chunks_exact(2).enumerate() {
            let cuts = self.sorted.get(start..feature[1] as usize)?;
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
        let mut start = 0;
        for (place, feature) in self.features.chunks_exact(2).enumerate() {
            let cuts = self.sorted.get(start..feature[1] as usize)?;
            start = feature[1] as usize;
            let mut values = [T::default(); BLOCK];
            for (value, x) in values.iter_mut().zip(x.get(feature[0] as usize..)?.iter().step_by(features)).take(count) {
                *value = *x;
            }
            let less = search(cuts, &values)?;
            while let Some((column, ranks)) = columns.next_if(|(c, _)| c[0] as usize == place) {
                for ((rank, &less), &value) in ranks.iter_mut().zip(&less).zip(&values) {
                    *rank = of_column::<T, u8>(column, less, value) ^ SIGN;
                }
            }
        }
        Some(())
    }
}

/// How many of the ascending cuts are less than `x`: halved without a branch, then counted.
#[inline(always)]
fn less<T: Score>(cuts: &[T], x: T) -> Option<u32> {
    let (mut start, mut len) = (0, cuts.len());
    if len < WINDOW {
        return Some(counted(cuts, x));
    }
    while len > WINDOW {
        // The number of cuts below is in start..=start + len.
        let half = len / 2;
        let below = *cuts.get(start + half - 1)? < x;
        start += half * usize::from(below);
        len -= half;
    }
    // Where the window sticks out it begins earlier, with cuts that are less.
    let start = start.min(cuts.len() - WINDOW);
    let window: &[T; WINDOW] = cuts.get(start..)?.first_chunk()?;
    Some(start as u32 + counted(window, x))
}

#[inline(always)]
fn counted<T: Score>(cuts: &[T], x: T) -> u32 {
    let mut count = 0;
    for &cut in cuts {
        count += u32::from(cut < x);
    }
    count
}

/// The same for a block of values: a binary search of all in step.
#[inline(always)]
fn search<T: Score>(cuts: &[T], values: &[T; BLOCK]) -> Option<[u32; BLOCK]> {
    let mut places = [0u32; BLOCK];
    let mut len = cuts.len();
    while len > 0 {
        // The number of cuts below is in places..=places + len.
        let half = len.div_ceil(2);
        for (place, value) in places.iter_mut().zip(values) {
            let below = *cuts.get(*place as usize + half - 1)? < *value;
            *place += half as u32 * u32::from(below);
        }
        len -= half;
    }
    Some(places)
}
