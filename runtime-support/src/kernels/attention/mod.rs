//! Scaled dot-product attention on strided views: ONNX Attention (opset 23 to 25), with grouped heads, masks, windows and caches.
//!
//! [`attention`] is f32, blocked with a running softmax, so that no whole score matrix exists; [`attention_any`] is for every float type and also
//! gives the scores. Past keys and values are joined to the new ones by the caller (that is what the `present` outputs are).

mod any;
mod blocked;
#[cfg(test)]
mod tests;

pub use any::{attention_any, mask_from_bool};
pub use blocked::{attention, scratch_len};

use crate::error::Fault;
use crate::kernels::fmath;

/// The sizes and strides of an attention. All strides are in elements; `[batch, head, position]` for tensors, whose last axis is contiguous.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Independent samples.
    pub batch: usize,
    /// Heads of the query, a multiple of `kv_heads`: neighbours share a head of keys and values.
    pub q_heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Positions of the query.
    pub q_len: usize,
    /// Positions of keys and values, past ones included.
    pub kv_len: usize,
    /// Elements of a query or key.
    pub qk_dim: usize,
    /// Elements of a value.
    pub v_dim: usize,
    /// Strides of the query.
    pub q: [usize; 3],
    /// Strides of the keys.
    pub k: [usize; 3],
    /// Strides of the values.
    pub v: [usize; 3],
    /// Strides of the output.
    pub out: [usize; 3],
    /// Strides of the mask: batch, head, query position, key position; 0 where it is broadcast.
    pub mask: [usize; 4],
    /// How many key positions the mask covers; later ones are hidden. `kv_len` if the mask is broadcast over them, or absent.
    pub mask_len: usize,
    /// Whether later positions are hidden from earlier ones.
    pub causal: bool,
    /// How many key positions come before the query's first: the cache's length.
    pub past: usize,
    /// How many positions back a query sees, -1 for all.
    pub left: i64,
    /// How many positions ahead a query sees, -1 for all.
    pub right: i64,
    /// The factor of the products; NaN means one over the root of `qk_dim` (where the compiler does not know that).
    pub scale: f32,
    /// Scores become `softcap * tanh(score / softcap)`, unless it is 0.
    pub softcap: f32,
    /// Whether the result of a query from which all keys are hidden is NaN, and not zero.
    pub blind_is_nan: bool,
}

impl Attention {
    /// The same with a scale that is a number.
    fn scaled(self) -> Self {
        let scale = if self.scale.is_nan() { (1.0 / fmath::sqrt(self.qk_dim as f64)) as f32 } else { self.scale };
        Self { scale, ..self }
    }

    /// The key positions that query position `i` of a sample may see, masks aside.
    #[inline]
    fn visible(&self, i: usize, nonpad: Option<i64>) -> (usize, usize) {
        let position = i as i64 + nonpad.map_or(self.past as i64, |n| n.saturating_sub(self.q_len as i64));
        let mut end = (self.kv_len.min(self.mask_len)) as i64;
        if let Some(nonpad) = nonpad {
            end = end.min(nonpad);
        }
        if self.causal {
            end = end.min(position.saturating_add(1));
        }
        if self.right >= 0 {
            end = end.min(position.saturating_add(self.right).saturating_add(1));
        }
        let start = if self.left >= 0 { position.saturating_sub(self.left).max(0) } else { 0 };
        (start.min(end.max(0)) as usize, end.max(0) as usize)
    }

    fn check(&self, [out, q, k, v]: [usize; 4], mask: Option<usize>, nonpad: Option<usize>) -> Result<(), Fault> {
        let span = |dims: [usize; 3], strides: [usize; 3], last: usize| {
            let reach = dims.iter().zip(strides).map(|(&d, s)| d.saturating_sub(1).saturating_mul(s)).fold(last, usize::saturating_add);
            if dims.contains(&0) || last == 0 { 0 } else { reach }
        };
        let (queries, keys) = ([self.batch, self.q_heads, self.q_len], [self.batch, self.kv_heads, self.kv_len]);
        let mask_reach = span(queries, [self.mask[0], self.mask[1], self.mask[2]], 1)
            .saturating_add(self.mask_len.saturating_sub(1).saturating_mul(self.mask[3]));
        let fits = self.kv_heads > 0
            && self.q_heads.is_multiple_of(self.kv_heads)
            && span(queries, self.q, self.qk_dim) <= q
            && span(queries, self.out, self.v_dim) <= out
            && span(keys, self.k, self.qk_dim) <= k
            && span(keys, self.v, self.v_dim) <= v
            && mask.is_none_or(|m| self.mask_len == 0 || mask_reach <= m)
            && nonpad.is_none_or(|n| n == self.batch);
        if fits { Ok(()) } else { Err(Fault::Internal { what: "attention: an operand is shorter than its view" }) }
    }
}

const fn offset(strides: [usize; 3], b: usize, h: usize, i: usize) -> usize {
    b * strides[0] + h * strides[1] + i * strides[2]
}
