//! Scales, biases, residuals and activations go into the product or the convolution before them.

use crate::ir::graph::{Graph, Node, NodeError, Origin, ValueId};
use crate::ir::{Dim, Tensor};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::ops::linear::matmul::MatMul;
use crate::ops::nn::conv::Conv;
use crate::ops::nn::epilogue::{Epilogue, Kind};
use crate::ops::shape::reshape::Reshape;
use crate::passes::peephole::{Site, apply, scalar};
use crate::program::formula::Unary as F;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(graph, &[activation, clip, bias, residual, scale])
}

/// A product or convolution, its inputs and where it comes from.
struct Producer {
    op: Op,
    inputs: Vec<ValueId>,
    origin: Origin,
}

/// The producer of input `i`, if it can still take something into its epilogue and has no other user.
fn open_producer(site: &Site<'_>, i: usize) -> Option<Producer> {
    let node: &Node = site.producer(site.input(i)?)?;
    let open = match &node.op {
        // The kernel that has an epilogue has two batch axes.
        Op::MatMul(op) => op.epilogue.is_none() && site.new.fact(site.input(i)?).shape()?.len() <= 4,
        Op::Conv(op) => op.epilogue.is_none(),
        _ => false,
    };
    let inputs = node.inputs.iter().copied().collect::<Option<Vec<_>>>()?;
    (open && site.sole_user(i) && site.is_f32(inputs[0])).then(|| Producer { op: node.op.clone(), inputs, origin: node.origin.clone() })
}

fn set_epilogue(op: Op, epilogue: Epilogue) -> Option<Op> {
    match op {
        Op::MatMul(m) => Some(Op::MatMul(MatMul { epilogue, ..m })),
        Op::Conv(c) => Some(Op::Conv(Conv { epilogue, ..c })),
        _ => None,
    }
}

fn activation(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Unary(Unary { f }) = site.node.op else { return Ok(None) };
    let kind = match f {
        F::Relu => Kind::Relu,
        F::Sigmoid => Kind::Sigmoid,
        F::Tanh => Kind::Tanh,
        F::Silu => Kind::Silu,
        F::HardSwish => Kind::HardSwish,
        F::Gelu => Kind::Gelu,
        F::GeluTanh => Kind::GeluTanh,
        F::Softplus => Kind::Softplus,
        F::Mish => Kind::Mish,
        _ => return Ok(None),
    };
    with_epilogue(site, 0, Epilogue::of(kind))
}

fn with_epilogue(site: &mut Site<'_>, i: usize, epilogue: Epilogue) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Some(producer) = open_producer(site, i) else { return Ok(None) };
    let Some(op) = set_epilogue(producer.op, epilogue) else { return Ok(None) };
    site.replace(op, &producer.inputs, Some(&producer.origin)).map(Some)
}

/// `max(x, lo)` and `min(x, hi)` with scalars; the second one to come refines a clip that is there already.
fn clip(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: f @ (BinaryFn::Min | BinaryFn::Max) }) = site.node.op else { return Ok(None) };
    let (Some(x), Some(c)) = (site.input(0), site.input(1)) else { return Ok(None) };
    let (i, bound) = match (scalar(site.new, c), scalar(site.new, x)) {
        (Some(c), _) => (0, c),
        (_, Some(c)) => (1, c),
        _ => return Ok(None),
    };
    let Some(value) = site.input(i) else { return Ok(None) };
    let Some(node) = site.producer(value) else { return Ok(None) };
    let (op, origin) = (node.op.clone(), node.origin.clone());
    let Some(inputs) = node.inputs.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let current = match &op {
        Op::MatMul(m) => m.epilogue,
        Op::Conv(c) => c.epilogue,
        _ => return Ok(None),
    };
    let (low, high) = match current.kind {
        Kind::None => (f32::NEG_INFINITY, f32::INFINITY),
        Kind::Relu => (0.0, f32::INFINITY),
        Kind::Clip => (current.a, current.b),
        _ => return Ok(None),
    };
    if !site.sole_user(i) || !site.is_f32(inputs[0]) || bound.is_nan() {
        return Ok(None);
    }
    let (a, b) = if f == BinaryFn::Max { (low.max(bound), high.max(bound)) } else { (low.min(bound), high.min(bound)) };
    match set_epilogue(op, Epilogue { kind: Kind::Clip, a, b }) {
        Some(op) => site.replace(op, &inputs, Some(&origin)).map(Some),
        None => Ok(None),
    }
}

/// How a constant lies along the producer's output: one element for each output channel (or column), or one for all.
pub(super) enum Along {
    Channels,
    All,
}

/// How the constant `c` broadcasts against a result of this shape whose channels are on `axis`; only broadcasts that keep the result's shape.
pub(super) fn along(site: &Site<'_>, c: ValueId, shape: &[Dim], axis: usize) -> Option<Along> {
    let (one, own) = (site.new.dims.int(1), site.shape(c)?);
    site.new.constant(c)?;
    let lead = shape.len().checked_sub(own.len())?;
    if own.iter().all(|&d| d == one) {
        return Some(Along::All);
    }
    let fits = own.iter().enumerate().all(|(i, &d)| if i + lead == axis { d == shape[axis] } else { d == one });
    fits.then_some(Along::Channels)
}

/// A constant as a vector with an element for each channel.
pub(super) fn as_vector(site: &mut Site<'_>, c: ValueId, how: &Along, channels: Dim) -> Result<Option<ValueId>, NodeError> {
    match how {
        Along::Channels => {
            let shape = site.constant(Tensor::vector(&[-1i64]));
            site.add(Reshape::To { allow_zero: false }, &[c, shape]).map(Some)
        }
        Along::All => {
            let Some(n) = site.new.dims.value(channels).and_then(|n| usize::try_from(n).ok()) else { return Ok(None) };
            let Some(x) = scalar(site.new, c) else { return Ok(None) };
            Ok(Some(site.constant(Tensor::vector(&vec![x; n]))))
        }
    }
}

/// The channel axis of a producer's result.
fn channel_axis(op: &Op, rank: usize) -> Option<usize> {
    match op {
        Op::MatMul(_) => rank.checked_sub(1),
        Op::Conv(c) if c.channels_last => rank.checked_sub(1),
        Op::Conv(_) => Some(1),
        _ => None,
    }
}

/// `producer + c`, `producer - c`.
fn bias(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: f @ (BinaryFn::Add | BinaryFn::Sub) }) = site.node.op else { return Ok(None) };
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(c)) = (site.input(i), site.input(other)) else { continue };
        let Some(Producer { op, inputs, origin }) = open_producer(site, i) else { continue };
        let Some(shape) = site.shape(value) else { continue };
        let Some(axis) = channel_axis(&op, shape.len()) else { continue };
        let Some(how) = along(site, c, &shape, axis) else { continue };
        if (f == BinaryFn::Sub && i == 1) || has_residual(&op) {
            continue;
        }
        let Some(mut c) = as_vector(site, c, &how, shape[axis])? else { continue };
        if f == BinaryFn::Sub {
            c = site.add(Unary { f: F::Neg }, &[c])?;
        }
        if let Some(old) = bias_of(&op, &inputs) {
            c = site.add(Binary { f: BinaryFn::Add }, &[old, c])?;
        }
        let Some((op, inputs)) = set_bias(op, &inputs, c) else { continue };
        return site.replace(op, &inputs, Some(&origin)).map(Some);
    }
    Ok(None)
}

fn has_residual(op: &Op) -> bool {
    matches!(op, Op::MatMul(MatMul { residual: true, .. }) | Op::Conv(Conv { residual: true, .. }))
}

fn bias_of(op: &Op, inputs: &[ValueId]) -> Option<ValueId> {
    matches!(op, Op::MatMul(MatMul { bias: true, .. }) | Op::Conv(Conv { bias: true, .. })).then(|| inputs[2])
}

fn set_bias(op: Op, inputs: &[ValueId], bias: ValueId) -> Option<(Op, Vec<ValueId>)> {
    let new = vec![inputs[0], inputs[1], bias];
    match op {
        Op::MatMul(m) => Some((Op::MatMul(MatMul { bias: true, ..m }), new)),
        Op::Conv(c) => Some((Op::Conv(Conv { bias: true, ..c }), new)),
        _ => None,
    }
}

/// `producer + x` where x has the shape of the result.
fn residual(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: BinaryFn::Add }) = site.node.op else { return Ok(None) };
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(x)) = (site.input(i), site.input(other)) else { continue };
        let Some(Producer { op, mut inputs, origin }) = open_producer(site, i) else { continue };
        if has_residual(&op) || site.shape(value) != site.shape(x) || !site.is_f32(x) || value == x {
            continue;
        }
        inputs.push(x);
        let op = match op {
            Op::MatMul(m) => Op::MatMul(MatMul { residual: true, ..m }),
            Op::Conv(c) => Op::Conv(Conv { residual: true, ..c }),
            _ => continue,
        };
        return site.replace(op, &inputs, Some(&origin)).map(Some);
    }
    Ok(None)
}

/// `producer * c`, `producer / c`: into the weights of a convolution, or the factor of a product.
fn scale(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: f @ (BinaryFn::Mul | BinaryFn::Div) }) = site.node.op else { return Ok(None) };
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(c)) = (site.input(i), site.input(other)) else { continue };
        if f == BinaryFn::Div && i == 1 {
            continue;
        }
        let Some(Producer { op, inputs, origin }) = open_producer(site, i) else { continue };
        let Some(shape) = site.shape(value) else { continue };
        let Some(how) = channel_axis(&op, shape.len()).and_then(|axis| along(site, c, &shape, axis).map(|h| (h, axis))) else { continue };
        let scaled = match op {
            Op::MatMul(m) => scale_product(site, m, &inputs, c, f),
            Op::Conv(conv) => scale_conv(site, conv, &inputs, c, f, &how.0, shape[how.1])?,
            _ => None,
        };
        if let Some((op, inputs)) = scaled {
            return site.replace(op, &inputs, Some(&origin)).map(Some);
        }
    }
    Ok(None)
}

fn scale_product(site: &Site<'_>, op: MatMul, inputs: &[ValueId], c: ValueId, f: BinaryFn) -> Option<(Op, Vec<ValueId>)> {
    let factor = scalar(site.new, c)?;
    let factor = if f == BinaryFn::Div { 1.0 / factor } else { factor };
    // The factor is applied before bias and residual.
    (!op.bias && !op.residual && factor.is_finite()).then(|| (Op::MatMul(MatMul { alpha: op.alpha * factor, ..op }), inputs.to_vec()))
}

fn scale_conv(
    site: &mut Site<'_>,
    op: Conv,
    inputs: &[ValueId],
    c: ValueId,
    f: BinaryFn,
    how: &Along,
    channels: Dim,
) -> Result<Option<(Op, Vec<ValueId>)>, NodeError> {
    if op.residual || site.new.constant(inputs[1]).is_none() || (op.bias && site.new.constant(inputs[2]).is_none()) {
        return Ok(None);
    }
    let Some(factor) = as_vector(site, c, how, channels)? else { return Ok(None) };
    let rank = site.shape(inputs[1]).map_or(0, |s| s.len());
    let axes = (1..rank as i64).collect();
    let column = site.add(Reshape::Unsqueeze { axes }, &[factor])?;
    let mut new = vec![inputs[0], site.add(Binary { f }, &[inputs[1], column])?];
    if op.bias {
        new.push(site.add(Binary { f }, &[inputs[2], factor])?);
    }
    // Where folding was refused (a budget), the scale stays where it was.
    let folded = new[1..].iter().all(|&v| site.new.constant(v).is_some());
    Ok(folded.then_some((Op::Conv(op), new)))
}
