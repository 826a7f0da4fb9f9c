//! The tables of `onnxc_runtime::kernels::trees::bits`.

use super::ranks::Cuts;
use super::shape::{Branch, Forest, Tree};
use crate::ops::ml::trees::ensemble::Ensemble;
use onnxc_runtime::kernels::trees::bits::{GROUPS, MOST_CUTS, MOST_LEAVES, WORD_BITS, WORDS};
use std::collections::{BTreeMap, BTreeSet};

/// The tables, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Bits {
    pub shelves: Vec<u32>,
    pub groups: Vec<u32>,
    pub entries: Vec<u32>,
    pub maps: Vec<u16>,
    pub masks: Vec<u32>,
    pub trees: Vec<u32>,
    pub values: Vec<f64>,
    /// The entries of each shelf times its groups, together.
    lookups: usize,
}

/// More bytes of maps and masks than this do not stay in any cache.
const MOST_BYTES: usize = 1 << 24;

/// A tree whose leaves are numbered from true to false branches; what several branches lead to is there several times.
#[derive(Default)]
struct Slots {
    /// The tree's leaves by slot.
    leaves: Vec<u32>,
    /// For each test: its number, and the slots that it rules out if it fails, first and end.
    tests: Vec<(u32, usize, usize)>,
}

impl Slots {
    fn of(tree: &Tree) -> Option<Self> {
        let mut slots = Self::default();
        slots.visit(tree, tree.root(), 0)?;
        Some(slots)
    }

    fn visit(&mut self, tree: &Tree, branch: Branch, depth: usize) -> Option<()> {
        match branch {
            Branch::Leaf(leaf) => self.leaves.push(leaf),
            // Every test above will have added a leaf.
            Branch::Test(_) if depth >= MOST_LEAVES => return None,
            Branch::Test(test) => {
                let [yes, no] = tree.tests[test as usize].branches;
                let start = self.leaves.len();
                self.visit(tree, yes, depth + 1)?;
                self.tests.push((test, start, self.leaves.len()));
                self.visit(tree, no, depth + 1)?;
            }
        }
        (self.leaves.len() <= MOST_LEAVES).then_some(())
    }

    /// The words for its leaves: a power of two.
    fn words(&self) -> usize {
        self.leaves.len().div_ceil(WORD_BITS).next_power_of_two()
    }
}

/// What the tests of a group on one feature rule out.
#[derive(Default)]
struct Column {
    /// By the greatest rank for which tests are true.
    tests: BTreeMap<usize, [u32; WORDS]>,
    /// If the feature is NaN.
    missing: [u32; WORDS],
}

/// Trees that fill the words of a set, and what their tests rule out by place of the feature.
struct Group {
    trees: usize,
    words: usize,
    columns: BTreeMap<usize, Column>,
}

impl Group {
    /// The group that begins with the first of those trees.
    fn first(trees: &[Tree], slots: &[Slots]) -> Self {
        let (mut count, mut words) = (0, 1);
        for slots in slots {
            let most = slots.words().max(words);
            if (count + 1) * most > WORDS {
                break;
            }
            (count, words) = (count + 1, most);
        }
        let mut group = Self { trees: count, words, columns: BTreeMap::new() };
        for (i, (tree, slots)) in trees.iter().zip(slots).enumerate().take(count) {
            for &(test, start, end) in &slots.tests {
                let test = &tree.tests[test as usize];
                let column = group.columns.entry(test.place as usize).or_default();
                let out = column.tests.entry(test.rank as usize).or_insert([0; WORDS]);
                for slot in start..end {
                    let (word, bit) = (i * words + slot / WORD_BITS, 1 << (slot % WORD_BITS));
                    out[word] |= bit;
                    if !test.nan_true {
                        column.missing[word] |= bit;
                    }
                }
            }
        }
        group
    }
}

impl Bits {
    /// The tables, unless a tree is too large or they are.
    pub fn new(e: &Ensemble, forest: &Forest) -> Option<Self> {
        let cuts = &forest.cuts;
        if (0..cuts.count()).any(|place| cuts.of(place).len() > MOST_CUTS) {
            return None;
        }
        let mut bits = Self::default();
        let slots = forest.trees.iter().map(Slots::of).collect::<Option<Vec<_>>>()?;
        let mut done = 0;
        while done < slots.len() {
            let mut shelf = Vec::new();
            while shelf.len() < GROUPS && done < slots.len() {
                let group = Group::first(&forest.trees[done..], &slots[done..]);
                for (tree, slots) in forest.trees.iter().zip(&slots).skip(done).take(group.trees) {
                    bits.trees.extend([u32::try_from(bits.values.len()).ok()?, tree.target.unwrap_or(0)]);
                    bits.values.extend(slots.leaves.iter().flat_map(|&leaf| forest.values(e, tree.leaves[leaf as usize])));
                }
                done += group.trees;
                bits.groups.extend([done as u32, group.words as u32]);
                shelf.push(group);
            }
            bits.shelf(cuts, &shelf)?;
            if 2 * bits.maps.len() + 4 * bits.masks.len() > MOST_BYTES {
                return None;
            }
        }
        Some(bits)
    }

    /// Entries, maps and masks of a shelf.
    fn shelf(&mut self, cuts: &Cuts, groups: &[Group]) -> Option<()> {
        let first = self.masks.len();
        // What leaves all leaves, for groups that do not test a feature.
        self.masks.extend([u32::MAX; WORDS]);
        let places: BTreeSet<usize> = groups.iter().flat_map(|g| g.columns.keys().copied()).collect();
        for &place in &places {
            let row = self.maps.len() / GROUPS;
            self.entries.extend([place as u32, u32::try_from(row).ok()?]);
            // The ranks of numbers, and that of NaN.
            let ranks = cuts.of(place).len() + 2;
            self.maps.resize(self.maps.len() + ranks * GROUPS, 0);
            for (g, group) in groups.iter().enumerate() {
                let Some(column) = group.columns.get(&place) else { continue };
                let masks = self.masks.len();
                let map = column.masks(&mut self.masks, ranks - 1).into_iter().chain([column.tests.len() + 1]);
                for (rank, mask) in map.enumerate() {
                    self.maps[(row + rank) * GROUPS + g] = u16::try_from((masks - first) / WORDS + mask).ok()?;
                }
            }
        }
        self.lookups += places.len() * groups.len();
        self.shelves.extend([self.groups.len() as u32 / 2, self.entries.len() as u32 / 2, (first / WORDS) as u32]);
        Some(())
    }

    /// Cycles for one row that is ranked.
    pub fn row_cycles(&self) -> f64 {
        self.lookups as f64 * 2.0 + self.trees.len() as f64 / 2.0 * 4.0
    }
}

impl Column {
    /// Adds the masks: one more than there are tests that differ, and that of NaN. Gives which of them is that of each rank of numbers.
    fn masks(&self, masks: &mut Vec<u32>, ranks: usize) -> Vec<usize> {
        let mut left = [u32::MAX; WORDS];
        masks.extend(left);
        for out in self.tests.values() {
            left.iter_mut().zip(out).for_each(|(left, out)| *left &= !out);
            masks.extend(left);
        }
        masks.extend(self.missing.map(|out| !out));
        let (mut of_rank, mut failed) = (Vec::with_capacity(ranks), 0);
        let mut tests = self.tests.keys().peekable();
        for rank in 0..ranks {
            while tests.next_if(|&&most| most < rank).is_some() {
                failed += 1;
            }
            of_rank.push(failed);
        }
        of_rank
    }
}
