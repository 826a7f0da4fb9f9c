//! `FlexAttention` of ai.onnx.preview: attention whose scores and probabilities pass through graphs of the model. It is written in other operators.

use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::linear::matmul::MatMul;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;

/// ONNX `FlexAttention` (ai.onnx.preview, version 1): inputs queries, keys and values of rank 4, (batch, heads, positions, size).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (q, k, v) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    for x in [q, k, v] {
        if cx.rank(x)? != 4 {
            return Err(OpError::invalid("queries, keys and values must have rank 4"));
        }
    }
    let (dtype, result) = (cx.dtype(q)?, cx.dtype(v)?);
    let compute = cx.nonzero_dtype("softmax_precision")?.unwrap_or(if dtype == DType::F64 { DType::F64 } else { DType::F32 });
    // Queries and keys each take the root of the scale, rounded to their dtype, as the reference does.
    let root = root_of_scale(cx, q, dtype)?;
    let (scaled_q, scaled_k) = (binary(cx, BinaryFn::Mul, q, root)?, binary(cx, BinaryFn::Mul, k, root)?);
    let swapped = cx.add(Transpose { perm: vec![0, 1, 3, 2] }, &[scaled_k])?;
    let products = by_group(cx, scaled_q, swapped)?;
    let scores = cast::to(cx, products, compute)?;
    let scores = modified(cx, "score_mod", scores)?;
    let probabilities = cx.add(Softmax { kind: Kind::Softmax, axis: 3, to_end: false }, &[scores])?;
    let probabilities = modified(cx, "prob_mod", probabilities)?;
    let values = cast::to(cx, v, compute)?;
    let y = by_group(cx, probabilities, values)?;
    cast::to(cx, y, result).map(|y| vec![y])
}

fn binary(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// The root of the scale, by default of one over the root of the size of a head, as a scalar of that dtype.
fn root_of_scale(cx: &mut Parse<'_>, q: ValueId, dtype: DType) -> Result<ValueId, OpError> {
    if let Some(scale) = cx.opt_float("scale")? {
        return cx.scalar(dtype, f64::from(scale.sqrt()));
    }
    let (size, dims) = (cx.shape(q)?[3], cx.dims());
    if let Some(size) = dims.value(size) {
        return cx.scalar(dtype, f64::from(((1.0 / (size as f64).sqrt()) as f32).sqrt()));
    }
    let size = cx.add(DimsOf { elements: vec![(1, vec![(0, 3)])] }, &[q])?;
    let size = cast::to(cx, size, DType::F64)?;
    let power = cx.scalar(DType::F64, -0.25)?;
    let root = binary(cx, BinaryFn::Pow, size, power)?;
    cast::to(cx, root, dtype)
}

/// The product of `a` (batch, query heads, rows, n) and `b` (batch, heads, n, columns), where neighbours among the query's heads share one of `b`.
fn by_group(cx: &mut Parse<'_>, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    if cx.shape(a)?[1] == cx.shape(b)?[1] {
        return cx.add(MatMul::default(), &[a, b]);
    }
    // The query's heads as two axes: those of `b`, and those that share one.
    let dim = |input: usize, axis: usize| (1, vec![(input, axis)]);
    let shape = cx.add(DimsOf { elements: vec![dim(0, 0), dim(1, 1), (-1, vec![]), dim(0, 2), dim(0, 3)] }, &[a, b])?;
    let grouped = cx.add(Reshape::To { allow_zero: false }, &[a, shape])?;
    let shared = cx.add(Reshape::Unsqueeze { axes: vec![2] }, &[b])?;
    let product = cx.add(MatMul::default(), &[grouped, shared])?;
    let shape = cx.add(DimsOf { elements: vec![dim(0, 0), dim(0, 1), dim(0, 2), dim(1, 3)] }, &[a, b])?;
    cx.add(Reshape::To { allow_zero: false }, &[product, shape])
}

/// A tensor as the graph in that attribute makes another of it, if there is one.
fn modified(cx: &mut Parse<'_>, attribute: &str, x: ValueId) -> Result<ValueId, OpError> {
    if !cx.has_attribute(attribute) {
        return Ok(x);
    }
    let fact = cx.fact(x);
    let (body, captures) = cx.body(cx.graph(attribute)?, &[fact])?;
    let args: Vec<ValueId> = [x].into_iter().chain(captures).collect();
    match cx.inline(&body, &args)?.as_slice() {
        &[y] => cast::like(cx, y, x),
        made => Err(OpError::invalid(format!("the graph `{attribute}` must have one output, it has {}", made.len()))),
    }
}
