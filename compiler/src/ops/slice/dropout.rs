//! `Dropout`: when a model runs, the input as it is.

use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::make::constant_of_shape::ConstantOfShape;
use crate::ops::shape::shape_of::Shape;
use onnxc_runtime::element::Bool;

/// ONNX `Dropout`: `training_mode` is an input since opset 12, the ratio too. The mask (of booleans since opset 10) is all ones.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if cx.opset() >= 12
        && let Some(training) = cx.opt_input(2)?
    {
        let on = cx.constant_of(training).map(|t| t.bytes().first().is_some_and(|&b| b != 0));
        let ratio = cx.opt_input(1)?.and_then(|r| cx.constant_of(r)).and_then(|r| r.to_scalar_f64());
        if on != Some(false) && ratio != Some(0.0) {
            return Err(OpError::unsupported("Dropout in training mode").help("export the model for inference"));
        }
    }
    if !cx.wants(1) {
        return Ok(vec![x]);
    }
    let dtype = if cx.opset() < 10 { cx.dtype(x)? } else { DType::Bool };
    let one = if dtype == DType::Bool { cx.constant(Tensor::scalar(Bool::from(true))) } else { cx.scalar(dtype, 1.0)? };
    let shape = cx.add(Shape::between(0, i64::MAX), &[x])?;
    let mask = cx.add(ConstantOfShape, &[shape, one])?;
    Ok(vec![x, mask])
}
