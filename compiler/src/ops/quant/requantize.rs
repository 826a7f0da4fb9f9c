//! The last step of quantised products: i32 sums to the dtype of the result.

use crate::ir::{DType, Dim, Fact};
use crate::lower::Lower;
use crate::ops::reduce::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// `saturate(round((sum + bias) * row_scale * column_scale / scale) + zero)`. Inputs: the sums (i32), the scales of rows and of columns (one or
/// one each), the result's scale and zero point (one, or one a row), and the bias by row (i32, optional).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requantize {
    /// The dtype of the result.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
    /// The axis of the rows; all later ones are columns. `None`: one row.
    pub rows: Option<usize>,
}

impl Requantize {
    /// Rows and columns of a shape, and what is before them.
    fn sizes(&self, dims: &crate::ir::Dims, shape: &[Dim]) -> [Dim; 3] {
        self.rows.map_or_else(|| [dims.int(1), dims.int(1), dims.product(shape)], |axis| around(dims, shape, axis))
    }
}

impl Operator for Requantize {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let [_, rows, columns] = self.sizes(cx.dims, &shape);
        let one = cx.int(1);
        for (i, lines) in [(1, rows), (2, columns), (3, rows), (4, rows), (5, rows)] {
            if cx.has(i) {
                let given = cx.shape(i)?;
                let count = cx.dims.product(&given);
                if i == 5 || cx.dims.value(count).is_some_and(|c| c != 1) {
                    cx.require_equal(count, lines, "the rows or columns and their scales");
                } else if count != one {
                    // One for all or one each: only the run tells.
                    cx.require_broadcast(count, lines);
                }
            }
        }
        Ok(vec![Fact::tensor(self.dtype, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let sums = cx.input(0)?;
        let out = cx.output(0)?;
        let mut scales = Vec::new();
        for i in 1..4 {
            let scale = cx.input(i)?;
            scales.push(cx.converted(scale, DType::F32)?.read());
        }
        let given =
            |i: usize| -> Result<Arg, OpError> { Ok(if cx.has(i) { Arg::Present(Box::new(cx.input(i)?.read())) } else { Arg::Absent }) };
        let (zero, bias) = (given(4)?, given(5)?);
        let sizes = self.sizes(&cx.dims(), &sums.shape).map(Arg::Usize);
        let args = [Arg::Cx, out.write(), sums.read(), bias].into_iter().chain(scales).chain([zero]).chain(sizes).collect();
        cx.call(crate::kernel!(quantize::requantize(_, _, _, _, _, _, _, _, _, _, _) for quantized(self.dtype)), args)
    }
}
