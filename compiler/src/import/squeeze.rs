//! A `Squeeze` without axes, where only the run knows which dims are one.
//!
//! Its result has no rank that what follows could be compiled for. It is imported as an `If` for each dim that may be one, whose branches
//! squeeze the axes they know of; what follows then moves into the branches (see [`sink`](super::sink)). Where the model declares the rank of the
//! result, and it is that of all open dims staying or going, that decides.

use super::{Import, node::Parse};
use crate::ir::{Tensor, Type};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::shape::shape_of::Shape;
use crate::report::Place;
use onnxc_proto::{AttributeProto, AttributeType, DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use std::borrow::Cow;

/// Of how many dims it may be open whether they are one; each doubles what follows.
const MAX_OPEN: usize = 4;

/// The axes of a squeezed tensor.
struct Axes {
    /// Those of one.
    one: Vec<i64>,
    /// Those that may or may not be.
    open: Vec<i64>,
}

impl Import<'_> {
    /// The node, or the `If` that it is imported as.
    pub(super) fn decided<'n>(&mut self, node: &'n NodeProto, index: usize, graph: &str) -> Cow<'n, NodeProto> {
        let Some(axes) = self.open_axes(node) else { return Cow::Borrowed(node) };
        let place = Place::node(graph, index, node, self.opset(&node.domain));
        if axes.open.is_empty() {
            let squeeze = Choice { node, conditions: &[], axes: &axes, opset: self.opset("") }.squeeze(&axes.one, &node.output[0]);
            if let Some(name) = squeeze.input.get(1) {
                let one = Parse::new(self, node, place).constant(Tensor::vector(&axes.one));
                self.top().define(name, one);
            }
            return Cow::Owned(squeeze);
        }
        let names: Vec<String> = axes.open.iter().map(|axis| format!("{}: axis {axis} is one", node.output[0])).collect();
        for (name, &axis) in names.iter().zip(&axes.open) {
            let mut parse = Parse::new(self, node, place.clone());
            let Ok(x) = parse.input(0) else { return Cow::Borrowed(node) };
            let one = parse.constant(Tensor::vector(&[1i64]));
            let is_one =
                parse.add(Shape::between(axis, axis + 1), &[x]).and_then(|dim| parse.add(Binary { f: BinaryFn::Equal }, &[dim, one]));
            let Ok(is_one) = is_one else { return Cow::Borrowed(node) };
            self.top().define(name, is_one);
        }
        Cow::Owned(Choice { node, conditions: &names, axes: &axes, opset: self.opset("") }.next(0, &axes.one, &node.output[0]))
    }

    /// The axes of a `Squeeze` that names none, if it is open for some of them whether they go.
    fn open_axes(&mut self, node: &NodeProto) -> Option<Axes> {
        if node.op_type != "Squeeze" || node.output.len() != 1 {
            return None;
        }
        let named = node.attribute.iter().any(|a| a.name == "axes") || node.input.get(1).is_some_and(|n| !n.is_empty());
        let own = self.functions.find(node).is_some() || self.options.custom_op(&node.domain, &node.op_type).is_some();
        let standard = super::canonical_domain(&node.domain).is_empty() && !own;
        if named || !standard {
            return None;
        }
        let x = self.lookup(node.input.first()?)?;
        let declared = match self.hint_of(node.output.first()?) {
            Some(Type::Tensor(_, Some(shape))) => Some(shape.len()),
            _ => None,
        };
        let graph = &self.top().graph;
        let (mut one, mut open) = (Vec::new(), Vec::new());
        let shape = graph.fact(x).shape()?;
        for (axis, &dim) in shape.iter().enumerate() {
            match graph.dims.value(dim) {
                Some(1) => one.push(axis as i64),
                None if graph.dims.bounds(dim).0 <= 1 => open.push(axis as i64),
                _ => {}
            }
        }
        let rest = shape.len() - one.len();
        if !open.is_empty() && declared == Some(rest) {
            open.clear();
        } else if !open.is_empty() && declared == Some(rest - open.len()) {
            one.append(&mut open);
            one.sort_unstable();
        } else if !(1..=MAX_OPEN).contains(&open.len()) {
            return None;
        }
        Some(Axes { one, open })
    }
}

/// What the decisions are about.
struct Choice<'a> {
    node: &'a NodeProto,
    /// For each open axis the name of a value that tells whether it is one.
    conditions: &'a [String],
    axes: &'a Axes,
    opset: i64,
}

impl Choice<'_> {
    /// The node that decides about the open axes from number `i` on and squeezes those and `gone`, giving `output`.
    fn next(&self, i: usize, gone: &[i64], output: &str) -> NodeProto {
        let Some(&axis) = self.axes.open.get(i) else { return self.squeeze(gone, output) };
        let branch = |name: &str, gone: &[i64]| {
            let output = format!("{output}, {name} {axis}");
            let node = self.next(i + 1, gone, &output);
            let initializer = self.axes_of(&node, gone);
            let graph =
                GraphProto { name: name.into(), output: vec![named(output)], node: vec![node], initializer, ..GraphProto::default() };
            AttributeProto { name: name.into(), r#type: AttributeType::Graph as i32, g: Some(Box::new(graph)), ..AttributeProto::default() }
        };
        let attribute = vec![branch("then_branch", &[gone, &[axis]].concat()), branch("else_branch", gone)];
        NodeProto { input: vec![self.conditions[i].clone()], ..self.node("If", output, attribute) }
    }

    /// The squeeze of these axes.
    fn squeeze(&self, axes: &[i64], output: &str) -> NodeProto {
        if axes.is_empty() {
            return self.node("Identity", output, Vec::new());
        }
        let ints =
            AttributeProto { name: "axes".into(), r#type: AttributeType::Ints as i32, ints: axes.to_vec(), ..AttributeProto::default() };
        let mut node = self.node("Squeeze", output, if self.opset < 13 { vec![ints] } else { Vec::new() });
        if self.opset >= 13 {
            node.input.push(format!("axes of {output}"));
        }
        node
    }

    /// The constant that a squeeze of these axes takes since opset 13.
    fn axes_of(&self, node: &NodeProto, axes: &[i64]) -> Vec<TensorProto> {
        let name = node.input.get(1).filter(|_| node.op_type == "Squeeze");
        let tensor = |name: &String| TensorProto {
            name: name.clone(),
            dims: vec![axes.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: axes.to_vec(),
            ..TensorProto::default()
        };
        name.map(tensor).into_iter().collect()
    }

    fn node(&self, op_type: &str, output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
        let input = self.node.input.iter().take(1).cloned().collect();
        NodeProto { op_type: op_type.into(), input, output: vec![output.into()], attribute, ..self.node.clone() }
    }
}

fn named(name: String) -> ValueInfoProto {
    ValueInfoProto { name, ..ValueInfoProto::default() }
}
