//! What local rules look at: the node to add, its operands in the new graph, and whether it is their only user.

use crate::ir::graph::{Graph, Node, NodeError, NodeId, Origin, ValueId};
use crate::ir::{DType, Dim, Tensor};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::program::formula::Unary as F;
use std::rc::Rc;

/// A node about to be added to the new graph.
pub struct Site<'a> {
    /// The new graph.
    pub new: &'a mut Graph,
    old: &'a Graph,
    /// The node of the old graph.
    pub node: &'a Node,
    /// Its inputs in the new graph.
    pub inputs: &'a [Option<ValueId>],
    uses: &'a [usize],
}

/// A local rule: the values to use in place of the node's outputs, or `None` to keep it.
pub type Rule = fn(&mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError>;

/// Offers every node to the rules in turn; the first that answers wins.
pub fn apply(graph: &Graph, rules: &[Rule]) -> Result<Graph, NodeError> {
    let uses = graph.uses_of_contents();
    graph.rebuild(None, &mut |new, old, id: NodeId, inputs| {
        for rule in rules {
            let mut site = Site { new, old, node: &old.nodes[id], inputs, uses: &uses };
            if let Some(values) = rule(&mut site)? {
                return Ok(Some(values));
            }
        }
        Ok(None)
    })
}

impl Site<'_> {
    /// Input `i` in the new graph.
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// Whether the node is the only user of input `i`.
    pub fn sole_user(&self, i: usize) -> bool {
        self.node.inputs.get(i).copied().flatten().is_some_and(|v| self.uses[v.index()] == 1)
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> Option<Vec<Dim>> {
        self.new.fact(value).shape().map(<[Dim]>::to_vec)
    }

    /// The shape of the node's first output.
    pub fn output_shape(&self) -> Option<Vec<Dim>> {
        self.old.fact(*self.node.outputs.first()?).shape().map(<[Dim]>::to_vec)
    }

    /// Whether a value is an f32 tensor.
    pub fn is_f32(&self, value: ValueId) -> bool {
        self.new.fact(value).dtype() == Some(DType::F32)
    }

    /// The node that makes a value of the new graph.
    pub fn producer(&self, value: ValueId) -> Option<&Node> {
        self.new.producer(value).map(|p| p.0)
    }

    /// Adds an operator in place of the node; `with` are the fused producers' origins, first to last.
    pub fn replace(&mut self, op: impl Into<Op>, inputs: &[ValueId], with: Option<&Origin>) -> Result<Vec<ValueId>, NodeError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.replace_n(op, &inputs, with)
    }

    /// [`replace`](Self::replace) with inputs that may be missing.
    pub fn replace_n(&mut self, op: impl Into<Op>, inputs: &[Option<ValueId>], with: Option<&Origin>) -> Result<Vec<ValueId>, NodeError> {
        let names: Vec<Rc<str>> = self.node.outputs.iter().map(|&v| self.old.values[v].name.clone()).collect();
        let origin = match with {
            Some(first) => {
                Origin { node: first.node.clone(), operator: format!("{}, {}", first.operator, self.node.origin.operator).into() }
            }
            None => self.node.origin.clone(),
        };
        self.new.add(op.into(), inputs, &origin, &names, &[])
    }

    /// Adds a helper node.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, NodeError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.add_n(op, &inputs)
    }

    /// [`add`](Self::add) with inputs that may be missing.
    pub fn add_n(&mut self, op: impl Into<Op>, inputs: &[Option<ValueId>]) -> Result<ValueId, NodeError> {
        Ok(self.new.add(op.into(), inputs, &self.node.origin, &[], &[])?[0])
    }

    /// Adds a constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.new.add_const(&format!("{}.constant", self.node.origin.node), tensor)
    }
}

/// The f32 value of a constant with one element.
pub fn scalar(graph: &Graph, value: ValueId) -> Option<f32> {
    let tensor = graph.constant(value)?;
    (tensor.dtype == DType::F32 && tensor.len() == 1).then(|| tensor.to_vec::<f32>())?.map(|v| v[0])
}

/// The operand, if the value is that function of it.
pub fn unary(graph: &Graph, value: ValueId, f: F) -> Option<ValueId> {
    match graph.producer(value)?.0 {
        Node { op: Op::Unary(Unary { f: g }), inputs, .. } if *g == f => inputs[0],
        _ => None,
    }
}

/// The operands, if the value is that function of two.
pub fn binary(graph: &Graph, value: ValueId, f: BinaryFn) -> Option<(ValueId, ValueId)> {
    match graph.producer(value)?.0 {
        Node { op: Op::Binary(Binary { f: g }), inputs, .. } if *g == f => inputs[0].zip(inputs[1]),
        _ => None,
    }
}

/// `x` and `c`, if the value is `x f c` (or `c f x`) with a scalar constant `c`; `f` is commutative.
pub fn with_scalar(graph: &Graph, value: ValueId, f: BinaryFn) -> Option<(ValueId, f32)> {
    let (a, b) = binary(graph, value, f)?;
    scalar(graph, b).map(|c| (a, c)).or_else(|| scalar(graph, a).map(|c| (b, c)))
}

/// `x` and `c`, if the value is `x * c`, `c * x` or `x / (1 / c)`.
pub fn scaled(graph: &Graph, value: ValueId) -> Option<(ValueId, f32)> {
    with_scalar(graph, value, BinaryFn::Mul).or_else(|| {
        let (x, c) = binary(graph, value, BinaryFn::Div)?;
        scalar(graph, c).map(|c| (x, 1.0 / c))
    })
}

/// The non-constant factors of a product tree and the product of its scalar constants.
pub fn factors(graph: &Graph, value: ValueId) -> (Vec<ValueId>, f32) {
    fn collect(graph: &Graph, value: ValueId, depth: usize, found: &mut Vec<ValueId>, constant: &mut f32) {
        if let Some(c) = scalar(graph, value) {
            *constant *= c;
        } else if let (Some((a, b)), true) = (binary(graph, value, BinaryFn::Mul), depth > 0) {
            collect(graph, a, depth - 1, found, constant);
            collect(graph, b, depth - 1, found, constant);
        } else if let (Some((x, c)), true) = (binary(graph, value, BinaryFn::Div), depth > 0)
            && let Some(c) = scalar(graph, c)
        {
            *constant /= c;
            collect(graph, x, depth - 1, found, constant);
        } else {
            found.push(value);
        }
    }
    let (mut found, mut constant) = (Vec::new(), 1.0);
    collect(graph, value, 3, &mut found, &mut constant);
    (found, constant)
}

/// Whether two numbers agree as far as exporters round.
pub fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * b.abs()
}
