//! `TopK`: the k greatest or least elements along an axis, and where they are.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape, read_ints};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `TopK`: k is an attribute before opset 10; `largest` and `sorted` since 11 (the result is always sorted).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let axis = resolve_axis(cx.int("axis", -1)?, cx.rank(x)?)?;
    let largest = cx.flag("largest", true)?;
    let k = if cx.opset() < 10 {
        let k = cx.opt_int("k")?.ok_or_else(|| OpError::invalid("the attribute `k` is missing"))?;
        cx.i64s(&[k])
    } else {
        cx.input(1)?
    };
    cx.add_n(TopK { axis, largest }, &[Some(x), Some(k)])
}

/// Input 0: the tensor; input 1: k, one element. Outputs: the values, the best first, and their indices on the axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// The axis.
    pub axis: usize,
    largest: bool,
}

impl Operator for TopK {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, mut shape) = (cx.dtype(0)?, cx.shape(0)?);
        let axis = self.axis;
        let len = *shape.get(axis).ok_or_else(|| OpError::invalid(format!("there is no axis {axis}")))?;
        shape[axis] = match cx.elements(1).and_then(|e| e.first().copied().flatten()) {
            Some(k) => {
                cx.require_at_most(k, len, "k and the length of the axis");
                k
            }
            None => cx.fresh(),
        };
        Ok(vec![Fact::tensor(dtype, shape.clone()), Fact::tensor(DType::I64, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        if cx.elements(1).is_none() {
            let k = read_ints(cx, 1, 1)?;
            for i in 0..2 {
                let shape = output_shape(cx, i)?;
                cx.set(&shape[self.axis..=self.axis], &k);
            }
        }
        let (values, indices) = (cx.output(0)?, cx.output(1)?);
        let (outer, len, inner) = around(&cx.dims(), &x.shape, self.axis);
        // `top_k_scratch_len` is the length of the axis.
        let scratch = cx.temp(DType::I64, &[len]);
        let sizes = [outer, len, inner, values.shape[self.axis]].map(Arg::Usize);
        let args = [values.write(), indices.write(), scratch.write(), x.read()].into_iter().chain(sizes).chain([Arg::Bool(self.largest)]);
        cx.call(crate::kernel!(top_k::top_k(_, _, _, _, _, _, _, _, _) for num(x.dtype)), args.collect())
    }
}
