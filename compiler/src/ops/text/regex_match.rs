//! `RegexFullMatch`.

use super::regex;
use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use onnxc_runtime::kernels::regex::scratch_len;
use serde::{Deserialize, Serialize};

/// ONNX `RegexFullMatch` (opset 20). The pattern is compiled here.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let program = regex::compile(&cx.string("pattern", "")?)?;
    let inputs = [cx.input(0)?, cx.i64s(&program.code), cx.i64s(&program.ranges)];
    cx.add(RegexFullMatch, &inputs).map(|v| vec![v])
}

/// Whether each string of input 0 matches as a whole. Inputs 1 and 2: instructions and ranges, see `onnxc_runtime::kernels::regex`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegexFullMatch;

impl Operator for RegexFullMatch {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(0)? != DType::String {
            return Err(OpError::invalid("the input must be strings"));
        }
        Ok(vec![Fact::tensor(DType::Bool, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, code, ranges) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let instructions = cx.constant(1).map_or(0, Tensor::len) / 3;
        let length = cx.int(scratch_len(instructions) as i64);
        let out = cx.output(0)?;
        let scratch = cx.temp(DType::I64, &[length]);
        let args = vec![out.write(), scratch.write(), x.read(), code.read(), ranges.read()];
        cx.call(crate::kernel!(regex::full_match(_, _, _, _, _)), args)
    }
}
