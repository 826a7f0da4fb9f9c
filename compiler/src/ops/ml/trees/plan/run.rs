//! A planned kernel called by itself, as tests and benches do.

use super::ranks::Cuts;
use super::shape::Forest;
use super::{Way, select};
use onnxc_runtime::cx::Cx;
use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::trees::{Score, Share, bits, descend, outcomes, sums, walk};

/// The most threads that there is scratch for.
const TASKS: usize = 8;

/// A way with its tables in the scores' type, and memory for up to 8 tasks.
pub struct Runner<'a, T> {
    way: &'a Way,
    trees: Vec<u32>,
    sorted: Vec<T>,
    values: Vec<T>,
    share: Share,
    bytes: Vec<u8>,
    halves: Vec<u16>,
    words: Vec<u32>,
}

impl<'a, T: Score> Runner<'a, T> {
    /// `values`: those of the forest's leaves.
    pub fn new(way: &'a Way, forest: &Forest, values: &[T]) -> Self {
        let numbers = |v: &[f64]| v.iter().map(|&v| T::narrow(v)).collect::<Vec<T>>();
        let sorted = |c: &Cuts| numbers(&c.sorted);
        let (sorted, values, scratch) = match way {
            Way::Walk(w) => (numbers(&w.cuts), values.to_vec(), 0),
            Way::Bits(b, c) => (sorted(c), numbers(&b.values), bits::BLOCK * bits::SCRATCH * c.count()),
            Way::Select(_, r) => (sorted(&r.cuts), values.to_vec(), sums::BLOCK * r.width()),
            Way::Descend(_, r) => (sorted(&r.cuts), values.to_vec(), descend::BLOCK * r.width()),
            Way::Outcomes(o, r) => (sorted(&r.cuts), numbers(&o.values), outcomes::BLOCK * outcomes::MOST_COLUMNS),
        };
        let share = Share { targets: forest.voted.len(), width: forest.width, least: 0, below: 0 };
        let (bytes, halves, words) = (vec![7; TASKS * scratch], vec![7; TASKS * scratch], vec![7; TASKS * scratch]);
        Self { way, trees: select::trees(forest), sorted, values, share, bytes, halves, words }
    }

    /// The scores of rows: `y` is rows × targets.
    pub fn run(&mut self, cx: Cx, y: &mut [T], x: &[T]) -> Result<(), Fault> {
        let Self { way, trees, sorted, values, share, bytes, halves, words } = self;
        match way {
            Way::Walk(w) => walk(y, x, &w.links, sorted, trees, values, *share),
            Way::Bits(b, c) => {
                let (f, s, g, e, m) = (&c.features, &b.shelves, &b.groups, &b.entries, &b.masks);
                bits(cx, y, halves, x, f, sorted, s, g, e, &b.maps, m, &b.trees, values, *share)
            }
            Way::Select(s, r) => sums(cx, y, bytes, x, &r.cuts.features, sorted, &r.columns, &s.tests, trees, values, *share),
            Way::Descend(d, r) => {
                let (f, c) = (&r.cuts.features, &r.columns);
                descend(cx, y, words, x, f, sorted, c, &d.nodes, &d.leaves, &d.trees, values, d.packing, *share)
            }
            Way::Outcomes(o, r) => {
                let (f, c) = (&r.cuts.features, &r.columns);
                outcomes(cx, y, bytes, x, f, sorted, c, &o.tests, &o.chains, &o.trees, values, o.form(), o.steps, *share)
            }
        }
    }
}
