//! `DFT` is linear, and its adjoint is another transform. `STFT` is one of frames.

use super::rules::{Adjoints, missing};
use super::{Tape, control};
use crate::ir::{DType, Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::make::range::Range;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::signal::dft::Dft;
use crate::ops::signal::stft::Stft;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::pad::{Mode, Pad};
use crate::ops::slice::slice::Slice;

/// The adjoint of a transform of complex numbers is the other one without its scale; others are written out of it.
pub fn dft(tape: &mut Tape, op: &Dft, node: &Node, x: ValueId, dy: ValueId) -> Result<Adjoints, OpError> {
    let Some(axis) = op.axis else { return Err(missing(node)) };
    if op.inverse && op.onesided {
        return Err(missing(node));
    }
    if op.onesided || node.inputs.get(1).is_some_and(Option::is_some) || parts(tape, x)? == 1 {
        return control::through(tape, node, &[Some(dy)], |f, inputs| whole(f, op, axis, inputs));
    }
    let back = tape.add(Dft { inverse: !op.inverse, ..op.clone() }, &[dy])?;
    let length = length_of(tape, x, axis)?;
    let length = tape.cast(length, tape.dtype(x)?)?;
    Ok(vec![Some(tape.pair(if op.inverse { B::Div } else { B::Mul }, back, length)?)])
}

/// Any transform out of the one of complex numbers that is as long as its axis.
fn whole(tape: &mut Tape, op: &Dft, axis: usize, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let Some(mut x) = inputs[0] else { return Err(OpError::invalid("a transform needs a signal")) };
    let rank = tape.shape(x)?.len();
    let [start, along, two] = [0, axis as i64, 2].map(|v| tape.constant(Tensor::vector(&[v])));
    if let Some(&Some(length)) = inputs.get(1) {
        // Cut to that length, or filled up with zeros.
        let flat = tape.constant(Tensor::vector(&[-1i64]));
        let length = tape.add(Reshape::To { allow_zero: false }, &[length, flat])?;
        let length = tape.cast(length, DType::I64)?;
        x = tape.add(Slice::default(), &[x, start, length, along])?;
        let given = length_of(tape, x, axis)?;
        let lacking = tape.pair(B::Sub, length, given)?;
        let pads = tape.add(Concat { axis: 0 }, &[start, lacking])?;
        x = tape.add_n(Pad { mode: Mode::Constant }.into(), &[Some(x), Some(pads), None, Some(along)])?[0];
    }
    if parts(tape, x)? == 1 {
        let zeros = tape.zeros_like(x)?;
        x = tape.add(Concat { axis: rank - 1 }, &[x, zeros])?;
    }
    let mut y = tape.add(Dft { axis: Some(axis), inverse: op.inverse, onesided: false }, &[x])?;
    if op.onesided {
        let length = length_of(tape, x, axis)?;
        let last = tape.pair(B::Div, length, two)?;
        let one = tape.constant(Tensor::vector(&[1i64]));
        let bins = tape.pair(B::Add, last, one)?;
        y = tape.add(Slice::default(), &[y, start, bins, along])?;
    }
    Ok(vec![y])
}

/// Transforms of frames: the signal's elements are gathered frame by frame and weighted by the window.
pub fn stft(tape: &mut Tape, op: &Stft, inputs: &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError> {
    let given = |i: usize| inputs.get(i).copied().flatten();
    let (Some(x), Some(step)) = (given(0), given(1)) else { return Err(OpError::invalid("frames need a signal and a step")) };
    let number = |tape: &mut Tape, v| {
        let v = tape.add(Reshape::Squeeze { axes: None }, &[v])?;
        tape.cast(v, DType::I64)
    };
    let length = length_of(tape, x, 1)?;
    let frame = match (given(3), given(2)) {
        (Some(frame), _) => frame,
        (None, Some(window)) => length_of(tape, window, 0)?,
        (None, None) => length,
    };
    let (length, frame, step) = (number(tape, length)?, number(tape, frame)?, number(tape, step)?);
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    let rest = tape.pair(B::Sub, length, frame)?;
    let rest = tape.pair(B::Add, rest, step)?;
    let frames = tape.pair(B::Div, rest, step)?;
    let frames = tape.pair(B::Max, frames, zero)?;
    let starts = tape.add(Range, &[zero, frames, one])?;
    let starts = tape.pair(B::Mul, starts, step)?;
    let starts = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[starts])?;
    let offsets = tape.add(Range, &[zero, frame, one])?;
    let places = tape.pair(B::Add, starts, offsets)?;
    let mut framed = tape.add(Gather { axis: 1 }, &[x, places])?;
    if let Some(window) = given(2) {
        let window = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[window])?;
        framed = tape.mul(framed, window)?;
    }
    let transform = Dft { axis: Some(2), inverse: false, onesided: op.onesided };
    Ok(vec![tape.add_n(transform.into(), &[Some(framed), None, None])?[0]])
}

/// The length of an axis, a vector of one number.
fn length_of(tape: &mut Tape, x: ValueId, axis: usize) -> Result<ValueId, OpError> {
    tape.add(Shape::between(axis as i64, axis as i64 + 1), &[x])
}

/// The parts of each number, which the last axis holds.
fn parts(tape: &Tape, x: ValueId) -> Result<i64, OpError> {
    let last = tape.shape(x)?.last().and_then(|&d| tape.graph.dims.value(d));
    last.ok_or_else(|| OpError::unsupported("the derivative of a transform of real or complex numbers, which only the run knows"))
}
