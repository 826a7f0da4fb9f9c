//! `Pad`: more (or, with negative pads, fewer) elements at the ends of axes.

use super::{output_shape, zero};
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::{Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(pad::Mode { Constant, Reflect, Edge, Wrap });

/// ONNX `Pad`: pads and value are attributes before opset 11 (`paddings` in opset 1); axes since 18, mode `wrap` since 19.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mode = match cx.string("mode", "constant")?.as_str() {
        "constant" => Mode::Constant,
        "reflect" => Mode::Reflect,
        "edge" => Mode::Edge,
        "wrap" => Mode::Wrap,
        other => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let x = cx.input(0)?;
    let (pads, value, axes) = if cx.opset() < 11 {
        let name = if cx.opset() < 2 { "paddings" } else { "pads" };
        let pads = cx.ints(name)?.ok_or_else(|| OpError::invalid(format!("the attribute `{name}` is missing")))?;
        let dtype = cx.dtype(x)?;
        let value = f64::from(cx.float("value", 0.0)?);
        (cx.i64s(&pads), Some(cx.scalar(dtype, value)?), None)
    } else {
        (cx.input(1)?, cx.opt_input(2)?, cx.opt_input(3)?)
    };
    cx.add_n(Pad { mode }, &[Some(x), Some(pads), value, axes])
}

/// What stands outside the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's names.
pub enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// Inputs: the tensor, the pads (those at the beginnings, then those at the ends), the constant (optional: zero), the axes (optional: all).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    /// What stands outside.
    pub mode: Mode,
}

/// The pads at beginning and end of each axis; `None` where only the data tells.
fn pads(d: &crate::ir::Dims, rank: usize, pads: &Fact, axes: Option<&Fact>) -> Result<Vec<Option<(Dim, Dim)>>, OpError> {
    let Some(known) = pads.as_elements(d) else { return Ok(vec![None; rank]) };
    let axes = match axes {
        None => (0..rank as i64).collect(),
        Some(axes) => match axes.as_const().and_then(crate::ir::Tensor::to_i64s) {
            Some(axes) => axes,
            None => return Ok(vec![None; rank]),
        },
    };
    if known.len() != 2 * axes.len() {
        return Err(OpError::invalid(format!("{} pads for {} axes", known.len(), axes.len())));
    }
    let mut result = vec![Some((d.int(0), d.int(0))); rank];
    for (i, &axis) in axes.iter().enumerate() {
        result[resolve_axis(axis, rank)?] = known[i].zip(known[i + axes.len()]);
    }
    Ok(result)
}

impl Operator for Pad {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        if cx.has(2) && cx.dtype(2)? != dtype {
            return Err(OpError::invalid(format!("the constant is {}, the tensor is {dtype}", cx.dtype(2)?)));
        }
        let pads = pads(cx.dims, shape.len(), cx.fact(1)?, cx.fact(3).ok())?;
        let new: Vec<Dim> = shape
            .iter()
            .zip(pads)
            .map(|(&d, pads)| pads.map_or_else(|| cx.fresh(), |(begin, end)| cx.dims.add(d, cx.dims.add(begin, end))))
            .collect();
        if new.iter().any(|&d| cx.dims.bounds(d).1 < 0) {
            return Err(OpError::invalid("the pads cut off more than there is"));
        }
        Ok(vec![Fact::tensor(dtype, new)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let rank = x.shape.len();
        let known: Option<Vec<(Dim, Dim)>> = pads(&dims, rank, cx.fact(1)?, cx.fact(3).ok())?.into_iter().collect();
        let begins: Vec<Dim> = match known {
            Some(pads) => pads.iter().map(|p| p.0).collect(),
            None => run_time(cx, &x.shape)?,
        };
        let zero_dim = cx.int(0);
        if begins.iter().all(|&b| b == zero_dim) && output_shape(cx, 0)? == x.shape {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let value = if cx.has(2) { cx.input(2)? } else { cx.weight("zero", zero(x.dtype)?) };
        let out = cx.output(0)?;
        let mode = match self.mode {
            Mode::Constant => "Constant",
            Mode::Reflect => "Reflect",
            Mode::Edge => "Edge",
            Mode::Wrap => "Wrap",
        };
        cx.call(
            crate::kernel!(pad::pad(_, _, _, _, _, _, _) for any(x.dtype)),
            vec![
                out.write(),
                x.read(),
                value.read(),
                Arg::Usizes(x.shape.clone()),
                Arg::I64s(begins),
                Arg::Usizes(out.shape.clone()),
                Arg::Variant("pad::Mode", mode),
            ],
        )
    }
}

/// Pads that the data tells: a kernel resolves them. The pads at the beginnings.
fn run_time(cx: &mut Lower<'_>, shape: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let pads = cx.input_i64(1)?;
    let axes = if cx.has(3) { Arg::Present(Box::new(cx.input_i64(3)?.read())) } else { Arg::Absent };
    let (symbols, values): (Vec<_>, Vec<_>) = (0..2 * shape.len()).map(|_| cx.symbol(i64::MIN)).unzip();
    cx.call(crate::kernel!(pad::plan(_, _, _, _)), vec![Arg::Bind(symbols), Arg::Usizes(shape.to_vec()), pads.read(), axes])?;
    let column = |k: usize| (0..shape.len()).map(|axis| values[2 * axis + k]).collect::<Vec<Dim>>();
    let target = output_shape(cx, 0)?;
    cx.set(&target, &column(1));
    Ok(column(0))
}
