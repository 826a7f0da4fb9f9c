//! Common subexpressions: the same operator on the same inputs is one node.

use crate::ir::fact::type_text;
use crate::ir::graph::{Graph, NodeError, ValueId};
use crate::ir::text;
use std::collections::HashMap;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let mut seen: HashMap<(String, Vec<Option<ValueId>>), Vec<ValueId>> = HashMap::new();
    graph.rebuild(None, &mut |new, old, id, inputs| {
        let node = &old.nodes[id];
        if !node.op.pure() || !node.op.bodies().is_empty() {
            return Ok(None);
        }
        // Some operators are told apart by the type of what they give only: an empty optional.
        let types: Vec<String> = node.outputs.iter().map(|&v| type_text(&old.fact(v).ty, &|_| String::new())).collect();
        let key = (format!("{} {}", text::operator(&node.op), types.join(" ")), inputs.to_vec());
        if let Some(outputs) = seen.get(&key).filter(|o| o.len() == node.outputs.len()) {
            return Ok(Some(outputs.clone()));
        }
        let outputs = old.copy_node_into(new, node, inputs)?;
        seen.insert(key, outputs.clone());
        Ok(Some(outputs))
    })
}
