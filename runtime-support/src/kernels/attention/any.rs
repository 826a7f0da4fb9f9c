//! Attention for every float type, in f64, query by query.

use super::{Attention, offset};
use crate::element::Bool;
use crate::error::Fault;
use crate::kernels::fmath;
use crate::kernels::num::Float;

/// Turns a mask of truth values into one that is added: 0 where true, minus infinity where false.
pub fn mask_from_bool<T: Float>(out: &mut [T], mask: &[Bool]) -> Result<(), Fault> {
    if out.len() != mask.len() {
        return Err(Fault::Internal { what: "mask: lengths" });
    }
    out.iter_mut().zip(mask).for_each(|(y, m)| *y = if m.get() { T::narrow(0.0) } else { T::LOWEST });
    Ok(())
}

/// Attention: softmax(scale q · kᵀ + mask) · v. A query that sees nothing gives zeros.
///
/// `mask` is added to the scores; `nonpad` is how many key positions of each sample are not padding (the query's positions are the last of them).
/// `scores` is empty, or contiguous `batch, q_heads, q_len, kv_len`: with `scores_mode` 0 the products, 1 after the soft cap, 2 after the mask,
/// 3 after softmax. `scratch` has `kv_len` elements.
pub fn attention_any<T: Float>(
    out: &mut [T],
    scores: &mut [T],
    scratch: &mut [f64],
    q: &[T],
    k: &[T],
    v: &[T],
    mask: Option<&[T]>,
    nonpad: Option<&[i64]>,
    p: Attention,
    scores_mode: usize,
) -> Result<(), Fault> {
    let p = p.scaled();
    p.check([out.len(), q.len(), k.len(), v.len()], mask.map(<[T]>::len), nonpad.map(<[i64]>::len))?;
    let wanted = p.batch * p.q_heads * p.q_len * p.kv_len;
    if scratch.len() != p.kv_len || !(scores.is_empty() || scores.len() == wanted) {
        return Err(Fault::Internal { what: "attention: lengths" });
    }
    for row in 0..p.batch * p.q_heads * p.q_len {
        let (b, h, i) = (row / p.q_len / p.q_heads, row / p.q_len % p.q_heads, row % p.q_len);
        let kv = h / (p.q_heads / p.kv_heads);
        let query = &q[offset(p.q, b, h, i)..][..p.qk_dim];
        let (start, end) = p.visible(i, nonpad.map(|n| n[b]));
        let mut keep = |mode: usize, values: &[f64]| {
            if let Some(row) = scores.get_mut(row * p.kv_len..(row + 1) * p.kv_len).filter(|_| mode == scores_mode) {
                row.iter_mut().zip(values).for_each(|(y, v)| *y = T::narrow(*v));
            }
        };
        for (j, score) in scratch.iter_mut().enumerate() {
            let key = &k[offset(p.k, b, kv, j)..][..p.qk_dim];
            *score = p.scale as f64 * query.iter().zip(key).map(|(q, k)| q.widen() * k.widen()).sum::<f64>();
        }
        keep(0, scratch);
        if p.softcap > 0.0 {
            let cap = p.softcap as f64;
            for s in scratch.iter_mut() {
                *s = cap * fmath::tanh(*s / cap);
            }
        }
        keep(1, scratch);
        for (j, score) in scratch.iter_mut().enumerate() {
            let bias = mask
                .filter(|_| j < p.mask_len)
                .map_or(0.0, |m| m[offset([p.mask[0], p.mask[1], p.mask[2]], b, h, i) + j * p.mask[3]].widen());
            *score = if (start..end).contains(&j) { *score + bias } else { f64::NEG_INFINITY };
        }
        keep(2, scratch);
        softmax_or(scratch, if p.blind_is_nan { f64::NAN } else { 0.0 });
        keep(3, scratch);
        let to = offset(p.out, b, h, i);
        for (d, y) in out[to..to + p.v_dim].iter_mut().enumerate() {
            let weighted = |j: usize| scratch[j] * v[offset(p.v, b, kv, j) + d].widen();
            *y = T::narrow((start..end).map(weighted).sum());
        }
    }
    Ok(())
}

/// Softmax; `blind` everywhere if all are hidden.
fn softmax_or(row: &mut [f64], blind: f64) {
    let top = row.iter().fold(f64::NEG_INFINITY, |a, &v| if v > a || v.is_nan() { v } else { a });
    if top == f64::NEG_INFINITY {
        return row.fill(blind);
    }
    for v in row.iter_mut() {
        *v = fmath::exp(*v - top);
    }
    let sum: f64 = row.iter().sum();
    for v in row.iter_mut() {
        *v /= sum;
    }
}
