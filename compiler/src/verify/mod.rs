//! Room 2, and after every pass: whether a graph keeps its promises. A violation is a bug of ours, reported as an error, never a panic.
//!
//! - Every input of a node, and every output of the graph, is a value of the graph that is defined before it is used.
//! - A value's definition points back at it: input numbers, node outputs.
//! - A constant's fact holds its contents.
//! - The bodies of If and Loop keep them too.
//! - Inferring a node again from the facts of its inputs gives the dtypes, ranks and constant dims that its outputs' facts say.

use crate::ir::dim::Dims;
use crate::ir::graph::{Def, Graph, Node, NodeError, Origin, ValueId};
use crate::ir::{Fact, Type};
use crate::ops::{Infer, OpError};

/// See the module's documentation.
pub fn verify(graph: &Graph) -> Result<(), NodeError> {
    let mut defined = vec![false; graph.values.len()];
    for (i, &input) in graph.inputs.iter().enumerate() {
        check(graph.values.get(input).is_some_and(|v| v.def == Def::Input(i)), graph, None, "an input is not defined as one")?;
        defined[input.index()] = true;
    }
    for (id, value) in graph.values.iter() {
        if value.def == Def::Const {
            check(value.fact.as_const().is_some(), graph, None, "a constant has no contents")?;
            defined[id.index()] = true;
        }
    }
    let known = |defined: &[bool], v: ValueId| defined.get(v.index()).copied().unwrap_or(false);
    for (id, node) in graph.nodes.iter() {
        for &input in node.inputs.iter().flatten() {
            check(known(&defined, input), graph, Some(node), &format!("input {input} is not defined before {id}"))?;
        }
        for (i, &output) in node.outputs.iter().enumerate() {
            check(
                graph.values.get(output).is_some_and(|v| v.def == Def::Node(id, i)),
                graph,
                Some(node),
                "an output is not defined by its node",
            )?;
            defined[output.index()] = true;
        }
        node.op.bodies().into_iter().try_for_each(verify)?;
        facts(graph, node)?;
    }
    graph.outputs.iter().try_for_each(|(name, v)| check(known(&defined, *v), graph, None, &format!("output `{name}` is not defined")))
}

fn check(holds: bool, graph: &Graph, node: Option<&Node>, what: &str) -> Result<(), NodeError> {
    if holds {
        return Ok(());
    }
    let origin = node.map_or_else(|| Origin { node: graph.name.as_str().into(), operator: "graph".into() }, |n| n.origin.clone());
    let error = OpError::invalid(format!("internal error, please report it: {what}"));
    Err(NodeError { origin, inputs: Vec::new(), error })
}

/// Infers a node again and compares.
fn facts(graph: &Graph, node: &Node) -> Result<(), NodeError> {
    let inputs = node.inputs.iter().map(|v| v.map(|v| graph.fact(v))).collect();
    let mut infer = Infer::new(&graph.dims, inputs);
    let Ok(again) = node.op.clone().infer(&mut infer) else {
        return check(false, graph, Some(node), "a node that was inferred cannot be inferred again");
    };
    let agree = again.len() == node.outputs.len() && again.iter().zip(&node.outputs).all(|(f, &v)| agrees(f, graph.fact(v), &graph.dims));
    check(agree, graph, Some(node), "the facts of a node's outputs are stale")
}

fn agrees(again: &Fact, fact: &Fact, dims: &Dims) -> bool {
    match (&again.ty, &fact.ty) {
        (Type::Tensor(x, Some(s)), Type::Tensor(y, Some(t))) => {
            let dim = |(&a, &b)| dims.value(a) == dims.value(b);
            x == y && s.len() == t.len() && s.iter().zip(t).all(dim)
        }
        (Type::Tensor(x, None), Type::Tensor(y, _)) => x == y,
        (Type::Tensor(..), _) | (_, Type::Tensor(..)) => false,
        _ => true,
    }
}
