//! com.microsoft `Attention` and `QAttention`: one product gives queries, keys and values, side by side.

use super::attention::{Attention, by_heads};
use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::elementwise::where_::Where;
use crate::ops::linear::matmul::MatMul;
use crate::ops::make::constant_of_shape::ConstantOfShape;
use crate::ops::make::range::Range;
use crate::ops::quant::matmul::IntegerMatMul;
use crate::ops::quant::products::to_real;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::slice::Slice;
use crate::ops::slice::split::Split;

/// com.microsoft `Attention`. Inputs: the tensor, weights, bias, a mask, past keys and values in one tensor, and what is added to the scores.
/// Outputs: the result, and keys and values with the past ones before them.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if cx.opt_input(6)?.is_some() {
        return Err(OpError::unsupported("the input past_sequence_length"));
    }
    let (x, weights) = (cx.input(0)?, cx.input(1)?);
    let mut product = cx.add(MatMul::default(), &[x, weights])?;
    if let Some(bias) = cx.opt_input(2)? {
        product = pair(cx, BinaryFn::Add, product, bias)?;
    }
    let parts = Parts { product, mask: cx.opt_input(3)?, past: cx.opt_input(4)?, added: cx.opt_input(5)? };
    attend(cx, &parts)
}

/// com.microsoft `QAttention`: the product is one of 8-bit integers. Inputs: the tensor, weights, bias (f32), the scales of both, a mask, the zero
/// points of both, past keys and values.
pub fn parse_quantized(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, weights) = (cx.input(0)?, cx.input(1)?);
    let (scale_x, scale_weights) = (cx.input(3)?, cx.input(4)?);
    let zeros = [cx.opt_input(6)?, cx.opt_input(7)?];
    let bias = cx.opt_input(2)?;
    let sums = cx.add_n(IntegerMatMul, &[Some(x), Some(weights), zeros[0], zeros[1]])?[0];
    let product = to_real(cx, sums, scale_x, scale_weights, bias)?;
    let parts = Parts { product, mask: cx.opt_input(5)?, past: cx.opt_input(8)?, added: None };
    attend(cx, &parts)
}

fn pair(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// What both operators come to.
struct Parts {
    /// Queries, keys and values side by side: batch, positions, all their elements.
    product: ValueId,
    mask: Option<ValueId>,
    /// Past keys and values: 2, batch, heads, positions, elements.
    past: Option<ValueId>,
    /// Added to the scores.
    added: Option<ValueId>,
}

fn attend(cx: &mut Parse<'_>, parts: &Parts) -> Result<Vec<ValueId>, OpError> {
    let heads = cx.int("num_heads", 0)?;
    if heads <= 0 {
        return Err(OpError::invalid(format!("num_heads is {heads}")));
    }
    if cx.flag("do_rotary", false)? || cx.flag("past_present_share_buffer", false)? {
        return Err(OpError::unsupported("do_rotary and past_present_share_buffer"));
    }
    let lengths = cx.ints("qkv_hidden_sizes")?.filter(|sizes| !sizes.is_empty()).map(|sizes| cx.i64s(&sizes));
    let qkv = cx.add_n(Split::by_lengths(2, 3), &[Some(parts.product), lengths])?;
    let &[q, k, v] = qkv.as_slice() else { return Err(OpError::invalid("internal error: a split in three")) };
    let (mut joined, mut halves) = ([k, v], Vec::new());
    for (i, x) in joined.iter_mut().enumerate() {
        *x = by_heads(cx, *x, Some(heads))?;
        if let Some(past) = parts.past {
            let which = cx.constant(Tensor::scalar(i as i64));
            let past = cx.add(Gather { axis: 0 }, &[past, which])?;
            *x = cx.add(Concat { axis: 2 }, &[past, *x])?;
            halves.push(past);
        }
    }
    let mask = mask(cx, parts.mask, parts.added, joined[0])?;
    let op = Attention {
        scale: cx.opt_float("scale")?.filter(|&s| s != 0.0),
        causal: cx.flag("unidirectional", false)?,
        ..Attention::of_heads(Some(heads), Some(heads))
    };
    let y = cx.add_n(op, &[Some(q), Some(joined[0]), Some(joined[1]), mask, None, halves.first().copied()])?[0];
    if !cx.wants(1) {
        return Ok(vec![y]);
    }
    let stacked = joined.map(|x| cx.add(Reshape::Unsqueeze { axes: vec![0] }, &[x]));
    let [k, v] = stacked;
    let present = cx.add(Concat { axis: 0 }, &[k?, v?])?;
    Ok(vec![y, present])
}

/// What is added to the scores: `mask_filter_value` where the mask hides one of the keys (by heads), and the other addend.
pub(super) fn mask(cx: &mut Parse<'_>, mask: Option<ValueId>, added: Option<ValueId>, keys: ValueId) -> Result<Option<ValueId>, OpError> {
    let Some(mask) = mask else { return Ok(added) };
    let dtype = cx.dtype(keys)?;
    let mask = cast::to(cx, mask, DType::I64)?;
    let zero = cx.constant(Tensor::scalar(0i64));
    let seen = match cx.rank(mask)? {
        1 => seen_of_lengths(cx, mask, keys)?,
        rank @ (2 | 3) => {
            // Batch and keys, or batch, queries and keys: the axes that are missing are those of heads and queries.
            let axes = if rank == 2 { vec![1, 2] } else { vec![1] };
            let wide = cx.add(Reshape::Unsqueeze { axes }, &[mask])?;
            pair(cx, BinaryFn::Greater, wide, zero)?
        }
        rank => return Err(OpError::unsupported(format!("a mask of rank {rank}"))),
    };
    let (shown, hidden) = (cx.scalar(dtype, 0.0)?, cx.scalar(dtype, f64::from(cx.float("mask_filter_value", -10000.0)?))?);
    let hiding = cx.add(Where, &[seen, shown, hidden])?;
    added.map_or(Ok(hiding), |added| pair(cx, BinaryFn::Add, hiding, added)).map(Some)
}

/// Which keys are seen, by their numbers: as many of each sample as the mask says, or from where to where (all ends, then all starts).
fn seen_of_lengths(cx: &mut Parse<'_>, mask: ValueId, keys: ValueId) -> Result<ValueId, OpError> {
    let (zero, one, first) = (cx.constant(Tensor::scalar(0i64)), cx.constant(Tensor::scalar(1i64)), cx.i64s(&[0]));
    let count = cx.add(Shape::between(2, 3), &[keys])?;
    let count = cx.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[count])?;
    let numbers = cx.add(Range, &[zero, count, one])?;
    let batch = cx.add(Shape::between(0, 1), &[keys])?;
    let (given, samples) = (cx.shape(mask)?[0], cx.shape(keys)?[0]);
    let bound = |cx: &mut Parse<'_>, mask: ValueId, from: ValueId, to: ValueId, f| -> Result<ValueId, OpError> {
        let bounds = cx.add(Slice::default(), &[mask, from, to, first])?;
        let column = cx.add(Reshape::Unsqueeze { axes: vec![1, 2, 3] }, &[bounds])?;
        pair(cx, f, numbers, column)
    };
    let dims = cx.dims();
    let mut mask = mask;
    if given != samples && given != dims.scale(samples, 2) {
        if dims.value(given).is_some() && dims.value(samples).is_some() {
            return Err(OpError::invalid("a mask of rank 1 that has neither one nor two numbers for each sample"));
        }
        mask = with_starts(cx, mask, batch)?;
    }
    let before_end = bound(cx, mask, first, batch, BinaryFn::Less)?;
    if given == samples {
        return Ok(before_end);
    }
    let end = cx.i64s(&[i64::MAX]);
    let from_start = bound(cx, mask, batch, end, BinaryFn::GreaterOrEqual)?;
    pair(cx, BinaryFn::And, before_end, from_start)
}

/// The mask with starts, zeros if it has none, where only the run knows. Its rows are the ends and perhaps the starts; of another length it is an
/// error, since then a row is not full or the number of rows that are left or lacking is negative.
fn with_starts(cx: &mut Parse<'_>, mask: ValueId, batch: ValueId) -> Result<ValueId, OpError> {
    let (one, two, flat) = (cx.i64s(&[1]), cx.i64s(&[2]), cx.i64s(&[-1]));
    let shape = cx.add(Concat { axis: 0 }, &[flat, batch])?;
    let rows = cx.add(Reshape::To { allow_zero: false }, &[mask, shape])?;
    let count = cx.add(Shape::between(0, 1), &[rows])?;
    let left = pair(cx, BinaryFn::Sub, count, one)?;
    let lengths = cx.add(Concat { axis: 0 }, &[one, left])?;
    let mut parts = cx.add_n(Split::by_lengths(0, 2), &[Some(rows), Some(lengths)])?;
    let lacking = pair(cx, BinaryFn::Sub, two, count)?;
    let shape = cx.add(Concat { axis: 0 }, &[lacking, batch])?;
    let zero = cx.scalar(DType::I64, 0.0)?;
    parts.push(cx.add(ConstantOfShape, &[shape, zero])?);
    let both = cx.add(Concat { axis: 0 }, &parts)?;
    cx.add(Reshape::To { allow_zero: false }, &[both, flat])
}
