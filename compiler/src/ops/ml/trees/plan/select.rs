//! The tables of `onnxc_runtime::kernels::trees::sums`, and those of `walk`, which shares them.

use super::ranks::Ranks;
use super::shape::{Branch, Forest};
use onnxc_runtime::kernels::trees::sums::{BLOCK, MOST_LEAVES, MOST_TESTS};
use onnxc_runtime::kernels::trees::walk::{NAN_TRUE, WALK_LEAF};

/// The trees, and the tests of `sums`, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Select {
    pub tests: Vec<u16>,
}

impl Select {
    /// The tables, unless a tree is too large.
    pub fn new(forest: &Forest, ranks: &Ranks) -> Option<Self> {
        let mut select = Self::default();
        for tree in &forest.trees {
            if tree.tests.len() > MOST_TESTS || tree.leaves.len() > MOST_LEAVES {
                return None;
            }
            for test in &tree.tests {
                let (column, most) = ranks.place(test)?;
                let [yes, no] = test.branches.map(|b| match b {
                    Branch::Leaf(i) => i as u16,
                    Branch::Test(i) => i as u16 + MOST_LEAVES as u16,
                });
                select.tests.extend([column, most, yes, no]);
            }
        }
        Some(select)
    }

    /// Cycles for a block of [`BLOCK`] rows that are ranked.
    pub fn block_cycles(&self, forest: &Forest) -> f64 {
        self.tests.len() as f64 / 4.0 * 5.0 + (forest.trees.len() * BLOCK) as f64 * 1.5
    }
}

/// The tables of `walk`, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Walk {
    pub links: Vec<u32>,
    pub cuts: Vec<f64>,
}

impl Walk {
    /// The tables, unless a tree is too large.
    pub fn new(forest: &Forest) -> Option<Self> {
        let mut walk = Self::default();
        for tree in &forest.trees {
            if tree.tests.len().max(tree.leaves.len()) >= WALK_LEAF as usize {
                return None;
            }
            for test in &tree.tests {
                let [yes, no] = test.branches.map(|b| match b {
                    Branch::Leaf(i) => i | WALK_LEAF,
                    Branch::Test(i) => i,
                });
                walk.links.extend([test.feature | if test.nan_true { NAN_TRUE } else { 0 }, yes | no << 16]);
                walk.cuts.push(test.cut);
            }
        }
        Some(walk)
    }

    /// Cycles for one row: half of the branches are mispredicted.
    pub fn row_cycles(forest: &Forest) -> f64 {
        forest.trees.iter().map(|t| 8.0 + 12.0 * (t.leaves.len() as f64).log2()).sum()
    }
}

/// The table of trees that `sums` and `walk` read.
pub fn trees(forest: &Forest) -> Vec<u32> {
    let (mut tests, mut leaves) = (0, 0);
    let mut words = Vec::with_capacity(4 * forest.trees.len());
    for tree in &forest.trees {
        words.extend([tests, tests + tree.tests.len() as u32, leaves, tree.target.unwrap_or(0)]);
        tests += tree.tests.len() as u32;
        leaves += tree.leaves.len() as u32;
    }
    words
}
