//! Room 3: graph → smaller, faster graph. Each pass makes a new graph; the verifier looks at it before the next one does.
//!
//! Constant folding is not a pass: [`Graph::add`] folds whatever it is given, so a pass never leaves a constant unfolded behind.

pub mod cse;
pub mod dead;
pub mod fuse;
pub mod layout;
pub mod peephole;

use crate::ir::graph::{Graph, NodeError};
use crate::verify;

/// A pass: its name and what it does.
pub struct Pass {
    /// The name in dumps.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&Graph) -> Result<Graph, NodeError>,
}

/// The passes, in order.
pub const PASSES: &[Pass] = &[
    Pass { name: "dead", run: dead::run },
    Pass { name: "cse", run: cse::run },
    Pass { name: "activations", run: fuse::activation::run },
    Pass { name: "norms", run: fuse::norm::run },
    Pass { name: "dead-2", run: dead::run },
    Pass { name: "epilogues", run: fuse::epilogue::run },
    Pass { name: "dead-3", run: dead::run },
    Pass { name: "layout", run: layout::run },
    Pass { name: "dead-4", run: dead::run },
    Pass { name: "cse-2", run: cse::run },
    Pass { name: "late-epilogues", run: fuse::epilogue::run },
    Pass { name: "dead-5", run: dead::run },
    Pass { name: "chains", run: fuse::chain::run },
    Pass { name: "dead-6", run: dead::run },
];

/// Runs all passes; `watch` sees the graph after each.
pub fn run(mut graph: Graph, watch: &mut dyn FnMut(&str, &Graph)) -> Result<Graph, NodeError> {
    for pass in PASSES {
        graph = (pass.run)(&graph)?;
        verify::verify(&graph)?;
        watch(pass.name, &graph);
    }
    Ok(graph)
}
