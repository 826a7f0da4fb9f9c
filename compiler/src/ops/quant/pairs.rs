//! Operands of the fast integer products: widened and packed in pairs ([`onnxc_runtime::kernels::integer`]).

use crate::ir::{DType, Dim, Dims, Tensor};
use crate::lower::{Lower, Operand};
use crate::ops::OpError;
use crate::program::Arg;
use onnxc_runtime::kernels::integer::{Byte, pack_pairs, pack_pairs_len};

/// The pairs that hold so many elements.
fn pairs(dims: &Dims, depth: Dim) -> Dim {
    dims.ceil_div(depth, dims.int(2))
}

/// Input `i` as an argument, if it is there.
pub fn optional(cx: &mut Lower<'_>, i: usize) -> Result<Arg, OpError> {
    Ok(if cx.has(i) { Arg::Present(Box::new(cx.input(i)?.read())) } else { Arg::Absent })
}

/// A left operand, `[rows][groups][depth]`, without its zero points (input `zero`), as pairs.
pub fn widened(cx: &mut Lower<'_>, x: &Operand, zero: usize, rows: Dim, groups: Dim, depth: Dim) -> Result<Operand, OpError> {
    let width = pairs(&cx.dims(), depth);
    let wide = cx.temp(DType::I32, &[rows, groups, width]);
    let zero = optional(cx, zero)?;
    let args = vec![Arg::Cx, wide.write(), x.read(), zero, Arg::Usize(rows), Arg::Usize(groups), Arg::Usize(depth)];
    cx.call(crate::kernel!(integer::widen(_, _, _, _, _, _, _) for bytes(x.dtype)), args)?;
    Ok(wide)
}

/// The right operand, input 1 with zero points as input 3: groups, filters, channels of a group, taps, and the strides of the last three.
pub struct Filters {
    /// Groups, filters, channels of a group, taps.
    pub sizes: [Dim; 4],
    /// From a filter, a channel and a tap to the next.
    pub strides: [Dim; 3],
}

impl Filters {
    /// The packed operand: constants are packed now, others by a step.
    pub fn packed(&self, cx: &mut Lower<'_>) -> Result<Operand, OpError> {
        let dims = cx.dims();
        let value = |d: &Dim| dims.value(*d).and_then(|v| usize::try_from(v).ok());
        let sizes: Option<Vec<usize>> = self.sizes.iter().map(value).collect();
        let strides: Option<Vec<usize>> = self.strides.iter().map(value).collect();
        let w = cx.input(1)?;
        if let (Some(weights), Some(sizes), Some(strides)) = (cx.constant(1).cloned(), sizes, strides) {
            let zero = cx.constant(3).cloned();
            if zero.is_some() || !cx.has(3) {
                let packed = match w.dtype {
                    DType::I8 => pack::<i8>(&weights, zero.as_ref(), &sizes, &strides)?,
                    _ => pack::<u8>(&weights, zero.as_ref(), &sizes, &strides)?,
                };
                return Ok(cx.weight("packed weights", Tensor::vector(&packed)));
            }
        }
        let [group, filters, depth, taps] = self.sizes;
        let panels = dims.ceil_div(dims.floor_div(filters, group), dims.int(32));
        let len = dims.product(&[group, panels, dims.scale(taps, 32), pairs(&dims, depth)]);
        let packed = cx.temp(DType::I32, &[len]);
        let zero = optional(cx, 3)?;
        let operands = [packed.write(), w.read(), zero].into_iter();
        let args = operands.chain(self.sizes.map(Arg::Usize)).chain([Arg::Usizes(self.strides.to_vec())]).collect();
        cx.call(crate::kernel!(integer::pack_pairs(_, _, _, _, _, _, _, _) for bytes(w.dtype)), args)?;
        Ok(packed)
    }
}

fn pack<T: Byte + onnxc_runtime::element::Element>(
    weights: &Tensor,
    zero: Option<&Tensor>,
    sizes: &[usize],
    strides: &[usize],
) -> Result<Vec<i32>, OpError> {
    let wrong = || OpError::invalid("weights and zero points must be 8-bit integers of one dtype");
    let elements = weights.to_vec::<T>().ok_or_else(wrong)?;
    let zero = zero.map(|z| z.to_vec::<T>().ok_or_else(wrong)).transpose()?;
    let &[group, filters, depth, taps] = sizes else { return Err(wrong()) };
    let mut packed = vec![0; pack_pairs_len(group, filters, depth, taps)];
    pack_pairs(&mut packed, &elements, zero.as_deref(), group, filters, depth, taps, strides)
        .map_err(|f| OpError::invalid(f.to_string()))?;
    Ok(packed)
}
