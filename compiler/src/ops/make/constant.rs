//! `Constant`: a tensor from the file, in any of the attributes that can hold one.

use crate::import::Parse;
use crate::ir::{Tensor, ValueId};
use crate::ops::OpError;

/// ONNX `Constant`: `value` since opset 1, `sparse_value` since 11, the others since 12.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let tensor = if let Some(tensor) = cx.tensor("value")? {
        tensor
    } else if let Some(tensor) = cx.sparse_tensor("sparse_value")? {
        tensor
    } else if let Some(x) = cx.opt_float("value_float")? {
        Tensor::scalar(x)
    } else if let Some(x) = cx.opt_int("value_int")? {
        Tensor::scalar(x)
    } else if let Some(x) = cx.floats("value_floats")? {
        Tensor::vector(&x)
    } else if let Some(x) = cx.ints("value_ints")? {
        Tensor::vector(&x)
    } else {
        strings(cx)?
    };
    Ok(vec![cx.constant(tensor)])
}

fn strings(cx: &Parse<'_>) -> Result<Tensor, OpError> {
    let tensor = match (cx.opt_string("value_string")?, cx.strings("value_strings")?) {
        (Some(text), _) => Tensor::strings(Vec::new(), vec![text]),
        (None, Some(texts)) => Tensor::strings(vec![texts.len()], texts),
        (None, None) => None,
    };
    tensor.ok_or_else(|| OpError::invalid("no attribute holds a value"))
}
