//! Folding is running: a node whose inputs are all constants is lowered by itself and interpreted, by the same kernels that generated code calls.

use crate::ir::DType;
use crate::ir::dim::Dims;
use crate::ir::fact::{Fact, Type};
use crate::ir::graph::{Def, Graph, Node, Origin, Value};
use crate::ir::tensor::Tensor;
use crate::ops::{Op, OpError};
use crate::options::Options;
use crate::program::interpret;
use onnxc_runtime::value::Value as RunValue;

/// Results up to this many bytes are folded in any case; larger ones only if they are not much larger than the inputs they replace, so that
/// no `Expand` or `ConstantOfShape` turns into gigabytes of weights.
const FREE_BYTES: usize = 1 << 20;

/// Steps that the interpreter may take for one fold: a long `Loop` over constants stays in the program.
const FUEL: usize = 200_000;

/// The outputs of an operator on constant inputs; `None` if folding does not pay or fails on the data (the run will say why).
pub fn fold(op: &Op, facts: &[Option<&Fact>], outputs: &[Fact], dims: &Dims, origin: &Origin) -> Result<Option<Vec<Tensor>>, OpError> {
    if !affordable(facts, outputs, dims) {
        return Ok(None);
    }
    let graph = single_node(op, facts, outputs, dims, origin);
    let Ok(program) = crate::lower::lower(&graph, "", &Options::default()) else { return Ok(None) };
    let Ok(values) = interpret::run(&program, &[], FUEL) else { return Ok(None) };
    Ok(values.into_iter().map(tensor_of).collect())
}

fn affordable(facts: &[Option<&Fact>], outputs: &[Fact], dims: &Dims) -> bool {
    let given: usize = facts.iter().flatten().filter_map(|f| f.as_const()).map(|t| t.bytes().len()).sum();
    let mut made = 0usize;
    for fact in outputs {
        let Type::Tensor(dtype, Some(shape)) = &fact.ty else { return false };
        // A dim that only the data tells is bounded by the inputs for all operators that have one, but Range and its kin say so themselves.
        let count = shape.iter().filter_map(|&d| dims.value(d)).fold(1i64, i64::saturating_mul);
        let size = if *dtype == DType::String { size_of::<String>() } else { dtype.size() };
        made = made.saturating_add(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size));
    }
    made <= FREE_BYTES.max(given.saturating_mul(4))
}

/// A graph of constants and the node.
fn single_node(op: &Op, facts: &[Option<&Fact>], outputs: &[Fact], dims: &Dims, origin: &Origin) -> Graph {
    let mut graph = Graph::new("", dims);
    let inputs = facts.iter().map(|f| f.map(|f| graph.values.push(Value { name: "".into(), fact: f.clone(), def: Def::Const }))).collect();
    let node = crate::ir::arena::Id::new(0);
    let values: Vec<_> = (outputs.iter().enumerate())
        .map(|(i, fact)| graph.values.push(Value { name: "".into(), fact: fact.clone(), def: Def::Node(node, i) }))
        .collect();
    graph.outputs = values.iter().map(|&v| (String::new(), v)).collect();
    graph.nodes.push(Node { op: op.clone(), inputs, outputs: values, requires: Vec::new(), origin: origin.clone() });
    graph
}

fn tensor_of(value: RunValue) -> Option<Tensor> {
    interpret::to_tensor(&value)
}
