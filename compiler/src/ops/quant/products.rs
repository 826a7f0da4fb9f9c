//! com.microsoft's products of quantised matrices: `QGemm`, `MatMulInteger16`, `MatMulIntegerToFloat`, `DynamicQuantizeMatMul`.

use super::dynamic::DynamicQuantize;
use super::matmul::IntegerMatMul;
use super::requantize::Requantize;
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::linear::matmul::MatMul;
use crate::ops::shape::transpose::Transpose;

fn pair(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// Exact sums as real numbers: times both scales (of b perhaps one a column), plus the bias.
pub(crate) fn to_real(
    cx: &mut Parse<'_>,
    sums: ValueId,
    a_scale: ValueId,
    b_scale: ValueId,
    bias: Option<ValueId>,
) -> Result<ValueId, OpError> {
    let real = cast::to(cx, sums, DType::F32)?;
    let scale = pair(cx, BinaryFn::Mul, a_scale, b_scale)?;
    let scaled = pair(cx, BinaryFn::Mul, real, scale)?;
    bias.map_or(Ok(scaled), |bias| pair(cx, BinaryFn::Add, scaled, bias))
}

/// com.microsoft `QGemm`: inputs a, its scale and zero point, b, its (perhaps one a column), c (i32, in units of both scales), and the scale and
/// the zero point of the result, without which it is float.
pub fn parse_gemm(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let alpha = cx.float("alpha", 1.0)?;
    let mut operands = Vec::new();
    for (i, transposed) in [(0, "transA"), (3, "transB")] {
        let x = cx.input(i)?;
        operands.push(if cx.flag(transposed, false)? { cx.add(Transpose { perm: vec![1, 0] }, &[x])? } else { x });
    }
    let (mut a_scale, b_scale) = (cx.input(1)?, cx.input(4)?);
    let (a_zero, b_zero) = (cx.opt_input(2)?, cx.opt_input(5)?);
    let mut sums = cx.add_n(IntegerMatMul, &[Some(operands[0]), Some(operands[1]), a_zero, b_zero])?[0];
    if let Some(c) = cx.opt_input(6)? {
        sums = pair(cx, BinaryFn::Add, sums, c)?;
    }
    if alpha != 1.0 {
        let alpha = cx.scalar(DType::F32, f64::from(alpha))?;
        a_scale = pair(cx, BinaryFn::Mul, a_scale, alpha)?;
    }
    let Some(scale) = cx.opt_input(7)? else {
        return to_real(cx, sums, a_scale, b_scale, None).map(|v| vec![v]);
    };
    let zero = cx.opt_input(8)?;
    let dtype = match zero {
        Some(zero) => cx.dtype(zero)?,
        None => cx.dtype(operands[0])?,
    };
    cx.add_n(Requantize { dtype, rows: Some(0), by_column: true }, &[Some(sums), Some(a_scale), Some(b_scale), Some(scale), zero, None])
}

/// com.microsoft `MatMulInteger16`: 16-bit matrices, sums in 32 bits.
pub fn parse_wide(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let to = if cx.dtype(a)? == DType::U16 { DType::U32 } else { DType::I32 };
    let (a, b) = (cast::to(cx, a, to)?, cast::to(cx, b, to)?);
    cx.add(MatMul::default(), &[a, b]).map(|v| vec![v])
}

/// com.microsoft `MatMulIntegerToFloat`: inputs a, b, their scales, their zero points, a bias.
pub fn parse_to_float(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), cx.opt_input(4)?, cx.opt_input(5)?];
    let sums = cx.add_n(IntegerMatMul, &inputs)?[0];
    let (a_scale, b_scale, bias) = (cx.input(2)?, cx.input(3)?, cx.opt_input(6)?);
    to_real(cx, sums, a_scale, b_scale, bias).map(|v| vec![v])
}

/// com.microsoft `DynamicQuantizeMatMul`: inputs a (real), b, its scale and zero point, a bias.
pub fn parse_dynamic(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b, scale) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (zero, bias) = (cx.opt_input(3)?, cx.opt_input(4)?);
    product(cx, a, b, scale, zero, bias).map(|v| vec![v])
}

/// A real matrix, quantised as a whole, times a quantised one.
pub(crate) fn product(
    cx: &mut Parse<'_>,
    a: ValueId,
    b: ValueId,
    scale: ValueId,
    zero: Option<ValueId>,
    bias: Option<ValueId>,
) -> Result<ValueId, OpError> {
    let quantised = cx.add_n(DynamicQuantize, &[Some(a)])?;
    let &[a, a_scale, a_zero] = quantised.as_slice() else { return Err(OpError::invalid("internal error: three outputs")) };
    let sums = cx.add_n(IntegerMatMul, &[Some(a), Some(b), Some(a_zero), zero])?[0];
    to_real(cx, sums, a_scale, scale, bias)
}
