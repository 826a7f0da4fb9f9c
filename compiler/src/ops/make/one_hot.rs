//! `OneHot` and `EyeLike`: one value on a diagonal or at an index, another elsewhere.

use crate::import::Parse;
use crate::import::scalar;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::element::Bool;
use serde::{Deserialize, Serialize};

/// ONNX `OneHot`. Indices and depth may be floats, which are truncated.
pub fn parse_one_hot(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = cx.int("axis", -1)?;
    let (indices, depth, values) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let axis = resolve_axis(axis, cx.rank(indices)? + 1)?;
    let indices = integers(cx, indices)?;
    let depth = integers(cx, depth)?;
    cx.add(OneHot { axis }, &[indices, depth, values]).map(|v| vec![v])
}

/// A tensor of integers: floats are cast.
fn integers(cx: &mut Parse<'_>, x: ValueId) -> Result<ValueId, OpError> {
    if cx.dtype(x)?.is_int() {
        return Ok(x);
    }
    let target = cx.i64s(&[]);
    crate::ops::elementwise::cast::like(cx, x, target)
}

/// ONNX `EyeLike`.
pub fn parse_eye_like(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let dtype = match cx.dtype_attribute("dtype")? {
        Some(dtype) => dtype,
        None => cx.dtype(x)?,
    };
    let k = cx.int("k", 0)?;
    let values = zero_and_one(dtype).ok_or_else(|| OpError::unsupported(format!("dtype {dtype}")))?;
    let values = cx.constant(values);
    cx.add(EyeLike { k }, &[x, values]).map(|v| vec![v])
}

/// The vector `[0, 1]` of a dtype.
fn zero_and_one(dtype: DType) -> Option<Tensor> {
    if dtype == DType::Bool {
        return Some(Tensor::vector(&[Bool::from(false), Bool::from(true)]));
    }
    let (zero, one) = (scalar(dtype, 0.0)?, scalar(dtype, 1.0)?);
    Tensor::from_raw(dtype, vec![2], [zero.bytes(), one.bytes()].concat().into())
}

/// Input 0: the indices; input 1: the number of classes, one element; input 2: the values off and on. The classes are a new axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneHot {
    /// Where the new axis is.
    pub axis: usize,
}

impl Operator for OneHot {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        let depth = cx.elements(1).and_then(|e| e.first().copied().flatten()).unwrap_or_else(|| cx.fresh());
        if self.axis > shape.len() {
            return Err(OpError::invalid(format!("there is no axis {}", self.axis)));
        }
        shape.insert(self.axis, depth);
        Ok(vec![Fact::tensor(cx.dtype(2)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let shape = output_shape(cx, 0)?;
        if cx.elements(1).is_none() {
            let depth = read_ints(cx, 1, 1)?;
            cx.set(&shape[self.axis..=self.axis], &depth);
            require_dims(cx, &shape[self.axis..=self.axis]);
        }
        let (indices, values) = (cx.input_i64(0)?, cx.input(2)?);
        let (outer, depth, inner) = around(&cx.dims(), &shape, self.axis);
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(generate::one_hot(_, _, _, _, _, _) for any(out.dtype)),
            vec![out.write(), indices.read(), values.read(), Arg::Usize(outer), Arg::Usize(depth), Arg::Usize(inner)],
        )
    }
}

/// A matrix of input 0's shape with the second of the two values of input 1 on a diagonal, the first elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EyeLike {
    /// Which diagonal: positive above the main one.
    k: i64,
}

impl Operator for EyeLike {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        if shape.len() != 2 {
            return Err(OpError::invalid(format!("a matrix is needed, the rank is {}", shape.len())));
        }
        Ok(vec![Fact::tensor(cx.dtype(1)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let values = cx.input(1)?;
        let out = cx.output(0)?;
        let k = cx.int(self.k);
        let (rows, columns) = (out.shape[0], out.shape[1]);
        cx.call(
            crate::kernel!(generate::eye_like(_, _, _, _, _) for any(out.dtype)),
            vec![out.write(), values.read(), Arg::Usize(rows), Arg::Usize(columns), Arg::I64(k)],
        )
    }
}
