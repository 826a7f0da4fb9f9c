//! Graphs as text: one line a node, ids as they are everywhere. [`parse`](super::parse) reads it back. The grammar is in docs/ir.md.
//!
//! ```text
//! graph "main" (%0 "x": f32[batch, 3]) {
//!   %1 "w": f32[3, 4] = const splat 0.5
//!   %2 "y": f32[batch, 4] = MatMul (%0, %1) from "fc1" "Gemm"
//!   return "y": %2
//! }
//! ```

use super::dim::{Dim, Dims};
use super::fact::{Fact, Known, Type, type_text};
use super::graph::{Def, Graph, Node, ValueId};
use super::tensor::Tensor;
use crate::ops::Op;
use crate::program::Condition;
use onnxc_runtime::element::DType;
use ron::extensions::Extensions;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Constants with more elements, unless all are equal, are in texts by their hash only.
const SHOWN: usize = 64;

/// The graph as text.
pub fn graph(graph: &Graph) -> String {
    let mut out = bounds(graph);
    write_graph(&mut out, graph, "");
    out
}

fn write_graph(out: &mut String, graph: &Graph, indent: &str) {
    let inputs: Vec<String> = graph.inputs.iter().map(|&v| value(graph, v)).collect();
    let _ = writeln!(out, "{indent}graph {:?} ({}) {{", graph.name, inputs.join(", "));
    for (id, _) in graph.values.iter().filter(|(_, v)| v.def == Def::Const) {
        let _ = writeln!(out, "{indent}  {}", value(graph, id));
    }
    for (_, node) in graph.nodes.iter() {
        write_node(out, graph, node, indent);
    }
    let outputs: Vec<String> = graph.outputs.iter().map(|(name, v)| format!("{name:?}: {v}")).collect();
    let _ = writeln!(out, "{indent}  return {}\n{indent}}}", outputs.join(", "));
}

fn write_node(out: &mut String, graph: &Graph, node: &Node, indent: &str) {
    let outputs: Vec<String> = node.outputs.iter().map(|&v| value(graph, v)).collect();
    let inputs: Vec<String> = node.inputs.iter().map(|v| v.map_or("-".to_owned(), |v| v.to_string())).collect();
    let requires: Vec<String> = node.requires.iter().map(|c| condition(c, &graph.dims)).collect();
    let _ = write!(out, "{indent}  {} = {} ({})", outputs.join(", "), operator(&node.op), inputs.join(", "));
    if !requires.is_empty() {
        let _ = write!(out, " where {}", requires.join(", "));
    }
    let _ = writeln!(out, " from {:?} {:?}", &*node.origin.node, &*node.origin.operator);
    for body in node.op.bodies() {
        write_graph(out, body, &format!("{indent}    "));
    }
}

/// `%2 "y": i64[2] = [batch, ?]`.
fn value(graph: &Graph, id: ValueId) -> String {
    let value = &graph.values[id];
    format!("{id} {:?}: {}", &*value.name, fact(&value.fact, &graph.dims))
}

fn fact(fact: &Fact, dims: &Dims) -> String {
    let ty = type_text(&fact.ty, &|d| dims.quoted(d).to_string());
    match &fact.known {
        Known::Nothing => ty,
        Known::Const(contents) => format!("{ty} = const {}", tensor(contents)),
        Known::Elements(elements) => {
            let texts: Vec<String> = elements.iter().map(|e| e.map_or("?".to_owned(), |d| dims.quoted(d).to_string())).collect();
            format!("{ty} = [{}]", texts.join(", "))
        }
    }
}

fn condition(condition: &Condition, dims: &Dims) -> String {
    let (a, sign, b) = match condition {
        Condition::Equal(a, b) => (a, "==", b),
        Condition::Broadcast(a, b) => (a, "~", b),
        Condition::AtMost(a, b) => (a, "<=", b),
    };
    format!("{} {sign} {}", dims.quoted(*a), dims.quoted(*b))
}

/// The way attributes are written: RON, since JSON has no infinities.
pub(super) fn ron() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES | Extensions::IMPLICIT_SOME)
}

/// An operator with its attributes: `Softmax(axis: 1)`. Equal operators have equal texts, except those with bodies, which are not in it.
pub fn operator(op: &Op) -> String {
    let config = ron::ser::PrettyConfig::new().depth_limit(0).separator(" ");
    let text = ron().to_string_pretty(op, config).unwrap_or_else(|e| format!("{} /* {e} */", op.name()));
    text.strip_suffix("()").map_or(text.clone(), str::to_owned)
}

/// A constant's elements: all of them, the one that all are, or their hash.
fn tensor(tensor: &Tensor) -> String {
    if tensor.len() <= SHOWN {
        return format!("[{}]", elements(tensor).join(", "));
    }
    match tensor.splat() {
        Some(one) => format!("splat {}", elements(&one).join(", ")),
        None => format!("sha256 {}", hash(tensor)),
    }
}

/// The start of the SHA-256 of a constant's bytes, in hexadecimal: its name in texts that do not hold it.
pub fn hash(tensor: &Tensor) -> String {
    let mut hasher = Sha256::new();
    hasher.update(tensor.bytes());
    tensor.as_strings().into_iter().flatten().for_each(|s| hasher.update(format!("{s:?}")));
    hasher.finalize()[..8].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Each element as text: numbers where they say all, else bytes.
fn elements(tensor: &Tensor) -> Vec<String> {
    if let Some(strings) = tensor.as_strings() {
        return strings.iter().map(|s| format!("{s:?}")).collect();
    }
    let floats = || tensor.to_f64s().filter(|v| !v.iter().any(|x| x.is_nan()));
    let texts = match tensor.dtype {
        DType::F64 => floats().map(|v| v.iter().map(|x| format!("{x:?}")).collect()),
        DType::F32 | DType::F16 | DType::BF16 => floats().map(|v| v.iter().map(|&x| format!("{:?}", x as f32)).collect()),
        // As i64 a large one would be negative.
        DType::U64 => tensor.to_vec::<u64>().map(|v| v.iter().map(ToString::to_string).collect()),
        DType::Bool if tensor.bytes().iter().any(|&b| b > 1) => None,
        _ => tensor.to_i64s().map(|v| v.iter().map(ToString::to_string).collect()),
    };
    let hex = |bytes: &[u8]| bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    texts.unwrap_or_else(|| tensor.bytes().chunks(tensor.dtype.size().max(1)).map(hex).collect())
}

/// A line on the symbols that can be other numbers than dims.
fn bounds(graph: &Graph) -> String {
    let mut symbols = BTreeSet::new();
    let mut see = |dim: Dim| symbols.extend(graph.dims.symbols_of(dim));
    all_dims(graph, &mut see);
    let unusual = symbols.into_iter().map(|s| graph.dims.info(s)).filter(|s| (s.min, s.max) != (0, i64::MAX));
    let texts: Vec<String> = unusual.map(|s| format!("{} in {}..={}", s.quoted(), s.min, s.max)).collect();
    if texts.is_empty() { String::new() } else { format!("symbols {}\n", texts.join(", ")) }
}

/// Shows every dim of a graph and its bodies to `see`.
fn all_dims(graph: &Graph, see: &mut dyn FnMut(Dim)) {
    for (_, value) in graph.values.iter() {
        type_dims(&value.fact.ty, see);
        if let Known::Elements(elements) = &value.fact.known {
            elements.iter().flatten().for_each(|&d| see(d));
        }
    }
    for (_, node) in graph.nodes.iter() {
        for condition in &node.requires {
            let (Condition::Equal(a, b) | Condition::Broadcast(a, b) | Condition::AtMost(a, b)) = condition;
            see(*a);
            see(*b);
        }
        node.op.bodies().into_iter().for_each(|body| all_dims(body, see));
    }
}

fn type_dims(ty: &Type, see: &mut dyn FnMut(Dim)) {
    match ty {
        Type::Tensor(_, shape) => shape.iter().flatten().for_each(|&d| see(d)),
        Type::Sequence(inner) | Type::Optional(inner) | Type::Map(_, inner) => type_dims(inner, see),
    }
}
