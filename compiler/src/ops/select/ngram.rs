//! com.microsoft `NGramRepeatBlock`: no token that would repeat an n-gram of the text so far.

use crate::import::Parse;
use crate::ir::{Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::where_::Where;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::pad::{Mode, Pad};
use crate::ops::slice::scatter::{Reduction, ScatterElements};
use crate::ops::slice::slice::Slice;

/// Inputs the tokens, `[batch, length]` (i64), and the scores, `[batch, vocabulary]`; output the scores, `-inf` for the tokens that followed an
/// earlier occurrence of the last n - 1.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (ids, scores) = (cx.input(0)?, cx.input(1)?);
    let n = cx.int("ngram_size", 0)?;
    if !(1..=64).contains(&n) {
        return Err(OpError::unsupported(format!("ngram_size {n}")));
    }
    // The text ends in n - 1 tokens, though it may be shorter: then there is nothing to repeat.
    let pads = cx.i64s(&[0, n - 1, 0, 0]);
    let padded = cx.add(Pad { mode: Mode::Constant }, &[ids, pads])?;
    // The tokens that end an n-gram, and whether what is before them is how the text ends.
    let ends = columns(cx, ids, n - 1, i64::MAX)?;
    let mut repeats = cx.add(Binary { f: BinaryFn::Equal }, &[ends, ends])?;
    for j in 0..n - 1 {
        let start = columns(cx, ids, j, j + 1 - n)?;
        let column = cx.i64s(&[j + 1 - n]);
        let last = cx.add(Gather { axis: 1 }, &[padded, column])?;
        let same = cx.add(Binary { f: BinaryFn::Equal }, &[start, last])?;
        repeats = cx.add(Binary { f: BinaryFn::And }, &[repeats, same])?;
    }
    let dtype = cx.dtype(scores)?;
    let (never, any) = (cx.scalar(dtype, f64::NEG_INFINITY)?, cx.scalar(dtype, f64::INFINITY)?);
    let bounds = cx.add(Where, &[repeats, never, any])?;
    cx.add(ScatterElements { axis: 1, reduction: Reduction::Min }, &[scores, ends, bounds]).map(|v| vec![v])
}

/// Columns of a matrix, as Python's slices.
fn columns(cx: &mut Parse<'_>, x: ValueId, from: i64, to: i64) -> Result<ValueId, OpError> {
    let bounds = [from, to, 1].map(|b| cx.constant(Tensor::vector(&[b])));
    cx.add(Slice::default(), &[x, bounds[0], bounds[1], bounds[2]])
}
