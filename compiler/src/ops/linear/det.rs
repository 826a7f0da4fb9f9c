//! `Det`: determinants.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Det`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    cx.add(Det, &[x]).map(|v| vec![v])
}

/// The determinant of each square matrix of the last two axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Det;

impl Operator for Det {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let [batch @ .., rows, columns] = shape.as_slice() else { return Err(OpError::invalid("the input must have rank 2 or more")) };
        cx.require_equal(*rows, *columns, "the rows and columns of a square matrix");
        Ok(vec![Fact::tensor(cx.dtype(0)?, batch.to_vec())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let n = *x.shape.last().ok_or_else(|| OpError::invalid("the input must have rank 2 or more"))?;
        let scratch = cx.temp(DType::F64, &[n, n]);
        let out = cx.output(0)?;
        cx.call(crate::kernel!(det::det(_, _, _, _) for float(x.dtype)), vec![out.write(), scratch.write(), x.read(), Arg::Usize(n)])
    }
}
