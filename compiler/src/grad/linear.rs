//! Rules of products and reductions.

use super::Tape;
use super::rules::{Adjoints, missing};
use crate::ir::{Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::linear::matmul::MatMul;
use crate::ops::make::range::Range;
use crate::ops::nn::epilogue::Epilogue;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::quant::nbits::MatMulBits;
use crate::ops::reduce::reduce::{Reduce, ReduceFn as R};
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::program::formula::Unary as F;

/// A vector as a matrix, with the new axis at `at`.
fn as_matrix(tape: &mut Tape, x: ValueId, at: i64) -> Result<ValueId, OpError> {
    if tape.shape(x)?.len() > 1 { Ok(x) } else { tape.add(Reshape::Unsqueeze { axes: vec![at] }, &[x]) }
}

/// `Y = alpha A' B' + bias`: `dA' = alpha dY B'ᵀ`, `dB' = alpha A'ᵀ dY`.
pub fn matmul(tape: &mut Tape, op: &MatMul, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(a), Some(b)) = (node.inputs[0], node.inputs.get(1).copied().flatten()) else { return Err(missing(node)) };
    if op.residual || op.epilogue != Epilogue::default() {
        return Err(missing(node));
    }
    let (wide_a, wide_b) = (as_matrix(tape, a, 0)?, as_matrix(tape, b, 1)?);
    let mut wide_dy = dy;
    for (x, axis) in [(b, -1), (a, -2)] {
        if tape.shape(x)?.len() == 1 {
            wide_dy = tape.add(Reshape::Unsqueeze { axes: vec![axis] }, &[wide_dy])?;
        }
    }
    let product = |transpose_a, transpose_b| MatMul { transpose_a, transpose_b, alpha: op.alpha, ..MatMul::default() };
    let mut adjoints = vec![None, None];
    if tape.needs(node, 0) {
        let da = if op.transpose_a {
            tape.add(product(op.transpose_b, true), &[wide_b, wide_dy])?
        } else {
            tape.add(product(false, !op.transpose_b), &[wide_dy, wide_b])?
        };
        let da = tape.sum_to(da, wide_a)?;
        adjoints[0] = Some(tape.reshape_like(da, a)?);
    }
    if tape.needs(node, 1) {
        let db = if op.transpose_b {
            tape.add(product(true, op.transpose_a), &[wide_dy, wide_a])?
        } else {
            tape.add(product(!op.transpose_a, false), &[wide_a, wide_dy])?
        };
        let db = tape.sum_to(db, wide_b)?;
        adjoints[1] = Some(tape.reshape_like(db, b)?);
    }
    if let (true, Some(Some(bias))) = (op.bias, node.inputs.get(2)) {
        adjoints.push(Some(tape.sum_to(dy, *bias)?));
    }
    Ok(adjoints)
}

/// `dx` of a reduction. Equal extremes share the adjoint.
pub fn reduce(tape: &mut Tape, op: &Reduce, x: ValueId, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let Some(axes) = op.axes.clone() else {
        return Err(OpError::unsupported("the derivative of a reduction over axes that the run gives"));
    };
    // With the reduced axes back as axes of one.
    let mut keep = |v: ValueId| {
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        if op.keep_dims || axes.is_empty() { Ok(v) } else { tape.add(Reshape::Unsqueeze { axes }, &[v]) }
    };
    let (y, dy) = (keep(y)?, keep(dy)?);
    let slope = match op.f {
        R::Sum => return tape.expand_like(dy, x),
        R::Mean => {
            let ones = tape.scalar(x, 1.0)?;
            let ones = tape.expand_like(ones, x)?;
            let count = tape.sum(ones, &axes)?;
            let share = tape.pair(B::Div, dy, count)?;
            return tape.expand_like(share, x);
        }
        R::SumSquare => tape.affine(x, 2.0, 0.0)?,
        R::L1 => tape.unary(F::Sign, x)?,
        R::L2 => tape.pair(B::Div, x, y)?,
        R::LogSum => {
            let inverse = tape.unary(F::Neg, y)?;
            let slope = tape.unary(F::Exp, inverse)?;
            let share = tape.mul(dy, slope)?;
            return tape.expand_like(share, x);
        }
        R::LogSumExp => {
            let below = tape.pair(B::Sub, x, y)?;
            tape.unary(F::Exp, below)?
        }
        R::Max | R::Min => {
            let (extreme, one) = (tape.pair(B::Equal, x, y)?, tape.scalar(x, 1.0)?);
            let ones = tape.masked(extreme, one)?;
            let count = tape.sum(ones, &axes)?;
            tape.pair(B::Div, ones, count)?
        }
        R::Prod => product_of_others(tape, x, &axes)?,
    };
    tape.mul(dy, slope)
}

/// `dx = y (dy - Σ dy y)`, or `dy - exp(y) Σ dy` of the logarithm.
pub fn softmax(tape: &mut Tape, op: &Softmax, x: ValueId, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let axes: Vec<usize> = if op.to_end { (op.axis..tape.shape(x)?.len()).collect() } else { vec![op.axis] };
    match op.kind {
        Kind::Softmax => {
            let weighted = tape.mul(dy, y)?;
            let total = tape.sum(weighted, &axes)?;
            let difference = tape.pair(B::Sub, dy, total)?;
            tape.mul(y, difference)
        }
        Kind::LogSoftmax => {
            let (shares, total) = (tape.unary(F::Exp, y)?, tape.sum(dy, &axes)?);
            let common = tape.mul(shares, total)?;
            tape.pair(B::Sub, dy, common)
        }
        Kind::Hardmax => tape.zeros_like(dy),
    }
}

/// For each element the product of the others along the axes: the product of those that are not zero, without itself, if no other is zero.
fn product_of_others(tape: &mut Tape, x: ValueId, axes: &[usize]) -> Result<ValueId, OpError> {
    let (zero, one) = (tape.scalar(x, 0.0)?, tape.scalar(x, 1.0)?);
    let is_zero = tape.pair(B::Equal, x, zero)?;
    let others = tape.choose(is_zero, one, x)?;
    let marks = tape.masked(is_zero, one)?;
    let zeros = tape.sum(marks, axes)?;
    let product = tape.add(Reduce::over(R::Prod, axes, true), &[others])?;
    let product = tape.pair(B::Div, product, others)?;
    let others = tape.pair(B::Sub, zeros, marks)?;
    let none = tape.pair(B::Equal, others, zero)?;
    tape.masked(none, product)
}

/// The identity matrix of so many rows (a scalar), in the dtype of `like`.
pub fn identity(tape: &mut Tape, rows: ValueId, like: ValueId) -> Result<ValueId, OpError> {
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    let numbers = tape.add(Range, &[zero, rows, one])?;
    let column = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[numbers])?;
    let equal = tape.pair(B::Equal, column, numbers)?;
    tape.cast(equal, tape.dtype(like)?)
}

/// A product with packed weights, which are made real by multiplying the identity matrix.
pub fn packed(tape: &mut Tape, op: &MatMulBits, node: &Node, x: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let depth = tape.add(Shape::between(-1, i64::MAX), &[x])?;
    let depth = tape.add(Reshape::Squeeze { axes: None }, &[depth])?;
    let mut inputs = node.inputs.clone();
    inputs[0] = Some(identity(tape, depth, x)?);
    let weights = tape.add_n(op.clone().into(), &inputs)?[0];
    tape.add(MatMul { transpose_b: true, ..MatMul::default() }, &[dy, weights])
}
