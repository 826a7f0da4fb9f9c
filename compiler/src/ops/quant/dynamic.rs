//! `DynamicQuantizeLinear`: quantisation to u8 with a scale and a zero point that the data gives.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `DynamicQuantizeLinear`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    cx.add_n(DynamicQuantize, &[Some(x)])
}

/// Outputs: the quantised tensor (u8), the scale (f32) and the zero point (u8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicQuantize;

impl Operator for DynamicQuantize {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let scalar = |dtype| Fact::tensor(dtype, Vec::new());
        Ok(vec![Fact::tensor(DType::U8, shape), scalar(DType::F32), scalar(DType::U8)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let x = cx.converted(x, DType::F32)?;
        let (y, scale, zero) = (cx.output(0)?, cx.output(1)?, cx.output(2)?);
        cx.call(
            crate::kernel!(quantize::dynamic_quantize_linear(_, _, _, _, _)),
            vec![Arg::Cx, y.write(), scale.write(), zero.write(), x.read()],
        )
    }
}
