//! The ranks that tests compare, and how many of them a row costs.

use super::shape::{Forest, Test};
use onnxc_runtime::kernels::trees::sums::{FEATURE, WINDOW};
use std::collections::{BTreeMap, HashMap};

/// The cuts of each feature. The tables are as `onnxc_runtime::kernels::trees::sums` has them.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// Three words each: the feature, the end of its cuts in `sorted`, counted in windows, and how many there are.
    pub features: Vec<u32>,
    /// The cuts of each feature, ascending, then NaN to the end of a window.
    pub sorted: Vec<f64>,
    /// Places of features.
    places: HashMap<u32, usize>,
}

impl Cuts {
    /// The cuts of all tests.
    pub fn new(forest: &Forest) -> Option<Self> {
        let mut by_feature: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for test in forest.trees.iter().flat_map(|t| &t.tests) {
            by_feature.entry(test.feature).or_default().push(test.cut);
        }
        let mut all = Self::default();
        for (place, (feature, mut cuts)) in by_feature.into_iter().enumerate() {
            cuts.sort_by(f64::total_cmp);
            cuts.dedup_by(|a, b| a == b);
            let count = u32::try_from(cuts.len()).ok()?;
            all.sorted.extend(cuts);
            all.sorted.resize(all.sorted.len().next_multiple_of(WINDOW), f64::NAN);
            all.places.insert(feature, place);
            all.features.extend([feature, u32::try_from(all.sorted.len() / WINDOW).ok()?, count]);
        }
        Some(all)
    }

    /// How many features have cuts.
    pub fn count(&self) -> usize {
        self.features.len() / FEATURE
    }

    /// The place of a test's feature, and the greatest rank for which the test is true.
    pub fn place(&self, test: &Test) -> Option<(usize, usize)> {
        let &place = self.places.get(&test.feature)?;
        Some((place, self.of(place).partition_point(|&c| c < test.cut)))
    }

    /// The cuts of the feature at a place.
    pub fn of(&self, place: usize) -> &[f64] {
        let start = if place == 0 { 0 } else { self.features[FEATURE * (place - 1) + 1] as usize * WINDOW };
        self.sorted.get(start..start + self.features[FEATURE * place + 2] as usize).unwrap_or_default()
    }

    /// Cycles to rank one row: a few halvings, then a window is counted.
    pub fn row_cycles(&self) -> f64 {
        (0..self.count()).map(|place| 8.0 + 6.0 * (self.of(place).len() as f64 / 32.0).max(1.0).log2()).sum()
    }
}

/// Which rank a test compares, in columns that hold small integers. The tables are as `onnxc_runtime::kernels::trees::sums` has them.
#[derive(Debug)]
pub struct Ranks {
    /// The cuts.
    pub cuts: Cuts,
    /// Three words each: the place in `features`, the first cut, and 1 if NaN has rank 0.
    pub columns: Vec<u32>,
    /// The most cuts that a column tells apart.
    most: usize,
    /// The columns by place of the feature, number of the part of its cuts, and where NaN goes.
    numbers: HashMap<(usize, usize, bool), u16>,
}

impl Ranks {
    /// The ranks of all tests, in columns of at most `most` cuts; `None` if there are too many columns.
    pub fn new(forest: &Forest, cuts: &Cuts, most: usize) -> Option<Self> {
        let mut ranks = Self { cuts: cuts.clone(), columns: Vec::new(), most, numbers: HashMap::new() };
        let tests = forest.trees.iter().flat_map(|t| &t.tests);
        let mut used = tests.map(|test| Some(ranks.key(test)?.0)).collect::<Option<Vec<_>>>()?;
        used.sort_unstable();
        used.dedup();
        for (i, key) in used.into_iter().enumerate() {
            ranks.columns.extend([key.0 as u32, (key.1 * most) as u32, u32::from(key.2)]);
            ranks.numbers.insert(key, u16::try_from(i).ok()?);
        }
        Some(ranks)
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len() / 3
    }

    /// The column of a test, and the greatest rank in it for which the test is true.
    pub fn place(&self, test: &Test) -> Option<(u16, u16)> {
        let (key, rank) = self.key(test)?;
        Some((*self.numbers.get(&key)?, rank))
    }

    fn key(&self, test: &Test) -> Option<((usize, usize, bool), u16)> {
        let (place, rank) = self.cuts.place(test)?;
        Some(((place, rank / self.most, test.nan_true), (rank % self.most) as u16))
    }
}
