//! Room 1: model file → graph. Opsets, names and function bodies end here.

mod attributes;
mod differentiate;
mod frame;
mod functions;
mod lengths;
mod node;
mod order;
mod ranks;
mod sink;
mod squeeze;
mod tensors;
mod types;

pub use functions::Functions;
pub use node::{Parse, scalar};
pub use tensors::{from_data, to_tensor};
pub use types::{dtype_of, symbols};

use crate::ir::dim::Dims;
use crate::ir::graph::{Graph, ValueId};
use crate::ir::{DType, Fact, Type};
use crate::ops::OpError;
use crate::options::Options;
use crate::report::{Diagnostic, Place, Report};
use frame::Frame;
use onnxc_proto::{ExternalFiles, GraphProto, ModelProto, NodeProto};
use sink::Sink;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// How deep bodies may be nested.
pub const MAX_DEPTH: usize = 24;
/// How deep functions may call functions.
pub const MAX_CALLS: usize = 32;
/// How many nodes a model may have once its functions are inlined.
pub const MAX_NODES: usize = 500_000;
/// The newest opset of ai.onnx whose operators were looked at.
pub const MAX_OPSET: i64 = 28;
/// After so many errors the others are left for the next time.
const MAX_REPORTED: usize = 10;

/// Everything the import of one model shares.
pub struct Import<'a> {
    /// The model's opset imports by domain (`""` is ai.onnx).
    opsets: BTreeMap<String, i64>,
    functions: Functions<'a>,
    files: &'a mut ExternalFiles,
    options: &'a Options,
    /// The scopes from the model's graph inwards.
    frames: Vec<Frame>,
    calls: Vec<String>,
    nodes: usize,
    /// How many nodes were copied into branches over a rank.
    copies: usize,
}

/// The graph of a model.
pub fn import(model: &ModelProto, mut files: ExternalFiles, options: &Options) -> Result<Graph, Report> {
    let graph = model.graph.as_ref().ok_or_else(|| Report::from(Diagnostic::error("the model has no graph")))?;
    let mut opsets: BTreeMap<String, i64> = BTreeMap::new();
    for import in &model.opset_import {
        opsets.insert(canonical_domain(&import.domain).to_owned(), import.version);
    }
    // A model without imports is from before opsets were versioned.
    let opset = *opsets.entry(String::new()).or_insert(1);
    if opset > MAX_OPSET {
        let help = "export the model with an older opset, or use a newer onnxc";
        let error = Diagnostic::unsupported(format!("opset {opset} of ai.onnx: this version of onnxc knows those up to {MAX_OPSET}"));
        return Err(error.place(Place::graph(&graph.name)).help(help).into());
    }
    let functions = Functions::new(&model.functions);
    crate::ops::table::check_known(graph, &functions, &opsets, options)?;
    let mut attempt = |options: &Options| {
        let (opsets, functions) = (opsets.clone(), Functions::new(&model.functions));
        Import { opsets, functions, files: &mut files, options, frames: Vec::new(), calls: Vec::new(), nodes: 0, copies: 0 }
            .model_graph(graph)
    };
    attempt(options).or_else(|report| {
        let settled = if report.is_unsupported() { lengths::settle(graph, options, &mut attempt) } else { None };
        settled.ok_or(report)
    })
}

/// The domain under its one name: `ai.onnx` is the empty string.
pub fn canonical_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

impl Import<'_> {
    fn model_graph(&mut self, proto: &GraphProto) -> Result<Graph, Report> {
        let dims = Dims::default();
        let mut frame = Frame::new(Graph::new(&proto.name, &dims));
        // An initializer that is also an input is a default that the caller may replace, since IR 4; before, all initializers are inputs.
        let mut report = self.initializers(&mut frame, proto);
        for (i, input) in proto.input.iter().enumerate() {
            if frame.is_defined(&input.name) {
                continue;
            }
            match types::input_fact(input, i, &dims, self.options) {
                Ok(fact) => frame.define_input(&input.name, fact),
                Err(message) => report.push(Diagnostic::error(message).place(Place::graph(&proto.name))),
            }
        }
        frame.declare(proto);
        self.options.check_used(proto).into_iter().for_each(|d| report.push(d));
        report.into_result()?;
        self.frames.push(frame);
        let outputs = self.body(proto)?;
        let Some(mut frame) = self.frames.pop() else { return Err(Diagnostic::error("internal error: no frame").into()) };
        frame.graph.outputs = outputs;
        Ok(frame.graph)
    }

    /// Defines a graph's constants, except those that are defined already (a body's parameters); tells of those that cannot be read.
    fn initializers(&mut self, frame: &mut Frame, proto: &GraphProto) -> Report {
        let mut report = Report::default();
        let dense = proto.initializer.iter().map(|t| (t.name.clone(), to_tensor(t.clone(), self.files)));
        let mut found: Vec<(String, Result<_, String>)> = dense.collect();
        for sparse in &proto.sparse_initializer {
            match tensors::sparse(sparse.clone(), self.files) {
                Ok((name, tensor)) => found.push((name, Ok(tensor))),
                Err(message) => found.push((String::new(), Err(message))),
            }
        }
        for (name, tensor) in found {
            match tensor {
                Ok(tensor) if !frame.is_defined(&name) => frame.define_const(&name, tensor),
                Ok(_) => {}
                Err(message) => report.push(Diagnostic::error(message).place(Place::graph(&proto.name))),
            }
        }
        report
    }

    /// Imports the nodes of a graph into the innermost frame; returns its outputs.
    fn body(&mut self, proto: &GraphProto) -> Result<Vec<(String, ValueId)>, Report> {
        let names: Vec<&String> = proto.output.iter().map(|o| &o.name).collect();
        self.nodes(&proto.node, &names, &proto.name, Self::is_visible)?;
        let values = self.outputs(&names, &proto.name)?;
        Ok(names.into_iter().cloned().zip(values).collect())
    }

    /// Imports nodes into the innermost frame; `outputs` are the names that are wanted of them. What is wrong with one does not keep the others
    /// from being looked at, except those that need it.
    fn nodes(&mut self, nodes: &[NodeProto], outputs: &[&String], graph: &str, visible: fn(&Self, &str) -> bool) -> Result<(), Report> {
        let order = order::topological(nodes, |name| visible(self, name)).map_err(|problems| {
            let mut report = Report::default();
            for problem in problems.into_iter().take(MAX_REPORTED) {
                let node = &nodes[problem.node];
                let error = Diagnostic::error(problem.message).place(Place::node(graph, problem.node, node, self.opset(&node.domain)));
                report.push(Diagnostic { help: problem.help.map(str::to_owned), ..error });
            }
            report
        })?;
        self.top().hint_backwards(order.iter().rev().map(|&i| &nodes[i]));
        let mut report = Report::default();
        let mut missing: HashSet<&str> = HashSet::new();
        let mut sink = Sink::default();
        for index in order {
            let node = &nodes[index];
            let mut used = BTreeSet::new();
            order::used_names(node, &mut used);
            if sink.takes(node, index, &used) {
                continue;
            }
            let imported = match differentiate::with_function(node, nodes) {
                Cow::Borrowed(node) => self.decided(node, index, graph),
                gradient @ Cow::Owned(_) => gradient,
            };
            let done =
                if used.iter().any(|name| missing.contains(name)) { Err(Report::default()) } else { self.node(&imported, index, graph) };
            if let Err(found) = done {
                if found.is_unsupported()
                    && let Some(fork) = self.fork(node, index, graph)
                {
                    sink.fork(node, fork, index);
                    continue;
                }
                found.diagnostics.into_iter().for_each(|d| report.push(d));
                missing.extend(node.output.iter().map(String::as_str));
            } else if self.branches_differ(&imported) {
                sink.begin(node, imported, index);
            }
            if report.diagnostics.len() >= MAX_REPORTED || self.nodes > MAX_NODES {
                break;
            }
        }
        report.into_result()?;
        self.finish_sink(sink, nodes, outputs, graph)
    }

    /// The values of these names.
    fn outputs(&mut self, names: &[&String], graph: &str) -> Result<Vec<ValueId>, Report> {
        let error = |name| {
            let error = Diagnostic::error(format!("the output `{name}` is not made by any node")).place(Place::graph(graph));
            Report::from(error.help(order::DAMAGED))
        };
        names.iter().map(|name| self.lookup(name).ok_or_else(|| error(name))).collect()
    }

    fn is_visible(&self, name: &str) -> bool {
        self.frames.iter().any(|f| f.is_defined(name))
    }

    /// The value of that name in the innermost frame; one of an outer frame is captured.
    fn lookup(&mut self, name: &str) -> Option<ValueId> {
        self.lookup_from(self.frames.len(), name)
    }

    fn lookup_from(&mut self, depth: usize, name: &str) -> Option<ValueId> {
        let inner = depth.checked_sub(1)?;
        if let Some(value) = self.frames[inner].get(name) {
            return Some(value);
        }
        if self.frames[inner].closed {
            return None;
        }
        let outer = self.lookup_from(inner, name)?;
        let value = self.frames[inner - 1].graph.values[outer].clone();
        Some(self.frames[inner].capture(name, outer, value))
    }

    /// The declared type of a value, in whose scope it is made or an outer one: what declares a name in a graph also holds in its bodies.
    fn hint_of(&self, name: &str) -> Option<Type> {
        let closed = self.frames.iter().rposition(|f| f.closed).unwrap_or(0);
        self.frames[closed..].iter().rev().find_map(|f| f.hints.get(name)).cloned()
    }

    fn opset(&self, domain: &str) -> i64 {
        self.opsets.get(canonical_domain(domain)).copied().unwrap_or(1)
    }

    /// Imports a node into the innermost frame.
    fn node(&mut self, node: &NodeProto, index: usize, graph: &str) -> Result<(), Report> {
        self.nodes += 1;
        let place = Place::node(graph, index, node, self.opset(&node.domain));
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error(format!("the model has more than {MAX_NODES} nodes")).place(place).into());
        }
        let values = if let Some(function) = self.functions.find(node) {
            self.call_function(function, node, &place).map_err(|report| within(report, &place, "called by"))?
        } else {
            let mut parse = Parse::new(self, node, place.clone());
            let result = crate::ops::table::parse(&mut parse);
            let (facts, nested) = (parse.input_facts(), parse.take_nested());
            match (result, nested) {
                (Ok(values), _) => values,
                // The error happened inside a body: it is already complete.
                (Err(_), Some(report)) => return Err(within(report, &place, "inside")),
                (Err(error), None) => return Err(Diagnostic::from_op(&error, place, facts).into()),
            }
        };
        let declared = node.output.iter().filter(|n| !n.is_empty()).count();
        if values.len() < node.output.len() && values.len() < declared {
            let message = format!("the node names {} outputs, the operator has {}", node.output.len(), values.len());
            return Err(Diagnostic::error(message).place(Place::node(graph, index, node, self.opset(&node.domain))).into());
        }
        let frame = self.top();
        for (name, value) in node.output.iter().zip(values) {
            if !name.is_empty() {
                frame.define(name, value);
            }
        }
        Ok(())
    }

    fn top(&mut self) -> &mut Frame {
        // The frame of the model's graph is pushed before any node is imported and popped after the last.
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Imports a body graph whose inputs have these facts: the graph, whose further inputs are the captured values, and those values.
    fn subgraph(&mut self, proto: &GraphProto, params: &[Fact]) -> Result<(Graph, Vec<ValueId>), Report> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(Diagnostic::error(format!("bodies are nested more than {MAX_DEPTH} deep")).place(Place::graph(&proto.name)).into());
        }
        let dims = self.top().graph.dims.clone();
        let mut frame = Frame::new(Graph::new(&proto.name, &dims));
        for (input, fact) in proto.input.iter().zip(params) {
            frame.define_input(&input.name, fact.clone());
        }
        frame.declare(proto);
        self.initializers(&mut frame, proto).into_result()?;
        self.frames.push(frame);
        let outputs = self.body(proto);
        let frame = self.frames.pop();
        let (outputs, Some(mut frame)) = (outputs?, frame) else { return Err(Diagnostic::error("internal error: no frame").into()) };
        frame.graph.outputs = outputs;
        Ok((frame.graph, frame.captures))
    }
}

/// The report with a line on what is around each place, unless that is the place itself.
fn within(mut report: Report, outer: &Place, how: &str) -> Report {
    for diagnostic in report.diagnostics.iter_mut().filter(|d| d.place.as_ref() != Some(outer)) {
        diagnostic.facts.push(format!("{how} {outer}"));
    }
    report
}

/// An error for a dtype that the standard does not have.
fn unknown_dtype(number: i32) -> OpError {
    OpError::unsupported(format!("data type number {number}"))
}

/// All dtypes by ONNX number.
pub const DTYPES: [(i32, DType); 25] = [
    (1, DType::F32),
    (2, DType::U8),
    (3, DType::I8),
    (4, DType::U16),
    (5, DType::I16),
    (6, DType::I32),
    (7, DType::I64),
    (8, DType::String),
    (9, DType::Bool),
    (10, DType::F16),
    (11, DType::F64),
    (12, DType::U32),
    (13, DType::U64),
    (14, DType::C64),
    (15, DType::C128),
    (16, DType::BF16),
    (17, DType::F8E4M3FN),
    (18, DType::F8E4M3FNUZ),
    (19, DType::F8E5M2),
    (20, DType::F8E5M2FNUZ),
    (21, DType::U4),
    (22, DType::I4),
    (23, DType::F4E2M1),
    (24, DType::F8E8M0),
    (25, DType::U2),
];
