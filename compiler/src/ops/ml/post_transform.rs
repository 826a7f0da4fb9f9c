//! What a model of `ai.onnx.ml` does with its scores last: the attribute `post_transform`.

use super::binary;
use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::unary::Unary;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::around;
use crate::ops::slice::concat::Concat;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Unary as F;
use serde::{Deserialize, Serialize};

/// The transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The scores as they are.
    None,
    /// The logistic function of each.
    Logistic,
    /// Softmax of each row.
    Softmax,
    /// Softmax of each row but that scores of zero stay zero.
    SoftmaxZero,
    /// The quantile of the normal distribution of each.
    Probit,
}

impl Transform {
    /// The node's attribute.
    pub fn of(cx: &Parse<'_>) -> Result<Self, OpError> {
        Ok(match cx.string("post_transform", "NONE")?.as_str() {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => return Err(OpError::invalid(format!("post_transform is `{other}`"))),
        })
    }

    /// Scores, at least two a row, transformed.
    pub fn apply(self, cx: &mut Parse<'_>, scores: ValueId) -> Result<ValueId, OpError> {
        let axis = cx.rank(scores)?.saturating_sub(1);
        match self {
            Self::None => Ok(scores),
            Self::Logistic => cx.add(Unary { f: F::Sigmoid }, &[scores]),
            Self::Softmax => cx.add(Softmax { kind: Kind::Softmax, axis, to_end: false }, &[scores]),
            Self::SoftmaxZero => cx.add(PostTransform::SoftmaxZero, &[scores]),
            Self::Probit => cx.add(PostTransform::Probit, &[scores]),
        }
    }

    /// Scores of one column: only the probit is applied, as in ONNX Runtime.
    pub fn apply_to_one(self, cx: &mut Parse<'_>, scores: ValueId) -> Result<ValueId, OpError> {
        if self == Self::Probit { self.apply(cx, scores) } else { Ok(scores) }
    }

    /// The scores of both classes from those of the positive one. Only the logistic function and the probit are applied, as in ONNX Runtime.
    pub fn of_two(self, cx: &mut Parse<'_>, scores: ValueId, second: Second) -> Result<ValueId, OpError> {
        let axis = cx.rank(scores)?.saturating_sub(1);
        let other = if second == Second::Negative || self == Self::Logistic {
            cx.add(Unary { f: F::Neg }, &[scores])?
        } else {
            let dtype = cx.dtype(scores)?;
            let one = cx.scalar(dtype, 1.0)?;
            binary(cx, BinaryFn::Sub, one, scores)?
        };
        let both = cx.add(Concat { axis }, &[other, scores])?;
        if self == Self::Logistic { self.apply(cx, both) } else { self.apply_to_one(cx, both) }
    }
}

/// The score of the negative class where a model has only that of the positive one, `s`. Before the logistic function it is always `-s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// `1 - s`.
    Complement,
    /// `-s`.
    Negative,
}

/// A transform of scores that is no operator elsewhere, over the last axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PostTransform {
    /// See [`Transform::SoftmaxZero`].
    SoftmaxZero,
    /// See [`Transform::Probit`].
    Probit,
}

impl Operator for PostTransform {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        match cx.dtype(0)? {
            dtype @ (DType::F32 | DType::F64) => Ok(vec![Fact::tensor(dtype, cx.shape(0)?)]),
            other => Err(OpError::invalid(format!("scores of dtype {other}"))),
        }
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        if *self == Self::Probit {
            return cx.call(crate::kernel!(ml::post_transform::probit(_, _) for real(x.dtype)), vec![out.write(), x.read()]);
        }
        let [_, row, _] = around(&cx.dims(), &x.shape, x.shape.len().saturating_sub(1));
        let args = vec![out.write(), x.read(), Arg::Usize(row)];
        cx.call(crate::kernel!(ml::post_transform::softmax_zero(_, _, _) for real(x.dtype)), args)
    }
}
