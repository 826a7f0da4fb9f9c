//! An order of a graph's nodes in which everything is made before it is used; models need not be sorted.

use onnxc_proto::{GraphProto, NodeProto};
use std::collections::{BTreeSet, HashMap};

/// The node indices in a topological order that keeps the model's order where that is one. `visible` tells which names exist outside.
pub fn topological(nodes: &[NodeProto], visible: impl Fn(&str) -> bool) -> Result<Vec<usize>, String> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if maker.insert(output, i).is_some() {
                return Err(format!("two nodes make a value named `{output}`"));
            }
        }
    }
    let mut waits = vec![0usize; nodes.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut names = BTreeSet::new();
        used_names(node, &mut names);
        for name in names {
            match maker.get(name) {
                Some(&m) if m != i => {
                    users[m].push(i);
                    waits[i] += 1;
                }
                Some(_) => return Err(format!("node {i} uses its own output `{name}`")),
                None if visible(name) || !node.input.iter().any(|n| n == name) => {}
                None => return Err(format!("node {i} (`{}`) uses `{name}`, which nothing makes", node.name)),
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&i| waits[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &user in &users[i] {
            waits[user] -= 1;
            if waits[user] == 0 {
                ready.insert(user);
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    let stuck = (0..nodes.len()).find(|&i| waits[i] > 0).unwrap_or(0);
    Err(format!("the nodes form a cycle through node {stuck} (`{}`)", nodes[stuck].name))
}

/// The names that a node uses: its inputs, and what its bodies take from outside (or may take: inner names are included).
fn used_names<'a>(node: &'a NodeProto, names: &mut BTreeSet<&'a str>) {
    names.extend(node.input.iter().map(String::as_str).filter(|n| !n.is_empty()));
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
