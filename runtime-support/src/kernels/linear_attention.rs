//! LinearAttention and CausalConvWithState (opset 27): recurrences with a state that is carried from call to call.

use crate::error::Fault;
use crate::kernels::fmath::{exp, sigmoid, sqrt};
use crate::kernels::num::Float;

/// How LinearAttention's state changes with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateRule {
    /// state += k vᵀ.
    Linear,
    /// The state decays first.
    Gated,
    /// What the state already says of k is taken from v.
    Delta,
    /// Both.
    GatedDelta,
}

/// LinearAttention: for each token the state (`dk, dv`, of each head of keys) changes by `rule`, then out = scale * qᵀ state. A scale of 0 means
/// one over the root of `dk`.
///
/// `q` is `batch, len, q_heads * dk`, `k` `batch, len, kv_heads * dk`, `v` `batch, len, kv_heads * dv`, `past` and `present` `batch, kv_heads, dk, dv`.
/// `decay` (logarithms) has `kv_heads` or `kv_heads * dk` elements a token, `beta` 1 or `kv_heads`. `scratch` has `dk * dv + dv` elements.
pub fn linear_attention<T: Float>(
    out: &mut [T],
    present: &mut [T],
    scratch: &mut [f64],
    q: &[T],
    k: &[T],
    v: &[T],
    past: Option<&[T]>,
    decay: Option<&[T]>,
    beta: Option<&[T]>,
    batch: usize,
    len: usize,
    q_heads: usize,
    kv_heads: usize,
    dk: usize,
    dv: usize,
    scale: f32,
    rule: UpdateRule,
) -> Result<(), Fault> {
    let tokens = batch * len;
    let state_len = batch * kv_heads * dk * dv;
    let one_of = |x: Option<&[T]>, a: usize, b: usize| x.is_none_or(|x| x.len() == tokens * a || x.len() == tokens * b);
    let (gated, delta) =
        (matches!(rule, UpdateRule::Gated | UpdateRule::GatedDelta), matches!(rule, UpdateRule::Delta | UpdateRule::GatedDelta));
    let fits = kv_heads > 0
        && q_heads.is_multiple_of(kv_heads)
        && [out.len(), q.len(), k.len(), v.len()]
            == [tokens * q_heads * dv, tokens * q_heads * dk, tokens * kv_heads * dk, tokens * kv_heads * dv]
        && (present.is_empty() || present.len() == state_len)
        && past.is_none_or(|p| p.len() == state_len)
        && scratch.len() == dk * dv + dv
        && one_of(decay, kv_heads, kv_heads * dk)
        && one_of(beta, 1, kv_heads)
        && gated == decay.is_some()
        && delta == beta.is_some();
    if !fits {
        return Err(Fault::Internal { what: "linear attention: lengths" });
    }
    let scale = if scale == 0.0 { 1.0 / sqrt(dk as f64) } else { scale as f64 };
    let (state, token) = scratch.split_at_mut(dk * dv);
    let group = q_heads / kv_heads;
    for (b, h) in (0..batch).flat_map(|b| (0..kv_heads).map(move |h| (b, h))) {
        let at = (b * kv_heads + h) * dk * dv;
        match past {
            Some(past) => state.iter_mut().zip(&past[at..]).for_each(|(s, p)| *s = p.widen()),
            None => state.fill(0.0),
        }
        for t in b * len..(b + 1) * len {
            let key = &k[(t * kv_heads + h) * dk..][..dk];
            token.iter_mut().zip(&v[(t * kv_heads + h) * dv..]).for_each(|(y, v)| *y = v.widen());
            if let Some(decay) = decay {
                let wide = decay.len() / tokens;
                for (i, row) in state.chunks_exact_mut(dv.max(1)).enumerate() {
                    let factor = exp(decay[t * wide + if wide == kv_heads { h } else { h * dk + i }].widen());
                    for s in row.iter_mut() {
                        *s *= factor;
                    }
                }
            }
            if let Some(beta) = beta {
                let wide = beta.len() / tokens;
                let rate = beta[t * wide + if wide == 1 { 0 } else { h }].widen();
                for (j, y) in token.iter_mut().enumerate() {
                    let known: f64 = key.iter().enumerate().map(|(i, k)| state[i * dv + j] * k.widen()).sum();
                    *y = rate * (*y - known);
                }
            }
            for (row, k) in state.chunks_exact_mut(dv.max(1)).zip(key) {
                row.iter_mut().zip(token.iter()).for_each(|(s, v)| *s += k.widen() * v);
            }
            for head in h * group..(h + 1) * group {
                let query = &q[(t * q_heads + head) * dk..][..dk];
                for (j, y) in out[(t * q_heads + head) * dv..][..dv].iter_mut().enumerate() {
                    let sum: f64 = query.iter().enumerate().map(|(i, q)| q.widen() * state[i * dv + j]).sum();
                    *y = T::narrow(scale * sum);
                }
            }
        }
        if let Some(present) = present.get_mut(at..at + dk * dv) {
            present.iter_mut().zip(state.iter()).for_each(|(y, s)| *y = T::narrow(*s));
        }
    }
    Ok(())
}

/// CausalConvWithState: each channel of `x` (`batch, channels, len`) convolved with its own `width` weights, looking back only; `past` (or zeros) comes
/// before `x`. `present` is the last `width - 1` positions. With `silu` the result y becomes y sigmoid(y).
pub fn causal_conv<T: Float>(
    out: &mut [T],
    present: &mut [T],
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    past: Option<&[T]>,
    batch: usize,
    channels: usize,
    len: usize,
    width: usize,
    silu: bool,
) -> Result<(), Fault> {
    let carried = width.saturating_sub(1);
    let fits = width > 0
        && x.len() == batch * channels * len
        && out.len() == x.len()
        && w.len() == channels * width
        && bias.is_none_or(|b| b.len() == channels)
        && past.is_none_or(|p| p.len() == batch * channels * carried)
        && (present.is_empty() || present.len() == batch * channels * carried);
    if !fits {
        return Err(Fault::Internal { what: "causal convolution: lengths" });
    }
    for line in 0..batch * channels {
        let c = line % channels;
        // Position `i` of the past and the line together.
        let padded = |i: usize| match i.checked_sub(carried) {
            Some(i) => x[line * len + i].widen(),
            None => past.map_or(0.0, |p| p[line * carried + i].widen()),
        };
        for i in 0..len {
            let sum: f64 = w[c * width..][..width].iter().enumerate().map(|(j, w)| w.widen() * padded(i + j)).sum();
            let y = sum + bias.map_or(0.0, |b| b[c].widen());
            out[line * len + i] = T::narrow(if silu { y * sigmoid(y) } else { y });
        }
        if let Some(present) = present.get_mut(line * carried..(line + 1) * carried) {
            present.iter_mut().enumerate().for_each(|(i, y)| *y = T::narrow(padded(len + i)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_head_by_hand() {
        let (mut y, mut s) = ([0f64; 2], [0f64; 1]);
        let ln2 = [2f64.ln(); 2];
        // dk = dv = 1; the state: 1 * 2, minus what it knows, and so on.
        let mut run = |rule, decay: Option<&[f64]>, beta: Option<&[f64]>| {
            let past = [3.0];
            linear_attention(
                &mut y,
                &mut s,
                &mut [0.0; 2],
                &[1.0, 10.0],
                &[2.0, 1.0],
                &[5.0, 7.0],
                Some(&past),
                decay,
                beta,
                1,
                2,
                1,
                1,
                1,
                1,
                0.5,
                rule,
            )
            .unwrap();
            (y, s[0])
        };
        assert_eq!(run(UpdateRule::Linear, None, None), ([6.5, 100.0], 20.0));
        assert_eq!(run(UpdateRule::Delta, None, Some(&[0.5, 1.0])), ([1.0, 35.0], 7.0));
        let (y, s) = run(UpdateRule::Gated, Some(&ln2), None);
        assert!((y[0] - 8.0).abs() < 1e-12 && (s - 39.0).abs() < 1e-12);
    }

    #[test]
    fn heads_share_keys() {
        let mut y = [0f32; 4];
        let q = [1.0, 0.0, 0.0, 1.0];
        linear_attention(
            &mut y,
            &mut [],
            &mut [0.0; 6],
            &q,
            &[1.0, 2.0],
            &[3.0, 4.0],
            None,
            None,
            None,
            1,
            1,
            2,
            1,
            2,
            2,
            1.0,
            UpdateRule::Linear,
        )
        .unwrap();
        assert_eq!(y, [3.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn convolution_carries_on() {
        let (x, w) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 10.0, 100.0]);
        let (mut whole, mut state) = ([0f64; 5], [0f64; 2]);
        causal_conv(&mut whole, &mut state, &x, &w, Some(&[0.5]), None, 1, 1, 5, 3, false).unwrap();
        assert_eq!((whole, state), ([100.5, 210.5, 321.5, 432.5, 543.5], [4.0, 5.0]));
        let (mut part, mut carry) = ([0f64; 1], [0f64; 2]);
        causal_conv(&mut part, &mut carry, &x[..1], &w, None, None, 1, 1, 1, 3, false).unwrap();
        assert_eq!(carry, [0.0, 1.0]);
        let mut rest = [0f64; 4];
        causal_conv(&mut rest, &mut [], &x[1..], &w, Some(&[0.5]), Some(&carry), 1, 1, 4, 3, false).unwrap();
        assert_eq!(rest, whole[1..]);
    }
}
