//! Room 3: graph → smaller, faster graph. Each pass makes a new graph; the verifier looks at it before the next one does.
//!
//! Constant folding is not a pass: [`Graph::add`] folds whatever it is given, so a pass never leaves a constant unfolded behind.

pub mod cse;
pub mod dead;
pub mod fuse;
pub mod layout;
pub mod pattern;
pub mod peephole;
pub mod winograd;

use crate::ir::graph::{Graph, NodeError};
use crate::options::{Options, WeightType};
use crate::verify;

/// A pass: its name and what it does.
pub struct Pass {
    /// The name in dumps.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&Graph) -> Result<Graph, NodeError>,
    /// Whether `--exact-conv` leaves it out.
    pub inexact: bool,
}

const fn pass(name: &'static str, run: fn(&Graph) -> Result<Graph, NodeError>) -> Pass {
    Pass { name, run, inexact: false }
}

/// The passes, in order.
pub const PASSES: &[Pass] = &[
    pass("dead", dead::run),
    pass("cse", cse::run),
    pass("integers", fuse::integer::run),
    pass("activations", fuse::activation::run),
    pass("norms", fuse::norm::run),
    pass("attention", fuse::attention::run),
    pass("dead-2", dead::run),
    pass("epilogues", fuse::epilogue::run),
    pass("dead-3", dead::run),
    pass("layout", layout::run),
    pass("dead-4", dead::run),
    pass("cse-2", cse::run),
    pass("late-epilogues", fuse::epilogue::run),
    pass("siblings", fuse::siblings::run),
    pass("scalers", fuse::scaler::run),
    pass("dead-5", dead::run),
    Pass { name: "winograd", run: winograd::run, inexact: true },
    pass("chains", fuse::chain::run),
    pass("dead-6", dead::run),
];

/// Runs all passes; `watch` sees the graph after each.
pub fn run(mut graph: Graph, options: &Options, watch: &mut dyn FnMut(&str, &Graph)) -> Result<Graph, NodeError> {
    // Winograd's tiles multiply the rounding of weights in 16 bits, and their weights are 1.8 or 4 times as many.
    let exact = options.exact_conv || options.stored() != WeightType::F32;
    for pass in PASSES.iter().filter(|p| !(p.inexact && exact)) {
        graph = apply(pass, &graph)?;
        verify::verify(&graph)?;
        watch(pass.name, &graph);
    }
    Ok(graph)
}

/// One pass over a graph and, before it, over the bodies of its If and Loop nodes, however deep.
pub fn apply(pass: &Pass, graph: &Graph) -> Result<Graph, NodeError> {
    if graph.nodes.iter().all(|(_, node)| node.op.bodies().is_empty()) {
        return (pass.run)(graph);
    }
    let inside = graph.rebuild(None, &mut |new, old, id, inputs| {
        let mut node = old.nodes[id].clone();
        let bodies = node.op.bodies_mut();
        if bodies.is_empty() {
            return Ok(None);
        }
        for body in bodies {
            *body = apply(pass, body)?;
        }
        old.copy_node_into(new, &node, inputs).map(Some)
    })?;
    (pass.run)(&inside)
}
