//! `MatMulInteger` and `QLinearMatMul`: products of 8-bit matrices with zero points, summed exactly in i32.

use super::linear::{Direction, Granularity, Quantize};
use super::pairs::{Filters, optional, widened};
use super::requantize::Requantize;
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, loop_nest};
use crate::ops::linear::matmul::MatMul;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `MatMulInteger`.
pub fn parse_integer(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), cx.opt_input(2)?, cx.opt_input(3)?];
    cx.add_n(IntegerMatMul, &inputs)
}

/// ONNX `QLinearMatMul`: inputs a, its scale and zero point, b, its scale and zero point, the scale and the zero point of the result.
pub fn parse_qlinear(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let all: Vec<ValueId> = (0..8).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    if !cx.dtype(all[0])?.is_int() {
        return parse_floats(cx, &all);
    }
    let products = cx.add(IntegerMatMul, &[all[0], all[3], all[2], all[5]])?;
    let dtype = cx.dtype(all[7])?;
    let rank = cx.rank(products)?;
    let vector = rank == 0 || cx.rank(all[0])? == 1 || cx.rank(all[3])? == 1;
    let rows = if vector { None } else { Some(rank - 2) };
    cx.add_n(Requantize { dtype, rows, by_column: true }, &[Some(products), Some(all[1]), Some(all[4]), Some(all[6]), Some(all[7]), None])
}

/// `QLinearMatMul` of 8-bit floats: the product of the real numbers, quantised.
fn parse_floats(cx: &mut Parse<'_>, all: &[ValueId]) -> Result<Vec<ValueId>, OpError> {
    let one = cx.dims().int(1);
    let mut real = |x: ValueId, scale: ValueId, zero: ValueId, from_end: usize| -> Result<ValueId, OpError> {
        let (rank, scales) = (cx.rank(x)?, cx.shape(scale)?);
        let granularity = match scales.as_slice() {
            [] => Granularity::Tensor,
            [n] if *n == one => Granularity::Tensor,
            [_] if rank > 1 => Granularity::Axis { axis: rank - from_end },
            _ => {
                return Err(OpError::unsupported("QLinearMatMul of 8-bit floats with scales that are neither one nor one a row or column"));
            }
        };
        let inputs = [Some(x), Some(scale), Some(zero)];
        let made = cx.add_n(Quantize { granularity, direction: Direction::Dequantize, dtype: DType::F32, held: false }, &inputs)?;
        made.first().copied().ok_or_else(|| OpError::invalid("the operator has no output"))
    };
    let (a, b) = (real(all[0], all[1], all[2], 2)?, real(all[3], all[4], all[5], 1)?);
    let y = cx.add(MatMul::default(), &[a, b])?;
    let direction = Direction::Quantize { saturate: true, precision: DType::F32 };
    let dtype = cx.dtype(all[7])?;
    cx.add_n(Quantize { granularity: Granularity::Tensor, direction, dtype, held: false }, &[Some(y), Some(all[6]), Some(all[7])])
}

/// `(a - a_zero) · (b - b_zero)` as i32, batched and broadcast as MatMul. Inputs: a, b (i8 or u8), and the zero points (optional; one, one a
/// row of a or column of b, or those for each matrix of the batch).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerMatMul;

/// A matrix operand: its batch dims, rows and columns.
fn matrix(shape: &[Dim], left: bool, one: Dim) -> Result<(Vec<Dim>, Dim, Dim), OpError> {
    match shape {
        [] => Err(OpError::invalid("a scalar cannot be multiplied as a matrix")),
        [k] => Ok(if left { (Vec::new(), one, *k) } else { (Vec::new(), *k, one) }),
        [batch @ .., rows, columns] => Ok((batch.to_vec(), *rows, *columns)),
    }
}

impl Operator for IntegerMatMul {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (a, b, one) = (cx.shape(0)?, cx.shape(1)?, cx.int(1));
        let ((a_batch, m, k), (b_batch, other, n)) = (matrix(&a, true, one)?, matrix(&b, false, one)?);
        cx.require_equal(k, other, "the inner dimensions of the product");
        for (i, of) in [(2, 0), (3, 1)] {
            if cx.has(i) && cx.dtype(i)? != cx.dtype(of)? {
                return Err(OpError::invalid("a zero point must have the dtype of its matrix"));
            }
        }
        let mut shape = cx.broadcast(&[a_batch, b_batch]);
        if a.len() > 1 {
            shape.push(m);
        }
        if b.len() > 1 {
            shape.push(n);
        }
        Ok(vec![Fact::tensor(DType::I32, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (a, b) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let dims = cx.dims();
        let one = dims.int(1);
        let ((a_batch, m, k), (b_batch, _, n)) = (matrix(&a.shape, true, one)?, matrix(&b.shape, false, one)?);
        if dims.product(&b_batch) == one && b_batch.len() <= a_batch.len() && simple_zeros(cx, m, n)? {
            let rows = dims.mul(dims.product(&a_batch), m);
            let wide = widened(cx, &a, 2, rows, one, k)?;
            let packed = Filters { sizes: [one, n, k, one], strides: [one, n, dims.int(0)] }.packed(cx)?;
            let args = vec![Arg::Cx, out.write(), wide.read(), packed.read(), Arg::Usize(rows), Arg::Usize(k), Arg::Usize(n)];
            return cx.call(crate::kernel!(integer::product(_, _, _, _, _, _, _)), args);
        }
        let batch = &out.shape[..a_batch.len().max(b_batch.len())];
        let (batch, strides) = loop_nest(&dims, batch, &[&a_batch, &b_batch]);
        let scaled = |strides: &[Dim], size: Dim| Arg::Usizes(strides.iter().map(|&s| dims.mul(s, size)).collect());
        let zeros = [optional(cx, 2)?, optional(cx, 3)?];
        let sizes = [scaled(&strides[0], dims.mul(m, k)), scaled(&strides[1], dims.mul(k, n)), Arg::Usize(m), Arg::Usize(k), Arg::Usize(n)];
        let operands = [Arg::Cx, out.write(), a.read(), b.read()].into_iter();
        let args = operands.chain(zeros).chain([Arg::Usizes(batch)]).chain(sizes).collect();
        match (a.dtype, b.dtype) {
            (DType::U8, DType::U8) => cx.call(crate::kernel!(integer::matmul_u8u8(_, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::U8, DType::I8) => cx.call(crate::kernel!(integer::matmul_u8i8(_, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::I8, DType::U8) => cx.call(crate::kernel!(integer::matmul_i8u8(_, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::I8, DType::I8) => cx.call(crate::kernel!(integer::matmul_i8i8(_, _, _, _, _, _, _, _, _, _, _, _)), args),
            _ => Err(OpError::unsupported(format!("a product of {} and {}", a.dtype, b.dtype))),
        }
    }
}

/// Whether there is one zero point for each operand, or one for each row of A and column of B, whichever the matrix.
fn simple_zeros(cx: &mut Lower<'_>, m: Dim, n: Dim) -> Result<bool, OpError> {
    let (dims, one) = (cx.dims(), cx.int(1));
    for (i, lines) in [(2, m), (3, n)] {
        if cx.has(i) {
            let count = dims.product(&cx.input(i)?.shape);
            if count != one && count != lines {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
