//! Rules of operators that move elements.

use super::rules::{Adjoints, missing};
use super::{Tape, composed, control};
use crate::ir::{DType, Node, Tensor, ValueId};
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::make::range::Range;
use crate::ops::select::cum_sum::CumSum;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::{GatherElements, GatherNd};
use crate::ops::slice::scatter::{Reduction, ScatterElements, ScatterNd};
use crate::ops::slice::slice::Slice;
use crate::ops::slice::split::Split;
use crate::ops::{Op, OpError};

/// The transposition back.
pub fn transpose(tape: &mut Tape, op: &Transpose, dy: ValueId) -> Result<ValueId, OpError> {
    let mut perm = vec![0; op.perm.len()];
    op.perm.iter().enumerate().for_each(|(to, &from)| perm[from] = to);
    tape.add(Transpose { perm }, &[dy])
}

/// The parts of the adjoint.
pub fn concat(tape: &mut Tape, axis: usize, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let inputs: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
    let at = axis as i64;
    let lengths = inputs.iter().map(|&x| tape.add(Shape::between(at, at + 1), &[x])).collect::<Result<Vec<_>, _>>()?;
    let lengths = tape.add(Concat { axis: 0 }, &lengths)?;
    let parts = tape.add_n(Split::by_lengths(axis, inputs.len()).into(), &[Some(dy), Some(lengths)])?;
    Ok(parts.into_iter().map(Some).collect())
}

/// Running sums, summed the other way.
pub fn running(tape: &mut Tape, op: &CumSum, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let Some(&Some(axis)) = node.inputs.get(1) else { return Err(missing(node)) };
    if op.product {
        return control::through(tape, node, &[Some(dy)], |f, inputs| composed::running_product(f, op, inputs));
    }
    Ok(vec![Some(tape.add(op.backwards(), &[dy, axis])?), None])
}

/// The greatest elements, which output 1 says the places of.
pub fn chosen(tape: &mut Tape, axis: usize, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), Some(&places)) = (node.inputs[0], node.outputs.get(1)) else { return Err(missing(node)) };
    let zeros = tape.zeros_like(x)?;
    Ok(vec![Some(tape.add(ScatterElements::adding(axis), &[zeros, places, dy])?), None])
}

/// Elements that are replaced or added to: what is added passes on, what is replaced does not.
pub fn scattered(tape: &mut Tape, op: &ScatterElements, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    scattered_by(tape, op, op.reduction, GatherElements { axis: op.axis }, node, dy)
}

/// The same of slices that indices of several axes name.
pub fn scattered_nd(tape: &mut Tape, op: &ScatterNd, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    scattered_by(tape, op, op.reduction, GatherNd { batch: 0 }, node, dy)
}

/// Either of them; `gather` takes what `op` puts.
fn scattered_by(
    tape: &mut Tape,
    op: &(impl Into<Op> + Clone),
    reduction: Reduction,
    gather: impl Into<Op>,
    node: &Node,
    dy: ValueId,
) -> Result<Adjoints, OpError> {
    let [_, Some(places), Some(updates)] = node.inputs[..] else { return Err(missing(node)) };
    let taken = tape.add(gather, &[dy, places])?;
    let kept = match reduction {
        Reduction::Add => dy,
        Reduction::None => {
            let zeros = tape.zeros_like(updates)?;
            tape.add(op.clone(), &[dy, places, zeros])?
        }
        _ => return Err(missing(node)),
    };
    Ok(vec![Some(kept), None, Some(taken)])
}

/// Any operator whose results are elements of its first input at other places, or zeros.
pub fn moved(tape: &mut Tape, node: &Node, dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    moved_from(tape, node, &[0], dy)
}

/// The same of elements of several inputs: tensors of the elements' numbers are moved in the same way, and tell where the adjoints are added up.
/// Number 0 stands for what is none of the inputs' elements.
pub fn moved_from(tape: &mut Tape, node: &Node, data: &[usize], dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    let mut inputs = node.inputs.clone();
    let (mut end, mut ranges) = (one, Vec::new());
    for &i in data {
        let Some(x) = node.inputs[i] else { return Err(missing(node)) };
        let count = tape.add(Shape::count(), &[x])?;
        let start = end;
        end = tape.pair(B::Add, start, count)?;
        let numbers = tape.add(Range, &[start, end, one])?;
        inputs[i] = Some(tape.reshape_like(numbers, x)?);
        ranges.push((i, x, start, end));
    }
    let Some(&(_, x, ..)) = ranges.first() else { return Err(missing(node)) };
    if let (Op::Pad(_), Some(constant @ Some(_))) = (&node.op, inputs.get_mut(2)) {
        *constant = Some(zero);
    }
    let op = match &node.op {
        Op::Resize(op) => op.without_extrapolation().into(),
        op => op.clone(),
    };
    let places = tape.add_n(op, &inputs)?;
    let row = |tape: &mut Tape, number| tape.add(Reshape::Unsqueeze { axes: vec![0] }, &[number]);
    let length = row(tape, end)?;
    let nothing = tape.scalar(x, 0.0)?;
    let mut sums = tape.add(Expand, &[nothing, length])?;
    let flat = tape.constant(Tensor::vector(&[-1i64]));
    for (&place, dy) in places.iter().zip(dy) {
        let Some(dy) = *dy else { continue };
        debug_assert_eq!(tape.dtype(place), Ok(DType::I64));
        let place = tape.add(Reshape::To { allow_zero: false }, &[place, flat])?;
        let dy = tape.add(Reshape::To { allow_zero: false }, &[dy, flat])?;
        sums = tape.add(ScatterElements::adding(0), &[sums, place, dy])?;
    }
    let axis = tape.constant(Tensor::vector(&[0i64]));
    let mut adjoints = vec![None; node.inputs.len()];
    for (i, x, start, end) in ranges {
        let (from, to) = (row(tape, start)?, row(tape, end)?);
        let part = tape.add(Slice::default(), &[sums, from, to, axis])?;
        adjoints[i] = Some(tape.reshape_like(part, x)?);
    }
    Ok(adjoints)
}
