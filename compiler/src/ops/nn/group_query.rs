//! com.microsoft `GroupQueryAttention`: rotated queries and keys, a cache, and causal attention of the queries to it.

use super::attention::{Attention, by_heads};
use super::rotary::Rotary;
use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::make::range::Range;
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::split::Split;
use crate::ops::slice::{output_shape, read_ints};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

fn pair(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// Inputs query (or all three side by side), key, value, past key and value, the index of the last position of each sample, the number of
/// positions, the rotations' cosines and sines, positions, a mask that is added; outputs the result and the cache.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let count = |cx: &Parse<'_>, name: &str| -> Result<i64, OpError> {
        let n = cx.int(name, 0)?;
        if n > 0 { Ok(n) } else { Err(OpError::invalid(format!("the attribute `{name}` is {n}"))) }
    };
    let (heads, kv_heads) = (count(cx, "num_heads")?, count(cx, "kv_num_heads")?);
    refuse(cx)?;
    let [mut q, mut k, v] = operands(cx, heads, kv_heads)?;
    let (lens, total) = (cx.input(5)?, cx.input(6)?);
    let past = Past::of(cx, q, lens)?;
    if cx.flag("do_rotary", false)? {
        let positions = match cx.opt_input(9)? {
            Some(positions) => positions,
            None => past.positions(cx)?,
        };
        let (cos, sin) = (cx.input(7)?, cx.input(8)?);
        let half = cx.shape(cos)?.last().and_then(|&d| cx.dims().value(d));
        let turned = Some(half.ok_or_else(|| OpError::unsupported("a rotation whose size is not known when compiling"))? * 2);
        let interleaved = cx.flag("rotary_interleaved", false)?;
        for (x, heads) in [(&mut q, heads), (&mut k, kv_heads)] {
            *x = cx.add(Rotary { heads, turned, interleaved }, &[*x, cos, sin, positions])?;
        }
    }
    let mut cache = Vec::new();
    for (i, new) in [(3, k), (4, v)] {
        let new = by_heads(cx, new, Some(kv_heads))?;
        let old = cx.opt_input(i)?;
        cache.push(cx.add_n(Cache, &[Some(new), Some(past.lens), Some(total), old])?[0]);
    }
    let scale = cx.opt_float("scale")?.filter(|&s| s != 0.0);
    let window = cx.int("local_window_size", -1)?;
    let op = Attention {
        scale,
        softcap: cx.float("softcap", 0.0)?,
        causal: true,
        left: if window > 0 { window - 1 } else { -1 },
        ..Attention::of_heads(Some(heads), Some(kv_heads))
    };
    let mask = cx.opt_input(10)?;
    let y = cx.add_n(op, &[Some(q), Some(cache[0]), Some(cache[1]), mask, Some(past.filled), None])?[0];
    Ok(vec![y, cache[0], cache[1]])
}

fn refuse(cx: &mut Parse<'_>) -> Result<(), OpError> {
    if cx.opt_input(11)?.is_some() || cx.flag("smooth_softmax", false)? {
        return Err(OpError::unsupported("head_sink and smooth_softmax"));
    }
    if cx.wants(3) || cx.int("qk_output", 0)? != 0 {
        return Err(OpError::unsupported("the output of scores"));
    }
    match (cx.string("k_quant_type", "NONE")?.as_str(), cx.string("v_quant_type", "NONE")?.as_str()) {
        ("NONE", "NONE") => Ok(()),
        _ => Err(OpError::unsupported("a quantised cache")),
    }
}

/// Queries, keys and values, `batch, positions, heads * size`.
fn operands(cx: &mut Parse<'_>, heads: i64, kv_heads: i64) -> Result<[ValueId; 3], OpError> {
    let q = cx.input(0)?;
    if cx.rank(q)? != 3 {
        return Err(OpError::invalid("the query must have rank 3"));
    }
    if let (Some(k), Some(v)) = (cx.opt_input(1)?, cx.opt_input(2)?) {
        return Ok([q, k, v]);
    }
    // By heads, whose size only the run may know.
    let axis = |i: usize| (1, vec![(0, i)]);
    let by_heads = cx.add(DimsOf { elements: vec![axis(0), axis(1), (heads + 2 * kv_heads, vec![]), (-1, vec![])] }, &[q])?;
    let packed = cx.add(Reshape::To { allow_zero: false }, &[q, by_heads])?;
    let counts = cx.i64s(&[heads, kv_heads, kv_heads]);
    let mut parts = [q; 3];
    for (part, heads) in parts.iter_mut().zip(cx.add_n(Split::by_lengths(2, 3), &[Some(packed), Some(counts)])?) {
        let flat = cx.add(DimsOf { elements: vec![axis(0), axis(1), (1, vec![(0, 2), (0, 3)])] }, &[heads])?;
        *part = cx.add(Reshape::To { allow_zero: true }, &[heads, flat])?;
    }
    Ok(parts)
}

/// How much of each sample's cache is filled.
struct Past {
    /// Before this step, `batch, 1`.
    lens: ValueId,
    /// With it.
    filled: ValueId,
    /// Positions of this step, a vector of one element.
    step: ValueId,
}

impl Past {
    /// From the index of the last position of each sample. Before a first step, which may be padded, nothing is filled.
    fn of(cx: &mut Parse<'_>, q: ValueId, last: ValueId) -> Result<Self, OpError> {
        let last = cast::to(cx, last, DType::I64)?;
        let column = cx.i64s(&[-1, 1]);
        let last = cx.add(Reshape::To { allow_zero: false }, &[last, column])?;
        let step = cx.add(Shape::between(1, 2), &[q])?;
        let (one, zero) = (cx.i64s(&[1]), cx.i64s(&[0]));
        let filled = pair(cx, BinaryFn::Add, last, one)?;
        let before = pair(cx, BinaryFn::Sub, filled, step)?;
        let lens = pair(cx, BinaryFn::Max, before, zero)?;
        let filled = pair(cx, BinaryFn::Add, lens, step)?;
        Ok(Self { lens, filled, step })
    }

    /// The positions of this step, `batch, positions`.
    fn positions(&self, cx: &mut Parse<'_>) -> Result<ValueId, OpError> {
        let (zero, one) = (cx.constant(Tensor::scalar(0i64)), cx.constant(Tensor::scalar(1i64)));
        let step = cx.add(Reshape::Squeeze { axes: Some(vec![0]) }, &[self.step])?;
        let steps = cx.add(Range, &[zero, step, one])?;
        pair(cx, BinaryFn::Add, self.lens, steps)
    }
}

/// A cache with new positions after those that are filled. Inputs: the new ones (`batch, heads, positions, size`), how many are filled in each
/// sample (`batch, 1`), how many positions there are to be (a scalar), and the old cache (optional); the result has room for whichever is more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cache;

impl Operator for Cache {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, mut shape) = (cx.dtype(0)?, cx.shape(0)?);
        let [batch, heads, len, size] = &mut shape[..] else { return Err(OpError::invalid("the new keys must have rank 4")) };
        let (lens, given) = (cx.shape(1)?, *batch);
        let lens = cx.dims.product(&lens);
        cx.require_equal(lens, given, "the lengths and the batch");
        let total = cx.elements(2).and_then(|e| e.first().copied().flatten());
        *len = match (total, cx.has(3)) {
            (Some(total), false) => total,
            (Some(total), true) => cx.dims.max(total, cx.shape(3)?.get(2).copied().unwrap_or(total)),
            (None, _) => cx.fresh(),
        };
        if cx.has(3) {
            let &[b, h, _, s] = cx.shape(3)?.as_slice() else { return Err(OpError::invalid("the past must have rank 4")) };
            if cx.dtype(3)? != dtype {
                return Err(OpError::invalid("the past has another dtype"));
            }
            for (old, new) in [(b, *batch), (h, *heads), (s, *size)] {
                cx.require_equal(old, new, "the dims of the past and of what is new");
            }
        }
        Ok(vec![Fact::tensor(dtype, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (new, lens) = (cx.input(0)?, cx.input_i64(1)?);
        let past = if cx.has(3) { Some(cx.input(3)?) } else { None };
        let shape = output_shape(cx, 0)?;
        let dims = cx.dims();
        let old = past.as_ref().map_or_else(|| dims.int(0), |p| p.shape[2]);
        if cx.elements(2).is_none() {
            let total = read_ints(cx, 2, 1)?[0];
            cx.set(&shape[2..3], &[dims.max(total, old)]);
        }
        let out = cx.output(0)?;
        let old_cache = past.map_or(Arg::Absent, |p| Arg::Present(Box::new(p.read())));
        let rows = dims.mul(new.shape[0], new.shape[1]);
        let sizes = [rows, new.shape[1], old, new.shape[2], shape[2], new.shape[3]].map(Arg::Usize);
        let args = [out.write(), new.read(), old_cache, lens.read()].into_iter().chain(sizes).collect();
        cx.call(crate::kernel!(cache::append(_, _, _, _, _, _, _, _, _, _) for any(new.dtype)), args)
    }
}
