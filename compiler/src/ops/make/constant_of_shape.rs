//! `ConstantOfShape`: one value in a shape that is an input.

use crate::import::Parse;
use crate::ir::fact::MAX_ELEMENTS;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::{known_or_fresh, output_shape, read_ints, require_dims, with_elements};
use crate::ops::{Infer, OpError, Operator};
use serde::{Deserialize, Serialize};

/// ONNX `ConstantOfShape`: the value is an f32 zero by default.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let value = cx.tensor("value")?.unwrap_or_else(|| Tensor::scalar(0f32));
    if value.len() != 1 {
        return Err(OpError::invalid(format!("the value has {} elements", value.len())));
    }
    let value = cx.constant(value);
    let shape = cx.input(0)?;
    cx.add(ConstantOfShape, &[shape, value]).map(|v| vec![v])
}

/// The experimental `ConstantFill` of opsets before 9: the shape is an attribute, or an input's elements or shape, with more dims after it.
pub fn parse_constant_fill(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let dtype = cx.nonzero_dtype("dtype")?.unwrap_or(DType::F32);
    let value = f64::from(cx.float("value", 0.0)?);
    let value = cx.scalar(dtype, value)?;
    let extra = cx.ints("extra_shape")?.unwrap_or_default();
    let mut shape = match (cx.opt_input(0)?, cx.flag("input_as_shape", false)?) {
        (Some(elements), true) => cast::to(cx, elements, DType::I64)?,
        (Some(like), false) => cx.add(Shape::between(0, i64::MAX), &[like])?,
        (None, _) => {
            let shape = cx.ints("shape")?.ok_or_else(|| OpError::invalid("there is neither an input nor the attribute `shape`"))?;
            cx.i64s(&shape)
        }
    };
    if !extra.is_empty() {
        let extra = cx.i64s(&extra);
        shape = cx.add(Concat { axis: 0 }, &[shape, extra])?;
    }
    cx.add(ConstantOfShape, &[shape, value]).map(|v| vec![v])
}

/// Input 1, one element, in the shape that input 0 says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstantOfShape;

impl Operator for ConstantOfShape {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = cx.dtype(1)?;
        let Some(shape) = known_or_fresh(cx, 0) else { return Ok(vec![Fact::unranked(dtype)]) };
        if shape.iter().any(|&d| cx.dims.bounds(d).1 < 0) {
            return Err(OpError::invalid("a dim is negative"));
        }
        let value = cx.ints(1).and_then(|v| v.first().copied()).map(|v| Some(cx.int(v)));
        let count = cx.dims.value(cx.dims.product(&shape)).and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= MAX_ELEMENTS);
        let elements = value.zip(count).map(|(value, n)| vec![value; n]);
        Ok(vec![with_elements(cx, dtype, shape, elements)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let shape = output_shape(cx, 0)?;
        if cx.elements(0).is_none() {
            let given = read_ints(cx, 0, shape.len())?;
            cx.set(&shape, &given);
        }
        require_dims(cx, &shape);
        let value = cx.input(1)?;
        let out = cx.output(0)?;
        cx.call(crate::kernel!(copy::fill(_, _) for any(out.dtype)), vec![out.write(), value.read()])
    }
}
