//! A node whose input has a rank that only the run knows.
//!
//! The items of a sequence may differ in rank, and so may a value that a loop carries before and after its first trip. No code can be made for a
//! tensor of unknown rank, but some can for each rank: the node that needs to know is preceded by an `If` over the rank of its input, whose
//! branches know it, and all that depends on the node moves into the branches (see [`sink`](super::sink)). Branches for ranks that the nodes
//! cannot take become traps.

use super::{DTYPES, Import, node::Parse};
use crate::ir::graph::{Def, ValueId};
use crate::ir::{DType, Graph, Tensor, Type};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::object::{optional::Optional, sequence::Sequence};
use crate::ops::shape::rank::RankOf;
use crate::report::Place;
use onnxc_proto::{
    AttributeProto, AttributeType, Dimension, GraphProto, NodeProto, TensorShapeProto, TensorType, TypeKind, TypeProto, ValueInfoProto,
};
use std::collections::BTreeSet;

/// The greatest rank that is tried where nothing is known.
const MAX_RANK: usize = 8;

impl Import<'_> {
    /// The `If` over the rank of the first input of a node that has none, which gives that input by its name; and how many ranks it may have.
    pub(super) fn fork(&mut self, node: &NodeProto, index: usize, graph: &str) -> Option<(NodeProto, usize)> {
        let frame = self.frames.len();
        let (name, value, dtype) = node.input.iter().find_map(|name| {
            let value = self.lookup(name)?;
            match self.top().graph.fact(value).ty {
                Type::Tensor(dtype, None) => Some((name, value, dtype)),
                _ => None,
            }
        })?;
        let ranks = self.ranks(frame, value).filter(|r| r.len() > 1)?;
        // Both names are the value's: the branches define the second again, as the tensor whose rank they know.
        let any = format!("{name}: of any rank");
        self.top().define(&any, value);
        let place = Place::node(graph, index, node, self.opset(&node.domain));
        let mut parse = Parse::new(self, node, place);
        let rank = parse.add(RankOf, &[value]).ok()?;
        let mut conditions = Vec::new();
        for &most in &ranks[..ranks.len() - 1] {
            let limit = parse.constant(Tensor::scalar(most as i64));
            conditions.push((most, parse.add(Binary { f: BinaryFn::LessOrEqual }, &[rank, limit]).ok()?));
        }
        for (most, condition) in conditions {
            self.top().define(&at_most(&any, most), condition);
        }
        let fork = Fork { node, any: &any, dtype }.over(&ranks, name)?;
        Some((fork, ranks.len()))
    }

    /// The ranks that a value of unknown rank may have, in order; none if its producer has to know its rank.
    fn ranks(&self, depth: usize, value: ValueId) -> Option<Vec<usize>> {
        let frame = self.frames.get(depth.checked_sub(1)?)?;
        if let Def::Input(number) = frame.graph.values[value].def {
            let formal = frame.graph.inputs.len() - frame.captures.len();
            if let Some(&outer) = number.checked_sub(formal).and_then(|i| frame.captures.get(i)) {
                return self.ranks(depth - 1, outer);
            }
        }
        possible(&frame.graph, value).map(|ranks| ranks.into_iter().collect())
    }
}

/// The ranks that a value may have; none if its producer has to know.
fn possible(graph: &Graph, value: ValueId) -> Option<BTreeSet<usize>> {
    if let Type::Tensor(_, Some(shape)) = &graph.fact(value).ty {
        return Some(BTreeSet::from([shape.len()]));
    }
    let any = Some((0..=MAX_RANK).collect());
    let both = |a: Option<BTreeSet<usize>>, b: Option<BTreeSet<usize>>| Some(&a? | &b?);
    let Some((node, output)) = graph.producer(value) else { return any };
    match &node.op {
        Op::If(op) => both(possible(&op.then, op.then.outputs[output].1), possible(&op.otherwise, op.otherwise.outputs[output].1)),
        Op::Loop(op) => {
            let (first, (body, last)) = (node.inputs[2 + output]?, op.carried(output)?);
            // What no trip changes is what it was.
            let kept = body.inputs.get(2 + output) == Some(&last);
            if kept { possible(graph, first) } else { both(possible(graph, first), possible(body, last)) }
        }
        Op::Sequence(Sequence::At) | Op::Optional(Optional::Get) => any,
        _ => None,
    }
}

fn at_most(any: &str, rank: usize) -> String {
    format!("{any}, at most {rank}")
}

/// What is decided about.
struct Fork<'a> {
    node: &'a NodeProto,
    /// The name of the value of unknown rank.
    any: &'a str,
    dtype: DType,
}

impl Fork<'_> {
    /// The node that gives the value, which has one of these ranks, as `output`.
    fn over(&self, ranks: &[usize], output: &str) -> Option<NodeProto> {
        let [_, _, ..] = ranks else { return Some(self.node("Identity", self.any, output, Vec::new())) };
        let (low, high) = ranks.split_at(ranks.len() / 2);
        let branches = vec![self.branch("then_branch", low)?, self.branch("else_branch", high)?];
        Some(self.node("If", &at_most(self.any, *low.last()?), output, branches))
    }

    /// A branch where the value has one of these ranks; if it is one, that is declared of it, and `Identity` takes care of it.
    fn branch(&self, name: &str, ranks: &[usize]) -> Option<AttributeProto> {
        let output = format!("{}, one of {ranks:?}", self.any);
        let node = self.over(ranks, &output)?;
        let value_info = match ranks {
            [rank] => vec![self.declared(&output, *rank)?],
            _ => Vec::new(),
        };
        let output = vec![ValueInfoProto { name: output, ..ValueInfoProto::default() }];
        let graph = GraphProto { name: name.into(), node: vec![node], output, value_info, ..GraphProto::default() };
        Some(AttributeProto {
            name: name.into(),
            r#type: AttributeType::Graph as i32,
            g: Some(Box::new(graph)),
            ..AttributeProto::default()
        })
    }

    /// A declaration of a value's rank.
    fn declared(&self, name: &str, rank: usize) -> Option<ValueInfoProto> {
        let elem_type = DTYPES.iter().find(|d| d.1 == self.dtype)?.0;
        let shape = TensorShapeProto { dim: vec![Dimension::default(); rank] };
        let value = Some(TypeKind::Tensor(TensorType { elem_type, shape: Some(shape) }));
        Some(ValueInfoProto { name: name.into(), r#type: Some(TypeProto { value, ..TypeProto::default() }), ..ValueInfoProto::default() })
    }

    fn node(&self, op_type: &str, input: &str, output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
        let (input, output) = (vec![input.into()], vec![output.into()]);
        NodeProto { op_type: op_type.into(), name: self.node.name.clone(), input, output, attribute, ..NodeProto::default() }
    }
}
