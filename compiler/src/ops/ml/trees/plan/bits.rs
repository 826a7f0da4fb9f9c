//! The tables of `onnxc_runtime::kernels::trees::bits`.

use super::ranks::Ranks;
use super::shape::{Branch, Forest, Tree};
use crate::ops::ml::trees::ensemble::Ensemble;
use onnxc_runtime::kernels::trees::bits::{MOST_COLUMNS, MOST_LEAVES, RANKS, WORD_BITS, WORDS};
use std::collections::BTreeMap;

/// The tables, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Bits {
    pub groups: Vec<u32>,
    pub entries: Vec<u32>,
    pub maps: Vec<u8>,
    pub masks: Vec<u32>,
    pub trees: Vec<u32>,
    pub values: Vec<f64>,
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

    fn words(&self) -> usize {
        self.leaves.len().div_ceil(WORD_BITS)
    }
}

impl Bits {
    /// The tables, unless a tree is too large or they are.
    pub fn new(e: &Ensemble, forest: &Forest, ranks: &Ranks) -> Option<Self> {
        if ranks.width() > MOST_COLUMNS {
            return None;
        }
        let mut bits = Self::default();
        let mut rest = forest.trees.as_slice();
        while !rest.is_empty() {
            let slots = rest.iter().take(WORDS).map(Slots::of).collect::<Option<Vec<_>>>()?;
            let small = slots.iter().take_while(|s| s.words() == 1).count();
            let (words, count) = if small > WORDS / 2 || small == rest.len() { (1, small) } else { (2, slots.len().min(WORDS / 2)) };
            let (group, others) = rest.split_at(count);
            bits.group(ranks, group, &slots, words)?;
            for (tree, slots) in group.iter().zip(&slots) {
                bits.trees.extend([u32::try_from(bits.values.len()).ok()?, tree.target.unwrap_or(0)]);
                bits.values.extend(slots.leaves.iter().flat_map(|&leaf| forest.values(e, tree.leaves[leaf as usize])));
            }
            bits.groups.extend([bits.entries.len() as u32 / 2, bits.trees.len() as u32 / 2, words as u32]);
            if bits.maps.len() + 4 * bits.masks.len() > MOST_BYTES {
                return None;
            }
            rest = others;
        }
        Some(bits)
    }

    /// Maps and masks of a group, column by column.
    fn group(&mut self, ranks: &Ranks, trees: &[Tree], slots: &[Slots], words: usize) -> Option<()> {
        // What tests rule out, by column and greatest rank for which they are true.
        let mut columns: BTreeMap<u16, BTreeMap<u16, [u32; WORDS]>> = BTreeMap::new();
        for (i, (tree, slots)) in trees.iter().zip(slots).enumerate() {
            for &(test, start, end) in &slots.tests {
                let (column, most) = ranks.place(&tree.tests[test as usize])?;
                let out = columns.entry(column).or_default().entry(most).or_insert([0; WORDS]);
                for slot in start..end {
                    out[i * words + slot / WORD_BITS] |= 1 << (slot % WORD_BITS);
                }
            }
        }
        for (column, tests) in columns {
            self.entries.extend([u32::from(column), (self.masks.len() / WORDS) as u32]);
            self.maps.extend((0..RANKS).map(|rank| tests.keys().filter(|&&most| usize::from(most) < rank).count() as u8));
            let mut left = [u32::MAX; WORDS];
            self.masks.extend(left);
            for out in tests.values() {
                left.iter_mut().zip(out).for_each(|(left, out)| *left &= !out);
                self.masks.extend(left);
            }
        }
        Some(())
    }

    /// Cycles for one row that is ranked.
    pub fn row_cycles(&self) -> f64 {
        self.entries.len() as f64 / 2.0 * 3.0 + self.trees.len() as f64 / 2.0 * 4.0
    }
}
