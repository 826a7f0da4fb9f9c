//! Attention out of products, a softmax and masks, which have rules.

use super::Tape;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn as B};
use crate::ops::linear::matmul::MatMul;
use crate::ops::make::range::Range;
use crate::ops::nn::attention::Attention;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::pad::{Mode, Pad};
use crate::program::formula::Unary as F;

/// The result and the scores, from the operands of [`Attention`].
pub fn composed(tape: &mut Tape, op: &Attention, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let input = |i: usize| inputs.get(i).copied().flatten();
    let (Some(q), Some(k), Some(v)) = (input(0), input(1), input(2)) else {
        return Err(OpError::invalid("attention needs three operands"));
    };
    let (dtype, flat) = (tape.dtype(q)?, tape.shape(q)?.len() == 3);
    let q = by_heads(tape, q, op.q_heads, op.by_position[0])?;
    let heads = tape.shape(q)?[1];
    let mut keys_and_values = Vec::new();
    for (x, turned) in [(k, op.by_position[1]), (v, op.by_position[2])] {
        let x = tape.cast(x, dtype)?;
        let x = by_heads(tape, x, op.kv_heads, turned)?;
        keys_and_values.push(repeated(tape, x, heads)?);
    }
    let (k, v) = (keys_and_values[0], keys_and_values[1]);

    let products = tape.add(MatMul { transpose_b: true, ..MatMul::default() }, &[q, k])?;
    let products = match op.scale {
        Some(scale) => tape.affine(products, f64::from(scale), 0.0)?,
        None => {
            let length = tape.add(Shape::between(3, 4), &[q])?;
            let length = tape.cast(length, dtype)?;
            let root = tape.unary(F::Sqrt, length)?;
            tape.pair(B::Div, products, root)?
        }
    };
    let capped = if op.softcap > 0.0 {
        let cap = f64::from(op.softcap);
        let share = tape.affine(products, 1.0 / cap, 0.0)?;
        let bent = tape.unary(F::Tanh, share)?;
        tape.affine(bent, cap, 0.0)?
    } else {
        products
    };
    let masked = masked(tape, op, capped, [q, k], [input(3), input(4), input(5)])?;

    // A query that sees nothing has zeros for a softmax.
    let least = tape.scalar(masked, f64::NEG_INFINITY)?;
    let top = tape.add(Reduce::over(ReduceFn::Max, &[3], true), &[masked])?;
    let blind = tape.pair(B::Equal, top, least)?;
    let (zero, empty) = (tape.scalar(masked, 0.0)?, tape.scalar(masked, if op.blind_is_nan { f64::NAN } else { 0.0 })?);
    let seen = tape.choose(blind, zero, masked)?;
    let weights = tape.add(Softmax { kind: Kind::Softmax, axis: 3, to_end: false }, &[seen])?;
    let weights = tape.choose(blind, empty, weights)?;
    let mut y = tape.add(MatMul::default(), &[weights, v])?;
    if flat || op.by_position[3] {
        y = tape.add(Transpose { perm: vec![0, 2, 1, 3] }, &[y])?;
    }
    if flat {
        y = shaped(tape, y, vec![(1, vec![(0, 0)]), (1, vec![(0, 1)]), (1, vec![(0, 2), (0, 3)])])?;
    }
    let scores = [products, capped, masked, weights].get(usize::try_from(op.scores).unwrap_or(0)).copied().unwrap_or(products);
    Ok(vec![y, scores])
}

/// A tensor in a shape of products of its dims.
fn shaped(tape: &mut Tape, x: ValueId, elements: Vec<(i64, Vec<(usize, usize)>)>) -> Result<ValueId, OpError> {
    let shape = tape.add(DimsOf { elements }, &[x])?;
    tape.add(Reshape::To { allow_zero: true }, &[x, shape])
}

/// `batch, heads, positions, elements`, from operands as they may lie.
fn by_heads(tape: &mut Tape, x: ValueId, heads: Option<i64>, by_position: bool) -> Result<ValueId, OpError> {
    let flat = tape.shape(x)?.len() == 3;
    if !flat && !by_position {
        return Ok(x);
    }
    let x = if flat {
        let size = tape.shape(x)?[2];
        let heads = heads.filter(|&h| h > 0).ok_or_else(|| OpError::invalid("the numbers of heads must be given"))?;
        let size = tape.graph.dims.value(size).map_or(-1, |size| size / heads);
        let elements = vec![(1, vec![(0, 0)]), (1, vec![(0, 1)]), (heads, vec![]), (size, vec![])];
        let shape = tape.add(DimsOf { elements }, &[x])?;
        tape.add(Reshape::To { allow_zero: size >= 0 }, &[x, shape])?
    } else {
        x
    };
    tape.add(Transpose { perm: vec![0, 2, 1, 3] }, &[x])
}

/// Keys or values with each head as often as queries share it.
fn repeated(tape: &mut Tape, x: ValueId, heads: crate::ir::Dim) -> Result<ValueId, OpError> {
    let own = tape.shape(x)?[1];
    if own == heads {
        return Ok(x);
    }
    let (Some(own), Some(heads)) = (tape.graph.dims.value(own), tape.graph.dims.value(heads)) else {
        return Err(OpError::unsupported("the derivative of attention between numbers of heads that only the run knows"));
    };
    let times = heads.checked_div(own).unwrap_or(1);
    let axis = |i: usize| (1, vec![(0, i)]);
    let wide = tape.add(DimsOf { elements: vec![axis(0), axis(1), (times, vec![]), axis(2), axis(3)] }, &[x])?;
    let copies = tape.add(Reshape::Unsqueeze { axes: vec![2] }, &[x])?;
    let copies = tape.add(Expand, &[copies, wide])?;
    shaped(tape, copies, vec![axis(0), (1, vec![(0, 1), (0, 2)]), axis(3), axis(4)])
}

/// The scores with the mask added, and minus infinity where a query does not see a key.
fn masked(
    tape: &mut Tape,
    op: &Attention,
    scores: ValueId,
    [q, k]: [ValueId; 2],
    [mask, nonpad, past]: [Option<ValueId>; 3],
) -> Result<ValueId, OpError> {
    let mut hidden = Vec::new();
    let keys = positions(tape, k)?;
    let mut scores = scores;
    if let Some(mask) = mask {
        let (bias, covered) = bias(tape, mask, scores, k)?;
        scores = tape.pair(B::Add, scores, bias)?;
        if let Some(covered) = covered {
            hidden.push(tape.pair(B::GreaterOrEqual, keys, covered)?);
        }
    }
    let queries = positions(tape, q)?;
    let mut queries = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[queries])?;
    if let Some(nonpad) = nonpad {
        let (count, column) = (tape.cast(nonpad, DType::I64)?, tape.constant(Tensor::vector(&[-1i64, 1, 1, 1])));
        let count = tape.add(Reshape::To { allow_zero: false }, &[count, column])?;
        hidden.push(tape.pair(B::GreaterOrEqual, keys, count)?);
        let length = tape.add(Shape::between(2, 3), &[q])?;
        let before = tape.pair(B::Sub, count, length)?;
        queries = tape.pair(B::Add, queries, before)?;
    } else if let Some(past) = past {
        let before = tape.add(Shape::between(2, 3), &[past])?;
        queries = tape.pair(B::Add, queries, before)?;
    }
    let windows = [(op.causal, B::Greater, 0), (op.right >= 0, B::Greater, op.right), (op.left >= 0, B::Less, op.left.saturating_neg())];
    for (bounded, beyond, offset) in windows {
        if bounded {
            let offset = tape.constant(Tensor::scalar(offset));
            let bound = tape.add(Binary { f: B::Add }, &[queries, offset])?;
            hidden.push(tape.pair(beyond, keys, bound)?);
        }
    }
    let Some(mut all) = hidden.pop() else { return Ok(scores) };
    for other in hidden {
        all = tape.pair(B::Or, all, other)?;
    }
    let least = tape.scalar(scores, f64::NEG_INFINITY)?;
    tape.choose(all, least, scores)
}

/// The numbers of the positions of `batch, heads, positions, elements`.
fn positions(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let count = tape.add(Shape::between(2, 3), &[x])?;
    let count = tape.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[count])?;
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    tape.add(Range, &[zero, count, one])
}

/// The mask as one that is added, over all keys, and how many it covers if these are fewer.
fn bias(tape: &mut Tape, mask: ValueId, scores: ValueId, k: ValueId) -> Result<(ValueId, Option<ValueId>), OpError> {
    let dtype = tape.dtype(scores)?;
    let bias = if tape.dtype(mask)? == DType::Bool {
        // As the kernel has it: the least finite number, so that a query from which the mask hides all still sees them alike.
        let (zero, least) = (tape.scalar(scores, 0.0)?, tape.scalar(scores, least(dtype))?);
        tape.choose(mask, zero, least)?
    } else {
        tape.cast(mask, dtype)?
    };
    let (shape, one) = (tape.shape(bias)?, tape.graph.dims.int(1));
    let (Some(&own), all) = (shape.last(), tape.shape(k)?[2]) else { return Ok((bias, None)) };
    if own == all || own == one {
        return Ok((bias, None));
    }
    if tape.graph.dims.bounds(own).0 <= 1 {
        let error = OpError::unsupported("the derivative of attention with a mask of so many keys as only the run knows");
        return Err(error.help("give the dims values with --dim"));
    }
    let last = shape.len() as i64 - 1;
    let covered = tape.add(Shape::between(last, last + 1), &[bias])?;
    let length = tape.add(Shape::between(2, 3), &[k])?;
    let rest = tape.pair(B::Sub, length, covered)?;
    let none = tape.constant(Tensor::vector(&vec![0i64; 2 * shape.len() - 1]));
    let pads = tape.add(Concat { axis: 0 }, &[none, rest])?;
    Ok((tape.add(Pad { mode: Mode::Constant }, &[bias, pads])?, Some(covered)))
}

/// The least finite number of a dtype.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MIN,
        DType::F16 => -65504.0,
        // Of bf16: 0xff7f.
        DType::BF16 => f64::from(f32::from_bits(0xff7f_0000)),
        _ => f64::from(f32::MIN),
    }
}
