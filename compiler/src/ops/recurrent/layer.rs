//! `RNN`, `GRU` and `LSTM`: the product of the input with W is a matrix product of its own; one core operator does the steps in time.

use super::activation;
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::linear::matmul::MatMul;
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::reshape::Reshape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::recurrent::pack;
use serde::{Deserialize, Serialize};

crate::param_enum!(recurrent::Direction { Forward, Reverse, Bidirectional });
crate::param_struct!(recurrent::Layer { seq, batch, hidden, direction, batch_first, rounded });

/// ONNX `RNN`, `GRU` and `LSTM`: inputs X, W, R, B, sequence_lens, initial_h, and for LSTM initial_c and P. `layout` since opset 14.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let layer = attributes(cx)?;
    let (x, w, r) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let columns = cx.add(DimsOf { elements: vec![(1, vec![(0, 0), (0, 1)]), (1, vec![(0, 2)])] }, &[w])?;
    let w = cx.add(Reshape::To { allow_zero: true }, &[w, columns])?;
    let product = cx.add(MatMul { transpose_b: true, ..MatMul::default() }, &[x, w])?;
    let mut inputs = vec![Some(product), Some(r)];
    for i in 3..if matches!(layer.kind, Kind::Lstm { .. }) { 8 } else { 6 } {
        inputs.push(cx.opt_input(i)?);
    }
    cx.add_n(layer, &inputs)
}

/// The layer that the node's attributes describe.
pub(super) fn attributes(cx: &mut Parse<'_>) -> Result<Recurrent, OpError> {
    let (kind, functions): (Kind, &[&str]) = match cx.op_type() {
        "LSTM" | "DynamicQuantizeLSTM" => (Kind::Lstm { input_forget: cx.flag("input_forget", false)? }, &["Sigmoid", "Tanh", "Tanh"]),
        "GRU" => (Kind::Gru { linear_before_reset: cx.flag("linear_before_reset", false)? }, &["Sigmoid", "Tanh"]),
        _ => (Kind::Rnn, &["Tanh"]),
    };
    let direction = match cx.string("direction", "forward")?.to_ascii_lowercase().as_str() {
        "forward" => Direction::Forward,
        "reverse" => Direction::Reverse,
        "bidirectional" => Direction::Bidirectional,
        other => return Err(OpError::invalid(format!("the direction is `{}`", crate::report::clean(other)))),
    };
    let count = functions.len() * direction.count() as usize;
    let defaults = || functions.iter().cycle().take(count).map(|&s| s.to_owned()).collect();
    let names = cx.strings("activations")?.filter(|n| !n.is_empty()).unwrap_or_else(defaults);
    if names.len() != count {
        return Err(OpError::invalid(format!("{} activations are given, {count} are needed", names.len())));
    }
    let (alphas, betas) = (cx.floats("activation_alpha")?.unwrap_or_default(), cx.floats("activation_beta")?.unwrap_or_default());
    let (activations, parameters) = activation::resolve(&names, &alphas, &betas)?;
    let (batch_first, clip) = (cx.flag("layout", false)?, cx.float("clip", 0.0)?);
    Ok(Recurrent { kind, direction, batch_first, activations, parameters, clip, rounded: false })
}

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One gate.
    Rnn,
    /// Gates z r h.
    Gru {
        /// Whether the reset gate is applied after the recurrent product.
        linear_before_reset: bool,
    },
    /// Gates i o f c.
    Lstm {
        /// Whether the input gate is one minus the forget gate.
        input_forget: bool,
    },
}

impl Kind {
    fn gates(self) -> i64 {
        match self {
            Self::Rnn => 1,
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
        }
    }
}

/// Which way time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Reverse,
    /// Both.
    Bidirectional,
}

impl Direction {
    pub(super) fn count(self) -> i64 {
        if self == Self::Bidirectional { 2 } else { 1 }
    }
}

/// The steps of a recurrent layer. Inputs: X · Wᵀ (`seq, batch, directions * gates * hidden`), R (`directions, gates * hidden, hidden`), then B,
/// the sequence lengths, the initial h, and for LSTM the initial c and the peepholes (all optional). Outputs: y, the last h, and for LSTM the
/// last c. If `batch_first`, x, y and the states have the batch as their first axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// Which cell.
    pub kind: Kind,
    /// Which way time goes.
    pub direction: Direction,
    /// ONNX's `layout`.
    pub batch_first: bool,
    /// The functions, each direction's after the other's.
    pub activations: Vec<String>,
    /// Alpha and beta of each.
    pub parameters: Vec<f32>,
    /// Bounds the arguments of the functions, unless it is 0.
    pub clip: f32,
    /// Whether the state is rounded to 8 bits before each product (LSTM of f32 only).
    pub rounded: bool,
}

impl Recurrent {
    /// Steps, sequences, hidden units.
    fn sizes(&self, product: &[Dim], r: &[Dim]) -> Result<[Dim; 3], OpError> {
        match (product, r) {
            (&[first, second, _], &[_, _, hidden]) => Ok(if self.batch_first { [second, first, hidden] } else { [first, second, hidden] }),
            _ => Err(OpError::invalid("X, W and R must have three axes")),
        }
    }
}

impl Operator for Recurrent {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, x, r) = (cx.dtype(0)?, cx.shape(0)?, cx.shape(1)?);
        let [seq, batch, hidden] = self.sizes(&x, &r)?;
        let directions = cx.int(self.direction.count());
        let rows = cx.dims.scale(hidden, self.kind.gates());
        cx.require_equal(r[0], directions, "R's first dim and the number of directions");
        cx.require_equal(r[1], rows, "R's rows and the gates times the hidden units");
        let columns = cx.dims.mul(rows, directions);
        cx.require_equal(x[2], columns, "W's rows and the gates times the hidden units");
        for (i, dims) in [
            (2, vec![directions, rows, cx.int(2)]),
            (3, vec![batch]),
            (4, vec![directions, batch, hidden]),
            (5, vec![directions, batch, hidden]),
            (6, vec![directions, hidden, cx.int(3)]),
        ] {
            if cx.has(i) {
                let (given, wanted) = (cx.dims.product(&cx.shape(i)?), cx.dims.product(&dims));
                cx.require_equal(given, wanted, "the sizes of a recurrent layer's operands");
            }
        }
        let (y, state) = if self.batch_first {
            (vec![batch, seq, directions, hidden], vec![batch, directions, hidden])
        } else {
            (vec![seq, directions, batch, hidden], vec![directions, batch, hidden])
        };
        let state = Fact::tensor(dtype, state);
        let mut facts = vec![Fact::tensor(dtype, y), state.clone()];
        if matches!(self.kind, Kind::Lstm { .. }) {
            facts.push(state);
        }
        Ok(facts)
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, r) = (cx.input(0)?, cx.input(1)?);
        let dims = cx.dims();
        let [seq, batch, hidden] = self.sizes(&x.shape, &r.shape)?;
        let tuned = x.dtype == DType::F32;
        let (directions, gates) = (self.direction.count(), self.kind.gates());
        let padded = dims.scale(dims.ceil_div(hidden, dims.int(32)), 32);
        let scratch = if tuned {
            let len = dims.product(&[dims.int(directions * (gates + 3)), batch, padded]);
            cx.temp(DType::F32, &[len])
        } else {
            let len = dims.scale(hidden, gates + 3);
            cx.temp(DType::F64, &[len])
        };
        let r = if tuned { packed(cx, &r, gates * directions, hidden, padded)? } else { r };
        let mut args = if tuned { vec![Arg::Cx] } else { Vec::new() };
        for i in 0..cx.output_count() {
            let zero = dims.int(0);
            args.push(if cx.wanted(i) { cx.output(i)?.write() } else { cx.temp(x.dtype, &[zero]).write() });
        }
        args.extend([scratch.write(), x.read(), r.read()]);
        for i in 2..cx.input_count() {
            let given = cx.has(i).then(|| if i == 3 { cx.input_i64(3) } else { cx.input(i) }).transpose()?;
            args.push(given.map_or(Arg::Absent, |x| Arg::Present(Box::new(x.read()))));
        }
        let direction = match self.direction {
            Direction::Forward => "Forward",
            Direction::Reverse => "Reverse",
            Direction::Bidirectional => "Bidirectional",
        };
        args.push(Arg::Struct(
            "recurrent::Layer",
            vec![
                ("seq", Arg::Usize(seq)),
                ("batch", Arg::Usize(batch)),
                ("hidden", Arg::Usize(hidden)),
                ("direction", Arg::Variant("recurrent::Direction", direction)),
                ("batch_first", Arg::Bool(self.batch_first)),
                ("rounded", Arg::Bool(self.rounded)),
            ],
        ));
        args.extend([Arg::Strs(self.activations.clone()), Arg::F32s(self.parameters.clone()), Arg::F32(self.clip)]);
        match self.kind {
            Kind::Rnn => {}
            Kind::Gru { linear_before_reset: flag } | Kind::Lstm { input_forget: flag } => args.push(Arg::Bool(flag)),
        }
        match (self.kind, tuned) {
            (Kind::Rnn, true) => cx.call(crate::kernel!(recurrent::rnn(_, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (Kind::Gru { .. }, true) => cx.call(crate::kernel!(recurrent::gru(_, _, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (Kind::Lstm { .. }, true) => cx.call(crate::kernel!(recurrent::lstm(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (Kind::Rnn, false) => cx.call(crate::kernel!(recurrent::rnn_any(_, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args),
            (Kind::Gru { .. }, false) => {
                cx.call(crate::kernel!(recurrent::gru_any(_, _, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
            (Kind::Lstm { .. }, false) => {
                cx.call(crate::kernel!(recurrent::lstm_any(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
        }
    }
}

/// R in panels: packed here if it is a constant, else by a step.
fn packed(cx: &mut Lower<'_>, r: &Operand, gates: i64, hidden: Dim, padded: Dim) -> Result<Operand, OpError> {
    let dims = cx.dims();
    let len = dims.scale(dims.mul(padded, hidden), gates);
    let value = |d: Dim| dims.value(d).and_then(|v| usize::try_from(v).ok());
    if let (Some(elements), Some(hidden), Some(len)) = (cx.constant(1).and_then(Tensor::to_vec::<f32>), value(hidden), value(len)) {
        let mut packed = vec![0f32; len];
        pack(&mut packed, &elements, usize::try_from(gates).unwrap_or(0), hidden).map_err(|f| OpError::invalid(f.to_string()))?;
        return Ok(cx.weight("packed recurrent weights", Tensor::vector(&packed)));
    }
    let packed = cx.temp(DType::F32, &[len]);
    let args = vec![packed.write(), r.read(), Arg::Usize(dims.int(gates)), Arg::Usize(hidden)];
    cx.call(crate::kernel!(recurrent::pack(_, _, _, _)), args)?;
    Ok(packed)
}
