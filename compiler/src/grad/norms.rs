//! Rules of normalisations.

use super::Tape;
use super::rules::{Adjoints, missing};
use super::windows::{by_channel, channel_sums, over_channels};
use crate::ir::{Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::nn::batch_norm::BatchNorm;
use crate::ops::nn::group_norm::GroupNorm;
use crate::ops::nn::lp_norm::LpNorm;
use crate::ops::nn::norm::LayerNorm;
use crate::ops::reduce::reduce::{Reduce, ReduceFn as R};
use crate::ops::shape::reshape::Reshape;
use crate::program::formula::Unary as F;

/// Numbers made to have the mean 0 (unless it is kept) and the variance 1 along some axes.
struct Normal {
    axes: Vec<usize>,
    keep_mean: bool,
    deviation: ValueId,
    normal: ValueId,
}

impl Normal {
    fn of(tape: &mut Tape, x: ValueId, axes: Vec<usize>, keep_mean: bool, epsilon: f32) -> Result<Self, OpError> {
        let centred = if keep_mean {
            x
        } else {
            let middle = mean(tape, x, &axes)?;
            tape.pair(B::Sub, x, middle)?
        };
        let square = tape.mul(centred, centred)?;
        let variance = mean(tape, square, &axes)?;
        let variance = tape.affine(variance, 1.0, f64::from(epsilon))?;
        let deviation = tape.unary(F::Sqrt, variance)?;
        let normal = tape.pair(B::Div, centred, deviation)?;
        Ok(Self { axes, keep_mean, deviation, normal })
    }

    /// `dx` from the adjoint `d` of the normal numbers `n`: `(d - mean(d) - n mean(d n)) / deviation`, without the mean where it is kept.
    fn adjoint(&self, tape: &mut Tape, d: ValueId) -> Result<ValueId, OpError> {
        let along = tape.mul(d, self.normal)?;
        let along = mean(tape, along, &self.axes)?;
        let along = tape.mul(self.normal, along)?;
        let mut dx = tape.pair(B::Sub, d, along)?;
        if !self.keep_mean {
            let middle = mean(tape, d, &self.axes)?;
            dx = tape.pair(B::Sub, dx, middle)?;
        }
        tape.pair(B::Div, dx, self.deviation)
    }
}

fn mean(tape: &mut Tape, x: ValueId, axes: &[usize]) -> Result<ValueId, OpError> {
    tape.add(Reduce::over(R::Mean, axes, true), &[x])
}

/// Layer normalisation: inputs x, scale and bias (optional), broadcast.
pub fn layer(tape: &mut Tape, op: &LayerNorm, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let input = |i: usize| node.inputs.get(i).copied().flatten();
    let Some(x) = input(0) else { return Err(missing(node)) };
    let axes: Vec<usize> = (op.axis..tape.shape(x)?.len()).collect();
    let normal = Normal::of(tape, x, axes, op.rms, op.epsilon)?;
    let d = match input(1) {
        Some(scale) => tape.mul(dy, scale)?,
        None => dy,
    };
    let mut adjoints = vec![Some(normal.adjoint(tape, d)?)];
    if let Some(scale) = input(1) {
        let wide = tape.mul(dy, normal.normal)?;
        adjoints.push(Some(tape.sum_to(wide, scale)?));
    }
    if let Some(bias) = input(2) {
        adjoints.push(Some(tape.sum_to(dy, bias)?));
    }
    Ok(adjoints)
}

/// Normalisation of groups of channels, or of each channel; scale and bias by channel or by group.
pub fn group(tape: &mut Tape, op: &GroupNorm, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(x), Some(scale), Some(bias)] = node.inputs[..] else { return Err(missing(node)) };
    let grouped = tape.constant(Tensor::vector(&[0, op.groups.unwrap_or(0), -1]));
    let groups = |tape: &mut Tape, v: ValueId| tape.add(Reshape::To { allow_zero: false }, &[v, grouped]);
    let flat = groups(tape, x)?;
    let normal = Normal::of(tape, flat, vec![2], false, op.epsilon)?;
    // Where scales apply: to the groups, or to the channels of the whole.
    let (dy, normalised) = if op.per_group { (groups(tape, dy)?, normal.normal) } else { (dy, tape.reshape_like(normal.normal, x)?) };
    let rank = tape.shape(dy)?.len();
    let factor = by_channel(tape, scale, rank)?;
    let d = tape.mul(dy, factor)?;
    let d = groups(tape, d)?;
    let dx = normal.adjoint(tape, d)?;
    let dx = tape.reshape_like(dx, x)?;
    let wide = tape.mul(dy, normalised)?;
    Ok(vec![Some(dx), Some(channel_sums(tape, wide, scale)?), Some(channel_sums(tape, dy, bias)?)])
}

/// Batch normalisation, of one result: inputs x, scale, bias, mean and variance. When training the last two do not matter.
pub fn batch(tape: &mut Tape, op: &BatchNorm, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(x), Some(scale), Some(bias), Some(middle), Some(variance)] = node.inputs[..] else { return Err(missing(node)) };
    let rank = tape.shape(x)?.len();
    if !op.spatial || rank < 2 {
        return Err(missing(node));
    }
    let factor = by_channel(tape, scale, rank)?;
    let d = tape.mul(dy, factor)?;
    if op.momentum.is_some() {
        let normal = Normal::of(tape, x, (0..rank).filter(|&a| a != 1).collect(), false, op.epsilon)?;
        let wide = tape.mul(dy, normal.normal)?;
        let (dx, dscale) = (normal.adjoint(tape, d)?, channel_sums(tape, wide, scale)?);
        return Ok(vec![Some(dx), Some(dscale), Some(channel_sums(tape, dy, bias)?), None, None]);
    }
    let below = tape.affine(variance, 1.0, f64::from(op.epsilon))?;
    let deviation = tape.unary(F::Sqrt, below)?;
    let (deviation, below) = (by_channel(tape, deviation, rank)?, by_channel(tape, below, rank)?);
    let centre = by_channel(tape, middle, rank)?;
    let centred = tape.pair(B::Sub, x, centre)?;
    let normal = tape.pair(B::Div, centred, deviation)?;
    let dx = tape.pair(B::Div, d, deviation)?;
    let away = tape.unary(F::Neg, dx)?;
    let wide = tape.mul(dy, normal)?;
    // Of `normal` by the variance: `-normal / (2 (variance + epsilon))`.
    let shrunk = tape.mul(d, normal)?;
    let shrunk = tape.pair(B::Div, shrunk, below)?;
    let shrunk = tape.affine(shrunk, -0.5, 0.0)?;
    let sums = [(wide, scale), (dy, bias), (away, middle), (shrunk, variance)];
    let sums = sums.into_iter().map(|(wide, like)| channel_sums(tape, wide, like).map(Some)).collect::<Result<Vec<_>, _>>()?;
    Ok([Some(dx)].into_iter().chain(sums).collect())
}

/// `y = x / n` with the norm `n`: `dx = (dy - slope of n · Σ dy y) / n`.
pub fn power(tape: &mut Tape, op: &LpNorm, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), &LpNorm::Lp { axis, p: p @ (1 | 2) }) = (node.inputs[0], op) else { return Err(missing(node)) };
    let (f, y) = (if p == 2 { R::L2 } else { R::L1 }, node.outputs[0]);
    let norm = tape.add(Reduce::over(f, &[axis], true), &[x])?;
    let slope = if p == 2 { y } else { tape.unary(F::Sign, x)? };
    let weighted = tape.mul(dy, y)?;
    let total = tape.sum(weighted, &[axis])?;
    let common = tape.mul(slope, total)?;
    let rest = tape.pair(B::Sub, dy, common)?;
    Ok(vec![Some(tape.pair(B::Div, rest, norm)?)])
}

/// `y = x d^-beta` with `d` from a sum of squares over channels: `dx = dy d^-beta - 2 alpha beta / size · x · Σ dy y / d`, where the sum is over the
/// channels that have this one in theirs.
pub fn local(tape: &mut Tape, op: &LpNorm, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), &LpNorm::Local { axis: 1, size, alpha, beta, bias }) = (node.inputs[0], op) else { return Err(missing(node)) };
    let (before, after, share) = ((size - 1) / 2, size / 2, f64::from(alpha) / size as f64);
    let square = tape.mul(x, x)?;
    let total = over_channels(tape, square, before, after)?;
    let below = tape.affine(total, share, f64::from(bias))?;
    let power = tape.scalar(x, -f64::from(beta))?;
    let factor = tape.pair(B::Pow, below, power)?;
    let own = tape.mul(dy, factor)?;
    let others = tape.mul(dy, node.outputs[0])?;
    let others = tape.pair(B::Div, others, below)?;
    let others = over_channels(tape, others, after, before)?;
    let others = tape.mul(x, others)?;
    let others = tape.affine(others, 2.0 * share * f64::from(beta), 0.0)?;
    Ok(vec![Some(tape.pair(B::Sub, own, others)?)])
}
