//! i32 sums of quantised products as real numbers, or quantised again at once: what fusion makes of a dequantised product.

use super::pairs::optional;
use crate::ir::{DType, Fact};
use crate::lower::Lower;
use crate::ops::reduce::around;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// `y = max(sum * factor + bias, low)`, and if `dtype` is not f32 `saturate(round(y / scale) + zero)`. Inputs: the sums (i32), the factors and
/// (optional) the biases, f32, one or one for each position of `axis`; then the scale (f32) and (optional) the zero point, one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescale {
    /// The axis of factors and biases.
    pub axis: usize,
    /// Whether `low` is 0; else there is no lower bound.
    pub relu: bool,
    /// The dtype of the result.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
}

impl Operator for Rescale {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let (lines, one) = (*shape.get(self.axis).ok_or_else(|| OpError::invalid("the axis is not one of the sums'"))?, cx.int(1));
        for i in 1..5 {
            if cx.has(i) {
                let given = cx.shape(i)?;
                let count = cx.dims.product(&given);
                if count != one {
                    let needed = if i < 3 { lines } else { one };
                    cx.require_equal(count, needed, "the factors or biases and what they are for");
                }
            }
        }
        Ok(vec![Fact::tensor(self.dtype, shape)])
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let axis = perm.iter().position(|&p| p == self.axis)?;
        Some((Self { axis, ..self.clone() }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (sums, factors) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let [_, rows, columns] = around(&cx.dims(), &sums.shape, self.axis).map(Arg::Usize);
        let low = Arg::F32(if self.relu { 0.0 } else { f32::NEG_INFINITY });
        let head = [Arg::Cx, out.write(), sums.read(), factors.read(), optional(cx, 2)?];
        if self.dtype == DType::F32 {
            let args = head.into_iter().chain([rows, columns, low]).collect();
            return cx.call(crate::kernel!(rescale::rescale(_, _, _, _, _, _, _, _)), args);
        }
        let args = head.into_iter().chain([cx.input(3)?.read(), optional(cx, 4)?, rows, columns, low]).collect();
        cx.call(crate::kernel!(rescale::rescale_quantized(_, _, _, _, _, _, _, _, _, _) for quantized(self.dtype)), args)
    }
}
