//! `NegativeLogLikelihoodLoss` and `SoftmaxCrossEntropyLoss`.

use crate::import::Parse;
use crate::ir::{Dim, Dims, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(loss::Reduction { None, Sum, Mean });

/// ONNX `NegativeLogLikelihoodLoss`.
pub fn parse_nll(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, target, weight) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?);
    let op = parse(cx)?;
    cx.add_n(op, &[Some(x), Some(target), weight])
}

/// ONNX `SoftmaxCrossEntropyLoss`: the loss of the logarithms of softmax, which are the second output.
pub fn parse_cross_entropy(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, target, weight) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?);
    let op = parse(cx)?;
    let logs = cx.add(Softmax { kind: Kind::LogSoftmax, axis: 1, to_end: false }, &[x])?;
    let mut outputs = cx.add_n(op, &[Some(logs), Some(target), weight])?;
    outputs.push(logs);
    Ok(outputs)
}

fn parse(cx: &mut Parse<'_>) -> Result<Loss, OpError> {
    let reduction = match cx.string("reduction", "mean")?.as_str() {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        "mean" => Reduction::Mean,
        other => return Err(OpError::invalid(format!("reduction is `{}`", crate::report::clean(other)))),
    };
    Ok(Loss { reduction, ignored: cx.opt_int("ignore_index")? })
}

/// What becomes of the losses of all samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reduction {
    /// They are the result.
    None,
    /// Their sum.
    Sum,
    /// Their weighted mean.
    Mean,
}

/// The negative of the elements that the targets choose along axis 1. Inputs: x, the targets, and a weight for each class (optional).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// What becomes of the losses of all samples.
    pub reduction: Reduction,
    /// Targets of this value do not count.
    pub ignored: Option<i64>,
}

/// Samples, classes, positions.
fn sizes(dims: &Dims, shape: &[Dim]) -> Result<[Dim; 3], OpError> {
    if shape.len() < 2 { Err(OpError::invalid("the input must have classes on axis 1")) } else { Ok(around(dims, shape, 1)) }
}

impl Operator for Loss {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape, target) = (cx.dtype(0)?, cx.shape(0)?, cx.shape(1)?);
        let [_, classes, _] = sizes(cx.dims, &shape)?;
        if target.len() + 1 != shape.len() {
            return Err(OpError::invalid("the targets must have one axis less than the input"));
        }
        for (&a, &b) in [&shape[..1], &shape[2..]].concat().iter().zip(&target) {
            cx.require_equal(a, b, "the dims of input and targets");
        }
        if cx.has(2) {
            let weights = cx.shape(2)?;
            let weights = cx.dims.product(&weights);
            cx.require_equal(classes, weights, "the classes and their weights");
        }
        Ok(vec![Fact::tensor(dtype, if self.reduction == Reduction::None { target } else { Vec::new() })])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, target) = (cx.input(0)?, cx.input_i64(1)?);
        let weight = if cx.has(2) { Arg::Present(Box::new(cx.input(2)?.read())) } else { Arg::Absent };
        let out = cx.output(0)?;
        let sizes = sizes(&cx.dims(), &x.shape)?.map(Arg::Usize);
        let reduction = match self.reduction {
            Reduction::None => "None",
            Reduction::Sum => "Sum",
            Reduction::Mean => "Mean",
        };
        let ignored = Arg::I64(cx.int(self.ignored.unwrap_or(0)));
        let tail = [Arg::Bool(self.ignored.is_some()), ignored, Arg::Variant("loss::Reduction", reduction)];
        let args = [out.write(), x.read(), target.read(), weight].into_iter().chain(sizes).chain(tail).collect();
        cx.call(crate::kernel!(loss::negative_log_likelihood(_, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
