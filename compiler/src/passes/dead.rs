//! Drops nodes whose outputs nothing uses.

use crate::ir::graph::{Graph, NodeError};

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let mut live = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|o| live[o.1.index()] = true);
    let nodes: Vec<_> = graph.nodes.iter().collect();
    let mut keep = vec![false; nodes.len()];
    for (id, node) in nodes.into_iter().rev() {
        if node.outputs.iter().any(|o| live[o.index()]) {
            keep[id.index()] = true;
            node.inputs.iter().flatten().for_each(|i| live[i.index()] = true);
        }
    }
    // The values of a dropped node are never asked for: any value stands in.
    graph.retain(&|id| keep[id.index()])
}
