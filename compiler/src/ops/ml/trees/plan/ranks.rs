//! The ranks that tests compare, and how many of them a row costs.

use super::shape::{Forest, Test, Tree};
use onnxc_runtime::kernels::trees::sums::{FEATURE, WINDOW, levels, windows};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The cuts of each feature. The tables are as `onnxc_runtime::kernels::trees::sums` has them.
#[derive(Debug, Default)]
pub struct Cuts {
    /// Three words each: the feature, the end of its cuts in `sorted`, counted in windows, and how many there are.
    pub features: Vec<u32>,
    /// The cuts of each feature, ascending, below the levels that lead to them.
    pub sorted: Vec<f64>,
}

impl Cuts {
    /// The cuts of all tests, which are told their places. Tests are sorted rather than looked up one by one: of millions, each search would wait for
    /// memory.
    pub fn new(trees: &mut [Tree]) -> Option<Self> {
        let mut by_feature: BTreeMap<u32, Vec<(f64, u32)>> = BTreeMap::new();
        for (number, test) in trees.iter().flat_map(|t| &t.tests).enumerate() {
            by_feature.entry(test.feature).or_default().push((test.cut, u32::try_from(number).ok()?));
        }
        let mut places = vec![[0; 2]; trees.iter().map(|t| t.tests.len()).sum()];
        let mut all = Self::default();
        for (place, (feature, mut cuts)) in (0..).zip(by_feature) {
            cuts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut sorted = Vec::new();
            // Zeros of both signs are one cut.
            for equal in cuts.chunk_by(|a, b| a.0 == b.0) {
                let rank = u32::try_from(sorted.len()).ok()?;
                equal.iter().for_each(|&(_, number)| places[number as usize] = [place, rank]);
                sorted.push(equal[0].0);
            }
            for level in (0..levels(sorted.len())).rev() {
                let end = all.sorted.len() + windows(sorted.len(), level) * WINDOW;
                let each = WINDOW.pow(level);
                let lasts =
                    sorted.chunks_exact(each).map(|below| below[each - 1]).take(sorted.len().div_ceil(each) - usize::from(level > 0));
                all.sorted.extend(lasts);
                all.sorted.resize(end, f64::NAN);
            }
            all.features.extend([feature, u32::try_from(all.sorted.len() / WINDOW).ok()?, u32::try_from(sorted.len()).ok()?]);
        }
        for (test, [place, rank]) in trees.iter_mut().flat_map(|t| &mut t.tests).zip(places) {
            (test.place, test.rank) = (place, rank);
        }
        Some(all)
    }

    /// How many features have cuts.
    pub fn count(&self) -> usize {
        self.features.len() / FEATURE
    }

    /// The cuts of the feature at a place.
    pub fn of(&self, place: usize) -> &[f64] {
        let (end, count) = (self.features[FEATURE * place + 1] as usize, self.features[FEATURE * place + 2] as usize);
        let start = (end - windows(count, 0)) * WINDOW;
        self.sorted.get(start..start + count).unwrap_or_default()
    }

    /// Cycles to rank one row: a window is counted on each level.
    pub fn row_cycles(&self) -> f64 {
        (0..self.count()).map(|place| 12.0 * f64::from(levels(self.of(place).len()))).sum()
    }
}

/// Which rank a test compares, in columns that hold small integers. The tables are as `onnxc_runtime::kernels::trees::sums` has them.
#[derive(Debug)]
pub struct Ranks {
    /// The cuts.
    pub cuts: Arc<Cuts>,
    /// Three words each: the place in `features`, the first cut, and 1 if NaN has rank 0.
    pub columns: Vec<u32>,
    /// The most cuts that a column tells apart.
    most: usize,
    /// The first part of each feature's cuts among those of all features, by place.
    parts: Vec<usize>,
    /// The column of each part, for each place where NaN may go.
    numbers: Vec<[Option<u16>; 2]>,
}

impl Ranks {
    /// The ranks of all tests, in columns of at most `most` cuts; `None` if there would be more than `limit` columns.
    pub fn new(forest: &Forest, most: usize, limit: usize) -> Option<Self> {
        let cuts = &forest.cuts;
        let (mut parts, mut count) = (Vec::with_capacity(cuts.count()), 0usize);
        for place in 0..cuts.count() {
            parts.push(count);
            count += cuts.of(place).len().div_ceil(most);
        }
        // Each part has a test.
        if count > limit.min(usize::from(u16::MAX)) {
            return None;
        }
        let mut ranks = Self { cuts: cuts.clone(), columns: Vec::new(), most, parts, numbers: vec![[None; 2]; count] };
        for test in forest.trees.iter().flat_map(|t| &t.tests) {
            let part = ranks.part(test)?;
            ranks.numbers[part][usize::from(test.nan_true)] = Some(0);
        }
        for place in 0..cuts.count() {
            let end = ranks.parts.get(place + 1).copied().unwrap_or(count);
            for part in ranks.parts[place]..end {
                let first = (part - ranks.parts[place]) * most;
                for (nan_true, number) in (0..).zip(&mut ranks.numbers[part]) {
                    if let Some(number) = number {
                        *number = u16::try_from(ranks.columns.len() / 3).ok()?;
                        ranks.columns.extend([place as u32, first as u32, nan_true]);
                    }
                }
            }
        }
        (ranks.width() <= limit).then_some(ranks)
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len() / 3
    }

    /// The most cuts that any column tells apart.
    pub fn most_cuts(&self) -> usize {
        let cuts = |column: &[u32]| (self.cuts.of(column[0] as usize).len() - column[1] as usize).min(self.most);
        self.columns.chunks_exact(3).map(cuts).max().unwrap_or(0)
    }

    /// The column of a test, and the greatest rank in it for which the test is true.
    pub fn place(&self, test: &Test) -> Option<(u16, u16)> {
        let number = self.numbers.get(self.part(test)?)?[usize::from(test.nan_true)];
        Some((number?, (test.rank as usize % self.most) as u16))
    }

    fn part(&self, test: &Test) -> Option<usize> {
        Some(self.parts.get(test.place as usize)? + test.rank as usize / self.most)
    }
}
