//! `GridSample` out of operators that have rules: the neighbours of each place are gathered and added up by their weights.

use super::Tape;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::{Gather, GatherElements};
use crate::ops::vision::grid::GridSample;
use crate::program::formula::Unary as F;

/// Neighbours of all places: their flat indices in a plane, `[batch, places]`, and their weights, `None` for one.
type Taps = Vec<(Option<ValueId>, Option<ValueId>)>;

/// The samples of a tensor at the places of a grid, whose coordinates are given last axis first.
pub fn grid_sample(tape: &mut Tape, op: &GridSample, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let [Some(x), Some(grid)] = *inputs else { return Err(OpError::invalid("samples need a tensor and a grid")) };
    let axes = tape.shape(x)?.len() - 2;
    let reshape = |tape: &mut Tape, v, shape: &[i64]| {
        let shape = tape.constant(Tensor::vector(shape));
        tape.add(Reshape::To { allow_zero: false }, &[v, shape])
    };
    let places = reshape(tape, grid, &[0, -1, axes as i64])?;
    let mut taps: Taps = vec![(None, None)];
    for axis in 0..axes {
        let component = tape.constant(Tensor::scalar((axes - 1 - axis) as i64));
        let place = tape.add(Gather { axis: 2 }, &[places, component])?;
        let length = tape.add(Shape::between(axis as i64 + 2, axis as i64 + 3), &[x])?;
        let mut all = Vec::new();
        for (offset, weight) in neighbours(tape, op, place, length)? {
            let (index, weight) = element(tape, op, offset, weight, length)?;
            for &(former, former_weight) in &taps {
                let index = match former {
                    Some(former) => {
                        let line = tape.pair(B::Mul, former, length)?;
                        tape.pair(B::Add, line, index)?
                    }
                    None => index,
                };
                let weight = match former_weight {
                    Some(former) => tape.mul(former, weight)?,
                    None => weight,
                };
                all.push((Some(index), Some(weight)));
            }
        }
        taps = all;
    }
    let planes = reshape(tape, x, &[0, 0, -1])?;
    let (outer, inner) = (tape.add(Shape::between(0, 2), &[x])?, tape.add(Shape::between(1, 2), &[places])?);
    let gathered = tape.add(Concat { axis: 0 }, &[outer, inner])?;
    let mut sum = None;
    for (index, weight) in taps {
        let (Some(index), Some(weight)) = (index, weight) else { continue };
        let channel = |tape: &mut Tape, v| tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[v]);
        let index = channel(tape, index)?;
        let index = tape.add(Expand, &[index, gathered])?;
        let taken = tape.add(GatherElements { axis: 2 }, &[planes, index])?;
        let weight = tape.cast(weight, tape.dtype(x)?)?;
        let weight = channel(tape, weight)?;
        let part = tape.mul(taken, weight)?;
        sum = Some(match sum {
            Some(former) => tape.pair(B::Add, former, part)?,
            None => part,
        });
    }
    let sum = sum.ok_or_else(|| OpError::invalid("there are no axes to sample"))?;
    let inner = tape.add(Shape::between(1, axes as i64 + 1), &[grid])?;
    let shape = tape.add(Concat { axis: 0 }, &[outer, inner])?;
    Ok(vec![tape.add(Reshape::To { allow_zero: true }, &[sum, shape])?])
}

/// The neighbours on one axis of normalised coordinates: whole numbers, which may be outside, and weights.
fn neighbours(tape: &mut Tape, op: &GridSample, place: ValueId, length: ValueId) -> Result<Vec<(ValueId, ValueId)>, OpError> {
    let length = tape.cast(length, tape.dtype(place)?)?;
    let place = tape.affine(place, 0.5, 0.5)?;
    let place = if op.align {
        let last = tape.affine(length, 1.0, -1.0)?;
        tape.mul(place, last)?
    } else {
        let place = tape.mul(place, length)?;
        tape.affine(place, 1.0, -0.5)?
    };
    if op.sampling == "Nearest" {
        let one = tape.scalar(place, 1.0)?;
        return Ok(vec![(tape.unary(F::Round, place)?, tape.expand_like(one, place)?)]);
    }
    let below = tape.unary(F::Floor, place)?;
    let t = tape.pair(B::Sub, place, below)?;
    let weights = if op.sampling == "Linear" {
        vec![(0.0, tape.affine(t, -1.0, 1.0)?), (1.0, t)]
    } else {
        // Of cubic convolution with a = -0.75, by the distance: that of the two nearest is at most one.
        let a = -0.75;
        let (far, near) = ([-4.0 * a, 8.0 * a, -5.0 * a, a], [1.0, 0.0, -(a + 3.0), a + 2.0]);
        let kinds = [(-1.0, far, 1.0, 1.0), (0.0, near, 1.0, 0.0), (1.0, near, -1.0, 1.0), (2.0, far, -1.0, 2.0)];
        let each = kinds.map(|(offset, factors, scale, shift)| {
            let distance = tape.affine(t, scale, shift)?;
            let mut sum = tape.affine(distance, factors[3], factors[2])?;
            for factor in [factors[1], factors[0]] {
                sum = tape.mul(sum, distance)?;
                sum = tape.affine(sum, 1.0, factor)?;
            }
            Ok((offset, sum))
        });
        each.into_iter().collect::<Result<Vec<_>, OpError>>()?
    };
    weights.into_iter().map(|(offset, weight)| Ok((tape.affine(below, 1.0, offset)?, weight))).collect()
}

/// The element that a whole number stands for, and its weight: zero of what is outside, unless the border or a mirror image stands there.
fn element(tape: &mut Tape, op: &GridSample, at: ValueId, weight: ValueId, length: ValueId) -> Result<(ValueId, ValueId), OpError> {
    let at = tape.cast(at, DType::I64)?;
    let [zero, one, two] = [0i64, 1, 2].map(|v| tape.constant(Tensor::scalar(v)));
    let last = tape.pair(B::Sub, length, one)?;
    let mut weight = weight;
    let at = match op.outside.as_str() {
        "Reflection" => {
            // Of twice the elements, the second half runs back; the borders are in both, or in one only.
            let end = if op.align { last } else { length };
            let period = tape.pair(B::Mul, end, two)?;
            let period = tape.pair(B::Max, period, one)?;
            let rest = tape.pair(B::Mod, at, period)?;
            let end = if op.align { period } else { tape.pair(B::Sub, period, one)? };
            let back = tape.pair(B::Sub, end, rest)?;
            tape.pair(B::Min, rest, back)?
        }
        "Zeros" => {
            let (low, high) = (tape.pair(B::GreaterOrEqual, at, zero)?, tape.pair(B::LessOrEqual, at, last)?);
            weight = tape.masked(low, weight)?;
            weight = tape.masked(high, weight)?;
            at
        }
        _ => at,
    };
    let at = tape.pair(B::Max, at, zero)?;
    Ok((tape.pair(B::Min, at, last)?, weight))
}
