//! The tables of `onnxc_runtime::kernels::trees::descend`.

use super::ranks::Ranks;
use super::shape::{Branch, Forest, Tree};
use onnxc_runtime::kernels::trees::descend::LEAF_RANK;
use std::collections::VecDeque;

/// The tables, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Descend {
    pub nodes: Vec<u32>,
    pub leaves: Vec<u32>,
    pub trees: Vec<u32>,
    /// The depths of all trees together.
    depths: usize,
}

impl Descend {
    /// The tables, unless branches are shared too often: each gets a copy of what it leads to.
    pub fn new(forest: &Forest, ranks: &Ranks) -> Option<Self> {
        let (mut descend, mut first) = (Self::default(), 0);
        if ranks.columns.is_empty() {
            // A leaf's test needs some column.
            return None;
        }
        for tree in &forest.trees {
            descend.trees.extend([u32::try_from(descend.leaves.len()).ok()?, tree.target.unwrap_or(0)]);
            descend.tree(tree, ranks, first, forest.width)?;
            first += tree.leaves.len();
        }
        Some(descend)
    }

    /// The nodes of a tree, level by level. Its first leaf has the number `first` in the forest.
    fn tree(&mut self, tree: &Tree, ranks: &Ranks, first: usize, width: usize) -> Option<()> {
        let most = self.leaves.len() + 2 * (tree.tests.len() + tree.leaves.len()) + 16;
        let mut open = VecDeque::from([(self.push(), tree.root(), 0)]);
        let mut depth = 0;
        while let Some((node, branch, level)) = open.pop_front() {
            depth = level;
            match branch {
                Branch::Leaf(leaf) => {
                    self.nodes[2 * node..2 * node + 2].copy_from_slice(&[node as u32, LEAF_RANK]);
                    self.leaves[node] = u32::try_from((first + leaf as usize) * width).ok()?;
                }
                Branch::Test(test) => {
                    let test = &tree.tests[test as usize];
                    let (column, most) = ranks.place(test)?;
                    let branches = [self.push(), self.push()];
                    self.nodes[2 * node..2 * node + 2].copy_from_slice(&[branches[0] as u32, u32::from(column) << 16 | u32::from(most)]);
                    open.extend(branches.into_iter().zip(test.branches).map(|(node, branch)| (node, branch, level + 1)));
                }
            }
            if self.leaves.len() > most {
                return None;
            }
        }
        self.depths += depth;
        Some(())
    }

    /// The number of a new node.
    fn push(&mut self) -> usize {
        self.nodes.extend([0; 2]);
        self.leaves.push(0);
        self.leaves.len() - 1
    }

    /// Cycles for one row that is ranked: a step of one of several descents takes about 3.
    pub fn row_cycles(&self) -> f64 {
        3.0 * (self.depths + 4 * self.trees.len() / 2) as f64
    }
}
