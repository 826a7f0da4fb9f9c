//! `LayerNormalization` and `RMSNormalization`: rows to mean 0 and variance 1, or to mean square 1.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `LayerNormalization` (opset 17).
pub fn parse_layer(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    parse(cx, false)
}

/// ONNX `RMSNormalization` (opset 23), and `SimplifiedLayerNormalization`, which ONNX Runtime puts into the standard's domain.
pub fn parse_rms(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if cx.wants(1) {
        return Err(OpError::unsupported("the second output (the inverse root mean squares)"));
    }
    parse(cx, true)
}

fn parse(cx: &mut Parse<'_>, rms: bool) -> Result<Vec<ValueId>, OpError> {
    let (mut x, mut scale, bias) = (cx.input(0)?, cx.opt_input(1)?, cx.opt_input(2)?);
    let shape = cx.shape(x)?;
    // The scale of an RMS norm may have another dtype than the input; the result has that of the scale.
    let mut result = None;
    if let (true, Some(given)) = (rms, scale)
        && cx.dtype(given)? != cx.dtype(x)?
    {
        let compute = wider(cx.dtype(given)?, cx.dtype(x)?);
        result = Some(cx.dtype(given)?);
        (x, scale) = (cast::to(cx, x, compute)?, Some(cast::to(cx, given, compute)?));
    }
    let axis = resolve_axis(cx.int("axis", -1)?, shape.len())?;
    let stash = match cx.int("stash_type", 1)? {
        1 => DType::F32,
        11 => DType::F64,
        10 => DType::F16,
        16 => DType::BF16,
        other => return Err(OpError::invalid(format!("stash_type is {other}"))),
    };
    let op = LayerNorm { axis, epsilon: cx.float("epsilon", 1e-5)?, rms, stash };
    let (fused_scale, late_scale) = plain(cx, scale, &shape[axis..])?;
    let (fused_bias, late_bias) = plain(cx, bias, &shape[axis..])?;
    // A scale or bias that broadcasts in its own way is applied afterwards.
    let (fused_bias, late_bias) = if late_scale.is_some() { (None, bias) } else { (fused_bias, late_bias) };
    let mut outputs = cx.add_n(op, &[Some(x), fused_scale, fused_bias])?;
    for (f, late) in [(BinaryFn::Mul, late_scale), (BinaryFn::Add, late_bias)] {
        if let Some(late) = late {
            outputs[0] = cx.add(Binary { f }, &[outputs[0], late])?;
        }
    }
    if let Some(dtype) = result {
        outputs[0] = cast::to(cx, outputs[0], dtype)?;
    }
    Ok(outputs)
}

/// A parameter as one of exactly the shape of a row, or as one that broadcasts.
fn plain(cx: &mut Parse<'_>, value: Option<ValueId>, row: &[Dim]) -> Result<(Option<ValueId>, Option<ValueId>), OpError> {
    let Some(value) = value else { return Ok((None, None)) };
    let (shape, one) = (cx.shape(value)?, cx.dims().int(1));
    let whole = shape.len() == row.len() && shape.iter().zip(row).all(|(&d, &r)| d != one || r == one);
    Ok(if whole { (Some(value), None) } else { (None, Some(value)) })
}

/// Input 0 normalised over the axes from `axis` on, times input 1, plus input 2 (both optional, shaped as those axes). Outputs: the result,
/// and, but for RMS, the means and the inverse standard deviations, in the stash type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// The first normalised axis.
    pub axis: usize,
    /// Added to the variance, or to the mean square.
    pub epsilon: f32,
    /// Whether the mean is left where it is.
    pub rms: bool,
    /// The dtype of the second and third output.
    #[serde(with = "crate::ir::dtype_text")]
    pub stash: DType,
}

impl Operator for LayerNorm {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        for i in [1, 2] {
            if cx.has(i) {
                let given = cx.shape(i)?;
                for (&a, &b) in given.iter().zip(&shape[self.axis..]) {
                    cx.require_equal(a, b, "the normalised axes and their scale or bias");
                }
            }
        }
        let one = cx.int(1);
        let stashed = shape.iter().enumerate().map(|(i, &d)| if i < self.axis { d } else { one }).collect();
        let stashed = Fact::tensor(self.stash, stashed);
        let y = Fact::tensor(dtype, shape);
        Ok(if self.rms { vec![y] } else { vec![y, stashed.clone(), stashed] })
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let dims = cx.dims();
        let x = cx.input(0)?;
        let stashes = !self.rms && (cx.wanted(1) || cx.wanted(2));
        let mixed = [1, 2].iter().any(|&i| cx.has(i) && cx.fact(i).is_ok_and(|f| f.dtype() != Some(x.dtype)));
        // One kernel has one dtype: where the operands differ, all are computed in the wider one.
        let compute = if mixed || (stashes && self.stash != x.dtype) { wider(x.dtype, self.stash) } else { x.dtype };
        let (rows, len) = (dims.product(&x.shape[..self.axis]), dims.product(&x.shape[self.axis..]));
        let x = cx.converted(x, compute)?;
        let out = cx.output(0)?;
        let y = if compute == out.dtype { out.clone() } else { cx.temp(compute, &x.shape) };
        let (scale, bias) = (optional(cx, 1, compute)?, optional(cx, 2, compute)?);
        let sizes = [Arg::Usize(rows), Arg::Usize(len), Arg::F32(self.epsilon)];
        let tuned = compute == DType::F32;
        let lead = if tuned { vec![Arg::Cx] } else { Vec::new() };
        if self.rms {
            let args = lead.into_iter().chain([y.write(), x.read(), scale]).chain(sizes).collect();
            if tuned {
                cx.call(crate::kernel!(norm_f32::rms_norm(_, _, _, _, _, _, _)), args)?;
            } else {
                cx.call(crate::kernel!(norm::rms_norm(_, _, _, _, _, _) for float(compute)), args)?;
            }
        } else {
            let (mean, mean_out) = stash(cx, 1, compute, rows)?;
            let (deviation, deviation_out) = stash(cx, 2, compute, rows)?;
            let operands = [y.write(), mean.write(), deviation.write(), x.read(), scale, bias];
            let args = lead.into_iter().chain(operands).chain(sizes).collect();
            if tuned {
                cx.call(crate::kernel!(norm_f32::layer_norm(_, _, _, _, _, _, _, _, _, _)), args)?;
            } else {
                cx.call(crate::kernel!(norm::layer_norm(_, _, _, _, _, _, _, _, _) for float(compute)), args)?;
            }
            for (from, to) in [(mean, mean_out), (deviation, deviation_out)] {
                if let Some(to) = to {
                    cast::call(cx, &to, &from, true)?;
                }
            }
        }
        if compute == out.dtype { Ok(()) } else { cast::call(cx, &out, &y, true) }
    }
}

/// The dtype that holds both.
pub(super) fn wider(a: DType, b: DType) -> DType {
    if a == DType::F64 || b == DType::F64 { DType::F64 } else { DType::F32 }
}

/// Where the kernel writes output `i`, and the output itself if that is of another dtype; nowhere if nobody wants it.
fn stash(cx: &mut Lower<'_>, i: usize, compute: DType, rows: Dim) -> Result<(Operand, Option<Operand>), OpError> {
    if !cx.wanted(i) {
        let zero = cx.int(0);
        return Ok((cx.temp(compute, &[zero]), None));
    }
    let out = cx.output(i)?;
    if out.dtype == compute { Ok((out, None)) } else { Ok((cx.temp(compute, &[rows]), Some(out))) }
}

/// Optional input `i` of that dtype as an argument.
pub(super) fn optional(cx: &mut Lower<'_>, i: usize, dtype: DType) -> Result<Arg, OpError> {
    if !cx.has(i) {
        return Ok(Arg::Absent);
    }
    let x = cx.input(i)?;
    Ok(Arg::Present(Box::new(cx.converted(x, dtype)?.read())))
}
