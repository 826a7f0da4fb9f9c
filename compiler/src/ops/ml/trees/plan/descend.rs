//! The tables of `onnxc_runtime::kernels::trees::descend`.

use super::ranks::Ranks;
use super::shape::{Branch, Forest, Tree};
use onnxc_runtime::kernels::trees::Packing;
use std::collections::VecDeque;

/// The tables, as the kernel's documentation has them.
#[derive(Debug)]
#[allow(missing_docs)] // See there.
pub struct Descend {
    pub nodes: Vec<u32>,
    pub leaves: Vec<u32>,
    pub trees: Vec<u32>,
    pub packing: Packing,
    /// The depths of all trees together.
    depths: usize,
}

impl Descend {
    /// The tables, unless branches are shared too often: each gets a copy of what it leads to.
    pub fn new(forest: &Forest, ranks: &Ranks) -> Option<Self> {
        if ranks.columns.is_empty() {
            // A leaf's test needs some column.
            return None;
        }
        let mut descend = Self { nodes: Vec::new(), leaves: Vec::new(), trees: Vec::new(), packing: Packing::WIDE, depths: 0 };
        let mut first = 0;
        for tree in &forest.trees {
            descend.tree(tree, ranks, first, forest.width)?;
            first += tree.leaves.len();
        }
        descend.pack(bits(ranks.most_cuts()), bits(ranks.width() - 1));
        Some(descend)
    }

    /// The nodes of a tree, level by level. Its first leaf has the number `first` in the forest.
    fn tree(&mut self, tree: &Tree, ranks: &Ranks, first: usize, width: usize) -> Option<()> {
        let root = self.leaves.len();
        let most = root + 2 * (tree.tests.len() + tree.leaves.len()) + 16;
        let mut open = VecDeque::from([(self.push(), tree.root(), 0)]);
        let mut depth = 0;
        while let Some((node, branch, level)) = open.pop_front() {
            depth = level;
            let words = match branch {
                Branch::Leaf(leaf) => {
                    self.leaves[node] = u32::try_from((first + leaf as usize) * width).ok()?;
                    [self.packing.rank(self.packing.most_rank()), u32::try_from(node - root).ok()?]
                }
                Branch::Test(test) => {
                    let test = &tree.tests[test as usize];
                    let (column, most) = ranks.place(test)?;
                    let branches = [self.push(), self.push()];
                    open.extend(branches.into_iter().zip(test.branches).map(|(node, branch)| (node, branch, level + 1)));
                    [self.packing.rank(u32::from(most)) | u32::from(column), u32::try_from(branches[0] - root).ok()?]
                }
            };
            self.nodes[2 * node..2 * node + 2].copy_from_slice(&words);
            if self.leaves.len() > most {
                return None;
            }
        }
        // A step may look one place beyond a link.
        let last = self.push();
        self.nodes[2 * last] = self.packing.rank(self.packing.most_rank());
        self.depths += depth;
        self.trees.extend([u32::try_from(root).ok()?, depth as u32, tree.target.unwrap_or(0)]);
        Some(())
    }

    /// The number of a new node.
    fn push(&mut self) -> usize {
        self.nodes.extend([0; 2]);
        self.leaves.push(0);
        self.leaves.len() - 1
    }

    /// Packs each node into one word, if they all fit.
    fn pack(&mut self, rank_bits: usize, column_bits: usize) {
        let packing = Packing { words: 1, rank_bits: rank_bits.max(1), column_bits };
        let most = self.nodes.iter().skip(1).step_by(2).max().map_or(0, |&link| link as usize);
        if packing.rank_bits + column_bits > Packing::MOST_BITS || bits(most) > packing.link_bits() as usize {
            return;
        }
        let pack = |&[test, link]: &[u32; 2]| {
            let (rank, column) = (test >> 16, test & 0xffff);
            // A leaf's rank has all bits of its own field.
            packing.rank(rank.min(packing.most_rank())) | column << packing.link_bits() | link
        };
        self.nodes = self.nodes.as_chunks().0.iter().map(pack).collect();
        self.packing = packing;
    }

    /// Cycles for one row that is ranked: a step of one of many descents takes about 2.
    pub fn row_cycles(&self) -> f64 {
        2.0 * self.steps()
    }

    /// Cycles for one of many rows, which share a tree in the L1 cache.
    pub fn cycles_of_many(&self) -> f64 {
        1.5 * self.steps()
    }

    /// Steps of one row, the last of which adds a leaf's votes.
    fn steps(&self) -> f64 {
        (self.depths + self.trees.len() / 3) as f64
    }
}

/// How many bits a number has.
fn bits(n: usize) -> usize {
    (usize::BITS - n.leading_zeros()) as usize
}
