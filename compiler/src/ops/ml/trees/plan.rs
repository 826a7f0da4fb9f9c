//! The tables of the tuned kernel (`onnxc_runtime::kernels::trees::sums`): every test as `x <= cut`, ranks of bytes, votes that only add up.

use super::ensemble::{Ensemble, Link, Mode, Node};
use onnxc_runtime::kernels::trees::sums::{MOST_CUTS, MOST_LEAVES, MOST_TESTS, NAN_TRUE, WALK_LEAF};
use std::collections::{BTreeMap, HashMap};

/// The tables, as the kernel's documentation has them. `f64` stands for the dtype of the scores.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Plan {
    pub links: Vec<u32>,
    pub cuts: Vec<f64>,
    pub features: Vec<u32>,
    pub sorted: Vec<f64>,
    pub columns: Vec<u32>,
    pub tests: Vec<u16>,
    pub trees: Vec<u32>,
    pub values: Vec<f64>,
    pub width: usize,
    /// Which targets get votes, whatever the row.
    pub voted: Vec<u8>,
}

/// A branch within a tree: a leaf's number or a test's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    Leaf(u16),
    Test(u16),
}

/// `x <= cut`, or `nan_true` if x is NaN.
#[derive(Clone, Copy, Debug)]
struct Test {
    feature: u32,
    cut: f64,
    nan_true: bool,
    branches: [Branch; 2],
}

/// A tree in these terms: the branches of a test are before it, the root is the last.
#[derive(Debug, Default)]
struct Tree {
    tests: Vec<Test>,
    /// The ensemble's leaves by their numbers here.
    leaves: Vec<usize>,
}

/// The plan, unless the ensemble has something that the tuned kernel cannot do. `double`: whether scores are f64.
pub fn plan(e: &Ensemble, double: bool) -> Option<Plan> {
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
    let mut plan = Plan { voted: voted(e, &trees)?, width: width(e, &trees)?, ..Plan::default() };
    let ranks = Ranks::new(&trees, &mut plan)?;
    for tree in &trees {
        plan.add(e, tree, &ranks)?;
    }
    Some(plan)
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
        Some(std::mem::take(&mut self.tree))
    }

    fn leaf(&mut self, link: Link) -> Option<Branch> {
        let number = self.tree.leaves.len();
        self.tree.leaves.push(link.as_leaf()?);
        (number < MOST_LEAVES).then_some(Branch::Leaf(number as u16))
    }

    fn test(&mut self, feature: u32, cut: f64, nan_true: bool, branches: [Branch; 2]) -> Option<Branch> {
        let number = self.tree.tests.len();
        self.tree.tests.push(Test { feature, cut, nan_true, branches });
        (number < MOST_TESTS && !cut.is_nan()).then_some(Branch::Test(number as u16))
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
    if trees.iter().all(|tree| target(e, tree).is_some()) {
        return Some(1);
    }
    let leaves: usize = trees.iter().map(|t| t.leaves.len()).sum();
    let votes: usize = trees.iter().flat_map(|t| &t.leaves).map(|&leaf| e.votes_of(leaf).len()).sum();
    (leaves.checked_mul(e.targets)? <= 4 * votes + 4096).then_some(e.targets)
}

/// Which byte of a rank a test compares.
struct Ranks {
    /// The cuts of each feature, ascending, in `Plan::sorted`, and the feature's place in `Plan::features`.
    cuts: HashMap<u32, (usize, usize)>,
    /// The columns by place of the feature, number of the part of its cuts, and where NaN goes.
    columns: HashMap<(usize, usize, bool), u16>,
    /// Where the cuts of each place begin.
    starts: Vec<usize>,
}

impl Ranks {
    fn new(trees: &[Tree], plan: &mut Plan) -> Option<Self> {
        let mut by_feature: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for test in trees.iter().flat_map(|t| &t.tests) {
            by_feature.entry(test.feature).or_default().push(test.cut);
        }
        let mut ranks = Self { cuts: HashMap::new(), columns: HashMap::new(), starts: Vec::new() };
        for (place, (feature, mut cuts)) in by_feature.into_iter().enumerate() {
            cuts.sort_by(f64::total_cmp);
            cuts.dedup_by(|a, b| a == b);
            ranks.starts.push(plan.sorted.len());
            plan.sorted.extend(cuts);
            ranks.cuts.insert(feature, (place, plan.sorted.len()));
            plan.features.extend([feature, plan.sorted.len() as u32]);
        }
        let mut used: Vec<(usize, usize, bool)> = Vec::new();
        for test in trees.iter().flat_map(|t| &t.tests) {
            used.push(ranks.place(plan, test)?.0);
        }
        used.sort_unstable();
        used.dedup();
        for (i, key) in used.into_iter().enumerate() {
            plan.columns.extend([key.0 as u32, (key.1 * MOST_CUTS) as u32, u32::from(key.2)]);
            ranks.columns.insert(key, u16::try_from(i).ok()?);
        }
        Some(ranks)
    }

    /// The column of a test, and the greatest rank in it for which it is true.
    fn place(&self, plan: &Plan, test: &Test) -> Option<((usize, usize, bool), u16)> {
        let &(place, end) = self.cuts.get(&test.feature)?;
        let cuts = plan.sorted.get(self.starts[place]..end)?;
        let rank = cuts.partition_point(|&c| c < test.cut);
        Some(((place, rank / MOST_CUTS, test.nan_true), (rank % MOST_CUTS) as u16))
    }
}

impl Plan {
    fn add(&mut self, e: &Ensemble, tree: &Tree, ranks: &Ranks) -> Option<()> {
        let start = self.cuts.len();
        for test in &tree.tests {
            let walk = |b: Branch| match b {
                Branch::Leaf(i) => u32::from(i) | WALK_LEAF,
                Branch::Test(i) => u32::from(i),
            };
            let [yes, no] = test.branches;
            self.links.extend([test.feature | if test.nan_true { NAN_TRUE } else { 0 }, walk(yes) | walk(no) << 16]);
            self.cuts.push(test.cut);
            let (column, most) = ranks.place(self, test)?;
            let slot = |b: Branch| match b {
                Branch::Leaf(i) => i,
                Branch::Test(i) => i + MOST_LEAVES as u16,
            };
            self.tests.extend([*ranks.columns.get(&column)?, most, slot(yes), slot(no)]);
        }
        let first = self.values.len() / self.width;
        self.trees.extend([start as u32, self.cuts.len() as u32, first as u32, target(e, tree).unwrap_or(0)]);
        for &leaf in &tree.leaves {
            let from = self.values.len();
            self.values.resize(from + self.width, 0.0);
            for vote in e.votes_of(leaf) {
                self.values[from + if self.width == 1 { 0 } else { vote.target as usize }] = vote.weight;
            }
        }
        Some(())
    }
}
