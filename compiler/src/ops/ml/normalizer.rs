//! `Normalizer`: each row over its norm.

use super::{binary, numeric};
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;
use crate::ops::elementwise::where_::Where;
use crate::ops::nn::lp_norm::LpNorm;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};

/// ONNX `Normalizer`: rows whose norm is zero stay as they are. The maximum is that of the values, not of their magnitudes.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    numeric(cx, x)?;
    let rank = cx.rank(x)?;
    if rank == 0 || rank > 2 {
        return Err(OpError::invalid(format!("the input must be a row or a table of rows, its rank is {rank}")));
    }
    let (x, axis) = (cast::to(cx, x, DType::F32)?, rank - 1);
    let y = match cx.string("norm", "MAX")?.as_str() {
        "L1" => cx.add(LpNorm::Lp { axis, p: 1 }, &[x])?,
        "L2" => cx.add(LpNorm::Lp { axis, p: 2 }, &[x])?,
        "MAX" => {
            let top = cx.add(Reduce::over(ReduceFn::Max, &[axis], true), &[x])?;
            let (zero, one) = (cx.scalar(DType::F32, 0.0)?, cx.scalar(DType::F32, 1.0)?);
            let flat = binary(cx, BinaryFn::Equal, top, zero)?;
            let divisor = cx.add(Where, &[flat, one, top])?;
            binary(cx, BinaryFn::Div, x, divisor)?
        }
        other => return Err(OpError::invalid(format!("the norm is `{other}`"))),
    };
    Ok(vec![y])
}
