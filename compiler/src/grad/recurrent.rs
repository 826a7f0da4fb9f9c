//! Recurrent layers as a loop over their steps, out of operators that have rules.

use super::Tape;
use crate::ir::{DType, Fact, Graph, Tensor, Type, ValueId};
use crate::ops::OpError;
use crate::ops::control::loop_::Loop;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::elementwise::parametric::{Parametric, ParametricFn as P};
use crate::ops::linear::matmul::MatMul;
use crate::ops::recurrent::layer::{Direction, Kind, Recurrent};
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::rearrange::ReverseSequence;
use crate::ops::slice::split::Split;
use crate::program::formula::Unary as F;
use onnxc_runtime::element::Bool;

/// y, the last h, and for LSTM the last c, from the operands of [`Recurrent`].
pub fn unrolled(tape: &mut Tape, op: &Recurrent, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let input = |i: usize| inputs.get(i).copied().flatten();
    let (Some(product), Some(r)) = (input(0), input(1)) else { return Err(OpError::invalid("a recurrent layer needs X, W and R")) };
    let turn = |tape: &mut Tape, x: ValueId, perm: &[usize]| {
        if op.batch_first { tape.add(Transpose { perm: perm.to_vec() }, &[x]) } else { Ok(x) }
    };
    // Steps, sequences, then what each direction has.
    let product = turn(tape, product, &[1, 0, 2])?;
    let lens = match input(3) {
        Some(lens) => Some(tape.cast(lens, DType::I64)?),
        None => None,
    };
    let directions = if op.direction == Direction::Bidirectional { 2 } else { 1 };
    let products = tape.add_n(Split::by_lengths(2, directions).into(), &[Some(product)])?;
    let zeros = {
        let shape = tape.add(DimsOf { elements: vec![(1, vec![(0, 1)]), (1, vec![(1, 2)])] }, &[product, r])?;
        let zero = tape.scalar(product, 0.0)?;
        tape.add(Expand, &[zero, shape])?
    };
    let mut results: Vec<Vec<ValueId>> = Vec::new();
    for (d, &x) in products.iter().enumerate() {
        let mut part = |i: usize, axis: usize| match input(i) {
            Some(whole) => {
                let d = tape.constant(Tensor::scalar(d as i64));
                tape.add(Gather { axis }, &[whole, d]).map(Some)
            }
            None => Ok(None),
        };
        let states = usize::from(op.batch_first);
        let (weights, bias, peepholes) = (part(1, 0)?, part(2, 0)?, part(6, 0)?);
        let first = [part(4, states)?.unwrap_or(zeros), part(5, states)?.unwrap_or(zeros)];
        let Some(weights) = weights else { return Err(OpError::invalid("a recurrent layer needs R")) };
        let cell = Cell {
            op,
            functions: op.activations.len() / directions * d,
            gates: match op.kind {
                Kind::Rnn => 1,
                Kind::Gru { .. } => 3,
                Kind::Lstm { .. } => 4,
            },
        };
        let backwards = op.direction == Direction::Reverse || d == 1;
        results.push(cell.steps(tape, [x, weights], [bias, peepholes, lens], first, backwards)?);
    }
    // Each result of all directions: y at axis 1, the states at axis 0.
    let mut all = Vec::new();
    for i in 0..results[0].len() {
        let axis = i64::from(i == 0);
        let mut parts = Vec::new();
        for result in &results {
            parts.push(tape.add(Reshape::Unsqueeze { axes: vec![axis] }, &[result[i]])?);
        }
        let joined = tape.add(Concat { axis: axis as usize }, &parts)?;
        all.push(if i == 0 { turn(tape, joined, &[2, 0, 1, 3])? } else { turn(tape, joined, &[1, 0, 2])? });
    }
    Ok(all)
}

/// One direction's cell.
struct Cell<'a> {
    op: &'a Recurrent,
    /// The number of its first function.
    functions: usize,
    gates: usize,
}

/// What a step reads beside the states.
#[derive(Clone, Copy)]
struct Operands {
    /// The step's products of the input, both biases added where the cell allows it.
    x: ValueId,
    r: ValueId,
    /// The bias of R.
    bias: Option<ValueId>,
    peepholes: Option<ValueId>,
}

impl Cell<'_> {
    /// y (steps, sequences, units) and the last states.
    fn steps(
        &self,
        tape: &mut Tape,
        [x, r]: [ValueId; 2],
        [bias, peepholes, lens]: [Option<ValueId>; 3],
        first: [ValueId; 2],
        backwards: bool,
    ) -> Result<Vec<ValueId>, OpError> {
        let mut x = x;
        let mut of_r = None;
        if let Some(bias) = bias {
            let parts = tape.add_n(Split::by_lengths(0, 2).into(), &[Some(bias)])?;
            x = tape.pair(B::Add, x, parts[0])?;
            of_r = Some(parts[1]);
        }
        let turned = if backwards { Some(self.lengths(tape, x, lens)?) } else { None };
        if let Some(lens) = turned {
            x = tape.add(ReverseSequence { time_first: true }, &[x, lens])?;
        }
        let states = if matches!(self.op.kind, Kind::Lstm { .. }) { 2 } else { 1 };
        let captured: Vec<ValueId> = [Some(x), Some(r), of_r, peepholes, lens].into_iter().flatten().collect();
        let trip = self.trip(tape, &first[..states], &captured, [of_r.is_some(), peepholes.is_some(), lens.is_some()])?;
        let count = tape.add(Shape::between(0, 1), &[x])?;
        let count = tape.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[count])?;
        let inputs: Vec<Option<ValueId>> =
            [Some(count), None].into_iter().chain(first[..states].iter().chain(&captured).copied().map(Some)).collect();
        let mut found = tape.add_n(Loop::new(trip, states).into(), &inputs)?;
        let mut y = found.pop().ok_or_else(|| OpError::invalid("internal error: a loop without a result"))?;
        if let Some(lens) = turned {
            y = tape.add(ReverseSequence { time_first: true }, &[y, lens])?;
        }
        found.insert(0, y);
        Ok(found)
    }

    /// The length of each sequence, if none are given that of all.
    fn lengths(&self, tape: &mut Tape, x: ValueId, lens: Option<ValueId>) -> Result<ValueId, OpError> {
        if let Some(lens) = lens {
            return Ok(lens);
        }
        let (steps, sequences) = (tape.add(Shape::between(0, 1), &[x])?, tape.add(Shape::between(1, 2), &[x])?);
        tape.add(Expand, &[steps, sequences])
    }

    /// The body of the loop over the steps: it carries the states and stacks h.
    fn trip(&self, tape: &Tape, states: &[ValueId], captured: &[ValueId], given: [bool; 3]) -> Result<Graph, OpError> {
        let dims = tape.graph.dims.clone();
        let mut trip = Tape::over(&Graph::new("step", &dims), &[]);
        trip.origin = tape.origin.clone();
        let counter = trip.graph.add_input("counter", Fact::elements(DType::I64, Vec::new(), vec![Some(dims.fresh(0).1)], &dims));
        trip.graph.add_input("condition", Fact::constant(Tensor::scalar(Bool::from(true)), &dims));
        let mut take = |name: &str, ty: &Type| trip.graph.add_input(name, Fact::of(ty.clone()));
        let before: Vec<ValueId> = states.iter().map(|&v| take("state", &tape.graph.fact(v).ty)).collect();
        let mut captured = captured.iter().map(|&v| take("captured", &tape.graph.fact(v).ty)).collect::<Vec<_>>().into_iter();
        let (Some(all), Some(r)) = (captured.next(), captured.next()) else { return Err(OpError::invalid("internal error: operands")) };
        let [bias, peepholes, lens] = given.map(|given| if given { captured.next() } else { None });
        let x = trip.add(Gather { axis: 0 }, &[all, counter])?;
        let operands = Operands { x, r, bias, peepholes };
        let mut after = match self.op.kind {
            Kind::Rnn => self.rnn(&mut trip, operands, before[0])?,
            Kind::Gru { linear_before_reset } => self.gru(&mut trip, operands, before[0], linear_before_reset)?,
            Kind::Lstm { input_forget } => self.lstm(&mut trip, operands, [before[0], before[1]], input_forget)?,
        };
        let mut y = after[0];
        if let Some(lens) = lens {
            // Past a sequence's length y is 0 and the states stay.
            let lens = trip.add(Reshape::Unsqueeze { axes: vec![1] }, &[lens])?;
            let runs = trip.pair(B::Greater, lens, counter)?;
            y = trip.masked(runs, y)?;
            for (new, &old) in after.iter_mut().zip(&before) {
                *new = trip.choose(runs, *new, old)?;
            }
        }
        let goes_on = trip.constant(Tensor::scalar(Bool::from(true)));
        let outputs = [goes_on].into_iter().chain(after).chain([y]);
        trip.graph.outputs = outputs.enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();
        Ok(trip.graph)
    }

    /// `h Rᵀ` and its bias.
    fn of_state(&self, tape: &mut Tape, h: ValueId, r: ValueId, bias: Option<ValueId>) -> Result<ValueId, OpError> {
        let product = tape.add(MatMul { transpose_b: true, ..MatMul::default() }, &[h, r])?;
        bias.map_or(Ok(product), |bias| tape.pair(B::Add, product, bias))
    }

    fn by_gates(&self, tape: &mut Tape, x: ValueId, axis: usize, count: usize) -> Result<Vec<ValueId>, OpError> {
        tape.add_n(Split::by_lengths(axis, count).into(), &[Some(x)])
    }

    /// Function number `i` of the cell, of the clipped argument.
    fn function(&self, tape: &mut Tape, i: usize, x: ValueId) -> Result<ValueId, OpError> {
        let mut x = x;
        if self.op.clip > 0.0 {
            let (low, high) = (tape.scalar(x, -f64::from(self.op.clip))?, tape.scalar(x, f64::from(self.op.clip))?);
            x = tape.pair(B::Max, x, low)?;
            x = tape.pair(B::Min, x, high)?;
        }
        let at = self.functions + i;
        let (Some(name), Some(&[alpha, beta])) = (self.op.activations.get(at), self.op.parameters.as_chunks::<2>().0.get(at)) else {
            return Err(OpError::invalid("internal error: a function is missing"));
        };
        let (a, b) = (f64::from(alpha), f64::from(beta));
        let parametric = |tape: &mut Tape, f| tape.add(Parametric { f, alpha, beta }, &[x]);
        match name.as_str() {
            "Sigmoid" => tape.unary(F::Sigmoid, x),
            "Tanh" => tape.unary(F::Tanh, x),
            "Relu" => tape.unary(F::Relu, x),
            "Softplus" => tape.unary(F::Softplus, x),
            "Affine" => tape.affine(x, a, b),
            "LeakyRelu" => parametric(tape, P::LeakyRelu),
            "ThresholdedRelu" => parametric(tape, P::ThresholdedRelu),
            "HardSigmoid" => parametric(tape, P::HardSigmoid),
            "Elu" => parametric(tape, P::Elu),
            "ScaledTanh" => {
                let inner = tape.affine(x, b, 0.0)?;
                let bent = tape.unary(F::Tanh, inner)?;
                tape.affine(bent, a, 0.0)
            }
            "Softsign" => {
                let size = tape.unary(F::Abs, x)?;
                let below = tape.affine(size, 1.0, 1.0)?;
                tape.pair(B::Div, x, below)
            }
            other => Err(OpError::unsupported(format!("the derivative of the activation `{other}`"))),
        }
    }

    fn rnn(&self, tape: &mut Tape, o: Operands, h: ValueId) -> Result<Vec<ValueId>, OpError> {
        let state = self.of_state(tape, h, o.r, o.bias)?;
        let sum = tape.pair(B::Add, o.x, state)?;
        Ok(vec![self.function(tape, 0, sum)?])
    }

    /// Gates z r h.
    fn gru(&self, tape: &mut Tape, o: Operands, h: ValueId, linear_before_reset: bool) -> Result<Vec<ValueId>, OpError> {
        let (x, r) = (self.by_gates(tape, o.x, 1, self.gates)?, self.by_gates(tape, o.r, 0, self.gates)?);
        let bias = match o.bias {
            Some(bias) => self.by_gates(tape, bias, 0, self.gates)?.into_iter().map(Some).collect(),
            None => vec![None; self.gates],
        };
        let mut gates = Vec::new();
        for i in 0..2 {
            let state = self.of_state(tape, h, r[i], bias[i])?;
            let sum = tape.pair(B::Add, x[i], state)?;
            gates.push(self.function(tape, 0, sum)?);
        }
        let (update, reset) = (gates[0], gates[1]);
        let state = if linear_before_reset {
            let state = self.of_state(tape, h, r[2], bias[2])?;
            tape.mul(reset, state)?
        } else {
            let kept = tape.mul(reset, h)?;
            self.of_state(tape, kept, r[2], bias[2])?
        };
        let sum = tape.pair(B::Add, x[2], state)?;
        let candidate = self.function(tape, 1, sum)?;
        let rest = tape.affine(update, -1.0, 1.0)?;
        let (new, old) = (tape.mul(rest, candidate)?, tape.mul(update, h)?);
        Ok(vec![tape.pair(B::Add, new, old)?])
    }

    /// Gates i o f c.
    fn lstm(&self, tape: &mut Tape, o: Operands, [h, c]: [ValueId; 2], input_forget: bool) -> Result<Vec<ValueId>, OpError> {
        let state = self.of_state(tape, h, o.r, o.bias)?;
        let sums = tape.pair(B::Add, o.x, state)?;
        let sums = self.by_gates(tape, sums, 1, self.gates)?;
        // Those of i, o and f.
        let peepholes = match o.peepholes {
            Some(peepholes) => Some(self.by_gates(tape, peepholes, 0, 3)?),
            None => None,
        };
        let peep = |tape: &mut Tape, sum: ValueId, i: usize, c: ValueId| match &peepholes {
            Some(peepholes) => {
                let seen = tape.mul(peepholes[i], c)?;
                tape.pair(B::Add, sum, seen)
            }
            None => Ok(sum),
        };
        let input = peep(tape, sums[0], 0, c)?;
        let input = self.function(tape, 0, input)?;
        let forget = if input_forget {
            tape.affine(input, -1.0, 1.0)?
        } else {
            let forget = peep(tape, sums[2], 2, c)?;
            self.function(tape, 0, forget)?
        };
        let candidate = self.function(tape, 1, sums[3])?;
        let (kept, new) = (tape.mul(forget, c)?, tape.mul(input, candidate)?);
        let c = tape.pair(B::Add, kept, new)?;
        let output = peep(tape, sums[1], 1, c)?;
        let output = self.function(tape, 0, output)?;
        let bent = self.function(tape, 2, c)?;
        Ok(vec![tape.mul(output, bent)?, c])
    }
}
