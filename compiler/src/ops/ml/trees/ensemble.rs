//! The common form of an ensemble: nodes, leaves and votes by number, checked to be free of cycles.
//!
//! A node may have several parents (converters write a set of categories as a chain of equalities with one true branch), so this is a graph and is
//! never expanded to trees: what an attacker writes stays as small as it was.

use crate::ops::OpError;
pub use onnxc_runtime::kernels::trees::Mode;
use onnxc_runtime::kernels::trees::{LEAF, MISSING_TRUE, SET_SHIFT};

/// Where a branch leads: a node or a leaf, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub u32);

impl Link {
    /// To a node.
    pub fn node(i: usize) -> Self {
        Self(i as u32)
    }
    /// To a leaf.
    pub fn leaf(i: usize) -> Self {
        Self(i as u32 | LEAF)
    }
    /// The leaf's number, if it is one.
    pub fn as_leaf(self) -> Option<usize> {
        (self.0 & LEAF != 0).then_some((self.0 & !LEAF) as usize)
    }
    /// The node's number, if it is one.
    pub fn as_node(self) -> Option<usize> {
        (self.0 & LEAF == 0).then_some(self.0 as usize)
    }
}

/// An inner node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// The feature that is tested.
    pub feature: u32,
    /// The test.
    pub mode: Mode,
    /// Whether NaN takes the true branch.
    pub missing_true: bool,
    /// What the feature is compared with.
    pub threshold: f64,
    /// The number of the member set.
    pub set: u32,
    /// The branches: if the test is true, and if not.
    pub branches: [Link; 2],
}

/// What a leaf says about a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// The target.
    pub target: u32,
    /// The weight.
    pub weight: f64,
}

/// An ensemble. Read from attributes it may be anything; [`Ensemble::checked`] makes it sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ensemble {
    /// The inner nodes.
    pub nodes: Vec<Node>,
    /// The root of each tree.
    pub roots: Vec<Link>,
    /// Where each leaf's votes begin, and the end.
    pub leaves: Vec<u32>,
    /// The votes, leaf by leaf.
    pub votes: Vec<Vote>,
    /// The member sets; each ascends.
    pub sets: Vec<Vec<f64>>,
    /// The number of targets.
    pub targets: usize,
}

/// The most nodes or leaves: their numbers leave a bit for [`LEAF`].
const MOST: usize = 1 << 28;

impl Ensemble {
    /// The same ensemble with what no root reaches left out, nodes and leaves in the order in which a walk (true branches first) meets them.
    /// An error if there is a cycle, or anything is out of range.
    pub fn checked(self) -> Result<Self, OpError> {
        if self.nodes.len().max(self.leaves.len()).max(self.votes.len()).max(self.roots.len()).max(self.sets.len()) >= MOST {
            return Err(OpError::unsupported("an ensemble of 2^28 nodes or more"));
        }
        if let Some(vote) = self.votes.iter().find(|v| v.target as usize >= self.targets) {
            return Err(OpError::invalid(format!("a leaf votes for target {}, there are {}", vote.target, self.targets)));
        }
        Walk::new(&self).run()
    }

    /// The number of features that the input must have.
    pub fn features(&self) -> usize {
        self.nodes.iter().map(|n| n.feature as usize + 1).max().unwrap_or(0)
    }

    /// The votes of a leaf.
    pub fn votes_of(&self, leaf: usize) -> &[Vote] {
        let at = |i: usize| self.leaves.get(i).copied().unwrap_or(0) as usize;
        self.votes.get(at(leaf)..at(leaf + 1)).unwrap_or_default()
    }

    /// The words that the general kernel reads, four a node.
    pub fn words(&self) -> Vec<u32> {
        let words = |n: &Node| {
            let missing = if n.missing_true { MISSING_TRUE } else { 0 };
            [n.feature, n.mode as u32 | missing | n.set << SET_SHIFT, n.branches[0].0, n.branches[1].0]
        };
        self.nodes.iter().flat_map(words).collect()
    }

    /// The nodes of [`words`](Self::words) with their thresholds.
    pub fn nodes_of(words: &[u32], thresholds: &[f64]) -> Vec<Node> {
        let node = |(w, &threshold): (&[u32], &f64)| Node {
            feature: w[0],
            mode: Mode::of(w[1]),
            missing_true: w[1] & MISSING_TRUE != 0,
            threshold,
            set: w[1] >> SET_SHIFT,
            branches: [Link(w[2]), Link(w[3])],
        };
        words.chunks_exact(4).zip(thresholds).map(node).collect()
    }
}

/// The walk over an ensemble that numbers what it meets.
struct Walk<'a> {
    from: &'a Ensemble,
    to: Ensemble,
    /// The new number of each node and each leaf, or `UNSEEN`.
    node_numbers: Vec<u32>,
    leaf_numbers: Vec<u32>,
    /// The nodes that the walk is in, with how many branches it has taken.
    path: Vec<(u32, u8)>,
    on_path: Vec<bool>,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Walk<'a> {
    fn new(from: &'a Ensemble) -> Self {
        let to = Ensemble { sets: from.sets.clone(), targets: from.targets, leaves: vec![0], ..Ensemble::default() };
        Self {
            from,
            to,
            node_numbers: vec![UNSEEN; from.nodes.len()],
            leaf_numbers: vec![UNSEEN; from.leaves.len().saturating_sub(1)],
            path: Vec::new(),
            on_path: vec![false; from.nodes.len()],
        }
    }

    fn run(mut self) -> Result<Ensemble, OpError> {
        for &root in &self.from.roots {
            let root = self.meet(root)?;
            self.to.roots.push(root);
            while let Some(&mut (node, ref mut taken)) = self.path.last_mut() {
                let branch = usize::from(*taken);
                if branch == 2 {
                    self.on_path[node as usize] = false;
                    self.path.pop();
                    continue;
                }
                *taken += 1;
                let link = self.meet(self.from.nodes[node as usize].branches[branch])?;
                let number = self.node_numbers[node as usize] as usize;
                self.to.nodes[number].branches[branch] = link;
            }
        }
        Ok(self.to)
    }

    /// The new link for an old one; a node that is new is entered.
    fn meet(&mut self, link: Link) -> Result<Link, OpError> {
        let out_of_range = || OpError::invalid("a branch leads to no node");
        if let Some(leaf) = link.as_leaf() {
            let number = self.leaf_numbers.get_mut(leaf).ok_or_else(out_of_range)?;
            if *number == UNSEEN {
                *number = (self.to.leaves.len() - 1) as u32;
                self.to.votes.extend_from_slice(self.from.votes_of(leaf));
                self.to.leaves.push(self.to.votes.len() as u32);
            }
            return Ok(Link::leaf(*number as usize));
        }
        let old = link.0 as usize;
        let number = self.node_numbers.get_mut(old).ok_or_else(out_of_range)?;
        if *number != UNSEEN {
            return if self.on_path[old] { Err(OpError::invalid("the nodes of a tree form a cycle")) } else { Ok(Link(*number)) };
        }
        let node = self.from.nodes[old];
        if node.mode == Mode::Member && node.set as usize >= self.from.sets.len() {
            return Err(OpError::invalid("a BRANCH_MEMBER node has no set of values"));
        }
        *number = self.to.nodes.len() as u32;
        self.to.nodes.push(node);
        self.on_path[old] = true;
        self.path.push((old as u32, 0));
        Ok(Link(*number))
    }
}
