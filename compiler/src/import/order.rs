//! An order of a graph's nodes in which everything is made before it is used; models need not be sorted.

use super::differentiate;
use onnxc_proto::{GraphProto, NodeProto};
use std::collections::{BTreeSet, HashMap};

/// Why a node has no place in any order.
pub struct Problem {
    /// The node.
    pub node: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<&'static str>,
}

/// What to do about a model that is none.
pub const DAMAGED: &str = "the file is not a valid model; `onnx.checker.check_model` may say more";

/// The node indices in a topological order that keeps the model's order where that is one. `visible` tells which names exist outside.
pub fn topological(nodes: &[NodeProto], visible: impl Fn(&str) -> bool) -> Result<Vec<usize>, Vec<Problem>> {
    let problem = |node, message| Problem { node, message, help: Some(DAMAGED) };
    let mut problems = Vec::new();
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if let Some(first) = maker.insert(output, i) {
                problems.push(problem(i, format!("its output `{output}` is made by node {first} already")));
            }
        }
    }
    let mut waits: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut names = BTreeSet::new();
        used_names(node, &mut names);
        for name in names {
            match maker.get(name) {
                Some(&m) if m != i => {
                    users[m].push(i);
                    waits[i].push(m);
                }
                Some(_) => problems.push(problem(i, format!("it uses its own output `{name}`"))),
                None if visible(name) => {}
                None => {
                    if let Some(at) = node.input.iter().position(|n| n == name) {
                        problems.push(problem(i, format!("input {at} is `{name}`, which nothing makes")));
                    }
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    sort(&waits, &users).map_err(|circle| {
        let step = |&i: &usize| format!("node {i} (`{}`)", nodes[i].output.first().map_or("", String::as_str));
        let message = format!("the nodes wait for each other in a circle: {}", circle.iter().map(step).collect::<Vec<_>>().join(" → "));
        vec![problem(circle[0], message)]
    })
}

/// A topological order, or nodes of which each waits for the next.
fn sort(waits: &[Vec<usize>], users: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = waits.iter().map(Vec::len).collect();
    let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &user in &users[i] {
            missing[user] -= 1;
            if missing[user] == 0 {
                ready.insert(user);
            }
        }
    }
    // Whoever still waits waits for one that still waits: following that leads into a circle.
    let Some(stuck) = (0..waits.len()).find(|&i| missing[i] > 0) else { return Ok(order) };
    let mut path = vec![stuck];
    loop {
        let last = path[path.len() - 1];
        let Some(&next) = waits[last].iter().find(|&&m| missing[m] > 0) else { return Err(path) };
        if let Some(start) = path.iter().position(|&p| p == next) {
            return Err(path.split_off(start));
        }
        path.push(next);
    }
}

/// The names that a node uses: its inputs, and what its bodies take from outside (or may take: inner names are included).
pub fn used_names<'a>(node: &'a NodeProto, names: &mut BTreeSet<&'a str>) {
    names.extend(node.input.iter().map(String::as_str).filter(|n| !n.is_empty()));
    if differentiate::is_gradient(node) {
        names.extend(differentiate::names(node, &["xs", "zs", "y"]));
    }
    let graphs = node.attribute.iter().flat_map(|a| a.g.as_deref().into_iter().chain(&a.graphs));
    for graph in graphs {
        let mut inner = BTreeSet::new();
        graph_names(graph, &mut inner);
        names.extend(inner);
    }
}

fn graph_names<'a>(graph: &'a GraphProto, names: &mut BTreeSet<&'a str>) {
    for node in &graph.node {
        used_names(node, names);
    }
    names.extend(graph.output.iter().map(|o| o.name.as_str()));
    for node in &graph.node {
        for output in &node.output {
            names.remove(output.as_str());
        }
    }
    let own = graph.input.iter().map(|i| i.name.as_str()).chain(graph.initializer.iter().map(|t| t.name.as_str()));
    own.for_each(|name| {
        names.remove(name);
    });
}
