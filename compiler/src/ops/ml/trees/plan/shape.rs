//! Trees as the tuned kernels want them: every test as `x <= cut`, and votes that only add up.

use super::ranks::Cuts;
use crate::ops::ml::trees::ensemble::{Ensemble, Link, Mode, Node};
use std::collections::HashMap;
use std::sync::Arc;

/// The trees of an ensemble in these terms.
#[derive(Debug)]
pub struct Forest {
    /// The trees.
    pub trees: Vec<Tree>,
    /// The cuts of their tests.
    pub cuts: Arc<Cuts>,
    /// Which targets get votes, whatever the row.
    pub voted: Vec<u8>,
    /// How many values a leaf has: 1, or one for each target.
    pub width: usize,
}

/// A branch within a tree: a leaf's number or a test's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// A leaf's number.
    Leaf(u32),
    /// A test's number.
    Test(u32),
}

/// `x <= cut`, or `nan_true` if x is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// The feature x.
    pub feature: u32,
    /// The greatest x for which it is true.
    pub cut: f64,
    /// Whether it is true for NaN.
    pub nan_true: bool,
    /// The branches: if the test is true, and if not.
    pub branches: [Branch; 2],
    /// The place of the feature among those that are tested.
    pub place: u32,
    /// The number of the feature's cuts that are less: the greatest rank for which the test is true.
    pub rank: u32,
}

/// A tree in these terms: the branches of a test are before it, the root is the last.
#[derive(Debug, Default)]
pub struct Tree {
    /// The tests; none if the tree is its leaf 0.
    pub tests: Vec<Test>,
    /// The ensemble's leaves by their numbers here.
    pub leaves: Vec<usize>,
    /// The target of all its votes, if there is one.
    pub target: Option<u32>,
}

impl Tree {
    /// Where a row begins.
    pub fn root(&self) -> Branch {
        self.tests.len().checked_sub(1).map_or(Branch::Leaf(0), |last| Branch::Test(last as u32))
    }
}

impl Forest {
    /// The forest of an ensemble, unless it has something that the tuned kernels cannot do. `double`: whether scores are f64.
    pub fn new(e: &Ensemble, double: bool) -> Option<Self> {
        let mut shaper = Shaper { e, double, done: HashMap::new(), tree: Tree::default() };
        let (mut trees, mut total) = (Vec::with_capacity(e.roots.len()), 0);
        for &root in &e.roots {
            let tree = shaper.tree(root)?;
            // Trees may share what they are made of: not worth an explosion.
            total += tree.tests.len() + tree.leaves.len();
            if total > 4 * (e.nodes.len() + e.leaves.len()) + (1 << 12) {
                return None;
            }
            trees.push(tree);
        }
        drop(shaper);
        let cuts = Arc::new(Cuts::new(&mut trees)?);
        Some(Self { voted: voted(e, &trees)?, width: width(e, &trees)?, trees, cuts })
    }

    /// The values of all leaves, tree by tree.
    pub fn all_values(&self, e: &Ensemble) -> Vec<f64> {
        self.trees.iter().flat_map(|t| &t.leaves).flat_map(|&leaf| self.values(e, leaf)).collect()
    }

    /// The values of an ensemble's leaf.
    pub fn values(&self, e: &Ensemble, leaf: usize) -> impl Iterator<Item = f64> {
        let mut values = vec![0.0; self.width];
        for vote in e.votes_of(leaf) {
            values[if self.width == 1 { 0 } else { vote.target as usize }] = vote.weight;
        }
        values.into_iter()
    }
}

/// Makes trees of tests.
struct Shaper<'a> {
    e: &'a Ensemble,
    double: bool,
    /// The branches that nodes of this tree have become.
    done: HashMap<u32, Branch>,
    tree: Tree,
}

impl Shaper<'_> {
    fn tree(&mut self, root: Link) -> Option<Tree> {
        self.done.clear();
        let mut open = vec![root];
        while let Some(&link) = open.last() {
            if self.done.contains_key(&link.0) {
                open.pop();
                continue;
            }
            let branch = match link.as_node() {
                None => self.leaf(link)?,
                Some(node) => {
                    let node = &self.e.nodes[node];
                    let missing = node.branches.iter().copied().filter(|b| !self.done.contains_key(&b.0));
                    let before = open.len();
                    open.extend(missing);
                    if open.len() > before {
                        continue;
                    }
                    self.node(node)?
                }
            };
            self.done.insert(link.0, branch);
        }
        let tree = std::mem::take(&mut self.tree);
        Some(Tree { target: target(self.e, &tree), ..tree })
    }

    fn leaf(&mut self, link: Link) -> Option<Branch> {
        let number = self.tree.leaves.len();
        self.tree.leaves.push(link.as_leaf()?);
        Some(Branch::Leaf(number as u32))
    }

    fn test(&mut self, feature: u32, cut: f64, nan_true: bool, branches: [Branch; 2]) -> Option<Branch> {
        let number = self.tree.tests.len();
        self.tree.tests.push(Test { feature, cut, nan_true, branches, place: 0, rank: 0 });
        (!cut.is_nan()).then_some(Branch::Test(number as u32))
    }

    /// The greatest number below, if there is one.
    fn below(&self, x: f64) -> Option<f64> {
        let below = if self.double { x.next_down() } else { f64::from((x as f32).next_down()) };
        (below < x).then_some(below)
    }

    fn node(&mut self, n: &Node) -> Option<Branch> {
        let [yes, no] = n.branches.map(|b| self.done.get(&b.0).copied());
        let (yes, no, t) = (yes?, no?, n.threshold);
        match n.mode {
            Mode::Leq => self.test(n.feature, t, n.missing_true, [yes, no]),
            Mode::Lt => self.test(n.feature, self.below(t)?, n.missing_true, [yes, no]),
            Mode::Gt => self.test(n.feature, t, !n.missing_true, [no, yes]),
            Mode::Gte => self.test(n.feature, self.below(t)?, !n.missing_true, [no, yes]),
            Mode::Eq => self.equal(n.feature, t, n.missing_true, yes, no),
            // NaN is not equal to anything, tracks or no tracks.
            Mode::Neq => self.equal(n.feature, t, false, no, yes),
            Mode::Member => self.member(n, yes, no),
        }
    }

    fn equal(&mut self, feature: u32, t: f64, nan_true: bool, yes: Branch, no: Branch) -> Option<Branch> {
        let Some(below) = self.below(t) else {
            return if t == f64::NEG_INFINITY { self.test(feature, t, nan_true, [yes, no]) } else { None };
        };
        let inner = self.test(feature, below, false, [no, yes])?;
        // NaN comes to the inner test if at all, and takes its false branch.
        self.test(feature, t, nan_true, [inner, no])
    }

    fn member(&mut self, n: &Node, yes: Branch, no: Branch) -> Option<Branch> {
        let set = self.e.sets.get(n.set as usize)?;
        if set.len() > 64 || (set.is_empty() && n.missing_true) {
            return None;
        }
        let mut rest = no;
        for (i, &member) in set.iter().enumerate() {
            rest = self.equal(n.feature, member, n.missing_true && i + 1 == set.len(), yes, rest)?;
        }
        Some(rest)
    }
}

/// Which targets get votes; `None` if that depends on the row.
fn voted(e: &Ensemble, trees: &[Tree]) -> Option<Vec<u8>> {
    let (mut ever, mut always) = (vec![false; e.targets], vec![false; e.targets]);
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for tree in trees {
        counts.clear();
        for &leaf in &tree.leaves {
            let votes = e.votes_of(leaf);
            for (i, vote) in votes.iter().enumerate() {
                if votes[..i].iter().any(|v| v.target == vote.target) {
                    // Two votes of a leaf for a target are added one by one.
                    return None;
                }
                *counts.entry(vote.target).or_default() += 1;
            }
        }
        for (&target, &count) in &counts {
            ever[target as usize] = true;
            always[target as usize] |= count == tree.leaves.len();
        }
    }
    (ever == always).then(|| always.into_iter().map(u8::from).collect())
}

/// The target of a tree all of whose votes are for one.
fn target(e: &Ensemble, tree: &Tree) -> Option<u32> {
    let mut targets = tree.leaves.iter().flat_map(|&leaf| e.votes_of(leaf)).map(|v| v.target);
    let first = targets.next().unwrap_or(0);
    targets.all(|t| t == first).then_some(first)
}

/// 1 if each tree votes for one target, else all targets, unless most leaves then say nothing of most.
fn width(e: &Ensemble, trees: &[Tree]) -> Option<usize> {
    if trees.iter().all(|tree| tree.target.is_some()) {
        return Some(1);
    }
    let leaves: usize = trees.iter().map(|t| t.leaves.len()).sum();
    let votes: usize = trees.iter().flat_map(|t| &t.leaves).map(|&leaf| e.votes_of(leaf).len()).sum();
    (leaves.checked_mul(e.targets)? <= 4 * votes + 4096).then_some(e.targets)
}
