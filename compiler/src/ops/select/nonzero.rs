//! `NonZero`: where the elements are that are not zero.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `NonZero`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    cx.add(NonZero, &[x]).map(|v| vec![v])
}

/// The indices of all elements that are not zero: one row an axis, one column an element. Their number only the data tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NonZero;

impl Operator for NonZero {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let rank = cx.rank(0)?;
        Ok(vec![Fact::tensor(DType::I64, vec![cx.int(rank as i64), cx.fresh()])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let shape = output_shape(cx, 0)?;
        let count = crate::kernel!(nonzero::nonzero_count(_, _) for order(x.dtype));
        cx.call_binding(count, &shape[1..], |bind| vec![bind, x.read()])?;
        let out = cx.output(0)?;
        cx.call(crate::kernel!(nonzero::nonzero(_, _, _) for order(x.dtype)), vec![out.write(), x.read(), Arg::Usizes(x.shape.clone())])
    }
}
