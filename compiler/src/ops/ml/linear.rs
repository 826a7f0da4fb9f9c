//! `LinearClassifier` and `LinearRegressor`: a product, a bias, a post-transform.

use super::post_transform::{Second, Transform};
use super::{binary, labels, numeric, rows};
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;
use crate::ops::linear::matmul::MatMul;
use crate::ops::reduce::arg_reduce::ArgReduce;
use crate::ops::shape::reshape::Reshape;
use crate::ops::slice::gather::Gather;

/// `x · coefficients' + intercepts`, in float, for that many columns of the result.
pub(crate) fn scores(cx: &mut Parse<'_>, coefficients: &[f32], intercepts: Option<&[f32]>, columns: usize) -> Result<ValueId, OpError> {
    let x = cx.input(0)?;
    numeric(cx, x)?;
    let x = rows(cx, x)?;
    let x = cast::to(cx, x, DType::F32)?;
    let features = coefficients.len().checked_div(columns).filter(|&f| f > 0 && f * columns == coefficients.len());
    let weights = features.and_then(|f| Tensor::new(&[columns, f], coefficients));
    let weights = weights.ok_or_else(|| OpError::invalid(format!("{} coefficients for {columns} columns", coefficients.len())))?;
    let weights = cx.constant(weights);
    let op = MatMul { transpose_b: true, bias: intercepts.is_some(), ..MatMul::default() };
    let mut inputs = vec![x, weights];
    if let Some(intercepts) = intercepts {
        if intercepts.len() != columns {
            return Err(OpError::invalid(format!("{} intercepts for {columns} columns", intercepts.len())));
        }
        inputs.push(cx.constant(Tensor::vector(intercepts)));
    }
    cx.add(op, &inputs)
}

/// The label of the first greatest score of each row.
pub(crate) fn best(cx: &mut Parse<'_>, scores: ValueId, labels: &Tensor) -> Result<ValueId, OpError> {
    let index = cx.add(ArgReduce { greatest: true, axis: 1, keep_dims: false, select_last: false }, &[scores])?;
    let labels = cx.constant(labels.clone());
    cx.add(Gather { axis: 0 }, &[labels, index])
}

/// ONNX `LinearClassifier`. With one score for two labels the second is chosen where the score is positive.
pub fn parse_classifier(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let transform = Transform::of(cx)?;
    let coefficients = cx.floats("coefficients")?.unwrap_or_default();
    let intercepts = cx.floats("intercepts")?.filter(|i| !i.is_empty());
    let labels = labels(cx, "classlabels_ints")?;
    let columns = intercepts.as_ref().map_or(labels.len(), Vec::len);
    let two = columns == 1 && labels.len() == 2;
    if columns != labels.len() && !two {
        return Err(OpError::invalid(format!("{columns} scores for {} labels", labels.len())));
    }
    let scores = scores(cx, &coefficients, intercepts.as_deref(), columns)?;
    if two {
        let zero = cx.scalar(DType::F32, 0.0)?;
        let positive = binary(cx, BinaryFn::Greater, scores, zero)?;
        let index = cx.add(Reshape::Squeeze { axes: Some(vec![1]) }, &[positive])?;
        let index = cast::to(cx, index, DType::I64)?;
        let labels = cx.constant(labels);
        let label = cx.add(Gather { axis: 0 }, &[labels, index])?;
        return Ok(vec![label, transform.of_two(cx, scores, Second::Complement)?]);
    }
    let label = best(cx, scores, &labels)?;
    let scores = if columns == 1 { transform.apply_to_one(cx, scores)? } else { transform.apply(cx, scores)? };
    Ok(vec![label, scores])
}

/// ONNX `LinearRegressor`.
pub fn parse_regressor(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let transform = Transform::of(cx)?;
    let coefficients = cx.floats("coefficients")?.unwrap_or_default();
    let intercepts = cx.floats("intercepts")?.filter(|i| !i.is_empty());
    let targets = cx.int("targets", 1)?;
    let columns = usize::try_from(targets).ok().filter(|&t| t > 0).ok_or_else(|| OpError::invalid(format!("targets is {targets}")))?;
    let scores = scores(cx, &coefficients, intercepts.as_deref(), columns)?;
    let scores = if columns == 1 { transform.apply_to_one(cx, scores)? } else { transform.apply(cx, scores)? };
    Ok(vec![scores])
}
