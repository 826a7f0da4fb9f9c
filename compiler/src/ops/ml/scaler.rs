//! `Scaler`: `(x - offset) * scale`.

use super::{binary, by_feature, features, numeric};
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;

/// ONNX `Scaler`: one offset and scale for all elements, or one each for each feature. Doubles are scaled as such; the result is float.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (offset, scale) = (cx.floats("offset")?.unwrap_or_default(), cx.floats("scale")?.unwrap_or_default());
    let x = cx.input(0)?;
    let compute = if numeric(cx, x)? == DType::F64 { DType::F64 } else { DType::F32 };
    let count = offset.len();
    if count == 0 || scale.len() != count {
        return Err(OpError::invalid(format!("there are {count} offsets and {} scales", scale.len())));
    }
    if count > 1 && features(cx, x)?.is_some_and(|n| n != count as i64) {
        return Err(OpError::invalid(format!("there are {count} offsets, but not as many features")));
    }
    let x = cast::to(cx, x, compute)?;
    let y = by_feature(cx, x, count, |cx, x| {
        let mut y = x;
        for (f, values, neutral) in [(BinaryFn::Sub, offset, 0.0), (BinaryFn::Mul, scale, 1.0)] {
            if values.iter().any(|&v| v != neutral) {
                let values = cx.constant(if count == 1 { Tensor::scalar(values[0]) } else { Tensor::vector(&values) });
                let values = cast::to(cx, values, compute)?;
                y = binary(cx, f, y, values)?;
            }
        }
        Ok(y)
    })?;
    cast::to(cx, y, DType::F32).map(|v| vec![v])
}
