//! Graphs as text: one line a node, ids as they are everywhere, constants in full where they are small.
//!
//! ```text
//! graph main(%0 "x": f32[batch, 3]) {
//!   %2 "y": f32[batch, 4] = MatMul {"transpose_a":false,…} (%0, %1)   # fc1 (Gemm)
//!   return %2 "y"
//! }
//! ```

use super::fact::show_type;
use super::graph::{Def, Graph, ValueId};
use super::tensor::Tensor;
use std::fmt::Write;

/// Constants with more elements are cut in texts.
const SHOWN: usize = 64;

/// The graph as text.
pub fn graph(graph: &Graph) -> String {
    let mut out = String::new();
    write_graph(&mut out, graph, "");
    out
}

fn write_graph(out: &mut String, graph: &Graph, indent: &str) {
    let inputs: Vec<String> = graph.inputs.iter().map(|&v| typed(graph, v)).collect();
    let _ = writeln!(out, "{indent}graph {:?}({}) {{", graph.name, inputs.join(", "));
    for (id, value) in graph.values.iter().filter(|(_, v)| v.def == Def::Const) {
        let contents = value.fact.as_const().map(tensor).unwrap_or_default();
        let _ = writeln!(out, "{indent}  {} = const {contents}", typed(graph, id));
    }
    for (_, node) in graph.nodes.iter() {
        let outputs: Vec<String> = node.outputs.iter().map(|&v| typed(graph, v)).collect();
        let inputs: Vec<String> = node.inputs.iter().map(|v| v.map_or("-".to_owned(), |v| v.to_string())).collect();
        let attributes = attributes(node);
        let _ = writeln!(
            out,
            "{indent}  {} = {}{attributes}({})  # {:?} {}",
            outputs.join(", "),
            node.op.name(),
            inputs.join(", "),
            &*node.origin.node,
            node.origin.operator
        );
        for body in node.op.bodies() {
            write_graph(out, body, &format!("{indent}    "));
        }
    }
    let outputs: Vec<String> = graph.outputs.iter().map(|(name, v)| format!("{name:?}: {v}")).collect();
    let _ = writeln!(out, "{indent}  return {}\n{indent}}}", outputs.join(", "));
}

fn typed(graph: &Graph, id: ValueId) -> String {
    let value = &graph.values[id];
    format!("{id} {:?}: {}", &*value.name, show_type(&value.fact.ty, &graph.dims))
}

/// The attributes as JSON, empty for operators without any.
fn attributes(node: &super::graph::Node) -> String {
    match serde_json::to_value(&node.op) {
        Ok(serde_json::Value::Object(map)) => map.into_values().next().map(|v| format!(" {v} ")).unwrap_or_default(),
        _ => String::new(),
    }
}

/// A constant's elements, or how many there are.
fn tensor(tensor: &Tensor) -> String {
    if tensor.len() > SHOWN {
        return format!("[… {} elements]", tensor.len());
    }
    if let Some(strings) = tensor.as_strings() {
        return format!("{strings:?}");
    }
    tensor
        .to_i64s()
        .map(|v| format!("{v:?}"))
        .or_else(|| tensor.to_f64s().map(|v| format!("{v:?}")))
        .unwrap_or_else(|| format!("0x{}", hex(tensor.bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
