//! A scope of names while a graph is imported.

use super::types;
use crate::ir::graph::{Def, Graph, Value, ValueId};
use crate::ir::{Fact, Tensor, Type};
use onnxc_proto::{GraphProto, NodeProto};
use std::collections::HashMap;

/// The scope of one graph (or function call).
pub struct Frame {
    /// The graph so far.
    pub graph: Graph,
    names: HashMap<String, ValueId>,
    /// The declared types of values, for their ranks.
    pub hints: HashMap<String, Type>,
    /// The outer values that the body uses; its inputs after the formal ones, in this order.
    pub captures: Vec<ValueId>,
    /// Whether outer names are out of sight (a function's body).
    pub closed: bool,
}

impl Frame {
    /// An empty scope for a graph.
    pub fn new(graph: Graph) -> Self {
        Self { graph, names: HashMap::new(), hints: HashMap::new(), captures: Vec::new(), closed: false }
    }

    /// Takes note of the types that a graph declares of its values, once its inputs are defined.
    pub fn declare(&mut self, proto: &GraphProto) {
        let declared = proto.value_info.iter().chain(&proto.output);
        self.hints = declared.filter_map(|v| Some((v.name.clone(), types::declared(v, &self.graph.dims)?))).collect();
    }

    /// Where the result of an elementwise function is declared and its operand is not, the operand has the declared rank too. Takes the nodes
    /// last to first.
    pub fn hint_backwards<'n>(&mut self, nodes: impl Iterator<Item = &'n NodeProto>) {
        const ELEMENTWISE: [&str; 10] = ["Abs", "Cast", "CastLike", "Exp", "Identity", "Log", "Neg", "Relu", "Sigmoid", "Sqrt"];
        for node in nodes.filter(|n| ELEMENTWISE.contains(&n.op_type.as_str())) {
            let (Some(from), Some(to)) = (node.input.first(), node.output.first()) else { continue };
            if let (false, Some(declared)) = (self.hints.contains_key(from), self.hints.get(to)) {
                self.hints.insert(from.clone(), declared.clone());
            }
        }
    }

    /// Whether the name is defined in this scope.
    pub fn is_defined(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The value of that name in this scope.
    pub fn get(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// Names a value. A later definition shadows an earlier one.
    pub fn define(&mut self, name: &str, value: ValueId) {
        self.names.insert(name.to_owned(), value);
    }

    /// Defines a constant.
    pub fn define_const(&mut self, name: &str, tensor: Tensor) {
        let value = self.graph.add_const(name, tensor);
        self.define(name, value);
    }

    /// Defines an input.
    pub fn define_input(&mut self, name: &str, fact: Fact) {
        let value = self.graph.add_input(name, fact);
        self.define(name, value);
    }

    /// Makes an outer value visible: constants are copied, others become an input of the body.
    pub fn capture(&mut self, name: &str, outer: ValueId, value: Value) -> ValueId {
        let inner = if value.def == Def::Const {
            self.graph.values.push(value)
        } else {
            self.captures.push(outer);
            self.graph.add_input(&value.name, value.fact)
        };
        self.define(name, inner);
        inner
    }

    /// Replaces the names, and what is declared of them, by others for a function's body; returns the old ones.
    pub fn swap_names(
        &mut self,
        names: HashMap<String, ValueId>,
        hints: HashMap<String, Type>,
    ) -> (HashMap<String, ValueId>, HashMap<String, Type>) {
        (std::mem::replace(&mut self.names, names), std::mem::replace(&mut self.hints, hints))
    }
}
