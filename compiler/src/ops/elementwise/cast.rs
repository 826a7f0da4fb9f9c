//! `Cast` and `CastLike`: elements of another dtype.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use crate::program::kernel::Kernel;
use serde::{Deserialize, Serialize};

/// ONNX `Cast`: `to` is a string before opset 6.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let to = if cx.opset() < 6 {
        let name = cx.string("to", "")?;
        legacy_dtype(&name).ok_or_else(|| OpError::invalid(format!("`{name}` is no data type")))?
    } else {
        cx.dtype_attribute("to")?.ok_or_else(|| OpError::invalid("the attribute `to` is missing"))?
    };
    let x = cx.input(0)?;
    cast(cx, x, to).map(|v| vec![v])
}

/// ONNX `CastLike`.
pub fn parse_like(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, other) = (cx.input(0)?, cx.input(1)?);
    like(cx, x, other).map(|v| vec![v])
}

fn cast(cx: &mut Parse<'_>, x: ValueId, to: DType) -> Result<ValueId, OpError> {
    let saturate = cx.flag("saturate", true)?;
    let round_mode = cx.string("round_mode", "up")?;
    if cx.dtype(x)? == to {
        return Ok(x);
    }
    cx.add(Cast { to, saturate, round_mode }, &[x])
}

/// A value cast to the dtype of another, if it has not that already.
pub fn like(cx: &mut Parse<'_>, x: ValueId, other: ValueId) -> Result<ValueId, OpError> {
    let to = cx.dtype(other)?;
    cast(cx, x, to)
}

/// A value cast to a dtype, if it has not that already.
pub fn to(cx: &mut Parse<'_>, x: ValueId, to: DType) -> Result<ValueId, OpError> {
    if cx.dtype(x)? == to {
        return Ok(x);
    }
    cx.add(Cast { to, saturate: true, round_mode: "up".to_owned() }, &[x])
}

fn legacy_dtype(name: &str) -> Option<DType> {
    Some(match name {
        "FLOAT" => DType::F32,
        "UINT8" => DType::U8,
        "INT8" => DType::I8,
        "UINT16" => DType::U16,
        "INT16" => DType::I16,
        "INT32" => DType::I32,
        "INT64" => DType::I64,
        "BOOL" => DType::Bool,
        "FLOAT16" => DType::F16,
        "DOUBLE" => DType::F64,
        "UINT32" => DType::U32,
        "UINT64" => DType::U64,
        "STRING" => DType::String,
        _ => return None,
    })
}

/// Each element as the dtype `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    /// The new dtype.
    #[serde(with = "crate::ir::dtype_text")]
    pub to: DType,
    /// Whether what is too large for an 8-bit float becomes its largest value (else infinite or NaN).
    pub saturate: bool,
    /// How f8e8m0 rounds: `up`, `down` or `nearest`.
    pub round_mode: String,
}

impl Operator for Cast {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (from, shape) = (cx.dtype(0)?, cx.shape(0)?);
        if let (Some(elements), true) = (cx.elements(0), from.is_int() && matches!(self.to, DType::I64 | DType::I32)) {
            return Ok(vec![Fact::elements(self.to, shape, elements, cx.dims)]);
        }
        Ok(vec![Fact::tensor(self.to, shape)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        call_with(cx, &out, &x, self.saturate, &self.round_mode)
    }
}

/// The step that casts `x` to the dtype of `out`.
pub fn call(cx: &mut Lower<'_>, out: &Operand, x: &Operand, saturate: bool) -> Result<(), OpError> {
    call_with(cx, out, x, saturate, "up")
}

fn call_with(cx: &mut Lower<'_>, out: &Operand, x: &Operand, saturate: bool, round_mode: &str) -> Result<(), OpError> {
    let _ = (saturate, round_mode);
    let kernel: Option<Kernel> = None;
    cx.call(kernel, vec![out.write(), x.read(), Arg::Bool(saturate)])
}
