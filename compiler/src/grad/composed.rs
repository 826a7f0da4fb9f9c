//! Operators out of others that have rules, and inverse matrices.

use super::Tape;
use super::rules::{Adjoints, missing};
use crate::ir::{DType, Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn as B};
use crate::ops::infer::resolve_axis;
use crate::ops::linear::inverse::Inverse;
use crate::ops::linear::matmul::MatMul;
use crate::ops::make::one_hot::OneHot;
use crate::ops::make::range::Range;
use crate::ops::nn::rotary::Rotary;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::select::cum_sum::CumSum;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::{Gather, GatherElements};
use crate::ops::training::loss::{Loss, Reduction};
use crate::ops::vision::grid::AffineGrid;
use crate::program::formula::Unary as F;

/// The loss, from scores by class, targets and the classes' weights.
pub fn loss(tape: &mut Tape, op: &Loss, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let [Some(x), Some(target), ..] = *inputs else { return Err(OpError::invalid("a loss needs scores and targets")) };
    let mut target = tape.cast(target, DType::I64)?;
    let mut ignored = None;
    if let Some(value) = op.ignored {
        let (value, none) = (tape.constant(Tensor::scalar(value)), tape.constant(Tensor::scalar(0i64)));
        let hit = tape.pair(B::Equal, target, value)?;
        target = tape.choose(hit, none, target)?;
        ignored = Some(hit);
    }
    let index = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[target])?;
    let chosen = tape.add(GatherElements { axis: 1 }, &[x, index])?;
    let chosen = tape.add(Reshape::Squeeze { axes: Some(vec![1]) }, &[chosen])?;
    let mut share = match inputs.get(2).copied().flatten() {
        Some(weights) => tape.add(Gather { axis: 0 }, &[weights, target])?,
        None => {
            let one = tape.scalar(x, 1.0)?;
            tape.expand_like(one, chosen)?
        }
    };
    if let Some(ignored) = ignored {
        let nothing = tape.scalar(x, 0.0)?;
        share = tape.choose(ignored, nothing, share)?;
    }
    let losses = tape.mul(chosen, share)?;
    let losses = tape.unary(F::Neg, losses)?;
    let axes: Vec<usize> = (0..tape.shape(losses)?.len()).collect();
    let sum = |tape: &mut Tape, x| tape.add(Reduce::over(ReduceFn::Sum, &axes, false), &[x]);
    Ok(vec![match op.reduction {
        Reduction::None => losses,
        Reduction::Sum => sum(tape, losses)?,
        Reduction::Mean => {
            let (total, shares) = (sum(tape, losses)?, sum(tape, share)?);
            tape.pair(B::Div, total, shares)?
        }
    }])
}

/// `dX = det(X) · dY · X⁻ᵀ`, of matrices that have an inverse.
pub fn determinant(tape: &mut Tape, x: ValueId, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let inverse = tape.add(Inverse, &[x])?;
    let inverse = transposed(tape, inverse)?;
    let factor = tape.mul(y, dy)?;
    let factor = tape.add(Reshape::Unsqueeze { axes: vec![-2, -1] }, &[factor])?;
    tape.mul(inverse, factor)
}

/// `dX = -Yᵀ dY Yᵀ`.
pub fn inverse(tape: &mut Tape, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let left = tape.add(MatMul { transpose_a: true, ..MatMul::default() }, &[y, dy])?;
    let both = tape.add(MatMul { transpose_b: true, ..MatMul::default() }, &[left, y])?;
    tape.unary(F::Neg, both)
}

fn transposed(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let rank = tape.shape(x)?.len();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 1, rank - 2);
    tape.add(Transpose { perm }, &[x])
}

/// What was turned is turned back. The angles have no derivative here.
pub fn rotary(tape: &mut Tape, op: &Rotary, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(&Some(sin)), false) = (node.inputs.get(2), tape.needs(node, 1) || tape.needs(node, 2)) else { return Err(missing(node)) };
    let mut inputs = node.inputs.clone();
    (inputs[0], inputs[2]) = (Some(dy), Some(tape.unary(F::Neg, sin)?));
    Ok(vec![tape.add_n(op.clone().into(), &inputs)?.first().copied()])
}

/// Running products: of a matrix along the axis whose row `i` has the elements that product `i` is of, and ones. Takes the square of the axis' length.
pub fn running_product(tape: &mut Tape, op: &CumSum, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let [Some(x), Some(axis)] = *inputs else { return Err(OpError::invalid("a running product needs an axis")) };
    let rank = tape.shape(x)?.len();
    let Some(axis) = tape.ints(axis).and_then(|a| a.first().copied()) else {
        return Err(OpError::unsupported("the derivative of a running product along an axis that only the run knows"));
    };
    let axis = resolve_axis(axis, rank)?;
    let length = tape.add(Shape::between(axis as i64, axis as i64 + 1), &[x])?;
    let length = tape.add(Reshape::Squeeze { axes: None }, &[length])?;
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    let numbers = tape.add(Range, &[zero, length, one])?;
    // Rows and columns before the axes that follow.
    let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
    let columns = tape.add(Reshape::Unsqueeze { axes: trailing }, &[numbers])?;
    let rows = tape.add(Reshape::Unsqueeze { axes: (1..=(rank - axis) as i64).collect() }, &[numbers])?;
    let (first, second) = if op.reverse { (rows, columns) } else { (columns, rows) };
    let taken = tape.add(Binary { f: if op.exclusive { B::Less } else { B::LessOrEqual } }, &[first, second])?;
    let x = tape.add(Reshape::Unsqueeze { axes: vec![axis as i64] }, &[x])?;
    let neutral = tape.scalar(x, 1.0)?;
    let matrix = tape.choose(taken, x, neutral)?;
    Ok(vec![tape.add(Reduce::over(ReduceFn::Prod, &[axis + 1], false), &[matrix])?])
}

/// By the values off and on: the sums of the adjoints of those elements.
pub fn one_hot(tape: &mut Tape, op: &OneHot, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(indices), Some(depth), Some(values)] = node.inputs[..] else { return Err(missing(node)) };
    let marks = tape.constant(Tensor::vector(&[0i64, 1]));
    let marks = tape.cast(marks, tape.dtype(values)?)?;
    let hot = tape.add(op.clone(), &[indices, depth, marks])?;
    let axes: Vec<usize> = (0..tape.shape(dy)?.len()).collect();
    let sum = |tape: &mut Tape, v| {
        let sum = tape.add(Reduce::over(ReduceFn::Sum, &axes, false), &[v])?;
        tape.add(Reshape::Unsqueeze { axes: vec![0] }, &[sum])
    };
    let (all, on) = (sum(tape, dy)?, tape.mul(dy, hot)?);
    let on = sum(tape, on)?;
    let off = tape.pair(B::Sub, all, on)?;
    Ok(vec![None, None, Some(tape.add(Concat { axis: 0 }, &[off, on])?)])
}

/// A grid is a product of the matrices with the places that matrices of ones make, and their shift.
pub fn affine_grid(tape: &mut Tape, op: &AffineGrid, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(theta), Some(size)] = node.inputs[..] else { return Err(missing(node)) };
    let axes = tape.shape(dy)?.len() - 2;
    let unit: Vec<f64> = (0..axes * (axes + 1)).map(|i| f64::from(i / (axes + 1) == i % (axes + 1))).collect();
    let unit = Tensor::new(&[1, axes, axes + 1], &unit).ok_or_else(|| missing(node))?;
    let unit = tape.constant(unit);
    let unit = tape.cast(unit, tape.dtype(theta)?)?;
    let unit = tape.expand_like(unit, theta)?;
    let places = tape.add(op.clone(), &[unit, size])?;
    let flat = tape.constant(Tensor::vector(&[0, -1, axes as i64]));
    let [places, dy] = [places, dy].map(|v| tape.add(Reshape::To { allow_zero: false }, &[v, flat]));
    let (places, dy) = (places?, dy?);
    let linear = tape.add(MatMul { transpose_a: true, ..MatMul::default() }, &[dy, places])?;
    let shift = tape.add(Reduce::over(ReduceFn::Sum, &[1], true), &[dy])?;
    let shift = transposed(tape, shift)?;
    Ok(vec![Some(tape.add(Concat { axis: 2 }, &[linear, shift])?), None])
}
