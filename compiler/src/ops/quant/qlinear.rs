//! com.microsoft's operators on quantised tensors that are functions of real numbers between two quantisations.
//!
//! `QLinearAdd` and its kin are what they say: real numbers of the operands, the function, and the result quantised. Eight bits are few enough
//! that this is what tables of the function give too.

use super::linear::{Direction, Granularity, Quantize};
use super::requantize::Requantize;
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::elementwise::parametric::{Parametric, ParametricFn};
use crate::ops::elementwise::unary::Unary;
use crate::ops::elementwise::where_::Where;
use crate::ops::infer::resolve_axis;
use crate::ops::nn::pool;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::program::formula::Unary as F;

/// The real numbers of a quantised tensor.
fn real(cx: &mut Parse<'_>, x: ValueId, scale: ValueId, zero: Option<ValueId>) -> Result<ValueId, OpError> {
    let op = Quantize { granularity: Granularity::Tensor, direction: Direction::Dequantize, dtype: DType::F32, held: false };
    cx.add_n(op, &[Some(x), Some(scale), zero]).map(|v| v[0])
}

/// Real numbers quantised to that dtype.
fn quantised(cx: &mut Parse<'_>, y: ValueId, scale: ValueId, zero: Option<ValueId>, dtype: DType) -> Result<ValueId, OpError> {
    let direction = Direction::Quantize { saturate: true, precision: DType::F32 };
    cx.add_n(Quantize { granularity: Granularity::Tensor, direction, dtype, held: false }, &[Some(y), Some(scale), zero]).map(|v| v[0])
}

/// The real numbers of the operand that inputs `i`, `i + 1` (scale) and `i + 2` (zero point) are.
fn operand(cx: &mut Parse<'_>, i: usize) -> Result<ValueId, OpError> {
    let (x, scale, zero) = (cx.input(i)?, cx.input(i + 1)?, cx.opt_input(i + 2)?);
    real(cx, x, scale, zero)
}

/// The result, with scale and zero point from inputs `i` and `i + 1` and the dtype of input 0.
fn result(cx: &mut Parse<'_>, y: ValueId, i: usize) -> Result<Vec<ValueId>, OpError> {
    let (x, scale, zero) = (cx.input(0)?, cx.input(i)?, cx.opt_input(i + 1)?);
    let dtype = cx.dtype(x)?;
    quantised(cx, y, scale, zero, dtype).map(|v| vec![v])
}

/// The result of numbers in units of its scale, with the zero point of input `i` and the dtype of input 0. Here ONNX Runtime rounds what the zero
/// point is part of already, so that of two numbers equally near the even one is taken with it.
fn with_zero(cx: &mut Parse<'_>, mut y: ValueId, i: usize) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    if let Some(zero) = cx.opt_input(i)? {
        let zero = cast::to(cx, zero, DType::F32)?;
        y = cx.add(Binary { f: BinaryFn::Add }, &[y, zero])?;
    }
    let (one, none) = (cx.scalar(DType::F32, 1.0)?, cx.scalar(dtype, 0.0)?);
    quantised(cx, y, one, Some(none), dtype).map(|v| vec![v])
}

/// com.microsoft `QLinearAdd` and `QLinearMul`: inputs a, its scale and zero point, b, its, and those of the result.
pub fn parse_binary(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = ([cx.input(0)?, cx.input(1)?], [cx.input(3)?, cx.input(4)?]);
    let (a_zero, b_zero, scale) = (cx.opt_input(2)?, cx.opt_input(5)?, cx.input(6)?);
    let y = if cx.op_type() == "QLinearAdd" {
        let ratios = [a[1], b[1]].map(|s| cx.add(Binary { f: BinaryFn::Div }, &[s, scale]));
        let [a_ratio, b_ratio] = ratios;
        let (a, b) = (real(cx, a[0], a_ratio?, a_zero)?, real(cx, b[0], b_ratio?, b_zero)?);
        cx.add(Binary { f: BinaryFn::Add }, &[a, b])?
    } else {
        let both = cx.add(Binary { f: BinaryFn::Mul }, &[a[1], b[1]])?;
        let (ratio, one) = (cx.add(Binary { f: BinaryFn::Div }, &[both, scale])?, cx.scalar(DType::F32, 1.0)?);
        let (a, b) = (real(cx, a[0], one, a_zero)?, real(cx, b[0], one, b_zero)?);
        let product = cx.add(Binary { f: BinaryFn::Mul }, &[a, b])?;
        cx.add(Binary { f: BinaryFn::Mul }, &[product, ratio])?
    };
    with_zero(cx, y, 7)
}

/// com.microsoft `QLinearWhere`: inputs the condition, x, its scale and zero point, y, its, and those of the result.
pub fn parse_where(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (condition, x, scale, zero) = (cx.input(0)?, cx.input(1)?, cx.input(7)?, cx.opt_input(8)?);
    let dtype = cx.dtype(x)?;
    let (x, y) = (operand(cx, 1)?, operand(cx, 4)?);
    let z = cx.add(Where, &[condition, x, y])?;
    quantised(cx, z, scale, zero, dtype).map(|v| vec![v])
}

/// com.microsoft `QLinearSigmoid` and `QLinearLeakyRelu`: inputs x, its scale and zero point, and those of the result.
pub fn parse_unary(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = operand(cx, 0)?;
    let y = if cx.op_type() == "QLinearSigmoid" {
        cx.add(Unary { f: F::Sigmoid }, &[x])?
    } else {
        let alpha = cx.float("alpha", 0.01)?;
        cx.add(Parametric { f: ParametricFn::LeakyRelu, alpha, beta: 0.0 }, &[x])?
    };
    result(cx, y, 3)
}

/// com.microsoft `QLinearSoftmax`; its attribute `opset` says which standard's axes are meant.
pub fn parse_softmax(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = operand(cx, 0)?;
    let rank = cx.rank(x)?;
    let axis = resolve_axis(cx.int("axis", -1)?, rank)?;
    let to_end = cx.int("opset", 13)? < 13 && axis + 1 < rank;
    let y = cx.add(Softmax { kind: Kind::Softmax, axis, to_end }, &[x])?;
    result(cx, y, 3)
}

/// com.microsoft `QLinearConcat`: inputs scale and zero point of the result, then each tensor with its own. A tensor with those of the result
/// stays as it is.
pub fn parse_concat(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (scale, zero) = (cx.input(0)?, cx.input(1)?);
    let count = cx.input_count();
    if count < 5 || count % 3 != 2 {
        return Err(OpError::invalid(format!("{count} inputs are given; two and three for each tensor are needed")));
    }
    let first = cx.input(2)?;
    let axis = resolve_axis(cx.opt_int("axis")?.ok_or_else(|| OpError::invalid("the attribute `axis` is missing"))?, cx.rank(first)?)?;
    let dtype = cx.dtype(zero)?;
    let mut parts = Vec::new();
    for i in (2..count).step_by(3) {
        let (x, own_scale, own_zero) = (cx.input(i)?, cx.input(i + 1)?, cx.input(i + 2)?);
        let mut same = |a: ValueId, b: ValueId| a == b || (cx.constant_of(a).is_some() && bits(cx, a) == bits(cx, b));
        parts.push(if same(scale, own_scale) && same(zero, own_zero) {
            x
        } else {
            let x = real(cx, x, own_scale, Some(own_zero))?;
            quantised(cx, x, scale, Some(zero), dtype)?
        });
    }
    cx.add(Concat { axis }, &parts).map(|v| vec![v])
}

/// The elements of a constant.
fn bits(cx: &mut Parse<'_>, value: ValueId) -> Option<(DType, Vec<u8>)> {
    cx.constant_of(value).map(|t| (t.dtype, t.bytes().to_vec()))
}

/// com.microsoft `QLinearAveragePool`: inputs x, its scale and zero point, and those of the result.
pub fn parse_average_pool(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut x = operand(cx, 0)?;
    let rank = cx.rank(x)?;
    let last = cx.flag("channels_last", false)? && rank > 2;
    if last {
        let perm = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        x = cx.add(Transpose { perm }, &[x])?;
    }
    let mut y = pool::average(cx, x)?;
    if last {
        let perm = [0].into_iter().chain(2..rank).chain([1]).collect();
        y = cx.add(Transpose { perm }, &[y])?;
    }
    let scale = cx.input(3)?;
    let y = cx.add(Binary { f: BinaryFn::Div }, &[y, scale])?;
    with_zero(cx, y, 4)
}

/// com.microsoft `QLinearGlobalAveragePool`: the sums are exact where the number of pixels is known.
pub fn parse_global_average_pool(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, scale, zero) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (shape, dims) = (cx.shape(x)?, cx.dims());
    let rank = shape.len().max(2);
    let axes: Vec<usize> = if cx.flag("channels_last", false)? { (1..rank - 1).collect() } else { (2..rank).collect() };
    let count = axes.iter().try_fold(1i64, |n, &a| dims.value(shape[a]).and_then(|d| n.checked_mul(d)));
    let Some(count) = count.filter(|&n| n > 0 && n < 1 << 20) else {
        let x = real(cx, x, scale, Some(zero))?;
        let y = cx.add(Reduce::over(ReduceFn::Mean, &axes, true), &[x])?;
        return result(cx, y, 3);
    };
    let (wide, wide_zero) = (cast::to(cx, x, DType::I32)?, cast::to(cx, zero, DType::I32)?);
    let sums = cx.add(Reduce::over(ReduceFn::Sum, &axes, true), &[wide])?;
    let pixels = cx.scalar(DType::I32, count as f64)?;
    let zeros = cx.add(Binary { f: BinaryFn::Mul }, &[wide_zero, pixels])?;
    let sums = cx.add(Binary { f: BinaryFn::Sub }, &[sums, zeros])?;
    let share = cx.scalar(DType::F32, 1.0 / count as f64)?;
    let (dtype, to_scale, to_zero) = (cx.dtype(x)?, cx.input(3)?, cx.opt_input(4)?);
    cx.add_n(Requantize { dtype, rows: None, by_column: false }, &[Some(sums), Some(scale), Some(share), Some(to_scale), to_zero, None])
}
