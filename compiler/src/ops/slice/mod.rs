//! Operators that take, place and move elements.

pub mod concat;
pub mod dropout;
pub mod gather;
pub mod pad;
pub mod rearrange;
pub mod resize;
pub mod scatter;
pub mod slice;
pub mod split;
pub mod tile;
pub mod trilu;

use crate::ir::dim::{Dim, Dims};
use crate::ir::{Fact, Tensor};
use crate::lower::{Lower, Operand};
use crate::ops::{Infer, OpError};
use crate::program::{Action, Arg, Condition};
use onnxc_runtime::element::DType;

/// A shape around an axis: the product of the dims before it, its own, the product of those after it.
pub fn around(dims: &Dims, shape: &[Dim], axis: usize) -> (Dim, Dim, Dim) {
    let inner = shape.get(axis + 1..).unwrap_or_default();
    (dims.product(&shape[..axis]), shape[axis], dims.product(inner))
}

/// The `n` integers of input `i`: as inference knows them, else read into symbols by a step.
pub fn read_ints(cx: &mut Lower<'_>, i: usize, n: usize) -> Result<Vec<Dim>, OpError> {
    if let Some(known) = cx.elements(i).filter(|e| e.len() == n) {
        return Ok(known);
    }
    let x = cx.input_i64(i)?;
    let expected = cx.int(n as i64);
    if x.view.len != expected {
        cx.step(Action::Require(Condition::Equal(expected, x.view.len)));
    }
    let (symbols, values): (Vec<_>, Vec<_>) = (0..n).map(|_| cx.symbol(i64::MIN)).unzip();
    cx.call(crate::kernel!(shape::read(_, _)), vec![Arg::Bind(symbols), x.read()])?;
    Ok(values)
}

/// The elements of input `i`, with new dims for those that only the data tells; `None` where not even their number is known.
pub fn known_or_fresh(cx: &Infer<'_>, i: usize) -> Option<Vec<Dim>> {
    Some(cx.elements(i)?.into_iter().map(|e| e.unwrap_or_else(|| cx.fresh())).collect())
}

/// The shape of output `i`, which must have a known rank.
pub fn output_shape(cx: &Lower<'_>, i: usize) -> Result<Vec<Dim>, OpError> {
    cx.output_fact(i)?.shape().map(<[Dim]>::to_vec).ok_or_else(|| {
        OpError::unsupported("the rank of the result is not known when compiling").help("make the model declare the shape of this value")
    })
}

/// Requires the dims of a shape that data gave to be no less than zero.
pub fn require_dims(cx: &mut Lower<'_>, shape: &[Dim]) {
    let (dims, zero) = (cx.dims(), cx.int(0));
    for &d in shape.iter().filter(|&&d| dims.value(d).is_none_or(|v| v < 0) && !dims.at_entry(d)) {
        cx.step(Action::Require(Condition::AtMost(zero, d)));
    }
}

/// A constant with one element: zero, false, or the empty string.
pub fn zero(dtype: DType) -> Result<Tensor, OpError> {
    let tensor = match dtype {
        DType::String => Tensor::strings(Vec::new(), vec![String::new()]),
        _ => Tensor::from_raw(dtype, Vec::new(), vec![0; dtype.size()].into()),
    };
    tensor.ok_or_else(|| OpError::unsupported(format!("a constant of dtype {dtype}")))
}

/// Copies `x` into `out`, at `offset` along an axis. Either comes with the distance of its rows; only along the last axis may they lie apart.
fn place_along(
    cx: &mut Lower<'_>,
    (out, out_pitch): (&Operand, Dim),
    axis: usize,
    offset: Dim,
    (x, pitch): (&Operand, Dim),
) -> Result<(), OpError> {
    let dims = cx.dims();
    let (outer, total, inner) = around(&dims, &out.shape, axis);
    let (zero, one) = (cx.int(0), cx.int(1));
    let at = dims.mul(offset, inner);
    if outer == one {
        let part = crate::program::View { offset: dims.add(out.view.offset, at), len: x.view.len, ..out.view };
        let target = Operand { dtype: out.dtype, shape: x.shape.clone(), view: part };
        return cx.call(crate::kernel!(copy::copy(_, _) for any(x.dtype)), vec![target.update(), x.read()]);
    }
    let row = dims.mul(x.shape[axis], inner);
    let (step, x_step) = if axis + 1 == out.shape.len() { (out_pitch, pitch) } else { (dims.mul(total, inner), row) };
    cx.call(
        crate::kernel!(copy::strided_into(_, _, _, _, _, _, _) for any(x.dtype)),
        vec![
            out.update(),
            x.read(),
            Arg::Usizes(vec![outer, row]),
            Arg::Usize(at),
            Arg::Usizes(vec![step, one]),
            Arg::Usize(zero),
            Arg::I64s(vec![x_step, one]),
        ],
    )
}

/// The elements of a fact that is an integer vector or scalar, if any of them is known.
pub(crate) fn int_elements(cx: &Infer<'_>, i: usize) -> Option<Vec<Option<Dim>>> {
    let known = cx.elements(i)?;
    (known.is_empty() || known.iter().any(Option::is_some)).then_some(known)
}

/// The fact of an integer vector with these elements if `elements` is given and the shape fits, else just of its shape.
pub(crate) fn with_elements(cx: &Infer<'_>, dtype: DType, shape: Vec<Dim>, elements: Option<Vec<Option<Dim>>>) -> Fact {
    match elements {
        Some(e) if shape.len() <= 1 && dtype.is_int() && cx.dims.value(cx.dims.product(&shape)) == Some(e.len() as i64) => {
            Fact::elements(dtype, shape, e, cx.dims)
        }
        _ => Fact::tensor(dtype, shape),
    }
}
