//! Euclidean distances between all rows of two tables: under `CDist` and the radial kernels of support vector machines.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::unary::Unary;
use crate::ops::shape::transpose::Transpose;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Unary as F;
use serde::{Deserialize, Serialize};

/// com.microsoft `CDist`: the distance of each row of input 0 and each row of input 1.
pub fn parse_cdist(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let squares = squared(cx, a, b)?;
    match cx.string("metric", "sqeuclidean")?.as_str() {
        "sqeuclidean" => Ok(vec![squares]),
        "euclidean" => cx.add(Unary { f: F::Sqrt }, &[squares]).map(|v| vec![v]),
        other => Err(OpError::invalid(format!("the metric is `{other}`"))),
    }
}

/// The squared distance of each row of `a` (m rows) and each row of `b` (n rows): m × n.
pub(crate) fn squared(cx: &mut Parse<'_>, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    let columns = cx.add(Transpose { perm: vec![1, 0] }, &[b])?;
    cx.add(Distance, &[a, columns])
}

/// Inputs: a table of m rows, and the other of n rows transposed, so that vectors run over its rows. The sums are of squared differences, not
/// by the binomial formula, which loses what near points differ in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distance;

impl Operator for Distance {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (&[m, k], &[other, n]) = (cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice()) else {
            return Err(OpError::invalid("two tables of rows are needed"));
        };
        if cx.dtype(0)? != cx.dtype(1)? {
            return Err(OpError::invalid("the two tables have different dtypes"));
        }
        cx.require_equal(k, other, "the number of features of the two tables");
        Ok(vec![Fact::tensor(cx.dtype(0)?, vec![m, n])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (a, b) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let args = vec![Arg::Cx, out.write(), a.read(), b.read(), Arg::Usize(a.shape[0]), Arg::Usize(b.shape[0]), Arg::Usize(b.shape[1])];
        match a.dtype {
            DType::F32 | DType::F64 => cx.call(crate::kernel!(ml::distance::squared(_, _, _, _, _, _, _) for real(a.dtype)), args),
            other => Err(OpError::unsupported(format!("distances of dtype {other}"))),
        }
    }
}
