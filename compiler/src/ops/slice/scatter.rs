//! `ScatterElements`, `ScatterND`, `TensorScatter`: a tensor with some elements replaced.

use super::around;
use crate::import::Parse;
use crate::ir::{Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(scatter::Reduction { Add, Mul, Min, Max });

/// How an update meets what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's names.
pub enum Reduction {
    None,
    Add,
    Mul,
    Min,
    Max,
}

impl Reduction {
    fn parse(cx: &Parse<'_>) -> Result<Self, OpError> {
        Ok(match cx.string("reduction", "none")?.as_str() {
            "none" => Self::None,
            "add" => Self::Add,
            "mul" => Self::Mul,
            "min" => Self::Min,
            "max" => Self::Max,
            other => return Err(OpError::invalid(format!("the reduction is `{other}`"))),
        })
    }

    /// The argument of a kernel that reduces.
    fn arg(self) -> Option<Arg> {
        let name = match self {
            Self::None => return None,
            Self::Add => "Add",
            Self::Mul => "Mul",
            Self::Min => "Min",
            Self::Max => "Max",
        };
        Some(Arg::Variant("scatter::Reduction", name))
    }
}

/// ONNX `ScatterElements` (reductions since opset 16) and `Scatter`, its name before opset 11.
pub fn parse_elements(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let reduction = Reduction::parse(cx)?;
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let axis = resolve_axis(cx.int("axis", 0)?, cx.rank(data)?)?;
    cx.add(ScatterElements { axis, reduction }, &[data, indices, updates]).map(|v| vec![v])
}

/// ONNX `ScatterND` (reductions since opset 16).
pub fn parse_nd(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let reduction = Reduction::parse(cx)?;
    let (data, indices, updates) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.add(ScatterNd { reduction }, &[data, indices, updates]).map(|v| vec![v])
}

/// ONNX `TensorScatter`.
pub fn parse_tensor(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let circular = match cx.string("mode", "linear")?.as_str() {
        "linear" => false,
        "circular" => true,
        other => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let (cache, update, at) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?);
    let axis = resolve_axis(cx.int("axis", -2)?, cx.rank(cache)?)?;
    cx.add_n(TensorScatter { axis, circular }, &[Some(cache), Some(update), at])
}

/// The output as a copy of the data (input 0).
fn copied(cx: &mut Lower<'_>) -> Result<Operand, OpError> {
    let (data, out) = (cx.input(0)?, cx.output(0)?);
    cx.copy(&out, &data)?;
    Ok(out)
}

/// `out = data; out[i with its component at the axis replaced by indices[i]] = updates[i]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScatterElements {
    /// The axis.
    pub axis: usize,
    /// How an update meets what is there.
    pub reduction: Reduction,
}

impl ScatterElements {
    /// The updates are added to the data.
    pub fn adding(axis: usize) -> Self {
        Self { axis, reduction: Reduction::Add }
    }
}

impl Operator for ScatterElements {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (data, indices, updates) = (cx.shape(0)?, cx.shape(1)?, cx.shape(2)?);
        check_dtypes(cx)?;
        if data.len() != indices.len() || data.len() != updates.len() {
            return Err(OpError::invalid("data, indices and updates must have one rank"));
        }
        for (axis, (&i, &u)) in indices.iter().zip(&updates).enumerate() {
            cx.require_equal(i, u, &format!("axis {axis} of the indices and of the updates"));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, data)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (indices, updates) = (cx.input_i64(1)?, cx.input(2)?);
        let out = copied(cx)?;
        let axis = cx.int(self.axis as i64);
        let shapes = [out.shape.clone(), indices.shape.clone()].map(Arg::Usizes);
        let mut args: Vec<Arg> = [out.update(), indices.read(), updates.read()].into_iter().chain(shapes).collect();
        args.push(Arg::Usize(axis));
        match self.reduction.arg() {
            None => cx.call(crate::kernel!(scatter::scatter_elements(_, _, _, _, _, _) for any(out.dtype)), args),
            Some(reduction) => {
                args.push(reduction);
                cx.call(crate::kernel!(scatter::scatter_elements_reduce(_, _, _, _, _, _, _) for num(out.dtype)), args)
            }
        }
    }
}

fn check_dtypes(cx: &Infer<'_>) -> Result<(), OpError> {
    let (data, updates) = (cx.dtype(0)?, cx.dtype(2)?);
    if data != updates {
        return Err(OpError::invalid(format!("data is {data}, updates are {updates}")));
    }
    if cx.dtype(1)?.is_int() { Ok(()) } else { Err(OpError::invalid("the indices must be integers")) }
}

/// `out = data; out[indices[i, 0], indices[i, 1], …, :] = updates[i, :]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScatterNd {
    /// How an update meets what is there.
    pub reduction: Reduction,
}

/// How many components an index has: the last dim of the indices, which the ranks give where it is symbolic.
fn index_len(indices: usize, rank: usize, updates: usize) -> Result<usize, OpError> {
    let n = (rank + indices).checked_sub(updates + 1).filter(|&n| n <= rank && indices > 0);
    n.ok_or_else(|| OpError::invalid(format!("indices of rank {indices} and updates of rank {updates} do not fit data of rank {rank}")))
}

impl Operator for ScatterNd {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (data, indices, updates) = (cx.shape(0)?, cx.shape(1)?, cx.shape(2)?);
        check_dtypes(cx)?;
        let n = index_len(indices.len(), data.len(), updates.len())?;
        let components = cx.int(n as i64);
        cx.require_equal(indices[indices.len() - 1], components, "the components of an index and what the ranks leave for them");
        let expected = [&indices[..indices.len() - 1], &data[n..]].concat();
        for (axis, (&e, &u)) in expected.iter().zip(&updates).enumerate() {
            cx.require_equal(e, u, &format!("axis {axis} of the updates"));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, data)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (indices, updates) = (cx.input_i64(1)?, cx.input(2)?);
        let out = copied(cx)?;
        let n = index_len(indices.shape.len(), out.shape.len(), updates.shape.len())?;
        let n = cx.int(n as i64);
        let mut args = vec![out.update(), indices.read(), updates.read(), Arg::Usizes(out.shape.clone()), Arg::Usize(n)];
        match self.reduction.arg() {
            None => cx.call(crate::kernel!(scatter::scatter_nd(_, _, _, _, _) for any(out.dtype)), args),
            Some(reduction) => {
                args.push(reduction);
                cx.call(crate::kernel!(scatter::scatter_nd_reduce(_, _, _, _, _, _) for num(out.dtype)), args)
            }
        }
    }
}

/// Input 0, a cache, with input 1 written along the axis from the position on that input 2 says for each batch (optional: 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorScatter {
    axis: usize,
    /// Beyond the end it goes on at the start.
    circular: bool,
}

impl Operator for TensorScatter {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (cache, update) = (cx.shape(0)?, cx.shape(1)?);
        if cache.len() != update.len() || self.axis == 0 || cx.dtype(0)? != cx.dtype(1)? {
            return Err(OpError::invalid("the cache and the update must agree in rank and dtype, and the axis must not be the batch"));
        }
        for (axis, (&c, &u)) in cache.iter().zip(&update).enumerate().filter(|(a, _)| *a != self.axis) {
            cx.require_equal(c, u, &format!("axis {axis} of the cache and of the update"));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, cache)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let update = cx.input(1)?;
        let at = if cx.has(2) { Arg::Present(Box::new(cx.input_i64(2)?.read())) } else { Arg::Absent };
        let out = copied(cx)?;
        let dims = cx.dims();
        let (_, max, inner) = around(&dims, &out.shape, self.axis);
        let prefix = dims.product(&out.shape[1..self.axis]);
        let sizes = [out.shape[0], prefix, max, update.shape[self.axis], inner].map(Arg::Usize);
        cx.call(
            crate::kernel!(scatter::tensor_scatter(_, _, _, _, _, _, _, _, _) for any(out.dtype)),
            [out.update(), update.read(), at].into_iter().chain(sizes).chain([Arg::Bool(self.circular)]).collect(),
        )
    }
}
