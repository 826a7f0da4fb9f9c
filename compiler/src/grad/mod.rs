//! Reverse-mode differentiation: from a graph to the graph of its derivatives.
//!
//! A room beside import: `Gradient` names a function inside the model, import hands that over as a graph of core operators, and
//! [`gradients`] extends it. The nodes are walked last to first; each one's [rule](rules) turns the derivative by its outputs (their
//! *adjoints*) into that by its inputs, as more nodes of the same graph. What that leaves unused or computed twice is the passes' business.

mod attention;
mod composed;
mod control;
mod elementwise;
mod fourier;
mod linear;
mod movement;
mod norms;
mod recurrent;
mod resize;
mod rules;
mod sampling;
mod windows;

use crate::import::scalar;
use crate::ir::arena::Id;
use crate::ir::{DType, Dim, Graph, Node, NodeError, Origin, Tensor, ValueId};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast::Cast;
use crate::ops::elementwise::unary::Unary;
use crate::ops::elementwise::where_::Where;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::{Op, OpError};
use crate::program::formula::Unary as F;
use std::collections::{HashMap, HashSet};

/// The graph that gives, for each of the first `count` inputs of `forward`, the derivative of its one output by that input: shaped as the input,
/// summed over the elements of the output.
pub fn gradients(forward: &Graph, count: usize) -> Result<Graph, NodeError> {
    let inputs: Vec<ValueId> = forward.inputs.iter().copied().take(count).collect();
    let start = Origin { node: forward.name.as_str().into(), operator: "Gradient".into() };
    let [(_, y)] = forward.outputs[..] else { return Err(at(&start, OpError::invalid("a function of one result is differentiated"))) };
    let mut tape = Tape::over(forward, &inputs);
    tape.seed(y).map_err(|e| at(&start, e))?;
    tape.walk(forward, &inputs, &start)
}

fn at(origin: &Origin, error: OpError) -> NodeError {
    NodeError { origin: origin.clone(), inputs: Vec::new(), error }
}

/// The values that the inputs have a differentiable influence on: through tensors of floats.
fn dependent(graph: &Graph, inputs: &[ValueId]) -> HashSet<ValueId> {
    let mut found: HashSet<ValueId> = inputs.iter().copied().collect();
    for (_, node) in graph.nodes.iter() {
        if node.inputs.iter().flatten().any(|v| found.contains(v)) {
            let floats = node.outputs.iter().filter(|&&v| graph.fact(v).dtype().is_some_and(DType::is_float));
            found.extend(floats.copied());
        }
    }
    found
}

/// The graph that grows while it is walked backwards, and what the [rules](rules) are written with.
struct Tape {
    graph: Graph,
    /// Where the nodes added now come from.
    origin: Origin,
    /// The values that are worth a derivative.
    depends: HashSet<ValueId>,
    /// The derivative of the result by a value, as far as it was found.
    adjoints: HashMap<ValueId, ValueId>,
}

impl Tape {
    /// One to differentiate a graph by these values, without a seed.
    fn over(forward: &Graph, inputs: &[ValueId]) -> Self {
        let origin = Origin { node: forward.name.as_str().into(), operator: "Gradient".into() };
        Self { graph: forward.clone(), origin, depends: dependent(forward, inputs), adjoints: HashMap::new() }
    }

    /// The graph whose outputs are the adjoints of `inputs`, from those that are known of later values.
    fn walk(mut self, forward: &Graph, inputs: &[ValueId], start: &Origin) -> Result<Graph, NodeError> {
        for index in (0..forward.nodes.len()).rev() {
            let node = &forward.nodes[Id::new(index)];
            self.origin = Origin { node: node.origin.node.clone(), operator: format!("Gradient of {}", node.origin.operator).into() };
            self.step(node).map_err(|e| at(&node.origin, e))?;
        }
        let mut outputs = Vec::new();
        for &x in inputs {
            let name = format!("d{}", forward.values[x].name);
            outputs.push((name, self.adjoint_or_zeros(x).map_err(|e| at(start, e))?));
        }
        Ok(Graph { outputs, ..self.graph })
    }

    /// Adds to the adjoint of a value.
    fn collect(&mut self, x: ValueId, dx: ValueId) -> Result<(), OpError> {
        let sum = match self.adjoints.get(&x) {
            Some(&former) => self.pair(BinaryFn::Add, former, dx)?,
            None => dx,
        };
        self.adjoints.insert(x, sum);
        Ok(())
    }

    /// The derivative of the result by itself.
    fn seed(&mut self, y: ValueId) -> Result<(), OpError> {
        if !self.graph.fact(y).dtype().is_some_and(DType::is_float) {
            return Err(OpError::invalid("only functions whose result is floating-point have a derivative"));
        }
        let one = self.scalar(y, 1.0)?;
        let ones = self.expand_like(one, y)?;
        self.adjoints.insert(y, ones);
        Ok(())
    }

    /// Hands the adjoints of a node's outputs on to its inputs.
    fn step(&mut self, node: &Node) -> Result<(), OpError> {
        let dy: Vec<Option<ValueId>> = node.outputs.iter().map(|v| self.adjoints.get(v).copied()).collect();
        if dy.iter().all(Option::is_none) || !(0..node.inputs.len()).any(|i| self.needs(node, i)) {
            return Ok(());
        }
        let dx = rules::apply(self, node, &dy)?;
        for (i, dx) in dx.into_iter().enumerate() {
            if let (Some(x), Some(dx), true) = (node.inputs.get(i).copied().flatten(), dx, self.needs(node, i)) {
                self.collect(x, dx)?;
            }
        }
        Ok(())
    }

    /// Whether the derivative by that input of a node is wanted.
    fn needs(&self, node: &Node, input: usize) -> bool {
        node.inputs.get(input).copied().flatten().is_some_and(|v| self.depends.contains(&v))
    }

    fn adjoint_or_zeros(&mut self, x: ValueId) -> Result<ValueId, OpError> {
        match self.adjoints.get(&x) {
            Some(&adjoint) => Ok(adjoint),
            None => self.zeros_like(x),
        }
    }

    fn zeros_like(&mut self, x: ValueId) -> Result<ValueId, OpError> {
        let zero = self.scalar(x, 0.0)?;
        self.expand_like(zero, x)
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, OpError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        let outputs = self.add_n(op.into(), &inputs)?;
        outputs.first().copied().ok_or_else(|| OpError::invalid("the operator has no output"))
    }

    fn add_n(&mut self, op: Op, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
        let origin = self.origin.clone();
        self.graph.add(op, inputs, &origin, &[], &[]).map_err(|e| e.error)
    }

    fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("{}.gradient", self.origin.node);
        self.graph.add_const(&name, tensor)
    }

    /// The integers of a value that is known.
    fn ints(&self, x: ValueId) -> Option<Vec<i64>> {
        self.graph.fact(x).as_const().and_then(Tensor::to_i64s)
    }

    fn dtype(&self, x: ValueId) -> Result<DType, OpError> {
        self.graph.fact(x).dtype().ok_or_else(|| OpError::unsupported("the derivative of a value that is no tensor"))
    }

    fn shape(&self, x: ValueId) -> Result<Vec<Dim>, OpError> {
        let shape = self.graph.fact(x).shape().map(<[Dim]>::to_vec);
        shape.ok_or_else(|| OpError::unsupported("the derivative of a tensor whose rank is not known when compiling"))
    }

    /// A scalar of the dtype of `like`.
    fn scalar(&mut self, like: ValueId, value: f64) -> Result<ValueId, OpError> {
        let dtype = self.dtype(like)?;
        let tensor = scalar(dtype, value).ok_or_else(|| OpError::unsupported(format!("a derivative in {dtype}")))?;
        Ok(self.constant(tensor))
    }

    fn unary(&mut self, f: F, x: ValueId) -> Result<ValueId, OpError> {
        self.add(Unary { f }, &[x])
    }

    fn pair(&mut self, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
        self.add(Binary { f }, &[a, b])
    }

    fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
        self.pair(BinaryFn::Mul, a, b)
    }

    /// `x * scale + offset`.
    fn affine(&mut self, x: ValueId, scale: f64, offset: f64) -> Result<ValueId, OpError> {
        let scaled = match scale {
            1.0 => x,
            _ => {
                let scale = self.scalar(x, scale)?;
                self.mul(x, scale)?
            }
        };
        if offset == 0.0 {
            return Ok(scaled);
        }
        let offset = self.scalar(x, offset)?;
        self.pair(BinaryFn::Add, scaled, offset)
    }

    /// The tensor in another dtype, if it is not of that one.
    fn cast(&mut self, x: ValueId, to: DType) -> Result<ValueId, OpError> {
        if self.dtype(x)? == to { Ok(x) } else { self.add(Cast { to, saturate: true, round_mode: "up".to_owned() }, &[x]) }
    }

    /// `condition ? a : b`, each a tensor.
    fn choose(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
        self.add(Where, &[condition, a, b])
    }

    /// `x` where the condition holds, else zero.
    fn masked(&mut self, condition: ValueId, x: ValueId) -> Result<ValueId, OpError> {
        let zero = self.scalar(x, 0.0)?;
        self.choose(condition, x, zero)
    }

    /// The shape of a tensor as a tensor.
    fn shape_of(&mut self, x: ValueId) -> Result<ValueId, OpError> {
        self.add(Shape::between(0, i64::MAX), &[x])
    }

    fn expand_like(&mut self, x: ValueId, like: ValueId) -> Result<ValueId, OpError> {
        let shape = self.shape_of(like)?;
        self.add(Expand, &[x, shape])
    }

    fn reshape_like(&mut self, x: ValueId, like: ValueId) -> Result<ValueId, OpError> {
        let shape = self.shape_of(like)?;
        self.add(Reshape::To { allow_zero: true }, &[x, shape])
    }

    fn sum(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId, OpError> {
        self.add(Reduce::over(ReduceFn::Sum, axes, true), &[x])
    }

    /// The adjoint of `x` from that of `x` broadcast: summed over what it was repeated along.
    fn sum_to(&mut self, dy: ValueId, x: ValueId) -> Result<ValueId, OpError> {
        let (from, to) = (self.shape(dy)?, self.shape(x)?);
        let Some(lead) = from.len().checked_sub(to.len()) else {
            return Err(OpError::unsupported("the derivative of a tensor that was broadcast to fewer axes"));
        };
        let one = self.graph.dims.int(1);
        let mut axes: Vec<usize> = (0..lead).collect();
        for (i, (&narrow, &wide)) in to.iter().zip(&from[lead..]).enumerate() {
            if narrow == wide {
                continue;
            }
            if narrow != one {
                return Err(
                    OpError::unsupported("the derivative of a broadcast that only the run knows").help("give the dims values with --dim")
                );
            }
            axes.push(lead + i);
        }
        if axes.is_empty() {
            return Ok(dy);
        }
        let summed = self.sum(dy, &axes)?;
        if lead == 0 { Ok(summed) } else { self.add(Reshape::Squeeze { axes: Some((0..lead as i64).collect()) }, &[summed]) }
    }
}
