//! `QuantizeLinear` and `DequantizeLinear`: `round(x / scale) + zero` and `(x - zero) * scale`, with scales by tensor, axis or block.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::cast;
use crate::ops::infer::resolve_axis;
use crate::ops::reduce::around_args;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(quantize::Granularity { Tensor, Axis, Block });

/// ONNX `QuantizeLinear`: an axis since opset 13, `saturate` since 19, blocks and `output_dtype` since 21, `precision` since 23.
pub fn parse_quantize(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, scale, zero) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?);
    let declared = cx.nonzero_dtype("output_dtype")?;
    let dtype = match zero {
        Some(zero) => cx.dtype(zero)?,
        None => declared.unwrap_or(DType::U8),
    };
    let precision = cx.nonzero_dtype("precision")?.map_or_else(|| cx.dtype(scale), Ok)?;
    let saturate = cx.flag("saturate", true)?;
    let granularity = granularity(cx, x, scale)?;
    cx.add_n(
        Quantize { granularity, direction: Direction::Quantize { saturate, precision }, dtype, held: false },
        &[Some(x), Some(scale), zero],
    )
}

/// ONNX `DequantizeLinear`; `output_dtype` since 23, else the result has the dtype of the scale.
pub fn parse_dequantize(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, scale, zero) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?);
    let dtype = cx.nonzero_dtype("output_dtype")?.map_or_else(|| cx.dtype(scale), Ok)?;
    let granularity = granularity(cx, x, scale)?;
    let weights = cx.rank(x)? > 1 && matches!(cx.dtype(x)?, DType::I8 | DType::U8) && dtype == DType::F32;
    cx.add_n(Quantize { granularity, direction: Direction::Dequantize, dtype, held: weights }, &[Some(x), Some(scale), zero])
}

/// How the shape of the scale (and in the standard's domain the opset) says which elements share one.
fn granularity(cx: &mut Parse<'_>, x: ValueId, scale: ValueId) -> Result<Granularity, OpError> {
    let (shape, scales) = (cx.shape(x)?, cx.shape(scale)?);
    let (block, one) = (cx.int("block_size", 0)?, cx.dims().int(1));
    if block < 0 {
        return Err(OpError::invalid("block_size must not be negative"));
    }
    let single = scales.iter().all(|&d| d == one);
    if (single && block == 0) || scales.is_empty() || (cx.domain().is_empty() && cx.opset() < 13 && scales.len() == 1) {
        return Ok(Granularity::Tensor);
    }
    let axis = resolve_axis(cx.int("axis", 1)?, shape.len())?;
    match (block, scales.len()) {
        (0, 1) => Ok(Granularity::Axis { axis }),
        (1.., rank) if rank == shape.len() => Ok(Granularity::Block { axis, block }),
        _ => Err(OpError::invalid("the scale must be a scalar, a vector, or (with block_size) of the rank of the input")),
    }
}

/// Which elements share a scale and a zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granularity {
    /// All of them.
    Tensor,
    /// Those of the same position of an axis.
    Axis {
        /// The axis.
        axis: usize,
    },
    /// Runs of `block` along an axis.
    Block {
        /// The axis.
        axis: usize,
        /// Elements a block.
        block: i64,
    },
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From real to quantised numbers.
    Quantize {
        /// Whether 8-bit floats stop at their greatest number.
        saturate: bool,
        /// The dtype that the quotient is rounded to.
        #[serde(with = "crate::ir::dtype_text")]
        precision: DType,
    },
    /// From quantised to real numbers.
    Dequantize,
}

/// Inputs: x, scale, zero point (optional; shaped as the scale).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantize {
    /// Which elements share a scale.
    pub granularity: Granularity,
    /// Which way.
    pub direction: Direction,
    /// The dtype of the result.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
    /// Not folded until the pass that makes integer products of dequantised operands has seen it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl Quantize {
    /// Checks the shapes of scale and zero point.
    fn check(&self, cx: &mut Infer<'_>, shape: &[Dim]) -> Result<(), OpError> {
        let scales = cx.shape(1)?;
        let one = cx.int(1);
        let what = "the scale's dim and that of what it scales";
        match self.granularity {
            Granularity::Tensor => {
                let count = cx.dims.product(&scales);
                cx.require_equal(count, one, what);
            }
            Granularity::Axis { axis } => {
                cx.require_equal(shape[axis], scales[0], what);
            }
            Granularity::Block { axis, block } => {
                for (i, (&d, &s)) in shape.iter().zip(&scales).enumerate() {
                    let blocks = if i == axis { cx.dims.ceil_div(d, cx.int(block)) } else { d };
                    cx.require_equal(blocks, s, what);
                }
            }
        }
        if cx.has(2) {
            let (zeros, scales) = (cx.shape(2)?, cx.dims.product(&scales));
            let zeros = cx.dims.product(&zeros);
            cx.require_equal(scales, zeros, "the counts of scales and zero points");
        }
        Ok(())
    }
}

impl Operator for Quantize {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        self.check(cx, &shape)?;
        let quantised = if self.direction == Direction::Dequantize { cx.dtype(0)? } else { self.dtype };
        if cx.has(2) && cx.dtype(2)? != quantised {
            return Err(OpError::invalid(format!("the zero point must be of the quantised dtype, {quantised}")));
        }
        Ok(vec![Fact::tensor(self.dtype, shape)])
    }

    fn folds(&self) -> bool {
        !self.held
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let granularity = match self.granularity {
            Granularity::Tensor => Granularity::Tensor,
            Granularity::Axis { axis } => Granularity::Axis { axis: perm.iter().position(|&p| p == axis)? },
            Granularity::Block { .. } => return None,
        };
        Some((Self { granularity, ..self.clone() }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let dims = cx.dims();
        let (x, scale) = (cx.input(0)?, cx.input(1)?);
        let scale = cx.converted(scale, DType::F32)?;
        let zero = if cx.has(2) { Arg::Present(Box::new(cx.input(2)?.read())) } else { Arg::Absent };
        let (name, axis, block) = match self.granularity {
            Granularity::Tensor => ("Tensor", None, 0),
            Granularity::Axis { axis } => ("Axis", Some(axis), 0),
            Granularity::Block { axis, block } => ("Block", Some(axis), block),
        };
        let whole = || [dims.int(1), dims.product(&x.shape), dims.int(1)].map(Arg::Usize).to_vec();
        let sizes = axis.map_or_else(whole, |axis| around_args(&dims, &x.shape, axis));
        let tail = sizes.into_iter().chain([Arg::Variant("quantize::Granularity", name), Arg::Usize(dims.int(block))]);
        match self.direction {
            Direction::Quantize { saturate, precision } => {
                let x = cx.converted(x, DType::F32)?;
                let out = cx.output(0)?;
                let args = [Arg::Cx, out.write(), x.read(), scale.read(), zero].into_iter().chain(tail);
                cx.call(
                    crate::kernel!(quantize::quantize_linear(_, _, _, _, _, _, _, _, _, _, _, _) for quantized(self.dtype)),
                    args.chain([Arg::Bool(saturate), Arg::DType(precision)]).collect(),
                )
            }
            Direction::Dequantize => {
                let out = cx.output(0)?;
                let y: Operand = if out.dtype == DType::F32 { out.clone() } else { cx.temp(DType::F32, &out.shape) };
                let args = [Arg::Cx, y.write(), x.read(), scale.read(), zero].into_iter().chain(tail).collect();
                cx.call(crate::kernel!(quantize::dequantize_linear(_, _, _, _, _, _, _, _, _, _) for quantized(x.dtype)), args)?;
                if out.dtype == DType::F32 { Ok(()) } else { cast::call(cx, &out, &y, true) }
            }
        }
    }
}
