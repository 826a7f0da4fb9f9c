//! Patterns of operators, written as the formulas they compute: `x * (1 + erf(x / 1.4142135)) / 2`.
//!
//! A family of fusions is a table of [`Row`]s: a name, a formula, and what is put in its place. [`run`] looks for the formulas in a graph.
//!
//! The language ([`parse`]):
//!
//! - a name stands for any value, the same one wherever it occurs; a name that starts with `c` for an f32 scalar constant, and as a factor for
//!   whatever constant there is (1 if there is none);
//! - numbers are scalar constants of about that value (exporters round);
//! - `+ - * / ^`, and functions: those of one tensor (`erf`, `sqrt`, …), `min`, `max`, `matmul`, `softmax` (of the last axis), `where`, `is_nan`, and
//!   reductions (`mean`, `sum`, `max_of`), which must keep their axes and all be over the same ones;
//! - `v = …; …` names a part.
//!
//! What is found ([`find`]) is a formula up to the order of sums and factors: `x / 2 * y`, `0.5 * (y * x)` and `x * (y * 0.5)` are the same, division
//! by a root is the same as multiplication by `Rsqrt` or by `Pow(…, -0.5)`. Values inside must have no user outside, or they would be computed twice.

pub mod find;
pub mod parse;

use crate::ir::arena::Id;
use crate::ir::graph::{Graph, Node, NodeError, NodeId, Origin, ValueId};
use crate::ir::{DType, Tensor};
use crate::ops::Op;
use crate::ops::reduce::reduce::ReduceFn;
use crate::program::formula::Unary as F;
use std::collections::HashMap;
use std::rc::Rc;

pub use find::Found;

/// A formula of operators.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// Any value, the same for the same name.
    Name(String),
    /// Any f32 scalar constant, the same for the same name.
    Constant(String),
    /// A scalar constant of about that value.
    Number(f32),
    /// A sum in either order.
    Sum(Rc<Pattern>, Rc<Pattern>),
    /// A difference.
    Difference(Rc<Pattern>, Rc<Pattern>),
    /// A product in any order and grouping, with a constant factor.
    Product(Vec<Factor>, f32),
    /// A square or a cube.
    Power(Rc<Pattern>, u32),
    /// A function of one tensor.
    Unary(F, Rc<Pattern>),
    /// HardSigmoid with slope 1/6 and offset 1/2.
    HardSigmoid(Rc<Pattern>),
    /// The greater (`true`) or lesser of two, in either order.
    Extreme(bool, Rc<Pattern>, Rc<Pattern>),
    /// A reduction that keeps its axes.
    Reduce(ReduceFn, Rc<Pattern>),
    /// A plain product of matrices.
    MatMul(Rc<Pattern>, Rc<Pattern>),
    /// Softmax over the last axis.
    Softmax(Rc<Pattern>),
    /// Elements of the second where the first is true, of the third elsewhere.
    Where(Rc<Pattern>, Rc<Pattern>, Rc<Pattern>),
    /// Where a tensor is NaN.
    IsNan(Rc<Pattern>),
}

/// A factor of a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// What is multiplied or divided by.
    pub of: Rc<Pattern>,
    /// Whether it is divided by.
    pub inverse: bool,
}

/// A formula and what is put in its place.
pub struct Row {
    /// The name in tests and for readers.
    pub name: &'static str,
    /// The formula.
    pub formula: &'static str,
    /// Adds what computes it; `None` if this one had better stay as it is.
    pub build: Build,
}

/// Adds the operators that compute what was found.
pub type Build = fn(&mut Place<'_>) -> Result<Option<ValueId>, NodeError>;

/// Where a formula was found: what `build` works with.
pub struct Place<'a> {
    /// The new graph.
    pub new: &'a mut Graph,
    /// What was found; its values are those of the old graph.
    pub found: &'a Found,
    root: &'a Node,
    name: Rc<str>,
    map: &'a HashMap<ValueId, ValueId>,
    origin: Origin,
}

impl Place<'_> {
    /// The value of a name, in the new graph.
    pub fn value(&self, name: &str) -> Option<ValueId> {
        self.map.get(self.found.names.get(name)?).copied()
    }

    /// The constant of a name.
    pub fn constant(&self, name: &str) -> Option<f32> {
        self.found.constants.get(name).copied()
    }

    /// Adds an operator.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, NodeError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        Ok(self.new.add(op.into(), &inputs, &self.origin, std::slice::from_ref(&self.name), &[])?[0])
    }

    /// Adds a constant.
    pub fn tensor(&mut self, tensor: Tensor) -> ValueId {
        self.new.add_const(&format!("{}.constant", self.root.origin.node), tensor)
    }
}

/// The graph with every formula of the table that is of f32, and has the type of its `x` if there is one, replaced. Where several fit, the first row wins.
pub fn run(graph: &Graph, table: &[Row]) -> Result<Graph, NodeError> {
    let rows: Vec<(Pattern, Build)> = table.iter().filter_map(|row| Some((parse::parse(row.formula).ok()?, row.build))).collect();
    let finder = find::Finder::new(graph);
    // A name's value is an input of some node inside, so its twin is known when the root is reached.
    let mut map: HashMap<ValueId, ValueId> = HashMap::new();
    graph.rebuild(None, &mut |new, old, id: NodeId, inputs| {
        let node = &old.nodes[id];
        map.extend(node.inputs.iter().zip(inputs).filter_map(|(&from, &to)| from.zip(to)));
        let [root] = node.outputs[..] else { return Ok(None) };
        if !matches!(node.op, Op::Unary(_) | Op::Binary(_) | Op::MatMul(_)) || old.fact(root).dtype() != Some(DType::F32) {
            return Ok(None);
        }
        for (pattern, build) in &rows {
            let Some(found) = finder.find(pattern, root) else { continue };
            if found.names.get("x").is_some_and(|&x| old.fact(x).ty != old.fact(root).ty) {
                continue;
            }
            let origin = Origin { node: node.origin.node.clone(), operator: operators(old, &found.nodes) };
            let name = old.values[root].name.clone();
            let mut place = Place { new, found: &found, root: node, name, map: &map, origin };
            if let Some(value) = build(&mut place)? {
                return Ok(Some(vec![value]));
            }
        }
        Ok(None)
    })
}

/// The ONNX operators of these nodes, in the graph's order.
fn operators(graph: &Graph, nodes: &[NodeId]) -> Rc<str> {
    let mut nodes: Vec<usize> = nodes.iter().map(|n| n.index()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let mut names: Vec<Rc<str>> = nodes.into_iter().map(|n| graph.nodes[Id::new(n)].origin.operator.clone()).collect();
    names.dedup();
    names.iter().map(|n| &**n).collect::<Vec<_>>().join(", ").into()
}
