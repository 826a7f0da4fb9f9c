//! com.microsoft `GatherBlockQuantized`: rows of a table that is quantised in blocks, as real numbers.

use super::linear::{Direction, Granularity, Quantize};
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::infer::resolve_axis;
use crate::ops::shape::reshape::Reshape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::Gather;

/// Inputs the table, the indices, the scales and (optional) the zero points. What is gathered is quantised; only that is made real.
///
/// A table of bytes holds 8 / `bits` numbers in each, the low bits first, and its zero point is the middle if none is given.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (data, indices, scales, zeros) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, cx.opt_input(3)?);
    let rank = cx.rank(data)?;
    let gather = resolve_axis(cx.int("gather_axis", 0)?, rank)?;
    let quantised = resolve_axis(cx.int("quantize_axis", 1)?, rank)?;
    let block = cx.int("block_size", 128)?;
    if block < 16 {
        return Err(OpError::unsupported(format!("block_size {block}")));
    }
    let bytes = cx.dtype(data)? == DType::U8;
    let bits = if bytes { cx.int("bits", 4)? } else { 8 };
    if !matches!(bits, 2 | 4 | 8) {
        return Err(OpError::invalid(format!("bits is {bits}")));
    }
    let mut zeros = match zeros {
        Some(zeros) => Some(unpacked(cx, zeros, bits)?),
        None if bytes => Some(cx.scalar(DType::U8, f64::from(1u32 << (bits - 1)))?),
        None => None,
    };
    if zeros.is_some_and(|_| cx.opt_input(3).is_ok_and(|z| z.is_none())) {
        // One zero point for all has to be shaped as the scales are.
        let shape = cx.add(crate::ops::shape::shape_of::Shape::between(0, i64::MAX), &[scales])?;
        zeros = zeros.map(|z| cx.add(crate::ops::shape::expand::Expand, &[z, shape])).transpose()?;
    }
    let direction = Direction::Dequantize;
    let real = |cx: &mut Parse<'_>, data, scales, zeros: Option<ValueId>, axis| {
        let dtype = cx.dtype(scales)?;
        let op = Quantize { granularity: Granularity::Block { axis, block }, direction, dtype, held: false };
        cx.add_n(op, &[Some(data), Some(scales), zeros]).map(|v| v[0])
    };
    if gather == quantised {
        let table = real(cx, data, scales, zeros, quantised)?;
        return cx.add(Gather { axis: gather }, &[table, indices]).map(|v| vec![v]);
    }
    let taken = |cx: &mut Parse<'_>, x| cx.add(Gather { axis: gather }, &[x, indices]);
    let (data, scales) = (taken(cx, data)?, taken(cx, scales)?);
    let data = unpacked(cx, data, bits)?;
    let zeros = zeros.map(|z| taken(cx, z)).transpose()?;
    let moved = if quantised > gather { quantised + cx.rank(indices)? - 1 } else { quantised };
    real(cx, data, scales, zeros, moved).map(|v| vec![v])
}

/// Bytes of several numbers as one byte a number, along the last axis.
fn unpacked(cx: &mut Parse<'_>, x: ValueId, bits: i64) -> Result<ValueId, OpError> {
    if bits == 8 {
        return Ok(x);
    }
    let mask = cx.scalar(DType::U8, f64::from((1u32 << bits) - 1))?;
    let mut parts = Vec::new();
    for shift in (0..8).step_by(bits as usize) {
        let shift = cx.scalar(DType::U8, f64::from(shift))?;
        let low = cx.add(Binary { f: BinaryFn::ShiftRight }, &[x, shift])?;
        let part = cx.add(Binary { f: BinaryFn::BitAnd }, &[low, mask])?;
        parts.push(cx.add(Reshape::Unsqueeze { axes: vec![-1] }, &[part])?);
    }
    let rank = cx.rank(x)?;
    let all = cx.add(Concat { axis: rank }, &parts)?;
    let mut shape = vec![0; rank];
    shape[rank - 1] = -1;
    let shape = cx.i64s(&shape);
    // Zeros copy the dims before the last.
    cx.add(Reshape::To { allow_zero: false }, &[all, shape])
}
