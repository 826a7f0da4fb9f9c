//! What an operator's `parse` works with: the node's inputs and attributes, and the graph to add to.

use super::Import;
use crate::ir::dim::{Dim, Dims};
use crate::ir::graph::{Origin, ValueId};
use crate::ir::{DType, Fact, Graph, Tensor, Type};
use crate::ops::{ErrorKind, Op, OpError};
use crate::options::{CustomOp, Options};
use crate::report::{Diagnostic, Place, Report};
use onnxc_proto::{ExternalFiles, GraphProto, NodeProto, TypeProto};
use onnxc_runtime::element::Element;
use onnxc_runtime::float::{BF16, F16};
use std::rc::Rc;

/// The context of one node's import.
pub struct Parse<'a> {
    import: &'a mut dyn Scope,
    /// The node.
    pub(super) node: &'a NodeProto,
    place: Place,
    opset: i64,
    /// The complete report of an error inside a body.
    nested: Option<Report>,
}

/// What `Parse` needs of the import (an object, so that `Parse` has one lifetime).
pub(super) trait Scope {
    fn graph(&mut self) -> &mut Graph;
    fn find(&mut self, name: &str) -> Option<ValueId>;
    fn hint(&self, name: &str) -> Option<Type>;
    fn files(&mut self) -> &mut ExternalFiles;
    fn import_body(&mut self, proto: &GraphProto, params: &[Fact]) -> Result<(Graph, Vec<ValueId>), Report>;
    fn opset_of(&self, domain: &str) -> i64;
    fn options(&self) -> &Options;
}

impl Scope for Import<'_> {
    fn graph(&mut self) -> &mut Graph {
        &mut self.top().graph
    }
    fn find(&mut self, name: &str) -> Option<ValueId> {
        self.lookup(name)
    }
    fn hint(&self, name: &str) -> Option<Type> {
        self.hint_of(name)
    }
    fn files(&mut self) -> &mut ExternalFiles {
        self.files
    }
    fn import_body(&mut self, proto: &GraphProto, params: &[Fact]) -> Result<(Graph, Vec<ValueId>), Report> {
        self.subgraph(proto, params)
    }
    fn opset_of(&self, domain: &str) -> i64 {
        self.opset(domain)
    }
    fn options(&self) -> &Options {
        self.options
    }
}

impl<'a> Parse<'a> {
    pub(super) fn new(import: &'a mut dyn Scope, node: &'a NodeProto, place: Place) -> Self {
        let opset = import.opset_of(&node.domain);
        Self { import, node, place, opset, nested: None }
    }

    /// The version of the node's domain.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The operator's name.
    pub fn op_type(&self) -> &'a str {
        &self.node.op_type
    }

    /// The operator's domain; empty for ai.onnx.
    pub fn domain(&self) -> &'a str {
        super::canonical_domain(&self.node.domain)
    }

    /// The number of inputs the node names, trailing absent ones excluded.
    pub fn input_count(&self) -> usize {
        self.node.input.iter().rposition(|n| !n.is_empty()).map_or(0, |i| i + 1)
    }

    /// The number of outputs the node names.
    pub fn output_count(&self) -> usize {
        self.node.output.len()
    }

    /// Whether the node names output `i`.
    pub fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|n| !n.is_empty())
    }

    /// Input `i`, which must be given.
    pub fn input(&mut self, i: usize) -> Result<ValueId, OpError> {
        self.opt_input(i)?.ok_or_else(|| OpError::invalid(format!("input {i} is missing")))
    }

    /// Input `i`, if given.
    pub fn opt_input(&mut self, i: usize) -> Result<Option<ValueId>, OpError> {
        let Some(name) = self.node.input.get(i).filter(|n| !n.is_empty()) else { return Ok(None) };
        self.import.find(name).map(Some).ok_or_else(|| OpError::invalid(format!("input {i} (`{name}`) is not made by any node")))
    }

    /// All inputs in order, absent ones as `None`.
    pub fn inputs(&mut self) -> Result<Vec<Option<ValueId>>, OpError> {
        (0..self.input_count()).map(|i| self.opt_input(i)).collect()
    }

    /// All inputs; none may be absent.
    pub fn all_inputs(&mut self) -> Result<Vec<ValueId>, OpError> {
        (0..self.node.input.len()).map(|i| self.input(i)).collect()
    }

    /// The table of dims.
    pub fn dims(&mut self) -> Dims {
        self.import.graph().dims.clone()
    }

    /// The fact of a value.
    pub fn fact(&mut self, value: ValueId) -> Fact {
        self.import.graph().fact(value).clone()
    }

    /// The dtype of a tensor.
    pub fn dtype(&mut self, value: ValueId) -> Result<DType, OpError> {
        self.import.graph().fact(value).dtype().ok_or_else(|| OpError::invalid("a tensor is expected here"))
    }

    /// The shape of a tensor of known rank.
    pub fn shape(&mut self, value: ValueId) -> Result<Vec<Dim>, OpError> {
        self.dtype(value)?;
        self.import.graph().fact(value).shape().map(<[Dim]>::to_vec).ok_or_else(|| {
            OpError::unsupported("the rank of an input is not known when compiling")
                .help("give the model's inputs static shapes with --dim or --input-shape, or run onnx shape inference on the model so that it declares the rank")
        })
    }

    /// The rank of a tensor.
    pub fn rank(&mut self, value: ValueId) -> Result<usize, OpError> {
        self.shape(value).map(|s| s.len())
    }

    /// The contents of a constant.
    pub fn constant_of(&mut self, value: ValueId) -> Option<Tensor> {
        self.import.graph().constant(value).cloned()
    }

    /// The integers of input `i`, which must be a constant if it is given.
    pub fn constant_ints(&mut self, i: usize, what: &str) -> Result<Option<Vec<i64>>, OpError> {
        let Some(value) = self.opt_input(i)? else { return Ok(None) };
        let known = {
            let graph = self.import.graph();
            graph
                .fact(value)
                .as_elements(&graph.dims)
                .map(|e| e.into_iter().map(|d| d.and_then(|d| graph.dims.value(d))).collect::<Option<Vec<i64>>>())
        };
        let ints = known.flatten().or_else(|| self.constant_of(value).and_then(|t| t.to_i64s()));
        ints.map(Some).ok_or_else(|| {
            OpError::unsupported(format!("{what} are only known when the model runs"))
                .help("make them constants of the model (an initializer or a Constant node)")
        })
    }

    /// A constant made here.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("{}.constant", self.origin().node);
        self.import.graph().add_const(&name, tensor)
    }

    /// A scalar constant of a floating-point or integer dtype.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> Result<ValueId, OpError> {
        let tensor = scalar(dtype, value).ok_or_else(|| OpError::unsupported(format!("a constant of dtype {dtype}")))?;
        Ok(self.constant(tensor))
    }

    /// A vector of i64.
    pub fn i64s(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::vector(values))
    }

    /// Adds a core operator with one output.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, OpError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        let outputs = self.add_n(op, &inputs)?;
        outputs.first().copied().ok_or_else(|| OpError::invalid("the operator has no output"))
    }

    /// Adds a core operator; absent inputs are `None`.
    pub fn add_n(&mut self, op: impl Into<Op>, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
        let origin = self.origin();
        let names: Vec<Rc<str>> = self.node.output.iter().map(|n| n.as_str().into()).collect();
        let hints: Vec<Option<Type>> = self.node.output.iter().map(|n| self.import.hint(n)).collect();
        self.import.graph().add(op.into(), inputs, &origin, &names, &hints).map_err(|e| e.error)
    }

    /// Where the nodes added here come from.
    pub fn origin(&self) -> Origin {
        let name = if self.node.name.is_empty() { self.node.output.first().map_or("", |s| s.as_str()) } else { &self.node.name };
        Origin { node: name.into(), operator: self.node.op_type.as_str().into() }
    }

    /// Imports a body whose inputs have these facts: the graph, whose further inputs are captured values, and those values.
    pub fn body(&mut self, proto: &GraphProto, params: &[Fact]) -> Result<(Graph, Vec<ValueId>), OpError> {
        self.import.import_body(proto, params).map_err(|report| {
            let kind = if report.is_unsupported() { ErrorKind::Unsupported } else { ErrorKind::Invalid };
            let error = OpError { kind, ..OpError::invalid(report.to_string()) };
            self.nested.get_or_insert_default().diagnostics.extend(report.diagnostics);
            error
        })
    }

    /// Adds a body's nodes here, with these values for its inputs and captures.
    pub fn inline(&mut self, body: &Graph, args: &[ValueId]) -> Result<Vec<ValueId>, OpError> {
        body.inline_into(self.import.graph(), args).map_err(|e| e.error)
    }

    /// What the user said computes this node.
    pub(crate) fn custom_op(&self) -> Option<CustomOp> {
        self.import.options().custom_op(&self.node.domain, &self.node.op_type).cloned()
    }

    /// The type that the model declares of output `i`; its dims are as [`types::declared`](super::types::declared) has them.
    pub(crate) fn declared_output(&self, i: usize) -> Option<Type> {
        self.import.hint(self.node.output.get(i)?)
    }

    /// A declared type as ours.
    pub fn convert_type(&mut self, ty: &TypeProto) -> Result<Type, OpError> {
        let dims = self.dims();
        super::types::convert(ty, &mut |_| dims.fresh(0).1).ok_or_else(|| OpError::unsupported("a type that onnxc does not know"))
    }

    /// A warning-free way to refuse: what this node asks for is not supported.
    pub fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, OpError> {
        Err(OpError::unsupported(what))
    }

    pub(super) fn files(&mut self) -> &mut ExternalFiles {
        self.import.files()
    }

    pub(super) fn input_facts(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (i, name) in self.node.input.iter().enumerate() {
            let Some(value) = self.import.find(name).filter(|_| !name.is_empty()) else { continue };
            let graph = self.import.graph();
            lines.push(format!("input {i} `{name}`: {}", graph.fact(value).show(&graph.dims)));
        }
        lines
    }

    /// The error of a body that the operator does without.
    pub fn forget_nested(&mut self) {
        self.nested = None;
    }

    pub(super) fn take_nested(&mut self) -> Option<Report> {
        self.nested.take()
    }

    /// A diagnostic at this node.
    pub fn diagnostic(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).place(self.place.clone())
    }
}

/// A scalar of a floating-point or integer dtype.
pub fn scalar(dtype: DType, value: f64) -> Option<Tensor> {
    fn of<T: Element>(x: T) -> Option<Tensor> {
        Some(Tensor::scalar(x))
    }
    match dtype {
        DType::F32 => of(value as f32),
        DType::F64 => of(value),
        DType::F16 => of(F16::from_f64(value)),
        DType::BF16 => of(BF16::from_f64(value)),
        _ => crate::ir::fact::integer_tensor(dtype, &[], &[value as i64]),
    }
}
