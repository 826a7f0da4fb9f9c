//! `Softmax`, `LogSoftmax`, `Hardmax`.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::reduce::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Softmax`, `LogSoftmax` and `Hardmax`: over one axis since opset 13, before over all axes from one on.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let kind = match cx.op_type() {
        "Softmax" => Kind::Softmax,
        "LogSoftmax" => Kind::LogSoftmax,
        _ => Kind::Hardmax,
    };
    let x = cx.input(0)?;
    let (rank, old) = (cx.rank(x)?, cx.opset() < 13);
    let axis = cx.int("axis", if old { 1 } else { -1 })?;
    // The old form of a vector or with the axis after the last one is one row of nothing; exporters mean the last axis.
    let axis = if rank == 0 || (old && axis == rank as i64) { rank.saturating_sub(1) } else { resolve_axis(axis, rank)? };
    let to_end = old && axis + 1 < rank;
    cx.add(Softmax { kind, axis, to_end }, &[x]).map(|v| vec![v])
}

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `e^x / sum(e^x)`.
    Softmax,
    /// Its logarithm.
    LogSoftmax,
    /// 1 at the first greatest element, 0 elsewhere.
    Hardmax,
}

/// One of the three over an axis, or over all axes from there on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    /// Which one.
    pub kind: Kind,
    /// The axis.
    pub axis: usize,
    /// Whether the axes after it belong to it.
    pub to_end: bool,
}

impl Operator for Softmax {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![Fact::tensor(cx.dtype(0)?, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let dims = cx.dims();
        let [outer, mut axis, mut inner]: [Dim; 3] = around(&dims, &x.shape, self.axis);
        if self.to_end {
            (axis, inner) = (dims.mul(axis, inner), dims.int(1));
        }
        let args = [out.write(), x.read()].into_iter().chain([outer, axis, inner].map(Arg::Usize));
        let tuned = |args| [Arg::Cx].into_iter().chain(args).collect();
        match (self.kind, x.dtype) {
            (Kind::Softmax, DType::F32) => cx.call(crate::kernel!(softmax_f32::softmax(_, _, _, _, _, _)), tuned(args)),
            (Kind::LogSoftmax, DType::F32) => cx.call(crate::kernel!(softmax_f32::log_softmax(_, _, _, _, _, _)), tuned(args)),
            (Kind::Softmax, d) => cx.call(crate::kernel!(softmax::softmax(_, _, _, _, _) for float(d)), args.collect()),
            (Kind::LogSoftmax, d) => cx.call(crate::kernel!(softmax::log_softmax(_, _, _, _, _) for float(d)), args.collect()),
            (Kind::Hardmax, d) => cx.call(crate::kernel!(softmax::hardmax(_, _, _, _, _) for float(d)), args.collect()),
        }
    }
}
