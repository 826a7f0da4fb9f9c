//! `BitCast`: the same bits as elements of another dtype.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::{Infer, OpError, Operator};
use crate::program::kernel::Kernel;
use serde::{Deserialize, Serialize};

/// ONNX `BitCast` (opset 26).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let to = cx.dtype_attribute("to")?.ok_or_else(|| OpError::invalid("the attribute `to` is missing"))?;
    let x = cx.input(0)?;
    let from = cx.dtype(x)?;
    if from == to {
        return Ok(vec![x]);
    }
    match (bits(from), bits(to)) {
        (Some(a), Some(b)) if a == b => {}
        _ => return Err(OpError::invalid(format!("{from} and {to} have not the same width"))),
    }
    if from.is_int() && to.is_int() {
        // Wrapping keeps the bits, also of the integers that take a whole byte in memory and have fewer.
        return cast::to(cx, x, to).map(|v| vec![v]);
    }
    cx.add(BitCast { to }, &[x]).map(|v| vec![v])
}

/// The width of an element as the standard has it.
fn bits(dtype: DType) -> Option<usize> {
    match dtype {
        DType::String => None,
        DType::I4 | DType::U4 | DType::F4E2M1 => Some(4),
        DType::I2 | DType::U2 => Some(2),
        other => Some(other.size() * 8),
    }
}

/// The bits of each element as one of the dtype `to`, which has the same width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BitCast {
    /// The new dtype.
    #[serde(with = "crate::ir::dtype_text")]
    pub to: DType,
}

macro_rules! targets {
    ($from:expr, $to:expr; $($dtype:ident $kernel:ident,)*) => {
        match $to {
            $(DType::$dtype => crate::kernel!(bits::$kernel(_, _) for bits($from)),)*
            _ => None,
        }
    };
}

fn kernel(from: DType, to: DType) -> Option<Kernel> {
    targets! { from, to;
        F32 to_f32, F64 to_f64, F16 to_f16, BF16 to_bf16, F8E4M3FN to_f8e4m3fn, F8E4M3FNUZ to_f8e4m3fnuz, F8E5M2 to_f8e5m2,
        F8E5M2FNUZ to_f8e5m2fnuz, F8E8M0 to_f8e8m0, I8 to_i8, I16 to_i16, I32 to_i32, I64 to_i64, U8 to_u8, U16 to_u16, U32 to_u32, U64 to_u64,
        Bool to_bool, C64 to_c64, F4E2M1 to_f4e2m1, I4 to_i4, U4 to_u4,
    }
}

impl Operator for BitCast {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![Fact::tensor(self.to, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        cx.call(kernel(x.dtype, self.to), vec![out.write(), x.read()])
    }
}
