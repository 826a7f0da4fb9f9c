//! `Compress`: the entries of an axis that a condition keeps.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Compress`: without an axis the tensor is flattened.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, condition) = (cx.input(0)?, cx.input(1)?);
    let axis = match cx.opt_int("axis")? {
        Some(axis) => Some(resolve_axis(axis, cx.rank(x)?)?),
        None => None,
    };
    cx.add(Compress { axis }, &[x, condition]).map(|v| vec![v])
}

/// The entries of input 0 along the axis for which input 1, booleans, holds; entries beyond its end are dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compress {
    axis: Option<usize>,
}

impl Operator for Compress {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(1)? != DType::Bool {
            return Err(OpError::invalid("the condition must be booleans"));
        }
        let (mut shape, count) = (cx.shape(0)?, cx.fresh());
        match self.axis.map(|axis| shape.get_mut(axis)) {
            Some(Some(d)) => *d = count,
            Some(None) => return Err(OpError::invalid("the axis does not exist")),
            None => shape = vec![count],
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, condition) = (cx.input(0)?, cx.input(1)?);
        let one = cx.int(1);
        let sizes: (Dim, Dim, Dim) = match self.axis {
            Some(axis) => around(&cx.dims(), &x.shape, axis),
            None => (one, x.view.len, one),
        };
        let at = self.axis.unwrap_or(0);
        let shape = output_shape(cx, 0)?;
        cx.call_binding(crate::kernel!(nonzero::compress_count(_, _, _)), &shape[at..=at], |bind| {
            vec![bind, condition.read(), Arg::Usize(sizes.1)]
        })?;
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(nonzero::compress(_, _, _, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), condition.read(), Arg::Usize(sizes.0), Arg::Usize(sizes.1), Arg::Usize(sizes.2)],
        )
    }
}
