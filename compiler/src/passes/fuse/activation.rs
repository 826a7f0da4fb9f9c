//! Activations as exporters decompose them, written as formulas: `x * sigmoid(x)`, `x * (erf(x / √2) + 1) * 0.5`, …

use crate::ir::graph::{Graph, NodeError, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::passes::peephole::{Site, apply, binary, close, factors, scaled, unary, with_scalar};
use crate::program::formula::Unary as F;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(graph, &[batch_norm, product])
}

/// A product that is an activation of one of its factors.
fn product(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::Binary(Binary { f: BinaryFn::Mul | BinaryFn::Div }) = site.node.op else { return Ok(None) };
    // The node is not in the new graph yet: look at its operands as if it were.
    let (Some(a), Some(b)) = (site.input(0), site.input(1)) else { return Ok(None) };
    let Some((x, f)) = recognise(site.new, a, b, matches!(site.node.op, Op::Binary(Binary { f: BinaryFn::Div }))) else { return Ok(None) };
    // The formula must not broadcast, and be of f32.
    let same = site.is_f32(x) && !site.node.outputs.is_empty() && broadcasts_to_itself(site, x, a, b);
    if !same {
        return Ok(None);
    }
    site.replace(Unary { f }, &[x], None).map(Some)
}

fn broadcasts_to_itself(site: &Site<'_>, x: ValueId, a: ValueId, b: ValueId) -> bool {
    let shape = site.shape(x);
    let fits = |v: ValueId| crate::passes::peephole::scalar(site.new, v).is_some() || site.shape(v) == shape;
    fits(a) && fits(b)
}

fn recognise(graph: &Graph, a: ValueId, b: ValueId, divides: bool) -> Option<(ValueId, F)> {
    let (mut found, mut constant) = factors(graph, a);
    if divides {
        constant /= crate::passes::peephole::scalar(graph, b)?;
    } else {
        let (more, c) = factors(graph, b);
        found.extend(more);
        constant *= c;
    }
    let [p, q] = found[..] else { return None };
    activation_of(graph, p, q, constant).or_else(|| activation_of(graph, q, p, constant))
}

/// The activation that `constant * x * gate` is.
fn activation_of(graph: &Graph, x: ValueId, gate: ValueId, constant: f32) -> Option<(ValueId, F)> {
    if constant == 1.0 && unary(graph, gate, F::Sigmoid) == Some(x) {
        return Some((x, F::Silu));
    }
    if constant == 1.0
        && let Some(inner) = unary(graph, gate, F::Tanh)
        && unary(graph, inner, F::Softplus) == Some(x)
    {
        return Some((x, F::Mish));
    }
    if !close(constant, 0.5) {
        return None;
    }
    let (inner, one) = with_scalar(graph, gate, BinaryFn::Add)?;
    if one != 1.0 {
        return None;
    }
    if let Some(argument) = unary(graph, inner, F::Erf) {
        let (y, c) = scaled(graph, argument)?;
        return (y == x && close(c, std::f32::consts::FRAC_1_SQRT_2)).then_some((x, F::Gelu));
    }
    let argument = unary(graph, inner, F::Tanh)?;
    is_tanh_argument(graph, argument, x).then_some((x, F::GeluTanh))
}

/// Whether a value is `√(2/π) * (x + 0.044715 * x³)`.
fn is_tanh_argument(graph: &Graph, value: ValueId, x: ValueId) -> bool {
    let Some((sum, c)) = scaled(graph, value) else { return false };
    let Some((p, q)) = binary(graph, sum, BinaryFn::Add) else { return false };
    let cubic = |v: ValueId| {
        let (found, c) = factors(graph, v);
        let cube = match found[..] {
            [p, q, r] => p == x && q == x && r == x,
            [p] => binary(graph, p, BinaryFn::Pow).is_some_and(|(b, e)| b == x && crate::passes::peephole::scalar(graph, e) == Some(3.0)),
            _ => false,
        };
        cube && close(c, 0.044_715)
    };
    close(c, 0.797_884_6) && ((p == x && cubic(q)) || (q == x && cubic(p)))
}

/// Batch normalisation with constant parameters is a scale and a shift for each channel, which a convolution before it can take in.
fn batch_norm(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::BatchNorm(op) = &site.node.op else { return Ok(None) };
    let [Some(x), Some(scale), Some(bias), Some(mean), Some(variance)] = *site.inputs else { return Ok(None) };
    let constant = [scale, bias, mean, variance].iter().all(|&v| site.new.constant(v).is_some_and(|t| t.dtype == crate::ir::DType::F32));
    let Some(rank) = site.shape(x).map(|s| s.len()) else { return Ok(None) };
    if op.momentum.is_some() || !op.spatial || !constant || !site.is_f32(x) || rank < 2 {
        return Ok(None);
    }
    let epsilon = site.constant(crate::ir::Tensor::scalar(op.epsilon));
    let shifted = site.add(Binary { f: BinaryFn::Add }, &[variance, epsilon])?;
    let deviation = site.add(Unary { f: F::Sqrt }, &[shifted])?;
    let factor = site.add(Binary { f: BinaryFn::Div }, &[scale, deviation])?;
    let moved = site.add(Binary { f: BinaryFn::Mul }, &[mean, factor])?;
    let shift = site.add(Binary { f: BinaryFn::Sub }, &[bias, moved])?;
    let axes: Vec<i64> = (1..rank as i64 - 1).collect();
    let column = |site: &mut Site<'_>, v| site.add(crate::ops::shape::reshape::Reshape::Unsqueeze { axes: axes.clone() }, &[v]);
    let (factor, shift) = (column(site, factor)?, column(site, shift)?);
    let scaled = site.add(Binary { f: BinaryFn::Mul }, &[x, factor])?;
    site.replace(Binary { f: BinaryFn::Add }, &[scaled, shift], None).map(Some)
}
