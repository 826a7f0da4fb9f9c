//! The last step of quantised products: i32 sums to the dtype of the result.

use super::pairs::optional;
use crate::ir::{DType, Dim, Dims, Fact, Tensor};
use crate::lower::{Lower, Operand};
use crate::ops::reduce::around;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::requantize::requantize_factors;
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
    /// Whether columns may have scales of their own.
    pub by_column: bool,
}

/// Sums seen as lines, each with one factor: so many, each so long.
struct Lines {
    count: Dim,
    len: Dim,
}

impl Requantize {
    /// Rows and columns of a shape, and what is before them.
    fn sizes(&self, dims: &Dims, shape: &[Dim]) -> [Dim; 3] {
        self.rows.map_or_else(|| [dims.int(1), dims.int(1), dims.product(shape)], |axis| around(dims, shape, axis))
    }

    /// The lines, if scales differ along one axis at most and there is one zero point.
    fn lines(&self, cx: &mut Lower<'_>, shape: &[Dim]) -> Result<Option<Lines>, OpError> {
        let dims = cx.dims();
        let one = dims.int(1);
        let mut single = [true; 5];
        for (i, single) in single.iter_mut().enumerate().skip(1) {
            *single = !cx.has(i) || dims.product(&cx.input(i)?.shape) == one;
        }
        let [_, rows, columns] = self.sizes(&dims, shape);
        Ok(match single {
            [_, _, true, _, true] => Some(Lines { count: rows, len: columns }),
            // Without a bias, which goes by row, columns may be the lines.
            [_, true, false, true, true] if !cx.has(5) => Some(Lines { count: columns, len: one }),
            _ => None,
        })
    }

    /// The factor of each line: computed now if the scales are constants, else by a step.
    fn factors(cx: &mut Lower<'_>, lines: &Lines) -> Result<Operand, OpError> {
        let constant = |cx: &Lower<'_>, i: usize| cx.constant(i).and_then(Tensor::to_vec::<f32>);
        let count = cx.dims().value(lines.count).and_then(|v| usize::try_from(v).ok());
        if let (Some(rows), Some(columns), Some(over), Some(count)) = (constant(cx, 1), constant(cx, 2), constant(cx, 3), count) {
            let mut factors = vec![0f32; count];
            requantize_factors(&mut factors, &rows, &columns, &over).map_err(|f| OpError::invalid(f.to_string()))?;
            return Ok(cx.weight("factors", Tensor::vector(&factors)));
        }
        let factors = cx.temp(DType::F32, &[lines.count]);
        let mut args = vec![factors.write()];
        for i in 1..4 {
            let scale = cx.input(i)?;
            args.push(cx.converted(scale, DType::F32)?.read());
        }
        cx.call(crate::kernel!(requantize::requantize_factors(_, _, _, _)), args)?;
        Ok(factors)
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

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        // Columns with scales of their own must stay in order.
        let rows = self.rows.map(|axis| perm.iter().position(|&p| p == axis).ok_or(())).transpose().ok()?;
        (!self.by_column).then(|| (Self { rows, ..self.clone() }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let sums = cx.input(0)?;
        let out = cx.output(0)?;
        let (zero, bias) = (optional(cx, 4)?, optional(cx, 5)?);
        if let Some(lines) = self.lines(cx, &sums.shape)? {
            let factors = Self::factors(cx, &lines)?;
            let args = vec![Arg::Cx, out.write(), sums.read(), bias, factors.read(), zero, Arg::Usize(lines.len)];
            return cx.call(crate::kernel!(requantize::requantize_lines(_, _, _, _, _, _, _) for quantized(self.dtype)), args);
        }
        let mut scales = Vec::new();
        for i in 1..4 {
            let scale = cx.input(i)?;
            scales.push(cx.converted(scale, DType::F32)?.read());
        }
        let sizes = self.sizes(&cx.dims(), &sums.shape).map(Arg::Usize);
        let args = [out.write(), sums.read(), bias].into_iter().chain(scales).chain([zero]).chain(sizes).collect();
        cx.call(crate::kernel!(requantize::requantize(_, _, _, _, _, _, _, _, _, _) for quantized(self.dtype)), args)
    }
}
