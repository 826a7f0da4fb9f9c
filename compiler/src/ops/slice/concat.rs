//! `Concat`: tensors one after the other along an axis.

use super::{place_along, with_elements};
use crate::import::Parse;
use crate::ir::{Dim, Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::{Infer, Op, OpError, Operator};
use serde::{Deserialize, Serialize};

/// ONNX `Concat`: the axis is 1 by default before opset 4, required since.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = match cx.opt_int("axis")? {
        Some(axis) => axis,
        None if cx.opset() < 4 => 1,
        None => return Err(OpError::invalid("the attribute `axis` is missing")),
    };
    let inputs = cx.all_inputs()?;
    let first = inputs.first().ok_or_else(|| OpError::invalid("at least one input is needed"))?;
    let axis = crate::ops::infer::resolve_axis(axis, cx.rank(*first)?)?;
    cx.add(Concat { axis }, &inputs).map(|v| vec![v])
}

/// The inputs one after the other along the axis; the other dims are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, mut shape) = (cx.dtype(0)?, cx.shape(0)?);
        let mut elements = cx.elements(0);
        for i in 1..cx.len() {
            let other = cx.shape(i)?;
            if other.len() != shape.len() || cx.dtype(i)? != dtype {
                return Err(OpError::invalid(format!(
                    "input 0 is {dtype} of rank {}, input {i} is {} of rank {}",
                    shape.len(),
                    cx.dtype(i)?,
                    other.len()
                )));
            }
            for (axis, &d) in other.iter().enumerate() {
                shape[axis] = if axis == self.axis {
                    cx.dims.add(shape[axis], d)
                } else {
                    cx.require_equal(shape[axis], d, &format!("axis {axis} of input 0 and of input {i}"))
                };
            }
            elements = elements.zip(cx.elements(i)).map(|(a, b)| [a, b].concat());
        }
        Ok(vec![with_elements(cx, dtype, shape, elements)])
    }

    fn permuted(&self, perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        let axis = perm.iter().position(|&p| p == self.axis)?;
        Some((Self { axis }.into(), (0..inputs).collect()))
    }

    fn reads_rows(&self, _i: usize, rank: usize) -> bool {
        self.axis + 1 == rank
    }

    fn writes_rows(&self, rank: usize) -> bool {
        self.axis + 1 == rank
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let zero = cx.int(0);
        let parts = (0..cx.input_count()).map(|i| Ok((cx.input(i)?, cx.input_pitch(i)?))).collect::<Result<Vec<_>, OpError>>()?;
        let parts: Vec<_> = parts.into_iter().filter(|(x, _)| x.view.len != zero).collect();
        if let ([(x, _)], None) = (parts.as_slice(), cx.output_home(0)) {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let (out, out_pitch) = (cx.output(0)?, cx.output_pitch(0)?);
        let dims = cx.dims();
        let mut offset: Dim = zero;
        for (x, pitch) in &parts {
            // What was computed in place is there already.
            if x.view.buffer != out.view.buffer {
                place_along(cx, (&out, out_pitch), self.axis, offset, (x, *pitch))?;
            }
            offset = dims.add(offset, x.shape[self.axis]);
        }
        Ok(())
    }
}
