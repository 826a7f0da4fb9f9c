//! `Adagrad`, `Adam` and `Momentum` of the domain ai.onnx.preview.training: one step for each of any number of tensors.

use crate::import::Parse;
use crate::ir::{Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// All three: inputs R, T, then all X, all gradients, and all of each state; outputs the new X and the new states in the same order.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let norm = cx.float("norm_coefficient", 0.0)?;
    let op = match cx.op_type() {
        "Adagrad" => Optimizer::Adagrad { norm, decay: cx.float("decay_factor", 0.0)?, epsilon: cx.float("epsilon", 1e-6)? },
        "Adam" => Optimizer::Adam {
            norm,
            norm_post: cx.float("norm_coefficient_post", 0.0)?,
            alpha: cx.float("alpha", 0.9)?,
            beta: cx.float("beta", 0.999)?,
            epsilon: cx.float("epsilon", 1e-6)?,
        },
        _ => Optimizer::Momentum {
            norm,
            alpha: cx.float("alpha", 0.0)?,
            beta: cx.float("beta", 0.0)?,
            nesterov: cx.string("mode", "standard")? == "nesterov",
        },
    };
    let inputs = cx.all_inputs()?;
    let states = op.states();
    let [rate, count, tensors @ ..] = inputs.as_slice() else { return Err(OpError::invalid("the rate and the count are missing")) };
    let groups = tensors.len() / (2 + states);
    if tensors.len() != groups * (2 + states) {
        return Err(OpError::invalid("the numbers of tensors, gradients and states differ"));
    }
    let mut outputs = vec![Vec::new(); 1 + states];
    for group in 0..groups {
        let own = (0..2 + states).map(|k| Some(tensors[k * groups + group]));
        let inputs: Vec<Option<ValueId>> = [Some(*rate), Some(*count)].into_iter().chain(own).collect();
        let made = cx.add_n(op.clone(), &inputs)?;
        outputs.iter_mut().zip(made).for_each(|(all, one)| all.push(one));
    }
    Ok(outputs.concat())
}

/// One step of an optimizer. Inputs: the rate, the count of steps so far, x, its gradient, the states (Adagrad: h; Adam: v, h; Momentum: v).
/// Outputs: the new x and states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's attributes.
pub enum Optimizer {
    Adagrad { norm: f32, decay: f32, epsilon: f32 },
    Adam { norm: f32, norm_post: f32, alpha: f32, beta: f32, epsilon: f32 },
    Momentum { norm: f32, alpha: f32, beta: f32, nesterov: bool },
}

impl Optimizer {
    fn states(&self) -> usize {
        if matches!(self, Self::Adam { .. }) { 2 } else { 1 }
    }
}

impl Operator for Optimizer {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(2)?, cx.shape(2)?);
        for i in 3..4 + self.states() {
            for (&a, b) in shape.iter().zip(cx.shape(i)?) {
                cx.require_equal(a, b, "the dims of a tensor, its gradient and its states");
            }
        }
        Ok(vec![Fact::tensor(dtype, shape); 1 + self.states()])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (rate, count, x) = (cx.input(0)?, cx.input_i64(1)?, cx.input(2)?);
        let rate = cx.converted(rate, x.dtype)?;
        let mut args = Vec::new();
        for i in 0..=self.states() {
            args.push(cx.output(i)?.write());
        }
        args.extend([rate.read(), count.read(), x.read()]);
        for i in 3..4 + self.states() {
            args.push(cx.input(i)?.read());
        }
        match *self {
            Self::Adagrad { norm, decay, epsilon } => {
                args.extend([norm, decay, epsilon].map(Arg::F32));
                cx.call(crate::kernel!(training::adagrad(_, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
            Self::Adam { norm, norm_post, alpha, beta, epsilon } => {
                args.extend([alpha, beta, epsilon, norm, norm_post].map(Arg::F32));
                cx.call(crate::kernel!(training::adam(_, _, _, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
            Self::Momentum { norm, alpha, beta, nesterov } => {
                args.extend([Arg::F32(alpha), Arg::F32(beta), Arg::F32(norm), Arg::Bool(nesterov)]);
                cx.call(crate::kernel!(training::momentum(_, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
        }
    }
}
