//! Room 3: graph → smaller, faster graph. Each pass makes a new graph; the verifier looks at it before the next one does.
//!
//! Constant folding is not a pass: [`Graph::add`] folds whatever it is given, so a pass never leaves a constant unfolded behind.

pub mod cse;
pub mod dead;
pub mod fuse;
pub mod layout;
pub mod pattern;
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
    Pass { name: "attention", run: fuse::attention::run },
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
