//! `Gather`, `GatherElements`, `GatherND`: elements by index.

use super::{around, int_elements, with_elements};
use crate::import::Parse;
use crate::ir::dim::{Dim, Dims};
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::elementwise::cast;
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Action, Arg, Condition, View};
use serde::{Deserialize, Serialize};

/// ONNX `Gather`.
pub fn parse_gather(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = cx.int("axis", 0)?;
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = resolve_axis(axis, cx.rank(x)?)?;
    cx.add(Gather { axis }, &[x, indices]).map(|v| vec![v])
}

/// ONNX `GatherElements`.
pub fn parse_elements(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = cx.int("axis", 0)?;
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = resolve_axis(axis, cx.rank(x)?)?;
    cx.add(GatherElements { axis }, &[x, indices]).map(|v| vec![v])
}

/// ONNX `GatherND` (`batch_dims` since opset 12).
pub fn parse_nd(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let batch = cx.int("batch_dims", 0)?;
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let batch = usize::try_from(batch).map_err(|_| OpError::invalid(format!("batch_dims is {batch}")))?;
    cx.add(GatherNd { batch }, &[x, indices]).map(|v| vec![v])
}

/// `out[.., i.., ..] = data[.., indices[i..], ..]`: the axis of input 0 is replaced by the axes of input 1. Negative indices count from the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
}

/// The one index that is taken, resolved, where the result is a part of the data as it lies in memory; and what makes it valid (`a <= b`).
fn single(d: &Dims, data: &[Dim], indices: &Fact, axis: usize) -> Option<(Dim, (Dim, Dim))> {
    let &[Some(index)] = indices.as_elements(d)?.as_slice() else { return None };
    if d.product(&data[..axis]) != d.int(1) {
        return None;
    }
    let (len, (low, high)) = (data[axis], d.bounds(index));
    if low >= 0 {
        Some((index, (d.offset(index, 1), len)))
    } else if high < 0 {
        Some((d.add(index, len), (d.scale(index, -1), len)))
    } else {
        None
    }
}

impl Operator for Gather {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (data, indices) = (cx.shape(0)?, cx.shape(1)?);
        if !cx.dtype(1)?.is_int() {
            return Err(OpError::invalid("the indices must be integers"));
        }
        let rest = data.get(self.axis + 1..).ok_or_else(|| OpError::invalid(format!("there is no axis {}", self.axis)))?;
        let shape = [&data[..self.axis], &indices, rest].concat();
        if let Some((_, (least, len))) = single(cx.dims, &data, cx.fact(1)?, self.axis) {
            cx.require_at_most(least, len, "an index of Gather and the length of its axis");
        }
        let elements = match (int_elements(cx, 0), cx.elements(1), data.len(), indices.len()) {
            (Some(x), Some(indices), 1, 0 | 1) => Some(indices.into_iter().map(|i| pick(cx, &x, i?)).collect()),
            _ => None,
        };
        Ok(vec![with_elements(cx, cx.dtype(0)?, shape, elements)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let (outer, len, inner) = around(&dims, &x.shape, self.axis);
        if let Some((index, _)) = single(&dims, &x.shape, cx.fact(1)?, self.axis) {
            let offset = dims.add(x.view.offset, dims.mul(index, inner));
            cx.alias(0, Place::Tensor(View { offset, len: inner, ..x.view }));
            return Ok(());
        }
        let indices = cx.input_i64(1)?;
        let out = cx.output(0)?;
        // A table of embeddings may be stored in 16 bits; what is taken out of it becomes f32.
        let x = match cx.constant(0).filter(|_| cx.narrows() && x.dtype == DType::F32).and_then(Tensor::to_vec::<f32>) {
            Some(table) if table.len() >= EMBEDDINGS => cx.stored_weight("embeddings", &table),
            _ => x,
        };
        let taken = if x.dtype == out.dtype { out.clone() } else { cx.temp(x.dtype, &out.shape) };
        cx.call(
            crate::kernel!(gather::gather(_, _, _, _, _, _) for any(x.dtype)),
            vec![taken.write(), x.read(), indices.read(), Arg::Usize(outer), Arg::Usize(len), Arg::Usize(inner)],
        )?;
        if taken.dtype == out.dtype { Ok(()) } else { cast::call(cx, &out, &taken, true) }
    }
}

/// Constants with so many elements are weights, others are numbers that a shape or an index may be made of.
const EMBEDDINGS: usize = 4096;

/// The element at an index that is a number.
fn pick(cx: &Infer<'_>, x: &[Option<Dim>], index: Dim) -> Option<Dim> {
    let index = cx.dims.value(index)?;
    let index = if index < 0 { index.checked_add(x.len() as i64)? } else { index };
    usize::try_from(index).ok().and_then(|i| x.get(i).copied()).flatten()
}

/// `out[i] = data[i with its component at the axis replaced by indices[i]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatherElements {
    /// The axis.
    pub axis: usize,
}

impl Operator for GatherElements {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (data, indices) = (cx.shape(0)?, cx.shape(1)?);
        if data.len() != indices.len() {
            return Err(OpError::invalid(format!("data has rank {}, indices have rank {}", data.len(), indices.len())));
        }
        for (axis, (&i, &d)) in indices.iter().zip(&data).enumerate().filter(|(a, _)| *a != self.axis) {
            cx.require_at_most(i, d, &format!("axis {axis} of the indices and of the data"));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, indices)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, indices) = (cx.input(0)?, cx.input_i64(1)?);
        let out = cx.output(0)?;
        let axis = cx.int(self.axis as i64);
        cx.call(
            crate::kernel!(gather::gather_elements(_, _, _, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), indices.read(), Arg::Usizes(x.shape.clone()), Arg::Usizes(indices.shape.clone()), Arg::Usize(axis)],
        )
    }
}

/// `out[b, i, :] = data[b, indices[b, i, 0], indices[b, i, 1], …, :]` with that many common axes `b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatherNd {
    /// How many first axes data and indices share.
    pub batch: usize,
}

impl GatherNd {
    /// How many components an index has: the last dim of the indices, or, where the data tells that, what the declared rank of the result leaves.
    fn index_len(&self, d: &Dims, data: &[Dim], indices: &[Dim], result: Option<usize>) -> Result<Option<usize>, OpError> {
        let last = indices.last().ok_or_else(|| OpError::invalid("the indices are a scalar"))?;
        let declared = || (data.len() + indices.len()).checked_sub(result? + self.batch + 1);
        let Some(n) = d.value(*last).and_then(|n| usize::try_from(n).ok()).or_else(declared) else { return Ok(None) };
        if self.batch >= indices.len() || self.batch + n > data.len() {
            return Err(OpError::invalid(format!("indices of {n} components after {} axes do not fit rank {}", self.batch, data.len())));
        }
        Ok(Some(n))
    }
}

impl Operator for GatherNd {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (data, mut indices) = (cx.shape(0)?, cx.shape(1)?);
        let Some(n) = self.index_len(cx.dims, &data, &indices, None)? else { return Ok(vec![Fact::unranked(cx.dtype(0)?)]) };
        for axis in 0..self.batch {
            indices[axis] = cx.require_equal(indices[axis], data[axis], "a common axis of the indices and of the data");
        }
        indices.pop();
        indices.extend(&data[self.batch + n..]);
        Ok(vec![Fact::tensor(cx.dtype(0)?, indices)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, indices) = (cx.input(0)?, cx.input_i64(1)?);
        let result = cx.output_fact(0)?.shape().map(<[Dim]>::to_vec);
        let n = self.index_len(&cx.dims(), &x.shape, &indices.shape, result.as_ref().map(Vec::len))?;
        let (Some(n), Some(result)) = (n, result) else {
            return Err(OpError::unsupported("the last dim of the indices is not known when compiling")
                .help("give the indices a static shape, or declare the rank of the result in the model"));
        };
        let last = indices.shape.len() - 1;
        if cx.dims().value(indices.shape[last]).is_none() {
            let components = (indices.shape[last], cx.int(n as i64));
            let common = (0..self.batch).map(|axis| (indices.shape[axis], x.shape[axis]));
            for (a, b) in common.chain([components]).filter(|(a, b)| a != b) {
                cx.step(Action::Require(Condition::Equal(a, b)));
            }
            cx.set(&result, &[&indices.shape[..last], &x.shape[self.batch + n..]].concat());
        }
        if n == 0 {
            return Err(OpError::unsupported("GatherND with indices of no components"));
        }
        let out = cx.output(0)?;
        let (n, batch) = (cx.int(n as i64), cx.int(self.batch as i64));
        cx.call(
            crate::kernel!(gather::gather_nd(_, _, _, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), indices.read(), Arg::Usizes(x.shape.clone()), Arg::Usize(n), Arg::Usize(batch)],
        )
    }
}
