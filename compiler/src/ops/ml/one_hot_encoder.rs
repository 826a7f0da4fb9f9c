//! `OneHotEncoder`: a column for each category.

use super::encode::{Duplicates, lookup};
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::cast;
use crate::ops::make::one_hot::OneHot;

/// ONNX `OneHotEncoder`: a new last axis with 1 where the element is that category. What is none of them is all zeros, or an error if `zeros`
/// is 0. Of equal categories the last counts, as in ONNX Runtime.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut x = cx.input(0)?;
    let strings = cx.strings("cats_strings")?.unwrap_or_default();
    let ints = cx.ints("cats_int64s")?.unwrap_or_default();
    if strings.is_empty() == ints.is_empty() {
        return Err(OpError::invalid("categories of one kind are needed"));
    }
    let count = strings.len().max(ints.len());
    let categories = if ints.is_empty() { Tensor::strings(vec![count], strings) } else { Some(Tensor::vector(&ints)) };
    let categories = categories.ok_or_else(|| OpError::invalid("the categories"))?;
    if categories.dtype == DType::I64 {
        super::numeric(cx, x)?;
        x = cast::to(cx, x, DType::I64)?;
    }
    let columns: Vec<i64> = (0..count as i64).collect();
    // Past the last column: the row stays zeros.
    let missing = cx.flag("zeros", true)?.then_some(count as i64);
    let column = lookup(cx, x, &categories, &columns, missing, Duplicates::Last)?;
    let (axis, depth, values) = (cx.rank(x)?, cx.i64s(&[count as i64]), cx.constant(Tensor::vector(&[0f32, 1.0])));
    cx.add(OneHot { axis }, &[column, depth, values]).map(|v| vec![v])
}
