//! `Dropout`: at inference the input as it is, when training without some random elements.

use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::make::constant_of_shape::ConstantOfShape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::element::Bool;
use serde::{Deserialize, Serialize};

/// ONNX `Dropout`: `training_mode` is an input since opset 12, the ratio too. At inference the mask (of booleans since opset 10) is all ones.
/// Before opset 7 a node without `is_test` trains; such files are run for inference, as other runtimes do.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if cx.opset() >= 12
        && let Some(training) = cx.opt_input(2)?
        && cx.constant_of(training).is_none_or(|t| t.bytes().first().is_some_and(|&b| b != 0))
    {
        let ratio = match cx.opt_input(1)? {
            Some(ratio) => crate::ops::elementwise::cast::to(cx, ratio, DType::F64)?,
            None => cx.scalar(DType::F64, 0.5)?,
        };
        return cx.add_n(Dropout { seed: cx.opt_int("seed")? }, &[Some(x), Some(ratio), Some(training)]);
    }
    if !cx.wants(1) {
        return Ok(vec![x]);
    }
    let dtype = if cx.opset() < 10 { cx.dtype(x)? } else { DType::Bool };
    let one = if dtype == DType::Bool { cx.constant(Tensor::scalar(Bool::from(true))) } else { cx.scalar(dtype, 1.0)? };
    let shape = cx.add(Shape::between(0, i64::MAX), &[x])?;
    let mask = cx.add(ConstantOfShape, &[shape, one])?;
    Ok(vec![x, mask])
}

/// Input 0 without a random part of its elements (input 1: which part, f64), the others scaled up, if input 2 (a boolean) says so. Outputs: the
/// result, and which elements were kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// With a seed each run gives the same.
    pub seed: Option<i64>,
}

impl Operator for Dropout {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let one = cx.int(1);
        for i in [1, 2] {
            let count = cx.shape(i)?;
            let count = cx.dims.product(&count);
            cx.require_equal(count, one, "the elements of a scalar and 1");
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape.clone()), Fact::tensor(DType::Bool, shape)])
    }

    fn folds(&self) -> bool {
        false
    }

    fn pure(&self) -> bool {
        false
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, ratio, training) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let (out, mask) = (cx.output(0)?, cx.output(1)?);
        let seed = [Arg::I64(cx.int(self.seed.unwrap_or(0))), Arg::Bool(self.seed.is_some())];
        let args = [out.write(), mask.write(), x.read(), ratio.read(), training.read()].into_iter().chain(seed).collect();
        cx.call(crate::kernel!(random::dropout(_, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
