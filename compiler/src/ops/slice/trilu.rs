//! `Trilu`: the upper or lower triangle of matrices.

use super::read_ints;
use crate::import::Parse;
use crate::ir::{Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Trilu`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let upper = cx.flag("upper", true)?;
    let (x, k) = (cx.input(0)?, cx.opt_input(1)?);
    cx.add_n(Trilu { upper }, &[Some(x), k])
}

/// Input 0 with zeros below (above) the k-th diagonal of each matrix; k is input 1, one element (optional: 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trilu {
    /// Keeps what is above the diagonal, else what is below.
    upper: bool,
}

impl Operator for Trilu {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        if shape.len() < 2 {
            return Err(OpError::invalid(format!("a matrix is needed, the rank is {}", shape.len())));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let k = if cx.has(1) { read_ints(cx, 1, 1)?[0] } else { cx.int(0) };
        let out = cx.output(0)?;
        let rank = x.shape.len();
        cx.call(
            crate::kernel!(generate::trilu(_, _, _, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), Arg::Usize(x.shape[rank - 2]), Arg::Usize(x.shape[rank - 1]), Arg::I64(k), Arg::Bool(self.upper)],
        )
    }
}
