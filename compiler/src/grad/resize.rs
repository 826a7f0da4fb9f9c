//! The rule of interpolation, which is linear in the tensor and goes axis by axis.

use super::Tape;
use super::movement::transpose;
use super::rules::{Adjoints, missing};
use crate::ir::{Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::elementwise::cast::Cast;
use crate::ops::linear::matmul::MatMul;
use crate::ops::make::range::Range;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::resize::Resize;

/// What an axis does to the columns of the identity is its matrix; the adjoint is multiplied by that of each axis.
pub fn interpolated(tape: &mut Tape, op: &Resize, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), y, None) = (node.inputs[0], node.outputs[0], node.inputs.get(1).copied().flatten()) else { return Err(missing(node)) };
    let scales = match (node.inputs.get(2).copied().flatten(), node.inputs.get(3).copied().flatten()) {
        (Some(scales), None) => Some(scales),
        (None, Some(_)) if op.stretches() => None,
        _ => return Err(missing(node)),
    };
    let known = scales.and_then(|s| tape.graph.constant(s)).and_then(Tensor::to_vec::<f32>);
    let (from, to) = (tape.shape(x)?, tape.shape(y)?);
    let mut dx = dy;
    for (k, &axis) in op.axes.iter().enumerate() {
        let kept = if scales.is_some() { known.as_ref().and_then(|s| s.get(k)) == Some(&1.0) } else { from[axis] == to[axis] };
        if kept {
            continue;
        }
        let identity = identity(tape, x, axis)?;
        let mut inputs = [Some(identity), None, None, None];
        if let Some(scales) = scales {
            let which = tape.constant(Tensor::vector(&[k as i64]));
            inputs[2] = Some(tape.add(Gather { axis: 0 }, &[scales, which])?);
        } else {
            inputs[3] = Some(tape.add(Shape::between(axis as i64, axis as i64 + 1), &[y])?);
        }
        let matrix = tape.add_n(op.along(0).into(), &inputs)?[0];
        // The axis goes last, to be multiplied, and back.
        let mut perm: Vec<usize> = (0..from.len()).filter(|&a| a != axis).collect();
        perm.push(axis);
        let last = Transpose { perm };
        dx = tape.add(last.clone(), &[dx])?;
        dx = tape.add(MatMul::default(), &[dx, matrix])?;
        dx = transpose(tape, &last, dx)?;
    }
    Ok(vec![Some(dx)])
}

/// The identity matrix, as wide as an axis of `x`, in its dtype.
fn identity(tape: &mut Tape, x: ValueId, axis: usize) -> Result<ValueId, OpError> {
    let (zero, one) = (tape.constant(Tensor::scalar(0i64)), tape.constant(Tensor::scalar(1i64)));
    let length = tape.add(Shape::between(axis as i64, axis as i64 + 1), &[x])?;
    let length = tape.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[length])?;
    let columns = tape.add(Range, &[zero, length, one])?;
    let rows = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[columns])?;
    let same = tape.pair(B::Equal, rows, columns)?;
    let to = tape.dtype(x)?;
    tape.add(Cast { to, saturate: true, round_mode: "up".to_owned() }, &[same])
}
