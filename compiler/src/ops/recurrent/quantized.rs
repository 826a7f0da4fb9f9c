//! com.microsoft `DynamicQuantizeLSTM`: an LSTM on 8-bit weights, whose input and states are quantised as they come.
//!
//! The input's product is an integer one. For the state's, the weights are made real when compiling, and what the layer multiplies is the state
//! rounded to 8 bits: the same numbers up to the rounding of f32 sums.

use super::layer::attributes;
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::quant::products;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::Gather;

/// Inputs X, W (`directions, input, 4 * hidden`), R (`directions, hidden, 4 * hidden`), B, sequence_lens, initial_h, initial_c, P, then scale and
/// zero point of W and those of R, each for a direction or for each of its columns.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut layer = attributes(cx)?;
    layer.rounded = true;
    let (x, w, r) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    if cx.dtype(x)? != DType::F32 {
        return Err(OpError::invalid("the input must be float"));
    }
    let (w_scale, w_zero, r_scale, r_zero) = (cx.input(8)?, cx.opt_input(9)?, cx.input(10)?, cx.opt_input(11)?);
    let mut parts = Vec::new();
    for d in 0..layer.direction.count() {
        let index = cx.constant(crate::ir::Tensor::scalar(d));
        let of = |cx: &mut Parse<'_>, value| cx.add(Gather { axis: 0 }, &[value, index]);
        let (w, scale) = (of(cx, w)?, of(cx, w_scale)?);
        let zero = w_zero.map(|zero| of(cx, zero)).transpose()?;
        parts.push(products::product(cx, x, w, scale, zero, None)?);
    }
    let product = if parts.len() == 1 { parts[0] } else { cx.add(Concat { axis: 2 }, &parts)? };
    // R as the layer wants it: real, a row for each unit of each gate.
    let mut real = cast::to(cx, r, DType::F32)?;
    if let Some(zero) = r_zero {
        let zero = cast::to(cx, zero, DType::F32)?;
        let zero = by_direction(cx, zero)?;
        real = cx.add(Binary { f: BinaryFn::Sub }, &[real, zero])?;
    }
    let scale = by_direction(cx, r_scale)?;
    let real = cx.add(Binary { f: BinaryFn::Mul }, &[real, scale])?;
    let real = cx.add(Transpose { perm: vec![0, 2, 1] }, &[real])?;
    let mut inputs = vec![Some(product), Some(real)];
    for i in 3..8 {
        inputs.push(cx.opt_input(i)?);
    }
    cx.add_n(layer, &inputs)
}

/// A scale or zero point, `directions` or `directions, 4 * hidden`, with axes that broadcast to those of R.
fn by_direction(cx: &mut Parse<'_>, x: ValueId) -> Result<ValueId, OpError> {
    let axes = if cx.rank(x)? == 1 { vec![1, 2] } else { vec![1] };
    cx.add(Reshape::Unsqueeze { axes }, &[x])
}
