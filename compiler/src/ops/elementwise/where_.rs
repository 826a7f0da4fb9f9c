//! `Where`: one of two elements, by a condition, broadcast.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, loop_nest};
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Where`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (condition, a, b) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.add(Where, &[condition, a, b]).map(|v| vec![v])
}

/// `condition ? a : b` for inputs condition (bool), a and b (of one dtype).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Where;

impl Operator for Where {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (a, b) = (cx.dtype(1)?, cx.dtype(2)?);
        if a != b || cx.dtype(0)? != DType::Bool {
            return Err(OpError::invalid(format!("the condition must be bool and the values of one dtype, they are {a} and {b}")));
        }
        let shape = cx.broadcast(&[cx.shape(0)?, cx.shape(1)?, cx.shape(2)?]);
        if let (Some(condition), Some(x), Some(y), true) = (cx.constant(0), cx.elements(1), cx.elements(2), shape.len() <= 1 && a.is_int())
        {
            let count = condition.len().max(x.len()).max(y.len());
            let at = |v: &[Option<Dim>], i: usize| v.get(if v.len() == 1 { 0 } else { i }).copied().flatten();
            let truth = |i: usize| condition.bytes().get(if condition.len() == 1 { 0 } else { i }).is_some_and(|&b| b != 0);
            let empty = condition.is_empty() || x.is_empty() || y.is_empty();
            let elements = if empty { Vec::new() } else { (0..count).map(|i| if truth(i) { at(&x, i) } else { at(&y, i) }).collect() };
            return Ok(vec![Fact::elements(a, shape, elements, cx.dims)]);
        }
        Ok(vec![Fact::tensor(a, shape)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (condition, a, b) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let out = cx.output(0)?;
        let (shape, strides) = loop_nest(&cx.dims(), &out.shape, &[&condition.shape, &a.shape, &b.shape]);
        let args = [out.write(), condition.read(), a.read(), b.read(), Arg::Usizes(shape)];
        let args = args.into_iter().chain(strides.into_iter().map(Arg::Usizes)).collect();
        cx.call(crate::kernel!(elementwise::select(_, _, _, _, _, _, _, _) for any(a.dtype)), args)
    }
}
