//! `Imputer`: other values in place of one that stands for missing.

use super::{binary, by_feature, features, numeric};
use crate::import::Parse;
use crate::ir::{Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn;
use crate::ops::elementwise::cast;
use crate::ops::elementwise::predicate::Predicate;
use crate::ops::elementwise::where_::Where;

/// ONNX `Imputer`. If there is not one value for each feature, the first serves all, as in ONNX Runtime.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let floats = cx.floats("imputed_value_floats")?.unwrap_or_default();
    let ints = cx.ints("imputed_value_int64s")?.unwrap_or_default();
    let x = cx.input(0)?;
    let dtype = numeric(cx, x)?;
    if floats.is_empty() == ints.is_empty() || dtype.is_int() == ints.is_empty() {
        return Err(OpError::invalid(format!("imputed values of the kind of {dtype} are needed, and no others")));
    }
    let (mut values, missing) = if dtype.is_int() {
        (Tensor::vector(&ints), Tensor::scalar(cx.int("replaced_value_int64", 0)?))
    } else {
        (Tensor::vector(&floats), Tensor::scalar(cx.float("replaced_value_float", 0.0)?))
    };
    let nan = missing.to_scalar_f64().is_some_and(f64::is_nan);
    if values.len() == 1 || features(cx, x)?.is_some_and(|n| n != values.len() as i64) {
        values = if dtype.is_int() { Tensor::vector(&ints[..1]) } else { Tensor::vector(&floats[..1]) };
    }
    let count = values.len();
    let (values, missing) = (cx.constant(values), cx.constant(missing));
    let (values, missing) = (cast::to(cx, values, dtype)?, cast::to(cx, missing, dtype)?);
    let y = by_feature(cx, x, count, |cx, x| {
        let is_missing = if nan { cx.add(Predicate::IsNaN, &[x])? } else { binary(cx, BinaryFn::Equal, x, missing)? };
        cx.add(Where, &[is_missing, values, x])
    })?;
    Ok(vec![y])
}
