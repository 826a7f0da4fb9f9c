//! The model's local functions, inlined where they are called.

use super::{Import, MAX_CALLS, canonical_domain};
use crate::ir::ValueId;
use crate::report::{Diagnostic, Place, Report};
use onnxc_proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};
use std::collections::{BTreeMap, HashMap};

/// The functions by domain, name and overload.
pub struct Functions<'a> {
    by_name: BTreeMap<(String, String, String), &'a FunctionProto>,
}

impl<'a> Functions<'a> {
    /// The functions of a model.
    pub fn new(functions: &'a [FunctionProto]) -> Self {
        let key = |f: &FunctionProto| (canonical_domain(&f.domain).to_owned(), f.name.clone(), f.overload.clone());
        Self { by_name: functions.iter().map(|f| (key(f), f)).collect() }
    }

    /// The function that a node calls, if it does.
    pub fn find(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        self.by_name.get(&(canonical_domain(&node.domain).to_owned(), node.op_type.clone(), node.overload.clone())).copied()
    }

    /// All functions.
    pub fn iter(&self) -> impl Iterator<Item = &'a FunctionProto> {
        self.by_name.values().copied()
    }
}

impl<'a> Import<'a> {
    /// Imports the body of a function in place of the node that calls it; returns the values of its outputs.
    pub(super) fn call_function(&mut self, function: &'a FunctionProto, node: &NodeProto, place: &Place) -> Result<Vec<ValueId>, Report> {
        let error = |message: String| Report::from(Diagnostic::error(message).place(place.clone()));
        let key = full_name(function);
        if let Some(first) = self.calls.iter().position(|call| *call == key) {
            let circle: Vec<&str> = self.calls[first..].iter().chain([&key]).map(String::as_str).collect();
            return Err(error(format!("a function calls itself: {}", circle.join(" → "))));
        }
        if self.calls.len() >= MAX_CALLS {
            return Err(error(format!("functions call functions more than {MAX_CALLS} deep")));
        }
        if node.input.len() > function.input.len() {
            let (takes, given) = (function.input.len(), node.input.len());
            return Err(error(format!("the function takes {takes} input{}, {given} are given", if takes == 1 { "" } else { "s" })));
        }
        let mut names = HashMap::new();
        for (formal, actual) in function.input.iter().zip(&node.input).filter(|(_, a)| !a.is_empty()) {
            let value = self.lookup(actual).ok_or_else(|| error(format!("`{actual}` is not made by any node")))?;
            names.insert(formal.clone(), value);
        }
        let attributes = attribute_values(function, node);
        let mut opsets = self.opsets.clone();
        opsets.extend(function.opset_import.iter().map(|o| (canonical_domain(&o.domain).to_owned(), o.version)));
        let opsets = std::mem::replace(&mut self.opsets, opsets);
        let outer = self.top().swap_names(names, HashMap::new());
        let closed = std::mem::replace(&mut self.top().closed, true);
        self.calls.push(key);

        let result = self.function_body(function, &attributes);

        self.calls.pop();
        self.top().closed = closed;
        self.top().swap_names(outer.0, outer.1);
        self.opsets = opsets;
        result
    }

    fn function_body(&mut self, function: &FunctionProto, attributes: &BTreeMap<&str, &AttributeProto>) -> Result<Vec<ValueId>, Report> {
        let nodes: Vec<NodeProto> = function.node.iter().map(|n| substitute(n, attributes)).collect();
        let outputs: Vec<&String> = function.output.iter().collect();
        self.nodes(&nodes, &outputs, &function.name, Self::top_defines)?;
        self.outputs(&outputs, &function.name)
    }

    fn top_defines(&self, name: &str) -> bool {
        self.frames.last().is_some_and(|f| f.is_defined(name))
    }
}

/// `domain:name`, and the overload if there is one.
fn full_name(function: &FunctionProto) -> String {
    let overload = if function.overload.is_empty() { String::new() } else { format!(":{}", function.overload) };
    format!("{}:{}{overload}", function.domain, function.name)
}

/// The values of a function's attributes in a call: the caller's, else the defaults.
fn attribute_values<'p>(function: &'p FunctionProto, node: &'p NodeProto) -> BTreeMap<&'p str, &'p AttributeProto> {
    let mut values: BTreeMap<&str, &AttributeProto> = function.attribute_proto.iter().map(|a| (a.name.as_str(), a)).collect();
    values.extend(node.attribute.iter().map(|a| (a.name.as_str(), a)));
    values
}

/// The node with its references to attributes of the function replaced by their values, in its bodies too. A reference to an attribute that
/// the call does not give leaves the attribute out.
fn substitute(node: &NodeProto, values: &BTreeMap<&str, &AttributeProto>) -> NodeProto {
    let attribute = node.attribute.iter().filter_map(|attribute| {
        let mut new = if attribute.ref_attr_name.is_empty() {
            attribute.clone()
        } else {
            let value = values.get(attribute.ref_attr_name.as_str())?;
            AttributeProto { name: attribute.name.clone(), ..(*value).clone() }
        };
        if let Some(graph) = &mut new.g {
            substitute_graph(graph, values);
        }
        new.graphs.iter_mut().for_each(|g| substitute_graph(g, values));
        Some(new)
    });
    NodeProto { attribute: attribute.collect(), ..node.clone() }
}

fn substitute_graph(graph: &mut GraphProto, values: &BTreeMap<&str, &AttributeProto>) {
    graph.node = graph.node.iter().map(|n| substitute(n, values)).collect();
}
