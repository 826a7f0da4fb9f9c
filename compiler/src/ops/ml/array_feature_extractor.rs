//! `ArrayFeatureExtractor`: columns by their numbers.

use super::reshape;
use crate::import::Parse;
use crate::ir::ValueId;
use crate::ops::OpError;
use crate::ops::shape::reshape::Reshape;
use crate::ops::slice::gather::Gather;

/// ONNX `ArrayFeatureExtractor`: `Gather` along the last axis; the result of a vector is one row.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, columns) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(x)?;
    let axis = rank.checked_sub(1).ok_or_else(|| OpError::invalid("the input must not be a scalar"))?;
    let known = cx.constant_of(columns).and_then(|t| t.to_i64s());
    if known.is_some_and(|k| k.is_empty() || k.iter().any(|&i| i < 0)) {
        return Err(OpError::invalid("column numbers are missing or negative"));
    }
    let columns = reshape(cx, columns, &[-1])?;
    let y = cx.add(Gather { axis }, &[x, columns])?;
    Ok(vec![if rank == 1 { cx.add(Reshape::Unsqueeze { axes: vec![0] }, &[y])? } else { y }])
}
