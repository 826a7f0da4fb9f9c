//! Products of dequantised 8-bit operands become integer products, whose exact sums are scaled once.
//!
//! `Conv(Dequantize(x), Dequantize(w), bias)` is `sums * (scale of x * scale of w) + bias`, the sums being those of the integers without their
//! zero points: the same real number with fewer roundings. What follows (ReLU, QuantizeLinear) goes into the same pass over the sums, and so do
//! the steps by which other exporters scale a `MatMulInteger`.

use super::epilogue::{along, as_vector};
use crate::ir::DType;
use crate::ir::graph::{Graph, NodeError, Origin, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast::Cast;
use crate::ops::elementwise::unary::Unary;
use crate::ops::linear::matmul::MatMul;
use crate::ops::quant::conv::IntegerConv;
use crate::ops::quant::linear::{Direction, Granularity, Quantize};
use crate::ops::quant::matmul::IntegerMatMul;
use crate::ops::quant::rescale::Rescale;
use crate::ops::shape::transpose::Transpose;
use crate::passes::peephole::{Site, apply};
use crate::program::formula::Unary as F;
use std::ops::Range;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let fused = apply(graph, &[conv, matmul, scaled, bias, relu, quantize])?;
    // What no product took is an ordinary constant.
    apply(&fused, &[release])
}

/// A dequantised operand: the integers, their scale and zero point.
struct Operand {
    x: ValueId,
    scale: ValueId,
    zero: Option<ValueId>,
    granularity: Granularity,
    origin: Origin,
}

/// The operand that input `i` is the real numbers of, if those are f32 and the integers have 8 bits.
fn operand(site: &Site<'_>, i: usize) -> Option<Operand> {
    let node = site.producer(site.input(i)?)?;
    let Op::Quantize(Quantize { granularity, direction: Direction::Dequantize, dtype: DType::F32, .. }) = node.op else { return None };
    let (x, scale) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
    let bytes = matches!(site.new.fact(x).dtype(), Some(DType::I8 | DType::U8));
    (bytes && site.is_f32(scale)).then(|| Operand {
        x,
        scale,
        zero: node.inputs.get(2).copied().flatten(),
        granularity,
        origin: node.origin.clone(),
    })
}

/// Adds the sums, and in place of the node what they are as real numbers.
fn rescaled(site: &mut Site<'_>, sums: impl Into<Op>, x: &Operand, w: &Operand, axis: usize) -> Result<Option<Vec<ValueId>>, NodeError> {
    let sums = site.add_n(sums, &[Some(x.x), Some(w.x), x.zero, w.zero])?;
    let factors = site.add(Binary { f: BinaryFn::Mul }, &[x.scale, w.scale])?;
    let bias = site.input(2);
    site.replace_n(Rescale { axis, relu: false, dtype: DType::F32 }, &[Some(sums), Some(factors), bias], Some(&x.origin)).map(Some)
}

/// The most products whose sum cannot leave i32, whatever the operands and zero points: the f32 that the model asks for would not wrap.
const MAX_TERMS: i64 = i32::MAX as i64 / (255 * 255);

/// Whether sums over those axes of the right operand fit an i32.
fn sums_fit(site: &Site<'_>, w: &Operand, axes: Range<usize>) -> bool {
    let Some(shape) = site.shape(w.x) else { return false };
    let terms = shape.get(axes).unwrap_or_default().iter().try_fold(1i64, |n, &d| n.checked_mul(site.new.dims.value(d)?));
    terms.is_some_and(|n| n <= MAX_TERMS)
}

fn conv(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Conv(conv) = &site.node.op else { return Ok(None) };
    if conv.residual || conv.channels_last || !conv.epilogue.is_none() || conv.window.kernel.len() > 3 {
        return Ok(None);
    }
    let op = IntegerConv { window: conv.window.clone(), group: conv.group, channels_last: false };
    let (Some(x), Some(w)) = (operand(site, 0), operand(site, 1)) else { return Ok(None) };
    let by_filter = matches!(w.granularity, Granularity::Tensor | Granularity::Axis { axis: 0 });
    if x.granularity != Granularity::Tensor || !by_filter || depthwise(site, &op, w.x) || !sums_fit(site, &w, 1..op.window.kernel.len() + 2)
    {
        return Ok(None);
    }
    rescaled(site, op, &x, &w, 1)
}

/// Whether every channel has filters of its own: then the kernel of f32 is the faster one.
fn depthwise(site: &Site<'_>, conv: &IntegerConv, w: ValueId) -> bool {
    conv.group > 1 && site.shape(w).is_some_and(|s| s.get(1).is_some_and(|&d| site.new.dims.value(d) == Some(1)))
}

fn matmul(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::MatMul(MatMul { transpose_a: false, transpose_b, alpha: 1.0, residual: false, epilogue, .. }) = site.node.op else {
        return Ok(None);
    };
    let (Some(a), Some(mut b)) = (operand(site, 0), operand(site, 1)) else { return Ok(None) };
    let (column, row) = (usize::from(!transpose_b), usize::from(transpose_b));
    let by_column = b.granularity == Granularity::Tensor || b.granularity == Granularity::Axis { axis: column };
    let ranks = [a.x, b.x].map(|v| site.shape(v).map_or(0, |s| s.len()));
    let plain = epilogue.is_none() && ranks[0] >= 2 && ranks[1] == 2;
    if a.granularity != Granularity::Tensor || !by_column || !plain || !sums_fit(site, &b, row..row + 1) {
        return Ok(None);
    }
    if transpose_b {
        b.x = site.add(Transpose { perm: vec![1, 0] }, &[b.x])?;
    }
    rescaled(site, IntegerMatMul, &a, &b, ranks[0] - 1)
}

/// `cast(sums) * factor`, the factor one number or one a column (of a convolution: a channel).
fn scaled(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: BinaryFn::Mul }) = site.node.op else { return Ok(None) };
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(factors)) = (site.input(i), site.input(other)) else { continue };
        let Some(cast) = site.producer(value).filter(|n| matches!(n.op, Op::Cast(Cast { to: DType::F32, .. }))) else { continue };
        let Some(sums) = cast.inputs.first().copied().flatten() else { continue };
        let (Some(shape), Some(own), Some(producer)) = (site.shape(sums), site.shape(factors), site.producer(sums)) else { continue };
        let axis = match producer.op {
            Op::IntegerMatMul(_) => shape.len().saturating_sub(1),
            Op::IntegerConv(_) => 1,
            _ => continue,
        };
        let origin = producer.origin.clone();
        let (Some(lead), Some(&lines)) = (shape.len().checked_sub(own.len()), shape.get(axis)) else { continue };
        let one = site.new.dims.int(1);
        let fits = own.iter().enumerate().all(|(j, &d)| d == one || (j + lead == axis && d == lines));
        if fits && site.sole_user(i) && site.is_f32(factors) {
            let op = Rescale { axis, relu: false, dtype: DType::F32 };
            return site.replace_n(op, &[Some(sums), Some(factors)], Some(&origin)).map(Some);
        }
    }
    Ok(None)
}

/// The rescaled sums that input `i` is, if the node is their only user and they are not quantised yet.
fn open(site: &Site<'_>, i: usize) -> Option<(Rescale, Vec<Option<ValueId>>, Origin)> {
    let node = site.producer(site.input(i)?)?;
    match &node.op {
        Op::Rescale(op) if op.dtype == DType::F32 && site.sole_user(i) => Some((op.clone(), node.inputs.clone(), node.origin.clone())),
        _ => None,
    }
}

/// Rescaled sums plus a constant.
fn bias(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: BinaryFn::Add }) = site.node.op else { return Ok(None) };
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(c)) = (site.input(i), site.input(other)) else { continue };
        let Some((op, mut inputs, origin)) = open(site, i).filter(|(op, inputs, _)| !op.relu && inputs.len() == 2) else { continue };
        let Some(shape) = site.shape(value).filter(|_| site.is_f32(c)) else { continue };
        let Some(how) = along(site, c, &shape, op.axis) else { continue };
        let Some(c) = as_vector(site, c, &how, shape[op.axis])? else { continue };
        inputs.push(Some(c));
        return site.replace_n(op, &inputs, Some(&origin)).map(Some);
    }
    Ok(None)
}

fn relu(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Unary(Unary { f: F::Relu }) = site.node.op else { return Ok(None) };
    let Some((op, inputs, origin)) = open(site, 0) else { return Ok(None) };
    site.replace_n(Rescale { relu: true, ..op }, &inputs, Some(&origin)).map(Some)
}

fn quantize(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Quantize(Quantize { granularity, direction: Direction::Quantize { precision, .. }, dtype, .. }) = site.node.op else {
        return Ok(None);
    };
    let simple = granularity == Granularity::Tensor && precision == DType::F32 && matches!(dtype, DType::I8 | DType::U8);
    let (Some((op, mut inputs, origin)), true) = (open(site, 0), simple) else { return Ok(None) };
    inputs.resize(3, None);
    inputs.extend([site.input(1), site.input(2)]);
    site.replace_n(Rescale { dtype, ..op }, &inputs, Some(&origin)).map(Some)
}

/// Dequantised constants that were held back for the rules above are folded.
fn release(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Quantize(op) = &site.node.op else { return Ok(None) };
    if !op.held {
        return Ok(None);
    }
    let (op, inputs) = (Quantize { held: false, ..op.clone() }, site.inputs.to_vec());
    site.replace_n(op, &inputs, None).map(Some)
}
