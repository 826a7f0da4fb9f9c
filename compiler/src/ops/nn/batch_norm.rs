//! `BatchNormalization`: each channel by its mean and variance, given (inference) or measured (training).

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::reduce::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `BatchNormalization`. Training is an attribute since opset 14; before, a node trains if it has more than one output. Before opset 9
/// `spatial` may be 0: then each position is a channel of its own.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs: Vec<ValueId> = (0..5).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    let trains = if cx.opset() >= 14 { cx.flag("training_mode", false)? } else { !cx.flag("is_test", false)? && cx.wants(1) };
    if cx.wants(3) || cx.wants(4) {
        return Err(OpError::unsupported("the outputs saved_mean and saved_var (training)"));
    }
    if !trains && (cx.wants(1) || cx.wants(2)) {
        return Err(OpError::invalid("only training mode has more than one output"));
    }
    let op = BatchNorm {
        epsilon: cx.float("epsilon", 1e-5)?,
        momentum: trains.then(|| cx.float("momentum", 0.9)).transpose()?,
        spatial: cx.opset() >= 9 || cx.flag("spatial", true)?,
    };
    let inputs: Vec<Option<ValueId>> = inputs.into_iter().map(Some).collect();
    cx.add_n(op, &inputs)
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` for each channel (axis 1). Inputs: x, scale, bias, mean, variance. When training the
/// batch's own mean and variance are used, and outputs 1 and 2 are the running ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// The weight of the old running mean and variance; `None` at inference.
    pub momentum: Option<f32>,
    /// Whether all positions of a channel share its parameters.
    pub spatial: bool,
}

impl Operator for BatchNorm {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let channels = if self.spatial { shape.get(1).copied().unwrap_or_else(|| cx.int(1)) } else { cx.dims.product(&shape[1..]) };
        for i in 1..5 {
            let count = cx.shape(i)?;
            let count = cx.dims.product(&count);
            cx.require_equal(channels, count, "the channels and their parameters");
        }
        let mut facts = vec![Fact::tensor(dtype, shape)];
        if self.momentum.is_some() {
            facts.extend([3, 4].map(|i| cx.fact(i).map(|f| Fact::of(f.ty.clone()))).into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        Ok(facts)
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let [outer, mut channels, mut inner]: [Dim; 3] = match x.shape.len() {
            0 | 1 => [dims.product(&x.shape), dims.int(1), dims.int(1)],
            _ => around(&dims, &x.shape, 1),
        };
        if !self.spatial {
            (channels, inner) = (dims.mul(channels, inner), dims.int(1));
        }
        // One kernel has one dtype: where the operands differ, all are computed in one that holds each.
        let dtypes = (1..5).filter_map(|i| cx.fact(i).ok().and_then(Fact::dtype));
        let compute = dtypes.fold(x.dtype, |all, d| if d == all { all } else { super::norm::wider(all, d) });
        let x = cx.converted(x, compute)?;
        let mut params = Vec::new();
        for i in 1..5 {
            let param = cx.input(i)?;
            params.push(cx.converted(param, compute)?.read());
        }
        let mut outs = Vec::new();
        for i in 0..if self.momentum.is_some() { 3 } else { 1 } {
            let out = cx.output(i)?;
            let y = if out.dtype == compute { out.clone() } else { cx.temp(compute, &out.shape) };
            outs.push((y, out));
        }
        let writes: Vec<Arg> = outs.iter().map(|(y, _)| y.write()).collect();
        let sizes = [outer, channels, inner].map(Arg::Usize).into_iter().chain([Arg::F32(self.epsilon)]);
        let args = writes.into_iter().chain([x.read()]).chain(params).chain(sizes);
        match (self.momentum, compute) {
            (Some(momentum), _) => cx.call(
                crate::kernel!(norm::batch_norm_training(_, _, _, _, _, _, _, _, _, _, _, _, _) for float(compute)),
                args.chain([Arg::F32(momentum)]).collect(),
            )?,
            (None, DType::F32) => {
                cx.call(
                    crate::kernel!(norm_f32::batch_norm(_, _, _, _, _, _, _, _, _, _, _)),
                    [Arg::Cx].into_iter().chain(args).collect(),
                )?;
            }
            (None, _) => cx.call(crate::kernel!(norm::batch_norm(_, _, _, _, _, _, _, _, _, _) for float(compute)), args.collect())?,
        }
        for (y, out) in outs {
            if out.dtype != compute {
                cast::call(cx, &out, &y, true)?;
            }
        }
        Ok(())
    }
}
