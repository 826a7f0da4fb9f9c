//! `Dropout`: at inference the input itself, and a mask that keeps everything.

use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::shape_of::Shape;
use onnxc_runtime::element::Bool;

/// ONNX `Dropout`: `is_test` before opset 7; the ratio and `training_mode` are inputs since 12. The mask has the dtype of the input before 10.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if trains(cx)? {
        return Err(OpError::unsupported("Dropout in training mode").help("export the model in evaluation mode"));
    }
    let mut outputs = vec![x];
    if cx.wants(1) {
        let dtype = cx.dtype(x)?;
        let kept = if cx.opset() < 10 && dtype != DType::Bool { cx.scalar(dtype, 1.0)? } else { cx.constant(Tensor::scalar(Bool::from(true))) };
        let shape = cx.add(Shape::whole(), &[x])?;
        outputs.push(cx.add(Expand, &[kept, shape])?);
    }
    Ok(outputs)
}

/// Whether elements may be dropped.
fn trains(cx: &mut Parse<'_>) -> Result<bool, OpError> {
    if cx.opset() < 12 {
        // Exporters leave `is_test` out of models for inference, which have no mask.
        return Ok(cx.opset() < 7 && !cx.flag("is_test", false)? && cx.wants(1) && cx.float("ratio", 0.5)? != 0.0);
    }
    let ratio = match cx.opt_input(1)? {
        Some(ratio) => cx.constant_of(ratio).and_then(|t| t.to_scalar_f64()),
        None => Some(0.5),
    };
    let Some(mode) = cx.opt_input(2)? else { return Ok(false) };
    let mode = cx.constant_of(mode).and_then(|t| t.to_i64s()).and_then(|v| v.first().copied());
    match mode {
        Some(mode) => Ok(mode != 0 && ratio != Some(0.0)),
        None if ratio == Some(0.0) => Ok(false),
        None => Err(OpError::unsupported("Dropout whose training_mode is only known when the model runs").help("make it a constant of the model")),
    }
}
