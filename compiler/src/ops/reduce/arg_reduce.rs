//! `ArgMax` and `ArgMin`.

use super::around_args;
use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `ArgMax` and `ArgMin` (`select_last_index` since opset 12).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let op = ArgReduce {
        greatest: cx.op_type() == "ArgMax",
        axis: if rank == 0 { 0 } else { resolve_axis(cx.int("axis", 0)?, rank)? },
        keep_dims: cx.flag("keepdims", true)?,
        select_last: cx.flag("select_last_index", false)?,
    };
    cx.add(op, &[x]).map(|v| vec![v])
}

/// The position of the greatest or least element along an axis, as i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgReduce {
    /// Whether the greatest is looked for.
    pub greatest: bool,
    /// The axis.
    pub axis: usize,
    /// Whether the axis stays as an axis of one.
    pub keep_dims: bool,
    /// Whether the last of equal elements counts, rather than the first.
    pub select_last: bool,
}

impl Operator for ArgReduce {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        if self.axis < shape.len() {
            shape[self.axis] = cx.int(1);
            if !self.keep_dims {
                shape.remove(self.axis);
            }
        }
        Ok(vec![Fact::tensor(DType::I64, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let sizes = around_args(&cx.dims(), &x.shape, self.axis);
        let args = [out.write(), x.read()].into_iter().chain(sizes).chain([Arg::Bool(self.select_last)]).collect();
        if self.greatest {
            cx.call(crate::kernel!(arg_reduce::argmax(_, _, _, _, _, _) for num(x.dtype)), args)
        } else {
            cx.call(crate::kernel!(arg_reduce::argmin(_, _, _, _, _, _) for num(x.dtype)), args)
        }
    }
}
