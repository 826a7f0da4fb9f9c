//! Operators out of others that have rules, and inverse matrices.

use super::Tape;
use super::rules::{Adjoints, missing};
use crate::ir::{DType, Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn as B};
use crate::ops::linear::inverse::Inverse;
use crate::ops::linear::matmul::MatMul;
use crate::ops::nn::rotary::Rotary;
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::gather::{Gather, GatherElements};
use crate::ops::training::loss::{Loss, Reduction};
use crate::program::formula::Unary as F;

/// The loss, from scores by class, targets and the classes' weights.
pub fn loss(tape: &mut Tape, op: &Loss, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let [Some(x), Some(target), ..] = *inputs else { return Err(OpError::invalid("a loss needs scores and targets")) };
    let mut target = tape.cast(target, DType::I64)?;
    let mut ignored = None;
    if let Some(value) = op.ignored {
        let (value, none) = (tape.constant(Tensor::scalar(value)), tape.constant(Tensor::scalar(0i64)));
        let hit = tape.add(Binary { f: B::Equal }, &[target, value])?;
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
