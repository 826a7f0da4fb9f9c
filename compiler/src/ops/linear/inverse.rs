//! com.microsoft `Inverse`: inverses of matrices.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// com.microsoft `Inverse`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    cx.add(Inverse, &[x]).map(|v| vec![v])
}

/// The inverse of each square matrix of the last two axes; one that has none gives no numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inverse;

impl Operator for Inverse {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let [.., rows, columns] = shape.as_slice() else { return Err(OpError::invalid("the input must have rank 2 or more")) };
        cx.require_equal(*rows, *columns, "the rows and columns of a square matrix");
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let n = *x.shape.last().ok_or_else(|| OpError::invalid("the input must have rank 2 or more"))?;
        let scratch = cx.temp(DType::F64, &[cx.int(2), n, n]);
        let out = cx.output(0)?;
        cx.call(crate::kernel!(det::inverse(_, _, _, _) for float(x.dtype)), vec![out.write(), scratch.write(), x.read(), Arg::Usize(n)])
    }
}
