//! The tables of `onnxc_runtime::kernels::trees::outcomes`.

use super::ranks::Ranks;
use super::shape::{Branch, Forest, Test, Tree};
use crate::ops::ml::trees::ensemble::Ensemble;
use onnxc_runtime::kernels::trees::outcomes::{Form, MOST_COLUMNS};
use onnxc_runtime::simd::TESTS;

/// The tables, as the kernel's documentation has them.
#[derive(Debug, Default)]
#[allow(missing_docs)] // See there.
pub struct Outcomes {
    form: Option<Form>,
    pub steps: usize,
    pub tests: Vec<u8>,
    pub chains: Vec<u32>,
    pub trees: Vec<u32>,
    pub values: Vec<f64>,
}

/// The most levels of a heap: its tests are the bits of two words.
const HEAP_LEVELS: usize = 6;
/// The most levels of trees that test the same on each.
const LEVELS: usize = 16;

/// What one tree becomes: a column and a rank for each bit of its outcomes, and the leaves by number.
#[derive(Default)]
struct Laid {
    tests: Vec<(u8, u8)>,
    leaves: Vec<u32>,
    /// The tests along long branches, by the bit that led there.
    chain: Vec<u64>,
    /// The most short branches on a way to a leaf.
    steps: usize,
    /// The tests whose short branch is that of a test that holds.
    flipped: u64,
}

/// Lays trees out.
struct Layout<'a> {
    ranks: &'a Ranks,
    /// Levels, or for chains leaves.
    most: usize,
}

impl Outcomes {
    /// The tables, if the columns of ranks fit and the trees are of one of the forms.
    pub fn new(e: &Ensemble, forest: &Forest, ranks: &Ranks) -> Option<Self> {
        if ranks.width() > MOST_COLUMNS || ranks.width() == 0 {
            return None;
        }
        let depths = forest.trees.iter().map(depth).collect::<Option<Vec<_>>>()?;
        let depth = depths.iter().copied().max()?.max(1);
        let levels = || Self::build(e, forest, ranks, Form::Levels, depth);
        let heap = || Self::build(e, forest, ranks, Form::Heap, depth);
        let chain = |form| Self::build(e, forest, ranks, form, if form == Form::Chain { 32 } else { 64 });
        // Filling up must not cost much more than the trees.
        let leaves: usize = forest.trees.iter().map(|t| t.leaves.len()).sum();
        let fits = |most: usize| depth <= most && forest.trees.len() << depth <= 4 * leaves + 4096;
        let levels = if fits(LEVELS) { levels() } else { None };
        let heap = || if fits(HEAP_LEVELS) { heap() } else { None };
        levels.or_else(heap).or_else(|| chain(Form::Chain)).or_else(|| chain(Form::LongChain))
    }

    /// Which form the trees have.
    pub fn form(&self) -> Form {
        self.form.unwrap_or(Form::Heap)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self.form() {
            Form::Levels => "Levels",
            Form::Heap => "Heap",
            Form::Chain => "Chain",
            Form::LongChain => "LongChain",
        }
    }

    /// Cycles for one row that is ranked.
    pub fn row_cycles(&self) -> f64 {
        let trees = self.trees.len() as f64 / 4.0;
        let a_tree = match self.form() {
            Form::Levels => 3.0,
            Form::Heap => 5.0,
            Form::Chain | Form::LongChain => 3.0 + 2.0 * self.steps as f64,
        };
        self.tests.len() as f64 / (2 * TESTS) as f64 * 3.0 + trees * a_tree
    }

    /// The tables in a form; `most`: the levels of trees, or for chains the most leaves.
    fn build(e: &Ensemble, forest: &Forest, ranks: &Ranks, form: Form, most: usize) -> Option<Self> {
        let layout = Layout { ranks, most };
        let lay = |tree: &Tree| match form {
            Form::Levels => layout.levels(tree),
            Form::Heap => layout.heap(tree),
            Form::Chain | Form::LongChain => layout.chain(tree),
        };
        let laid = forest.trees.iter().map(lay).collect::<Option<Vec<_>>>()?;
        let steps =
            if matches!(form, Form::Chain | Form::LongChain) { laid.iter().map(|laid| laid.steps).max().unwrap_or(0) } else { most };
        let mut all = Self { form: Some(form), steps, ..Self::default() };
        let bits = form.words(steps) * TESTS;
        for trees in laid.chunks(form.sharing(steps)) {
            let tests: Vec<(u8, u8)> = trees.iter().flat_map(|laid| laid.tests.iter().copied()).collect();
            all.words(&tests, bits);
        }
        for (tree, laid) in forest.trees.iter().zip(&laid) {
            let first = u32::try_from(all.values.len()).ok()?;
            all.trees.extend([first, tree.target.unwrap_or(0), laid.flipped as u32, (laid.flipped >> 32) as u32]);
            all.values.extend(laid.leaves.iter().flat_map(|&leaf| forest.values(e, tree.leaves[leaf as usize])));
            match form {
                Form::Chain => all.chains.extend(laid.chain.iter().map(|&mask| mask as u32)),
                Form::LongChain => all.chains.extend(laid.chain.iter().flat_map(|&mask| [mask as u32, (mask >> 32) as u32])),
                Form::Levels | Form::Heap => {}
            }
        }
        Some(all)
    }

    /// Adds columns and ranks for that many bits. What no test has is never asked for, or both its branches are the same.
    fn words(&mut self, tests: &[(u8, u8)], bits: usize) {
        for word in 0..bits / TESTS {
            let of_word = || (word * TESTS..(word + 1) * TESTS).map(|i| tests.get(i).copied().unwrap_or((0, u8::MAX)));
            self.tests.extend(of_word().map(|t| t.0));
            self.tests.extend(of_word().map(|t| t.1));
        }
    }
}

/// The levels of tests; `None` if there are more than any form takes.
fn depth(tree: &Tree) -> Option<usize> {
    // The branches of a test come before it.
    let mut depths: Vec<usize> = Vec::with_capacity(tree.tests.len());
    for test in &tree.tests {
        let below = test.branches.map(|b| if let Branch::Test(i) = b { depths[i as usize] } else { 0 });
        depths.push(1 + below[0].max(below[1]));
    }
    Some(depths.last().copied().unwrap_or(0)).filter(|&depth| depth <= 64)
}

impl Layout<'_> {
    /// The column of a test, and the least rank for which it fails.
    fn place(&self, test: &Test) -> Option<(u8, u8)> {
        let (column, most) = self.ranks.place(test)?;
        Some((u8::try_from(column).ok()?, u8::try_from(most + 1).ok()?))
    }

    /// A tree of the same test on each level.
    fn levels(&self, tree: &Tree) -> Option<Laid> {
        let mut laid = Laid::default();
        let mut level = vec![tree.root()];
        for _ in 0..self.most {
            let mut found = None;
            let mut next = [Vec::new(), Vec::new()];
            for &branch in &level {
                let branches = match branch {
                    Branch::Leaf(_) => [branch; 2],
                    Branch::Test(test) => {
                        let test = &tree.tests[test as usize];
                        let place = self.place(test)?;
                        if *found.get_or_insert(place) != place {
                            return None;
                        }
                        test.branches
                    }
                };
                next.iter_mut().zip(branches).for_each(|(next, branch)| next.push(branch));
            }
            laid.tests.push(found.unwrap_or((0, u8::MAX)));
            // A test's bit is worth more than those of the levels above it.
            level = next.concat();
        }
        laid.leaves = level.into_iter().map(|b| if let Branch::Leaf(leaf) = b { Some(leaf) } else { None }).collect::<Option<_>>()?;
        Some(laid)
    }

    /// A tree filled up to a complete one.
    fn heap(&self, tree: &Tree) -> Option<Laid> {
        let mut laid = Laid::default();
        let mut level = vec![tree.root()];
        for _ in 0..self.most {
            let mut next = Vec::with_capacity(2 * level.len());
            for branch in level {
                let (place, branches) = match branch {
                    Branch::Leaf(_) => ((0, u8::MAX), [branch; 2]),
                    Branch::Test(test) => (self.place(&tree.tests[test as usize])?, tree.tests[test as usize].branches),
                };
                laid.tests.push(place);
                next.extend(branches);
            }
            level = next;
        }
        laid.leaves = level.into_iter().map(|b| if let Branch::Leaf(leaf) = b { Some(leaf) } else { None }).collect::<Option<_>>()?;
        Some(laid)
    }

    /// A tree of at most so many leaves, long branches first.
    fn chain(&self, tree: &Tree) -> Option<Laid> {
        let mut sizes: Vec<usize> = Vec::with_capacity(tree.tests.len());
        let size = |sizes: &[usize], b: Branch| if let Branch::Test(i) = b { sizes[i as usize] } else { 1 };
        for test in &tree.tests {
            sizes.push(test.branches.iter().map(|&b| size(&sizes, b)).fold(0, usize::saturating_add));
        }
        if size(&sizes, tree.root()) > self.most {
            return None;
        }
        let mut laid = Laid { chain: vec![0; self.most], tests: vec![(0, u8::MAX); self.most], ..Laid::default() };
        laid.steps = self.chain_from(tree, tree.root(), &|b| size(&sizes, b), &mut laid)?;
        Some(laid)
    }

    /// Lays out what is below a branch, and gives the most short branches on a way from there.
    fn chain_from(&self, tree: &Tree, branch: Branch, size: &dyn Fn(Branch) -> usize, laid: &mut Laid) -> Option<usize> {
        let test = match branch {
            Branch::Leaf(leaf) => {
                laid.leaves.push(leaf);
                return Some(0);
            }
            Branch::Test(test) => &tree.tests[test as usize],
        };
        let [yes, no] = test.branches;
        let flipped = size(no) > size(yes);
        let (long, short) = if flipped { (no, yes) } else { (yes, no) };
        let start = laid.leaves.len();
        let below_long = self.chain_from(tree, long, size, laid)?;
        let bit = self.most - laid.leaves.len();
        laid.tests[bit] = self.place(test)?;
        // The place where leaf `start` is the first is that to which its bit leads, and the root's is 0.
        laid.chain[(self.most - start) % self.most] |= 1 << bit;
        laid.flipped |= u64::from(flipped) << bit;
        let below_short = self.chain_from(tree, short, size, laid)?;
        Some(below_long.max(1 + below_short))
    }
}
