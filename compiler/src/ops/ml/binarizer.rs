//! `Binarizer`: 1 above a threshold, else 0.

use super::{binary, numeric};
use crate::import::Parse;
use crate::ir::{Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;

/// ONNX `Binarizer`. An integer is above the threshold if it is above the greatest integer that is not.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let threshold = cx.float("threshold", 0.0)?;
    let x = cx.input(0)?;
    let dtype = numeric(cx, x)?;
    let above = if dtype.is_int() {
        let wide = cast::to(cx, x, crate::ir::DType::I64)?;
        let threshold = cx.constant(Tensor::scalar(threshold.floor() as i64));
        binary(cx, BinaryFn::Greater, wide, threshold)?
    } else {
        let threshold = cx.scalar(dtype, f64::from(threshold))?;
        binary(cx, BinaryFn::Greater, x, threshold)?
    };
    cast::to(cx, above, dtype).map(|v| vec![v])
}
