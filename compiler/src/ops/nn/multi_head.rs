//! com.microsoft `MultiHeadAttention`: attention of operands with heads side by side, with biases and a cache.

use super::attention::{Attention, by_heads};
use super::packed::mask;
use crate::import::Parse;
use crate::ir::ValueId;
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::split::Split;

/// Inputs query, key, value, their biases one after the other, a mask of padding, a mask that is added, past key and value;
/// outputs the result and the cache.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let heads = cx.int("num_heads", 0)?;
    if heads <= 0 {
        return Err(OpError::invalid(format!("num_heads is {heads}")));
    }
    for (i, what) in [(8, "past_sequence_length"), (9, "cache_indirection")] {
        if cx.opt_input(i)?.is_some() {
            return Err(OpError::unsupported(format!("the input {what}")));
        }
    }
    let (q, Some(k), Some(v)) = (cx.input(0)?, cx.opt_input(1)?, cx.opt_input(2)?) else {
        return Err(OpError::unsupported("packed operands"));
    };
    if cx.rank(q)? != 3 || !matches!(cx.rank(k)?, 3 | 4) {
        return Err(OpError::unsupported("packed operands"));
    }
    let [q, mut k, mut v] = biased(cx, [q, k, v])?;
    let past = [cx.opt_input(6)?, cx.opt_input(7)?];
    for (x, past) in [(&mut k, past[0]), (&mut v, past[1])] {
        *x = by_heads(cx, *x, Some(heads))?;
        if let Some(past) = past {
            *x = cx.add(Concat { axis: 2 }, &[past, *x])?;
        }
    }
    let op = Attention {
        scale: cx.opt_float("scale")?.filter(|&s| s != 0.0),
        causal: cx.flag("unidirectional", false)?,
        ..Attention::of_heads(Some(heads), Some(heads))
    };
    let (padding, added) = (cx.opt_input(4)?, cx.opt_input(5)?);
    let mask = mask(cx, padding, added, k)?;
    let y = cx.add_n(op, &[Some(q), Some(k), Some(v), mask, None, past[0]])?[0];
    Ok(vec![y, k, v])
}

/// The operands with their parts of the bias.
fn biased(cx: &mut Parse<'_>, operands: [ValueId; 3]) -> Result<[ValueId; 3], OpError> {
    let Some(bias) = cx.opt_input(3)? else { return Ok(operands) };
    let mut widths = Vec::new();
    for &x in &operands {
        if cx.rank(x)? != 3 {
            return Err(OpError::unsupported("a bias for keys and values of rank 4"));
        }
        widths.push(cx.add(Shape::between(2, 3), &[x])?);
    }
    let widths = cx.add(Concat { axis: 0 }, &widths)?;
    let parts = cx.add_n(Split::by_lengths(0, 3), &[Some(bias), Some(widths)])?;
    let mut all = operands;
    for (x, part) in all.iter_mut().zip(parts) {
        *x = cx.add(Binary { f: BinaryFn::Add }, &[*x, part])?;
    }
    Ok(all)
}
