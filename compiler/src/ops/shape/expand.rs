//! `Expand`: broadcasting to a shape.

use crate::import::Parse;
use crate::ir::{Dim, Fact, ValueId};
use crate::lower::{Lower, Place, loop_nest};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Expand`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, shape) = (cx.input(0)?, cx.input(1)?);
    cx.add(Expand, &[x, shape]).map(|v| vec![v])
}

/// Input 0 broadcast with the shape that input 1 says (both ways: a 1 in the shape keeps the input's dim).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expand;

impl Operator for Expand {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let Some(target) = cx.elements(1) else { return Ok(vec![Fact::unranked(dtype)]) };
        if target.iter().all(Option::is_some) {
            let target: Vec<Dim> = target.into_iter().flatten().collect();
            let new = cx.broadcast(&[shape, target]);
            return Ok(vec![Fact::tensor(dtype, new)]);
        }
        let rank = target.len().max(shape.len());
        Ok(vec![Fact::tensor(dtype, (0..rank).map(|_| cx.fresh()).collect())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        if cx.elements(1).is_none() {
            let shape = cx.output_fact(0)?.shape().map(<[Dim]>::to_vec).ok_or_else(|| {
                OpError::unsupported("the rank of the result is not known when compiling").help("make the shape a constant of the model")
            })?;
            let target = cx.input_i64(1)?;
            cx.call_binding(crate::kernel!(shape::expand(_, _, _)), &shape, |bind| {
                vec![bind, Arg::Usizes(x.shape.clone()), target.read()]
            })?;
        }
        let fact = cx.output_fact(0)?;
        if fact.shape().is_some_and(|s| cx.dims().product(s) == x.view.len) {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let out = cx.output(0)?;
        let (shape, strides) = loop_nest(&cx.dims(), &out.shape, &[&x.shape]);
        let offset = cx.int(0);
        cx.call(
            crate::kernel!(copy::strided(_, _, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), Arg::Usizes(shape), Arg::Usize(offset), Arg::I64s(strides.concat())],
        )
    }
}
