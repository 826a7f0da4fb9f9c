//! `Gradient` names values of its graph: the function between them is cut out here, so that its operator can be one like any other.

use super::order::used_names;
use crate::ops::training::gradient::FUNCTION;
use onnxc_proto::{AttributeProto, AttributeType, GraphProto, NodeProto, ValueInfoProto};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// Whether a node is a `Gradient`.
pub fn is_gradient(node: &NodeProto) -> bool {
    node.op_type == "Gradient" && node.domain == "ai.onnx.preview.training"
}

/// The names of values in these attributes.
pub fn names<'a>(node: &'a NodeProto, attributes: &[&str]) -> Vec<&'a str> {
    let given = node.attribute.iter().filter(|a| attributes.contains(&a.name.as_str()));
    given.flat_map(|a| a.s.iter().chain(&a.strings)).filter_map(|text| std::str::from_utf8(text).ok()).filter(|n| !n.is_empty()).collect()
}

/// A `Gradient` with the graph from `xs` and `zs` to `y`, cut out of the nodes around it; other nodes as they are.
pub fn with_function<'n>(node: &'n NodeProto, nodes: &[NodeProto]) -> Cow<'n, NodeProto> {
    if !is_gradient(node) {
        return Cow::Borrowed(node);
    }
    // In the order in which the inputs give them values.
    let independent = [names(node, &["xs"]), names(node, &["zs"])].concat();
    let y = names(node, &["y"]);
    let maker: HashMap<&str, usize> = nodes.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i))).collect();
    let mut between = BTreeSet::new();
    let mut open: Vec<&str> = y.clone();
    while let Some(name) = open.pop() {
        let Some(&i) = maker.get(name).filter(|_| !name.is_empty() && !independent.contains(&name)) else { continue };
        if between.insert(i) {
            let mut used = BTreeSet::new();
            used_names(&nodes[i], &mut used);
            open.extend(used);
        }
    }
    let named = |name: &&str| ValueInfoProto { name: (*name).to_owned(), ..ValueInfoProto::default() };
    let graph = GraphProto {
        name: format!("the function {}", y.join(", ")),
        node: between.into_iter().map(|i| nodes[i].clone()).collect(),
        input: independent.iter().map(named).collect(),
        output: y.iter().map(named).collect(),
        ..GraphProto::default()
    };
    let function = AttributeProto {
        name: FUNCTION.into(),
        r#type: AttributeType::Graph as i32,
        g: Some(Box::new(graph)),
        ..AttributeProto::default()
    };
    let attribute = node.attribute.iter().filter(|a| a.name != FUNCTION).cloned().chain([function]).collect();
    Cow::Owned(NodeProto { attribute, ..node.clone() })
}
