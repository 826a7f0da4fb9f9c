//! An `If` whose branches give tensors of different rank.
//!
//! `torch.squeeze` of an axis of unknown length is exported as `If(dim == 1) { Squeeze } else { Identity }`, so the rank of what follows is only
//! known when the model runs, and no code can be made for it. What follows is therefore moved into both branches, where it is known: the nodes
//! that depend on the `If` become part of its bodies, and the `If` gives what they gave.

use super::{Import, order};
use crate::ir::{Graph, Type, ValueId};
use crate::ops::Op;
use crate::report::Report;
use onnxc_proto::{AttributeProto, NodeProto, ValueInfoProto};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

/// How deep such branches are nested at most; each level doubles what follows.
const MAX_LEVELS: usize = 10;

/// How many nodes the branches over ranks may have in all.
const MAX_COPIES: usize = 10_000;

/// The nodes of a graph that wait to be moved into the branches of the first of them.
#[derive(Default)]
pub struct Sink<'a> {
    /// The first, as it was imported, and its number.
    head: Option<(Cow<'a, NodeProto>, usize)>,
    followers: Vec<usize>,
    made: HashSet<&'a str>,
    /// How often the followers are copied, if the first is an `If` over a rank.
    copies: usize,
}

impl<'a> Sink<'a> {
    /// Takes a node that was imported already, as `imported`: an `If` whose branches differ in rank.
    pub fn begin(&mut self, node: &'a NodeProto, imported: Cow<'a, NodeProto>, index: usize) {
        if self.head.is_none() {
            self.head = Some((imported, index));
        } else {
            self.followers.push(index);
        }
        self.made.extend(node.output.iter().map(String::as_str).filter(|n| !n.is_empty()));
    }

    /// Takes a node that could not be imported for want of a rank, with the `If` over that rank, which has so many branches.
    pub fn fork(&mut self, node: &'a NodeProto, (fork, branches): (NodeProto, usize), index: usize) {
        if self.head.is_none() {
            // What uses the value from here on does so in the branches.
            self.made.extend(node.input.iter().map(String::as_str).filter(|&name| fork.output.iter().any(|o| o == name)));
            (self.head, self.copies) = (Some((Cow::Owned(fork), index)), branches);
        }
        self.begin(node, Cow::Borrowed(node), index);
    }

    /// Takes the node if it depends on those that were taken.
    pub fn takes(&mut self, node: &'a NodeProto, index: usize, used: &BTreeSet<&str>) -> bool {
        let depends = used.iter().any(|name| self.made.contains(name));
        if depends {
            self.begin(node, Cow::Borrowed(node), index);
        }
        depends
    }
}

impl Import<'_> {
    /// Whether the node, which has been imported, is an `If` whose branches give a tensor of known but different ranks.
    pub(super) fn branches_differ(&mut self, node: &NodeProto) -> bool {
        if node.op_type != "If" || self.frames.len() >= MAX_LEVELS {
            return false;
        }
        let values: Vec<ValueId> = node.output.iter().filter_map(|name| self.top().get(name)).collect();
        let graph = &self.top().graph;
        values.into_iter().any(|value| !rank_known(graph, value) && known_in_branches(graph, value))
    }

    /// Imports the nodes that were taken: as one `If` with the others in its branches, where their names allow that.
    pub(super) fn finish_sink(&mut self, sink: Sink<'_>, nodes: &[NodeProto], outputs: &[&String], graph: &str) -> Result<(), Report> {
        let Some((head, first)) = &sink.head else { return Ok(()) };
        let wanted: Vec<&String> = outputs.iter().copied().filter(|name| sink.made.contains(name.as_str())).collect();
        if self.frames.len() > 1 {
            // What is declared of these in a body is not the rank in each of the branches.
            wanted.iter().for_each(|&name| drop(self.top().hints.remove(name)));
        }
        let followers: Vec<&NodeProto> = sink.followers.iter().map(|&i| &nodes[i]).collect();
        self.copies += sink.copies * followers.len();
        if (sink.copies == 0 || self.copies <= MAX_COPIES)
            && let Some(node) = sunk(head, &followers, &wanted)
        {
            return self.node(&node, *first, graph);
        }
        sink.followers.iter().try_for_each(|&i| self.node(&nodes[i], i, graph))
    }
}

fn rank_known(graph: &Graph, value: ValueId) -> bool {
    matches!(graph.fact(value).ty, Type::Tensor(_, Some(_)))
}

/// Whether the rank of a value that an `If` gives is known in each of its branches, or in the branches of another `If` there.
fn known_in_branches(graph: &Graph, value: ValueId) -> bool {
    let Some((producer, output)) = graph.producer(value) else { return false };
    let Op::If(if_) = &producer.op else { return false };
    [&if_.then, &if_.otherwise].iter().all(|body| {
        let value = body.outputs[output].1;
        rank_known(body, value) || known_in_branches(body, value)
    })
}

/// The `If` with the followers at the end of its branches, giving the wanted values; none if a name in a branch hides one they use.
fn sunk(node: &NodeProto, followers: &[&NodeProto], wanted: &[&String]) -> Option<NodeProto> {
    let mut names: BTreeSet<&str> = followers.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    followers.iter().for_each(|n| order::used_names(n, &mut names));
    names.extend(node.output.iter().map(String::as_str));
    let branch = |attribute: &AttributeProto| -> Option<AttributeProto> {
        let mut graph = (**attribute.g.as_ref()?).clone();
        let hidden = |name: &String| !name.is_empty() && names.contains(name.as_str());
        if graph.node.iter().flat_map(|n| &n.output).any(hidden) || graph.initializer.iter().any(|t| hidden(&t.name)) {
            return None;
        }
        let given = node.output.iter().zip(&graph.output).filter(|(outer, _)| !outer.is_empty());
        let renamed: Vec<NodeProto> = given.map(|(outer, inner)| identity(&inner.name, outer)).collect();
        graph.node.extend(renamed);
        graph.node.extend(followers.iter().map(|&n| n.clone()));
        graph.output = wanted.iter().map(|&name| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() }).collect();
        Some(AttributeProto { g: Some(Box::new(graph)), ..attribute.clone() })
    };
    let attribute = node.attribute.iter().map(|a| if a.g.is_some() { branch(a) } else { Some(a.clone()) }).collect::<Option<Vec<_>>>()?;
    Some(NodeProto { attribute, output: wanted.iter().map(|&name| name.clone()).collect(), ..node.clone() })
}

/// A node that gives a value another name.
fn identity(from: &str, to: &str) -> NodeProto {
    NodeProto { op_type: "Identity".into(), name: to.into(), input: vec![from.into()], output: vec![to.into()], ..NodeProto::default() }
}
