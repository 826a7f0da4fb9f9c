//! `Attention`: scaled dot products of queries with keys weigh values.
//!
//! Operands of rank 3 (heads side by side in the last axis) and 4 (heads before positions) are read as they lie, by strides. A cache that the node
//! joins to the new keys and values is a `Concat`, which is what the `present` outputs are.

use crate::import::Parse;
use crate::ir::{DType, Dim, Dims, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::cast;
use crate::ops::shape::dims_of::DimsOf;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_struct!(attention::Attention {
    batch,
    q_heads,
    kv_heads,
    q_len,
    kv_len,
    qk_dim,
    v_dim,
    q,
    k,
    v,
    out,
    mask,
    mask_len,
    causal,
    past,
    left,
    right,
    scale,
    softcap,
    blind_is_nan
});

/// ONNX `Attention` (opset 23; `nonpad_kv_seqlen` since 24, windows since 25).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (q, mut k, mut v) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (mask, nonpad) = (cx.opt_input(3)?, cx.opt_input(6)?);
    let (q_heads, kv_heads) = (cx.opt_int("q_num_heads")?, cx.opt_int("kv_num_heads")?);
    let past = [cx.opt_input(4)?, cx.opt_input(5)?];
    let mut present = [None, None];
    let joins = past.iter().any(Option::is_some) || cx.wants(1) || cx.wants(2);
    if joins {
        for (i, x) in [&mut k, &mut v].into_iter().enumerate() {
            let new = by_heads(cx, *x, kv_heads)?;
            *x = match past[i] {
                Some(past) => cx.add(Concat { axis: 2 }, &[past, new])?,
                None => new,
            };
            present[i] = Some(*x);
        }
    }
    let scale = match cx.opt_float("scale")? {
        Some(scale) => Some(scale),
        None => default_scale(cx, q, q_heads)?,
    };
    let op = Attention {
        scale,
        softcap: cx.float("softcap", 0.0)?,
        causal: cx.flag("is_causal", false)?,
        left: cx.int("left_window_size", -1)?,
        right: cx.int("right_window_size", -1)?,
        scores: cx.int("qk_matmul_output_mode", 0)?,
        ..Attention::of_heads(q_heads, kv_heads)
    };
    if !(0..4).contains(&op.scores) {
        return Err(OpError::invalid(format!("qk_matmul_output_mode is {}", op.scores)));
    }
    let made = cx.add_n(op, &[Some(q), Some(k), Some(v), mask, nonpad, past[0]])?;
    let (&y, &scores) = made.first().zip(made.get(1)).ok_or_else(|| OpError::invalid("internal error: attention has two outputs"))?;
    Ok(vec![y, present[0].unwrap_or(k), present[1].unwrap_or(v), scores])
}

/// `batch, positions, heads * elements` as `batch, heads, positions, elements`.
pub(crate) fn by_heads(cx: &mut Parse<'_>, x: ValueId, heads: Option<i64>) -> Result<ValueId, OpError> {
    if cx.rank(x)? == 4 {
        return Ok(x);
    }
    let heads = heads.filter(|&h| h > 0).ok_or_else(|| OpError::invalid("with operands of rank 3 the numbers of heads must be given"))?;
    let shape = cx.add(DimsOf { elements: vec![(1, vec![(0, 0)]), (1, vec![(0, 1)]), (heads, vec![]), (-1, vec![])] }, &[x])?;
    let split = cx.add(Reshape::To { allow_zero: false }, &[x, shape])?;
    cx.add(Transpose { perm: vec![0, 2, 1, 3] }, &[split])
}

/// One over the root of the length of a query, if that is known when compiling.
fn default_scale(cx: &mut Parse<'_>, q: ValueId, heads: Option<i64>) -> Result<Option<f32>, OpError> {
    let (shape, dims) = (cx.shape(q)?, cx.dims());
    let Some(len) = shape.last().and_then(|&d| dims.value(d)) else { return Ok(None) };
    let len = if shape.len() == 3 { len / heads.filter(|&h| h > 0).unwrap_or(1) } else { len };
    Ok(Some((1.0 / (len as f64).sqrt()) as f32))
}

/// Inputs: queries, keys, values, and optional: a mask (added, or of truth values), how many positions of each sample are not padding, and the
/// past keys (only their number matters: keys and values hold them already). Outputs: the result, and the scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Heads of a query of rank 3.
    pub q_heads: Option<i64>,
    /// Heads of keys and values of rank 3.
    pub kv_heads: Option<i64>,
    /// The factor of the products; `None`: one over the root of the length of a query, which only the run knows.
    pub scale: Option<f32>,
    /// The soft cap of the scores; 0 for none.
    pub softcap: f32,
    /// Whether later positions are hidden.
    pub causal: bool,
    /// How many positions back a query sees, -1 for all.
    pub left: i64,
    /// How many positions ahead a query sees, -1 for all.
    pub right: i64,
    /// What the scores are: 0 products, 1 after the soft cap, 2 after the mask, 3 after softmax.
    pub scores: i64,
    /// Whether queries, keys, values and the result, where they are of rank 4, have positions before heads.
    pub by_position: [bool; 4],
    /// Whether the result of a query from which all keys are hidden is NaN, as softmax gives it, and not zero.
    pub blind_is_nan: bool,
}

/// An operand: its sizes and how it lies.
struct Heads {
    batch: Dim,
    heads: Dim,
    len: Dim,
    /// Elements of a head's position.
    size: Dim,
    /// Of batch, head and position.
    strides: [Dim; 3],
}

impl Heads {
    /// Of an operand of that shape; rows of one of rank 3 lie `pitch` apart, if that is not their length.
    fn of(dims: &Dims, shape: &[Dim], heads: Option<i64>, by_position: bool, pitch: Option<Dim>) -> Result<Self, OpError> {
        match *shape {
            [batch, len, hidden] => {
                let heads = heads
                    .filter(|&h| h > 0)
                    .ok_or_else(|| OpError::invalid("with operands of rank 3 the numbers of heads must be given"))?;
                let heads = dims.int(heads);
                let size = dims.floor_div(hidden, heads);
                let pitch = pitch.unwrap_or(hidden);
                Ok(Self { batch, heads, len, size, strides: [dims.mul(len, pitch), size, pitch] })
            }
            [batch, len, heads, size] if by_position => {
                let position = dims.mul(heads, size);
                Ok(Self { batch, heads, len, size, strides: [dims.mul(len, position), size, position] })
            }
            [batch, heads, len, size] => {
                let head = dims.mul(len, size);
                Ok(Self { batch, heads, len, size, strides: [dims.mul(heads, head), head, size] })
            }
            _ => Err(OpError::invalid("queries, keys and values must have rank 3 or 4")),
        }
    }

    fn strides(&self) -> Arg {
        Arg::Array(self.strides.map(Arg::Usize).to_vec())
    }
}

/// A mask's strides, zero where it is broadcast, and how many keys it covers.
fn mask_strides(dims: &Dims, mask: &[Dim], full: [Dim; 4]) -> ([Dim; 4], Dim) {
    let (zero, one) = (dims.int(0), dims.int(1));
    let dense = crate::lower::dense_strides(dims, mask);
    let mut strides = [zero; 4];
    let mut covered = full[3];
    for (i, (&d, &stride)) in mask.iter().zip(&dense).enumerate() {
        let axis = i + 4 - mask.len();
        if d == one {
            continue;
        }
        // Whether a symbolic dim is one is only known at run time: then it has no stride.
        let several = if d == full[axis] || dims.bounds(d).0 > 1 { one } else { dims.min(dims.offset(d, -1), one) };
        strides[axis] = dims.mul(stride, several);
        if axis == 3 {
            // All keys if it is one, else as many as it has.
            covered = dims.add(full[3], dims.mul(several, dims.sub(d, full[3])));
        }
    }
    (strides, covered)
}

impl Attention {
    /// Attention between so many heads (of operands of rank 3), scaled as usual, in which every query sees every key.
    pub fn of_heads(q_heads: Option<i64>, kv_heads: Option<i64>) -> Self {
        Self {
            q_heads,
            kv_heads,
            scale: None,
            softcap: 0.0,
            causal: false,
            left: -1,
            right: -1,
            scores: 0,
            by_position: [false; 4],
            blind_is_nan: false,
        }
    }

    fn check_mask(&self, cx: &mut Infer<'_>, full: [Dim; 4]) -> Result<(), OpError> {
        let mask = cx.shape(3)?;
        if mask.len() > 4 {
            return Err(OpError::invalid("the mask must have at most four axes"));
        }
        let (first, one) = (4 - mask.len(), cx.int(1));
        for (i, &d) in mask.iter().enumerate() {
            if first + i < 3 {
                cx.require_broadcast(full[first + i], d);
            } else if d != one {
                // A shorter mask hides the positions that it does not cover.
                cx.require_at_most(one, d, "1 and the mask's last dim");
                cx.require_at_most(d, full[3], "the mask's last dim and the number of keys");
            }
        }
        Ok(())
    }
}

impl Operator for Attention {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let [q_turned, k_turned, v_turned, out_turned] = self.by_position;
        let q = Heads::of(cx.dims, &shape, self.q_heads, q_turned, None)?;
        let k = Heads::of(cx.dims, &cx.shape(1)?, self.kv_heads, k_turned, None)?;
        let v = Heads::of(cx.dims, &cx.shape(2)?, self.kv_heads, v_turned, None)?;
        for (a, b, what) in [
            (q.batch, k.batch, "the batches of queries and keys"),
            (k.batch, v.batch, "the batches of keys and values"),
            (k.heads, v.heads, "the heads of keys and values"),
            (k.len, v.len, "the positions of keys and values"),
            (q.size, k.size, "the sizes of queries and keys"),
        ] {
            cx.require_equal(a, b, what);
        }
        let (rest, zero) = (cx.dims.modulo(q.heads, k.heads), cx.int(0));
        cx.require_equal(rest, zero, "the rest of the query's heads divided by those of the keys and 0");
        if cx.has(3) {
            self.check_mask(cx, [q.batch, q.heads, q.len, k.len])?;
        }
        if cx.has(4) {
            let count = cx.shape(4)?;
            let count = cx.dims.product(&count);
            cx.require_equal(count, q.batch, "the number of lengths and the batch");
        }
        let y = match (shape.len(), out_turned) {
            (3, _) => vec![q.batch, q.len, cx.dims.mul(q.heads, v.size)],
            (_, true) => vec![q.batch, q.len, q.heads, v.size],
            _ => vec![q.batch, q.heads, q.len, v.size],
        };
        Ok(vec![Fact::tensor(dtype, y), Fact::tensor(dtype, vec![q.batch, q.heads, q.len, k.len])])
    }

    fn reads_rows(&self, i: usize, rank: usize) -> bool {
        i < 3 && rank == 3
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let dims = cx.dims();
        let (q, k, v) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let dtype = q.dtype;
        let pitches = [cx.input_pitch(0)?, cx.input_pitch(1)?, cx.input_pitch(2)?];
        let ((k, k_pitch), (v, v_pitch)) = (same_dtype(cx, k, dtype, pitches[1])?, same_dtype(cx, v, dtype, pitches[2])?);
        let [q_turned, k_turned, v_turned, out_turned] = self.by_position;
        let (hq, hk, hv) = (
            Heads::of(&dims, &q.shape, self.q_heads, q_turned, Some(pitches[0]))?,
            Heads::of(&dims, &k.shape, self.kv_heads, k_turned, Some(k_pitch))?,
            Heads::of(&dims, &v.shape, self.kv_heads, v_turned, Some(v_pitch))?,
        );
        let y = cx.output(0)?;
        let out = Heads::of(&dims, &y.shape, self.q_heads, out_turned, None)?;
        let full = [hq.batch, hq.heads, hq.len, hk.len];
        let mask = if cx.has(3) { Some(self.mask(cx, dtype)?) } else { None };
        let (strides, covered) = mask.as_ref().map_or(([dims.int(0); 4], hk.len), |m| mask_strides(&dims, &m.shape, full));
        let mask = mask.map_or(Arg::Absent, |m| Arg::Present(Box::new(m.read())));
        let nonpad = if cx.has(4) { Arg::Present(Box::new(cx.input_i64(4)?.read())) } else { Arg::Absent };
        let past = if cx.has(5) { cx.input(5)?.shape.get(2).copied().unwrap_or_else(|| dims.int(0)) } else { dims.int(0) };
        let sizes = Arg::Struct(
            "attention::Attention",
            vec![
                ("batch", Arg::Usize(hq.batch)),
                ("q_heads", Arg::Usize(hq.heads)),
                ("kv_heads", Arg::Usize(hk.heads)),
                ("q_len", Arg::Usize(hq.len)),
                ("kv_len", Arg::Usize(hk.len)),
                ("qk_dim", Arg::Usize(hq.size)),
                ("v_dim", Arg::Usize(hv.size)),
                ("q", hq.strides()),
                ("k", hk.strides()),
                ("v", hv.strides()),
                ("out", out.strides()),
                ("mask", Arg::Array(strides.map(Arg::Usize).to_vec())),
                ("mask_len", Arg::Usize(covered)),
                ("causal", Arg::Bool(self.causal)),
                ("past", Arg::Usize(past)),
                ("left", Arg::I64(dims.int(self.left))),
                ("right", Arg::I64(dims.int(self.right))),
                ("scale", Arg::F32(self.scale.unwrap_or(f32::NAN))),
                ("softcap", Arg::F32(self.softcap)),
                ("blind_is_nan", Arg::Bool(self.blind_is_nan)),
            ],
        );
        let operands = [q.read(), k.read(), v.read(), mask, nonpad, sizes];
        if dtype == DType::F32 && !cx.wanted(1) {
            let panels = dims.scale(dims.ceil_div(hk.len, dims.int(32)), 32);
            let scratch = cx.temp(DType::F32, &[hk.batch, hk.heads, panels, hk.size]);
            let args = [Arg::Cx, y.write(), scratch.write()].into_iter().chain(operands).collect();
            return cx.call(crate::kernel!(attention::attention(_, _, _, _, _, _, _, _, _)), args);
        }
        let scratch = cx.temp(DType::F64, &[hk.len]);
        let zero = dims.int(0);
        let scores = if cx.wanted(1) { cx.output(1)? } else { cx.temp(dtype, &[zero]) };
        let mode = Arg::Usize(dims.int(self.scores));
        let args = [y.write(), scores.write(), scratch.write()].into_iter().chain(operands).chain([mode]).collect();
        cx.call(crate::kernel!(attention::attention_any(_, _, _, _, _, _, _, _, _, _) for float(dtype)), args)
    }
}

/// An operand, whose rows lie that far apart, as the query's dtype.
fn same_dtype(cx: &mut Lower<'_>, x: Operand, dtype: DType, pitch: Dim) -> Result<(Operand, Dim), OpError> {
    if x.dtype == dtype {
        return Ok((x, pitch));
    }
    let x = cx.dense(x, pitch)?;
    let x = cx.converted(x, dtype)?;
    let width = x.shape.last().copied().unwrap_or(pitch);
    Ok((x, width))
}

impl Attention {
    /// The mask as one that is added.
    fn mask(&self, cx: &mut Lower<'_>, dtype: DType) -> Result<Operand, OpError> {
        let mask = cx.input(3)?;
        if mask.dtype != DType::Bool {
            return if mask.dtype == dtype {
                Ok(mask)
            } else {
                let out = cx.temp(dtype, &mask.shape);
                cast::call(cx, &out, &mask, true).map(|()| out)
            };
        }
        let out = cx.temp(dtype, &mask.shape);
        cx.call(crate::kernel!(attention::mask_from_bool(_, _) for float(dtype)), vec![out.write(), mask.read()])?;
        Ok(out)
    }
}
