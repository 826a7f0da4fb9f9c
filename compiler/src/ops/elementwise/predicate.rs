//! Functions of one element that give or take truth values: `Not`, `BitwiseNot`, `IsNaN`, `IsInf`.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Not`, `BitwiseNot`, `IsNaN` and `IsInf`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = match cx.op_type() {
        "Not" => Predicate::Not,
        "BitwiseNot" => Predicate::BitNot,
        "IsNaN" => Predicate::IsNaN,
        _ => Predicate::IsInf { positive: cx.flag("detect_positive", true)?, negative: cx.flag("detect_negative", true)? },
    };
    let x = cx.input(0)?;
    cx.add(op, &[x]).map(|v| vec![v])
}

/// A predicate of each element, or a negation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Predicate {
    /// The other truth value.
    Not,
    /// All bits flipped.
    BitNot,
    /// Whether it is not a number.
    IsNaN,
    /// Whether it is infinite, of the wanted signs.
    IsInf {
        /// Positive infinity counts.
        positive: bool,
        /// Negative infinity counts.
        negative: bool,
    },
}

impl Operator for Predicate {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = if *self == Self::BitNot { cx.dtype(0)? } else { DType::Bool };
        Ok(vec![Fact::tensor(dtype, cx.shape(0)?)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let mut args = vec![out.write(), x.read()];
        match self {
            Self::Not => cx.call(crate::kernel!(elementwise::not(_, _)), args),
            Self::BitNot => {
                args.push(Arg::Variant("elementwise::UnaryOp", "BitNot"));
                cx.call(crate::kernel!(elementwise::unary(_, _, _) for num(x.dtype)), args)
            }
            Self::IsNaN => cx.call(crate::kernel!(elementwise::is_nan(_, _) for extended(x.dtype)), args),
            Self::IsInf { positive, negative } => {
                args.extend([Arg::Bool(*positive), Arg::Bool(*negative)]);
                cx.call(crate::kernel!(elementwise::is_inf(_, _, _, _) for extended(x.dtype)), args)
            }
        }
    }
}
