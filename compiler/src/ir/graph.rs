//! The graph: values with facts, nodes in an order in which every input is defined before it is used.
//!
//! Nodes are only ever appended, and [`Graph::add`] infers, so a fact never lacks and never goes stale; a pass makes a new graph
//! ([`Graph::rebuild`]). There are no edges by name, absent optional inputs are `None`, and the bodies of If, Loop and Scan are graphs whose
//! captured outer values are inputs like any other.

use super::arena::{Arena, Entity, Id};
use super::dim::Dims;
use super::fact::{Fact, Type};
use super::tensor::Tensor;
use crate::ops::{Infer, Op, OpError};
use crate::program::Condition;
use std::rc::Rc;

/// A value: an input, a constant, or an output of a node.
#[derive(Clone, Debug)]
pub struct Value {
    /// The model's name, or one derived from it.
    pub name: Rc<str>,
    /// What is known of it.
    pub fact: Fact,
    /// What defines it.
    pub def: Def,
}

/// What defines a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Def {
    /// The input of that number.
    Input(usize),
    /// It is a constant; its fact holds the contents.
    Const,
    /// That output of a node.
    Node(NodeId, usize),
}

/// Where a node comes from in the model, for errors and for the reader of the generated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The node's name (that of its first output if it has none).
    pub node: Rc<str>,
    /// The ONNX operators it came from: `Conv`, or `Conv, Relu` once fused.
    pub operator: Rc<str>,
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator with its attributes.
    pub op: Op,
    /// The inputs; `None` where an optional one is absent.
    pub inputs: Vec<Option<ValueId>>,
    /// The outputs.
    pub outputs: Vec<ValueId>,
    /// What inference assumed of the dims and could not prove.
    pub requires: Vec<Condition>,
    /// Where it comes from.
    pub origin: Origin,
}

/// The id of a [`Value`].
pub type ValueId = Id<Value>;
/// The id of a [`Node`].
pub type NodeId = Id<Node>;

impl Entity for Value {
    const PREFIX: &'static str = "%";
}
impl Entity for Node {
    const PREFIX: &'static str = "n";
}

/// A graph. See the module's documentation.
#[derive(Clone, Default)]
pub struct Graph {
    /// The model's name of it.
    pub name: String,
    /// The table of all dims, shared with the bodies inside.
    pub dims: Dims,
    /// The inputs, in order.
    pub inputs: Vec<ValueId>,
    /// The outputs, in order, with the model's names.
    pub outputs: Vec<(String, ValueId)>,
    /// All values.
    pub values: Arena<Value>,
    /// All nodes, in order.
    pub nodes: Arena<Node>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "graph of {} nodes", self.nodes.len())
    }
}

/// Bodies are compared by identity only: two are never the same.
impl PartialEq for Graph {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

/// The error of a node together with its origin.
#[derive(Clone, Debug)]
pub struct NodeError {
    /// The node.
    pub origin: Origin,
    /// The facts of its inputs, as text.
    pub inputs: Vec<String>,
    /// What is wrong.
    pub error: OpError,
}

impl Graph {
    /// An empty graph over a table of dims.
    pub fn new(name: &str, dims: &Dims) -> Self {
        Self { name: name.to_owned(), dims: dims.clone(), ..Self::default() }
    }

    /// The fact of a value.
    pub fn fact(&self, value: ValueId) -> &Fact {
        &self.values[value].fact
    }

    /// Appends an input.
    pub fn add_input(&mut self, name: &str, fact: Fact) -> ValueId {
        let id = self.values.push(Value { name: name.into(), fact, def: Def::Input(self.inputs.len()) });
        self.inputs.push(id);
        id
    }

    /// Appends a constant.
    pub fn add_const(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let fact = Fact::constant(tensor, &self.dims);
        self.values.push(Value { name: name.into(), fact, def: Def::Const })
    }

    /// Appends a node: infers its outputs' facts, folds it if all its inputs are constants.
    ///
    /// `names` are the outputs' names, of which there may be fewer than outputs; `hints` their types as far as the model declares them,
    /// used where inference finds no rank.
    pub fn add(
        &mut self,
        mut op: Op,
        inputs: &[Option<ValueId>],
        origin: &Origin,
        names: &[Rc<str>],
        hints: &[Option<Type>],
    ) -> Result<Vec<ValueId>, NodeError> {
        let facts: Vec<Option<&Fact>> = inputs.iter().map(|v| v.map(|v| &self.values[v].fact)).collect();
        let describe = |error| NodeError {
            origin: origin.clone(),
            inputs: facts.iter().map(|f| f.map_or("absent".to_owned(), |f| f.show(&self.dims).to_string())).collect(),
            error,
        };
        let mut infer = Infer::new(&self.dims, facts.clone());
        let mut outputs = op.infer(&mut infer).map_err(describe)?;
        let requires = infer.finish().map_err(describe)?;
        if requires.is_empty() && op.folds() {
            if let Some(constants) = all_constant(&outputs) {
                return Ok(self.add_consts(constants, origin, names));
            }
            if facts.iter().all(|f| f.is_none_or(|f| f.as_const().is_some()))
                && let Some(constants) = crate::lower::fold::fold(&op, &facts, &outputs, &self.dims, origin).map_err(describe)?
            {
                return Ok(self.add_consts(constants, origin, names));
            }
        }
        for (fact, hint) in outputs.iter_mut().zip(hints) {
            take_rank(fact, hint.as_ref(), &self.dims);
        }
        let node = Id::new(self.nodes.len());
        let outputs: Vec<ValueId> = outputs
            .into_iter()
            .enumerate()
            .map(|(i, fact)| self.values.push(Value { name: output_name(origin, names, i), fact, def: Def::Node(node, i) }))
            .collect();
        self.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: outputs.clone(), requires, origin: origin.clone() });
        Ok(outputs)
    }

    fn add_consts(&mut self, constants: Vec<Tensor>, origin: &Origin, names: &[Rc<str>]) -> Vec<ValueId> {
        constants.into_iter().enumerate().map(|(i, tensor)| self.add_const(&output_name(origin, names, i), tensor)).collect()
    }

    /// A new graph with the same inputs, in which each node has been offered to `rewrite`, which may add other nodes in its place and return
    /// their values; where it returns `None` the node is added as it is. `inputs` replaces the facts of the inputs.
    pub fn rebuild(&self, inputs: Option<&[Fact]>, rewrite: &mut Rewrite<'_>) -> Result<Self, NodeError> {
        let mut new = Self::new(&self.name, &self.dims);
        let mut map: Vec<Option<ValueId>> = vec![None; self.values.len()];
        for (i, &input) in self.inputs.iter().enumerate() {
            let value = &self.values[input];
            let fact = inputs.and_then(|f| f.get(i)).unwrap_or(&value.fact).clone();
            map[input.index()] = Some(new.add_input(&value.name, fact));
        }
        let outputs = self.copy_nodes_into(&mut new, &mut map, rewrite)?;
        new.outputs = self.outputs.iter().map(|(name, _)| name.clone()).zip(outputs).collect();
        Ok(new)
    }

    /// The graph without the nodes that `keep` refuses, whose outputs nothing may use.
    pub fn retain(&self, keep: &dyn Fn(NodeId) -> bool) -> Result<Self, NodeError> {
        self.rebuild(None, &mut |_, _, id, _| Ok(if keep(id) { None } else { Some(Vec::new()) }))
    }

    /// Adds this graph's nodes to `target`, with `args` for its inputs; returns the values of its outputs.
    pub fn inline_into(&self, target: &mut Self, args: &[ValueId]) -> Result<Vec<ValueId>, NodeError> {
        let mut map: Vec<Option<ValueId>> = vec![None; self.values.len()];
        for (&input, &arg) in self.inputs.iter().zip(args) {
            map[input.index()] = Some(arg);
        }
        self.copy_nodes_into(target, &mut map, &mut |_, _, _, _| Ok(None))
    }

    fn copy_nodes_into(&self, new: &mut Self, map: &mut [Option<ValueId>], rewrite: &mut Rewrite<'_>) -> Result<Vec<ValueId>, NodeError> {
        for (id, node) in self.nodes.iter() {
            let inputs: Vec<Option<ValueId>> = node.inputs.iter().map(|v| v.map(|v| self.value_in(new, map, v))).collect();
            let outputs = match rewrite(new, self, id, &inputs)? {
                Some(outputs) => outputs,
                None => self.copy_node_into(new, node, &inputs)?,
            };
            for (&old, value) in node.outputs.iter().zip(outputs) {
                map[old.index()] = Some(value);
            }
        }
        Ok(self.outputs.iter().map(|(_, v)| self.value_in(new, map, *v)).collect())
    }

    /// Adds a node of this graph to `new`.
    pub fn copy_node_into(&self, new: &mut Self, node: &Node, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, NodeError> {
        let names: Vec<Rc<str>> = node.outputs.iter().map(|&v| self.values[v].name.clone()).collect();
        let hints: Vec<Option<Type>> = node.outputs.iter().map(|&v| Some(self.values[v].fact.ty.clone())).collect();
        new.add(node.op.clone(), inputs, &node.origin, &names, &hints)
    }

    /// The new value for an old one; constants are carried over when first used.
    fn value_in(&self, new: &mut Self, map: &mut [Option<ValueId>], old: ValueId) -> ValueId {
        if let Some(value) = map[old.index()] {
            return value;
        }
        let value = new.values.push(self.values[old].clone());
        map[old.index()] = Some(value);
        value
    }

    /// How many times each value is used, by nodes and as an output of the graph.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let inputs = self.nodes.iter().flat_map(|(_, n)| n.inputs.iter().flatten().copied());
        for value in inputs.chain(self.outputs.iter().map(|o| o.1)) {
            uses[value.index()] += 1;
        }
        uses
    }

    /// As [`uses`](Self::uses), not counting nodes that only want to know the shape.
    pub fn uses_of_contents(&self) -> Vec<usize> {
        let mut uses = self.uses();
        for (_, node) in self.nodes.iter().filter(|(_, n)| matches!(n.op, Op::Shape(_) | Op::DimsOf(_))) {
            node.inputs.iter().flatten().for_each(|v| uses[v.index()] -= 1);
        }
        uses
    }

    /// The node that defines a value, and which of its outputs it is.
    pub fn producer(&self, value: ValueId) -> Option<(&Node, usize)> {
        match self.values[value].def {
            Def::Node(node, output) => Some((&self.nodes[node], output)),
            _ => None,
        }
    }

    /// The contents of a constant.
    pub fn constant(&self, value: ValueId) -> Option<&Tensor> {
        self.values[value].fact.as_const()
    }
}

/// What a pass does with a node: `(new graph, old graph, node, new inputs)`.
pub type Rewrite<'a> = dyn FnMut(&mut Graph, &Graph, NodeId, &[Option<ValueId>]) -> Result<Option<Vec<ValueId>>, NodeError> + 'a;

fn output_name(origin: &Origin, names: &[Rc<str>], i: usize) -> Rc<str> {
    names
        .get(i)
        .filter(|n| !n.is_empty())
        .cloned()
        .unwrap_or_else(|| if i == 0 { origin.node.clone() } else { format!("{}.{i}", origin.node).into() })
}

/// The constants that all outputs are, if they all are.
fn all_constant(outputs: &[Fact]) -> Option<Vec<Tensor>> {
    outputs.iter().map(|f| f.as_const().cloned()).collect()
}

/// Where inference found no rank but the model declares one, trusts that: the dims are checked when the model runs.
fn take_rank(fact: &mut Fact, hint: Option<&Type>, dims: &Dims) {
    if let (Type::Tensor(_, shape @ None), Some(Type::Tensor(_, Some(declared)))) = (&mut fact.ty, hint) {
        *shape = Some(declared.iter().map(|_| dims.fresh(0).1).collect());
    }
    if let (Type::Sequence(inner) | Type::Optional(inner), Some(Type::Sequence(hint) | Type::Optional(hint))) = (&mut fact.ty, hint) {
        let mut fact = Fact::of((**inner).clone());
        take_rank(&mut fact, Some(hint), dims);
        **inner = fact.ty;
    }
}
