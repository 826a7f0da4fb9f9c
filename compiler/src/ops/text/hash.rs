//! com.microsoft `MurmurHash3`: a hash of each element.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// com.microsoft `MurmurHash3`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = MurmurHash3 { seed: cx.int("seed", 0)? as u32, positive: cx.flag("positive", true)? };
    let x = cx.input(0)?;
    cx.add(op, &[x]).map(|v| vec![v])
}

/// MurmurHash3 (x86, 32 bits) of the bytes of each element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MurmurHash3 {
    seed: u32,
    /// As u32; else the same bits as i32.
    positive: bool,
}

impl Operator for MurmurHash3 {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = cx.dtype(0)?;
        if dtype != DType::String && !matches!(dtype.size(), 4 | 8) {
            return Err(OpError::invalid(format!("elements of {dtype} have no hash, only strings and what has 4 or 8 bytes")));
        }
        Ok(vec![Fact::tensor(if self.positive { DType::U32 } else { DType::I32 }, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let args = vec![out.write(), x.read(), Arg::I64(cx.int(i64::from(self.seed)))];
        if self.positive {
            cx.call(crate::kernel!(hash::murmur3_u32(_, _, _) for order(x.dtype)), args)
        } else {
            cx.call(crate::kernel!(hash::murmur3_i32(_, _, _) for order(x.dtype)), args)
        }
    }
}
