//! Normalisations without parameters: `LpNormalization`, `LRN`, `MeanVarianceNormalization`.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::ops::infer::resolve_axis;
use crate::ops::reduce::around_args;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Unary as F;
use serde::{Deserialize, Serialize};

/// ONNX `LpNormalization`.
pub fn parse_lp(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let op = LpNorm::Lp { axis: resolve_axis(cx.int("axis", -1)?, rank)?, p: cx.int("p", 2)? };
    cx.add(op, &[x]).map(|v| vec![v])
}

/// ONNX `LRN`.
pub fn parse_lrn(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let size = cx.opt_int("size")?.filter(|&s| s > 0).ok_or_else(|| OpError::invalid("size must be positive"))?;
    let op = LpNorm::Local { axis: 1, size, alpha: cx.float("alpha", 1e-4)?, beta: cx.float("beta", 0.75)?, bias: cx.float("bias", 1.0)? };
    cx.add(op, &[x]).map(|v| vec![v])
}

/// ONNX `MeanVarianceNormalization`: `(x - mean) / (standard deviation + 1e-9)`.
pub fn parse_mean_variance(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let (rank, dtype) = (cx.rank(x)?, cx.dtype(x)?);
    let axes = cx.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes.into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let mean = cx.add(Reduce::over(ReduceFn::Mean, &axes, true), &[x])?;
    let centred = cx.add(Binary { f: BinaryFn::Sub }, &[x, mean])?;
    let squares = cx.add(Binary { f: BinaryFn::Mul }, &[centred, centred])?;
    let variance = cx.add(Reduce::over(ReduceFn::Mean, &axes, true), &[squares])?;
    let deviation = cx.add(Unary { f: F::Sqrt }, &[variance])?;
    let epsilon = cx.scalar(dtype, 1e-9)?;
    let deviation = cx.add(Binary { f: BinaryFn::Add }, &[deviation, epsilon])?;
    cx.add(Binary { f: BinaryFn::Div }, &[centred, deviation]).map(|v| vec![v])
}

/// Each element over a norm of its neighbours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LpNorm {
    /// Over the p-norm along an axis.
    Lp {
        /// The axis.
        axis: usize,
        /// 1 or 2.
        p: i64,
    },
    /// Over `(bias + alpha / size * sum of squares)^beta` of the `size` channels around.
    Local {
        /// The axis of the channels.
        axis: usize,
        /// How many channels.
        size: i64,
        /// The factor of the sum.
        alpha: f32,
        /// The exponent.
        beta: f32,
        /// What is added.
        bias: f32,
    },
}

impl Operator for LpNorm {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        if let Self::Local { axis, .. } = self
            && *axis >= shape.len()
        {
            return Err(OpError::invalid("the input must have channels on axis 1"));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let (Self::Lp { axis, .. } | Self::Local { axis, .. }) = self;
        let moved = perm.iter().position(|p| p == axis)?;
        let mut op = self.clone();
        let (Self::Lp { axis, .. } | Self::Local { axis, .. }) = &mut op;
        *axis = moved;
        Some((op.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let dims = cx.dims();
        let operands = [out.write(), x.read()].into_iter();
        match *self {
            Self::Lp { axis, p } => {
                let args = operands.chain(around_args(&dims, &x.shape, axis)).chain([Arg::I64(dims.int(p))]).collect();
                cx.call(crate::kernel!(norm::lp_norm(_, _, _, _, _, _) for float(x.dtype)), args)
            }
            Self::Local { axis, size, alpha, beta, bias } => {
                let tail = [Arg::Usize(dims.int(size)), Arg::F32(alpha), Arg::F32(beta), Arg::F32(bias)];
                let args = operands.chain(around_args(&dims, &x.shape, axis)).chain(tail);
                if x.dtype == DType::F32 {
                    let args = [Arg::Cx].into_iter().chain(args).collect();
                    return cx.call(crate::kernel!(lrn_f32::lrn(_, _, _, _, _, _, _, _, _, _)), args);
                }
                let args = args.collect();
                cx.call(crate::kernel!(lrn::lrn(_, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
            }
        }
    }
}
