//! Which kernels evaluate an ensemble, by a model of costs, and their tables.
//!
//! The costs are estimates of cycles from the sizes of the tables, to tell ways apart and not to predict times: where they were compared with
//! measurements (LightGBM of 100 and 1,000 trees, XGBoost of 100; AVX2, one thread) their unit was worth between 0.6 and 0.8 ns. One row that is always
//! the same flatters `walk`, since the processor learns its branches. Rows that differ are what the costs are of.

pub mod bits;
pub mod descend;
pub mod outcomes;
pub mod ranks;
mod run;
pub mod select;
pub mod shape;

use super::ensemble::Ensemble;
use bits::Bits;
use descend::Descend;
use onnxc_runtime::kernels::trees::{descend as descent, outcomes as words, sums};
use outcomes::Outcomes;
use ranks::{Cuts, Ranks};
pub use run::Runner;
use select::{Select, Walk};
use shape::Forest;
use std::sync::Arc;

/// A kernel with its tables.
#[derive(Debug)]
pub enum Way {
    /// `trees::walk`.
    Walk(Walk),
    /// `trees::bits`.
    Bits(Bits, Arc<Cuts>),
    /// `trees::sums`.
    Select(Select, Ranks),
    /// `trees::descend`.
    Descend(Descend, Ranks),
    /// `trees::outcomes`.
    Outcomes(Outcomes, Ranks),
}

/// What an ensemble becomes.
#[derive(Debug)]
pub struct Plan {
    /// Its trees.
    pub forest: Forest,
    /// The values of all leaves, tree by tree (`bits` has its own).
    pub values: Vec<f64>,
    /// For fewer rows than `split`; for all if there is no other.
    pub few: Option<Way>,
    /// For others; for all if there is no other.
    pub many: Option<Way>,
    /// From how many rows on `many` is cheaper; 0 if it does all.
    pub split: usize,
}

/// A way, and what it costs: estimates of cycles.
#[derive(Debug)]
pub struct Offer {
    /// The way.
    pub way: Way,
    /// One row.
    pub row: f64,
    /// A block of [`sums::BLOCK`] rows.
    pub block: f64,
}

/// The rows of a block, for costs.
pub const BLOCK: usize = sums::BLOCK;

/// The most columns of ranks: their numbers are halves of words.
const MOST_COLUMNS: usize = 0xffff;

/// The plan, unless the ensemble has something that the tuned kernels cannot do. `double`: whether scores are f64; `rows`: their number, if known.
pub fn plan(e: &Ensemble, double: bool, rows: Option<usize>) -> Option<Plan> {
    let forest = Forest::new(e, double)?;
    let values = forest.all_values(e);
    let offers = offers(e, &forest);
    let least = |cost: fn(&Offer) -> f64| (0..offers.len()).min_by(|&a, &b| cost(&offers[a]).total_cmp(&cost(&offers[b])));
    let (few, many) = (least(|o| o.row)?, least(|o| o.block)?);
    // As many rows as one by one cost less than a block.
    let split = if few == many { 0 } else { (offers[many].block / offers[few].row).ceil().clamp(2.0, BLOCK as f64) as usize };
    let wanted = |known: fn(usize, usize) -> bool| split > 0 && rows.is_none_or(|rows| known(rows, split));
    let (want_few, want_many) = (wanted(|rows, split| rows < split), split == 0 || wanted(|rows, split| rows >= split));
    let mut ways: Vec<Option<Way>> = offers.into_iter().map(|o| Some(o.way)).collect();
    let few = if want_few { ways[few].take() } else { None };
    let many = if want_many { ways[many].take() } else { None };
    Some(Plan { split: if few.is_none() { 0 } else { split }, forest, values, few, many })
}

/// The ways there are to evaluate a forest, with their costs.
pub fn offers(e: &Ensemble, forest: &Forest) -> Vec<Offer> {
    let mut offers = Vec::new();
    if let Some(walk) = Walk::new(forest) {
        let row = Walk::row_cycles(forest);
        offers.push(Offer { way: Way::Walk(walk), row, block: row * BLOCK as f64 });
    }
    let cuts = &forest.cuts;
    if let Some(bits) = Bits::new(e, forest) {
        let row = cuts.row_cycles() + bits.row_cycles();
        offers.push(Offer { way: Way::Bits(bits, cuts.clone()), row, block: row * BLOCK as f64 });
    }
    if let Some(ranks) = Ranks::new(forest, words::MOST_CUTS, words::MOST_COLUMNS)
        && let Some(outcomes) = Outcomes::new(e, forest, &ranks)
    {
        let row = cuts.row_cycles() + outcomes.row_cycles();
        offers.push(Offer { way: Way::Outcomes(outcomes, ranks), row, block: row * BLOCK as f64 });
    }
    if let Some(ranks) = Ranks::new(forest, sums::MOST_CUTS, MOST_COLUMNS)
        && let Some(select) = Select::new(forest, &ranks)
    {
        let block = cuts.row_cycles() * BLOCK as f64 + select.block_cycles(forest);
        offers.push(Offer { way: Way::Select(select, ranks), row: block, block });
    }
    if let Some(ranks) = Ranks::new(forest, descent::MOST_CUTS, MOST_COLUMNS)
        && let Some(descend) = Descend::new(forest, &ranks)
    {
        let (row, block) = (cuts.row_cycles() + descend.row_cycles(), (cuts.row_cycles() + descend.cycles_of_many()) * BLOCK as f64);
        offers.push(Offer { way: Way::Descend(descend, ranks), row, block });
    }
    offers
}
