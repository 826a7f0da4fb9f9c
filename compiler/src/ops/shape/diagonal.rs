//! Diagonals: several axes read as one. What Einsum needs beyond Transpose.

use crate::ir::{Dim, Fact};
use crate::lower::{Lower, dense_strides};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// The result's axis `to[i]` runs along axis `i` of the input; axes with the same target run together and must be equally long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagonal {
    /// For each axis of the input the axis of the result. The targets are 0, 1, … without gaps.
    pub to: Vec<usize>,
}

impl Operator for Diagonal {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let mut result: Vec<Option<Dim>> = vec![None; self.to.iter().max().map_or(0, |&t| t + 1)];
        for (&d, &to) in shape.iter().zip(&self.to) {
            result[to] = Some(result[to].map_or(d, |known| cx.require_equal(known, d, "the axes of a diagonal")));
        }
        let shape = result.into_iter().collect::<Option<Vec<Dim>>>().ok_or_else(|| OpError::invalid("a result axis without an axis"))?;
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let dims = cx.dims();
        let mut strides = vec![dims.int(0); out.shape.len()];
        for (stride, &to) in dense_strides(&dims, &x.shape).into_iter().zip(&self.to) {
            strides[to] = dims.add(strides[to], stride);
        }
        let args = vec![out.write(), x.read(), Arg::Usizes(out.shape.clone()), Arg::Usize(dims.int(0)), Arg::I64s(strides)];
        cx.call(crate::kernel!(copy::strided(_, _, _, _, _) for any(x.dtype)), args)
    }
}
