//! `RotaryEmbedding`: pairs of elements of each head turned by an angle that depends on the position.

use crate::import::Parse;
use crate::ir::{Dim, Dims, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::make::range::Range;
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::concat::Concat;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_struct!(rotary::Rotary { batch, heads, len, size, turned, strides, interleaved });

/// ONNX `RotaryEmbedding` (opset 23).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), Some(cx.input(2)?), cx.opt_input(3)?];
    let turned = cx.int("rotary_embedding_dim", 0)?;
    let op = Rotary { heads: cx.int("num_heads", 0)?, turned: (turned > 0).then_some(turned), interleaved: cx.flag("interleaved", false)? };
    cx.add_n(op, &inputs)
}

/// com.microsoft `RotaryEmbedding`: inputs x, positions (for each position of each sample, or where all samples start), cosines and sines.
pub fn parse_microsoft(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if cx.flag("is_packed_batching", false)? || cx.float("scale", 1.0)? != 1.0 {
        return Err(OpError::unsupported("packed batches and a scale"));
    }
    let (x, mut positions, cos, sin) = (cx.input(0)?, cx.input(1)?, cx.input(2)?, cx.input(3)?);
    let (shape, dims) = (cx.shape(x)?, cx.dims());
    let half = cx.shape(cos)?.last().and_then(|&d| dims.value(d)).filter(|&h| h > 0);
    let half = half.ok_or_else(|| OpError::unsupported("a rotation whose size is not known when compiling"))?;
    let mut heads = cx.int("num_heads", 0)?;
    if let (&[_, _, hidden], 0) = (shape.as_slice(), heads) {
        heads = dims.value(hidden).ok_or_else(|| OpError::unsupported("an input whose size is not known when compiling"))? / (2 * half);
    }
    if cx.rank(positions)? == 1 {
        positions = consecutive(cx, x, positions)?;
    }
    let op = Rotary { heads, turned: Some(2 * half), interleaved: cx.flag("interleaved", false)? };
    cx.add(op, &[x, cos, sin, positions]).map(|v| vec![v])
}

/// The positions from one number on, `batch, positions`.
fn consecutive(cx: &mut Parse<'_>, x: ValueId, start: ValueId) -> Result<ValueId, OpError> {
    let axis = cx.rank(x)? as i64 - 2;
    let len = cx.add(Shape::between(axis, axis + 1), &[x])?;
    let batch = cx.add(Shape::between(0, 1), &[x])?;
    let both = cx.add(Concat { axis: 0 }, &[batch, len])?;
    let len = cx.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[len])?;
    let (zero, one) = (cx.constant(Tensor::scalar(0i64)), cx.constant(Tensor::scalar(1i64)));
    let steps = cx.add(Range, &[zero, len, one])?;
    let row = cx.add(Binary { f: BinaryFn::Add }, &[steps, start])?;
    cx.add(Expand, &[row, both])
}

/// Inputs: x (`batch, heads, positions, size` or `batch, positions, heads * size`), the cosines and sines (a row for each position, or for each
/// that input 3 may name), and the positions (optional).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotary {
    /// Heads of an input of rank 3.
    pub heads: i64,
    /// How many elements of a head are turned; all, if not given.
    pub turned: Option<i64>,
    /// Whether pairs are neighbours.
    pub interleaved: bool,
}

impl Rotary {
    /// Batch, heads, positions, size, and the strides of the first three.
    fn sizes(&self, dims: &Dims, shape: &[Dim]) -> Result<([Dim; 4], [Dim; 3]), OpError> {
        match *shape {
            [batch, len, hidden] if self.heads > 0 => {
                let heads = dims.int(self.heads);
                let size = dims.floor_div(hidden, heads);
                Ok(([batch, heads, len, size], [dims.mul(len, hidden), size, hidden]))
            }
            [batch, heads, len, size] => {
                let head = dims.mul(len, size);
                Ok(([batch, heads, len, size], [dims.mul(heads, head), head, size]))
            }
            _ => Err(OpError::invalid("the input must have rank 4, or rank 3 with num_heads given")),
        }
    }
}

impl Operator for Rotary {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let ([batch, _, len, size], _) = self.sizes(cx.dims, &shape)?;
        let turned = self.turned.map_or(size, |t| cx.int(t));
        let pairs = cx.dims.floor_div(turned, cx.int(2));
        for i in [1, 2] {
            let cache = cx.shape(i)?;
            let last = *cache.last().ok_or_else(|| OpError::invalid("the cosines and sines must have rows"))?;
            cx.require_equal(pairs, last, "half of what is turned and the rows of cosines or sines");
            if !cx.has(3) {
                let (rows, wanted) = (cx.dims.product(&cache[..cache.len() - 1]), cx.dims.mul(batch, len));
                cx.require_equal(rows, wanted, "the rows of cosines or sines and the positions");
            }
        }
        if cx.has(3) {
            let (given, wanted) = (cx.shape(3)?, cx.dims.mul(batch, len));
            let given = cx.dims.product(&given);
            cx.require_equal(given, wanted, "the number of position ids and of positions");
        }
        Ok(vec![Fact::tensor(dtype, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let dims = cx.dims();
        let (x, cos, sin) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let (cos, sin) = (cx.converted(cos, x.dtype)?, cx.converted(sin, x.dtype)?);
        let positions = if cx.has(3) { Arg::Present(Box::new(cx.input_i64(3)?.read())) } else { Arg::Absent };
        let ([batch, heads, len, size], strides) = self.sizes(&dims, &x.shape)?;
        let out = cx.output(0)?;
        let p = Arg::Struct(
            "rotary::Rotary",
            vec![
                ("batch", Arg::Usize(batch)),
                ("heads", Arg::Usize(heads)),
                ("len", Arg::Usize(len)),
                ("size", Arg::Usize(size)),
                ("turned", Arg::Usize(self.turned.map_or(size, |t| dims.int(t)))),
                ("strides", Arg::Array(strides.map(Arg::Usize).to_vec())),
                ("interleaved", Arg::Bool(self.interleaved)),
            ],
        );
        cx.call(
            crate::kernel!(rotary::rotary(_, _, _, _, _, _) for float(x.dtype)),
            vec![out.write(), x.read(), cos.read(), sin.read(), positions, p],
        )
    }
}
