//! com.microsoft `EmbedLayerNormalization`: the sum of three embeddings, normalised.

use super::norm::LayerNorm;
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::make::range::Range;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::gather::Gather;

/// Inputs the ids, segments (optional), the tables of words, positions and segments, gamma, beta, a mask and positions (optional); outputs the
/// result, the number of positions that the mask leaves in each sample, and the sum.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (ids, words, places) = (cx.input(0)?, cx.input(2)?, cx.input(3)?);
    let positions = match cx.opt_input(8)? {
        Some(positions) => positions,
        None => {
            let len = cx.add(Shape::between(1, 2), &[ids])?;
            let len = cx.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[len])?;
            let (zero, one) = (cx.constant(Tensor::scalar(0i64)), cx.constant(Tensor::scalar(1i64)));
            cx.add(Range, &[zero, len, one])?
        }
    };
    let mut sum = cx.add(Gather { axis: 0 }, &[words, ids])?;
    let place = cx.add(Gather { axis: 0 }, &[places, positions])?;
    sum = cx.add(Binary { f: BinaryFn::Add }, &[sum, place])?;
    if let (Some(segments), Some(table)) = (cx.opt_input(1)?, cx.opt_input(4)?) {
        let segment = cx.add(Gather { axis: 0 }, &[table, segments])?;
        sum = cx.add(Binary { f: BinaryFn::Add }, &[sum, segment])?;
    }
    let op = LayerNorm { axis: 2, epsilon: cx.float("epsilon", 1e-12)?, rms: false, stash: DType::F32 };
    let (gamma, beta) = (cx.input(5)?, cx.input(6)?);
    let y = cx.add_n(op, &[Some(sum), Some(gamma), Some(beta)])?[0];
    let mask = match cx.opt_input(7)? {
        Some(mask) => mask,
        None => {
            let zero = cx.scalar(DType::I32, 0.0)?;
            let ids = cast::to(cx, ids, DType::I32)?;
            cx.add(Binary { f: BinaryFn::Mul }, &[ids, zero])?
        }
    };
    let left = cx.add(Reduce::over(ReduceFn::Sum, &[1], false), &[mask])?;
    Ok(vec![y, left, sum])
}
