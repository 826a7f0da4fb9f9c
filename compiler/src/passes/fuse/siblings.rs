//! Products of one matrix with several weights, such as queries, keys and values, become one product and its parts.
//!
//! The parts are columns of the result. It only pays where those that read them can do so in place
//! ([`lower::joined`](crate::lower::joined)), so only then.

use crate::ir::Tensor;
use crate::ir::graph::{Graph, Node, NodeError, NodeId, Origin, ValueId};
use crate::ir::text;
use crate::ops::Op;
use crate::ops::linear::matmul::MatMul;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::split::Split;
use std::collections::HashMap;
use std::rc::Rc;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let families = families(graph);
    let mut parts: HashMap<NodeId, ValueId> = HashMap::new();
    graph.rebuild(None, &mut |new, old, id, inputs| {
        if let (Some(members), Some(Some(x))) = (families.get(&id), inputs.first().copied()) {
            parts.extend(members.iter().copied().zip(merged(new, old, members, x)?));
        }
        Ok(parts.get(&id).map(|&part| vec![part]))
    })
}

/// The products that become one, by the first of them.
fn families(graph: &Graph) -> HashMap<NodeId, Vec<NodeId>> {
    let mut readable: Vec<bool> = vec![true; graph.values.len()];
    for (_, node) in graph.nodes.iter() {
        for (i, value) in node.inputs.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))) {
            let rank = graph.fact(value).shape().map_or(0, <[_]>::len);
            readable[value.index()] &= node.op.reads_rows(i, rank);
        }
    }
    graph.outputs.iter().for_each(|(_, v)| readable[v.index()] = false);
    let (mut first, mut families): (HashMap<(ValueId, String), NodeId>, HashMap<NodeId, Vec<NodeId>>) = (HashMap::new(), HashMap::new());
    for (id, node) in graph.nodes.iter() {
        if mergeable(graph, node)
            && let Some(x) = node.inputs[0]
            && readable[node.outputs[0].index()]
        {
            let leader = *first.entry((x, text::operator(&node.op))).or_insert(id);
            families.entry(leader).or_default().push(id);
        }
    }
    families.retain(|_, members| members.len() > 1);
    families
}

/// A product of rows, as many as are known, with a constant matrix and, perhaps, a constant bias.
fn mergeable(graph: &Graph, node: &Node) -> bool {
    let Op::MatMul(MatMul { transpose_a: false, residual: false, .. }) = node.op else { return false };
    let known = |v: ValueId| graph.fact(v).shape().is_some_and(|s| s.iter().all(|&d| graph.dims.value(d).is_some_and(|d| d > 0)));
    let constants = node.inputs[1..].iter().all(|v| v.is_some_and(|v| graph.constant(v).is_some()));
    let matrix = node.inputs[1].and_then(|w| graph.fact(w).shape()).is_some_and(|s| s.len() == 2);
    let rows = graph.fact(node.outputs[0]).shape().is_some_and(|s| s.len() > 1);
    constants && matrix && rows && known(node.outputs[0])
}

/// The results of the members: parts of one product.
fn merged(new: &mut Graph, old: &Graph, members: &[NodeId], x: ValueId) -> Result<Vec<ValueId>, NodeError> {
    let nodes: Vec<&Node> = members.iter().map(|&id| &old.nodes[id]).collect();
    let Op::MatMul(op) = &nodes[0].op else { return Ok(Vec::new()) };
    let operators: Vec<&str> = nodes.iter().map(|n| &*n.origin.operator).collect();
    let origin = Origin { node: nodes[0].origin.node.clone(), operator: operators.join(", ").into() };
    let mut inputs = vec![Some(x)];
    for (i, axis) in [(1, usize::from(!op.transpose_b)), (2, 0)].into_iter().take(1 + usize::from(op.bias)) {
        let constants = nodes.iter().map(|n| n.inputs[i].and_then(|v| old.constant(v)).map(|t| new.add_const("weights", t.clone())));
        let constants: Vec<_> = constants.collect();
        inputs.push(Some(new.add(Concat { axis }.into(), &constants, &origin, &[], &[])?[0]));
    }
    let product = new.add(op.clone().into(), &inputs, &origin, &[], &[])?[0];
    let widths = nodes.iter().map(|n| old.fact(n.outputs[0]).shape().and_then(|s| old.dims.value(*s.last()?)).unwrap_or(0));
    let widths = new.add_const("widths", Tensor::vector(&widths.collect::<Vec<i64>>()));
    let axis = new.fact(product).shape().map_or(0, |s| s.len() - 1);
    let names: Vec<Rc<str>> = nodes.iter().map(|n| old.values[n.outputs[0]].name.clone()).collect();
    new.add(Split::by_lengths(axis, nodes.len()).into(), &[Some(product), Some(widths)], &origin, &names, &[])
}
