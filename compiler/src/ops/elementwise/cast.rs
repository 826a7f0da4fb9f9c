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

crate::param_enum!(cast::Round { Up, Down, Nearest });

/// One row a target: dtype, kernel, and whether it is told to saturate.
macro_rules! targets {
    ($from:expr, $to:expr; $($dtype:ident $kernel:ident ($($arg:tt),*),)*) => {
        match $to {
            $(DType::$dtype => crate::kernel!(cast::$kernel($($arg),*) for source($from)),)*
            _ => None,
        }
    };
}

fn call_with(cx: &mut Lower<'_>, out: &Operand, x: &Operand, saturate: bool, round_mode: &str) -> Result<(), OpError> {
    let mut args = vec![out.write(), x.read()];
    if matches!(out.dtype, DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ | DType::F8E8M0) {
        args.push(Arg::Bool(saturate));
    }
    if out.dtype == DType::F8E8M0 {
        let round = match round_mode {
            "up" => "Up",
            "down" => "Down",
            "nearest" => "Nearest",
            other => return Err(OpError::invalid(format!("round_mode is `{other}`"))),
        };
        args.push(Arg::Variant("cast::Round", round));
    }
    cx.call(kernel(x.dtype, out.dtype), args)
}

fn kernel(from: DType, to: DType) -> Option<Kernel> {
    match (from, to) {
        (DType::String, DType::String) => crate::kernel!(copy::copy(_, _) for any(from)),
        (DType::String, _) => crate::kernel!(cast::from_strings(_, _) for source(to)),
        (_, DType::String) => crate::kernel!(cast::to_strings(_, _) for source(from)),
        _ => targets! { from, to;
            F32 to_f32(_, _), F64 to_f64(_, _), F16 to_f16(_, _), BF16 to_bf16(_, _), F8E4M3FN to_f8e4m3fn(_, _, _),
            F8E4M3FNUZ to_f8e4m3fnuz(_, _, _), F8E5M2 to_f8e5m2(_, _, _), F8E5M2FNUZ to_f8e5m2fnuz(_, _, _), F8E8M0 to_f8e8m0(_, _, _, _),
            F4E2M1 to_f4e2m1(_, _), I8 to_i8(_, _), I16 to_i16(_, _), I32 to_i32(_, _), I64 to_i64(_, _), U8 to_u8(_, _), U16 to_u16(_, _),
            U32 to_u32(_, _), U64 to_u64(_, _), I4 to_i4(_, _), U4 to_u4(_, _), I2 to_i2(_, _), U2 to_u2(_, _), Bool to_bool(_, _),
        },
    }
}
