//! The tuned f32 attention: blocks of queries against blocks of keys, with a running maximum and sum (Milakov and Gimelshein, 2018; Dao et al., 2022).
//!
//! With several queries a head's keys are first transposed into panels, so that scores are vectors along the keys; with few (decoding) each score is
//! a dot product on the keys as they lie. The output's rows are the accumulators.

use super::{Attention, offset};
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::fold::{self, Max};
use crate::kernels::gemm::Shared;
use crate::kernels::parallel::{self, Parts};
use crate::kernels::thin::{PANEL, Thin, accumulate};
use crate::math::{Math, exp_nonpositive};
use crate::simd::{Simd, WithSimd, dispatch};

/// Queries of a block.
const QUERIES: usize = 24;
/// Keys of a block: whole panels.
const KEYS: usize = 128;
/// From how many queries a head of keys on (all that share it) its keys are packed.
const PACK_FROM: usize = 8;

const fn packs(p: &Attention) -> bool {
    p.kv_heads > 0 && p.q_heads / p.kv_heads * p.q_len >= PACK_FROM
}

/// The scratch that [`attention`] needs: the keys in panels of 32, or nothing if there are few queries.
///
/// `batch * kv_heads * ceil(kv_len / 32) * 32 * qk_dim` is always enough.
pub const fn scratch_len(p: Attention) -> usize {
    if packs(&p) { p.batch * p.kv_heads * p.kv_len.div_ceil(PANEL) * PANEL * p.qk_dim } else { 0 }
}

/// The multiply-adds that take as long as one element's share of the softmax.
const SOFTMAX: usize = 32;

/// Attention in f32, as [`attention_any`](super::attention_any) without scores. `scratch` has [`scratch_len`] elements or more.
pub fn attention(
    cx: Cx,
    out: &mut [f32],
    scratch: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    mask: Option<&[f32]>,
    nonpad: Option<&[i64]>,
    p: Attention,
) -> Result<(), Fault> {
    let p = p.scaled();
    p.check([out.len(), q.len(), k.len(), v.len()], mask.map(<[f32]>::len), nonpad.map(<[i64]>::len))?;
    let needed = scratch_len(p);
    // Rows of the output that overlap could not be written by several tasks.
    let apart = p.q_len <= 1 || p.out[2] >= p.v_dim;
    if scratch.len() < needed || !apart {
        return Err(Fault::Internal { what: "attention: scratch or output strides" });
    }
    if p.batch * p.q_heads * p.q_len * p.v_dim == 0 {
        return Ok(());
    }
    let heads = p.batch * p.kv_heads;
    let work = p.batch * p.q_heads * p.q_len * p.kv_len * (p.qk_dim + p.v_dim + SOFTMAX);
    if needed > 0 {
        let (len, parts) = (needed / heads, Parts::new(scratch));
        parallel::each(cx, work, heads, |head| {
            // SAFETY: a part of the scratch for each head.
            let to = unsafe { parts.part(head * len..(head + 1) * len) };
            pack_keys(to, &k[offset(p.k, head / p.kv_heads, head % p.kv_heads, 0)..], &p);
        });
    }
    let panels = (needed > 0).then_some(&scratch[..needed]);
    let blocks = p.q_len.div_ceil(QUERIES);
    let target = Shared(out.as_mut_ptr());
    parallel::each(cx, work, p.batch * p.q_heads * blocks, |task| {
        let (row, block) = (task / blocks, task % blocks);
        let first = block * QUERIES;
        let count = QUERIES.min(p.q_len - first);
        dispatch(cx, Block { q, k, v, mask, nonpad, p: &p, panels, target, b: row / p.q_heads, h: row % p.q_heads, first, count });
    });
    Ok(())
}

/// Transposes a head's keys into panels `[panel][qk_dim][32]`, the last one filled up with zeros.
fn pack_keys(to: &mut [f32], k: &[f32], p: &Attention) {
    for (panel, to) in to.chunks_exact_mut(PANEL * p.qk_dim).enumerate() {
        for column in 0..PANEL {
            let j = panel * PANEL + column;
            if j < p.kv_len {
                for (d, &v) in k[j * p.k[2]..][..p.qk_dim].iter().enumerate() {
                    to[d * PANEL + column] = v;
                }
            } else {
                to[column..].iter_mut().step_by(PANEL).for_each(|y| *y = 0.0);
            }
        }
    }
}

/// A block of queries of one head of one sample.
struct Block<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    mask: Option<&'a [f32]>,
    nonpad: Option<&'a [i64]>,
    p: &'a Attention,
    panels: Option<&'a [f32]>,
    target: Shared,
    b: usize,
    h: usize,
    first: usize,
    count: usize,
}

/// What is known of a query so far: its visible keys, the greatest score and the sum of exponentials below it.
#[derive(Clone, Copy)]
struct Running {
    visible: (usize, usize),
    top: f32,
    sum: f32,
}

impl WithSimd for Block<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let p = self.p;
        let kv = self.h / (p.q_heads / p.kv_heads);
        let mut scores = [0f32; QUERIES * KEYS];
        let mut running = [Running { visible: (0, 0), top: f32::NEG_INFINITY, sum: 0.0 }; QUERIES];
        let running = &mut running[..self.count];
        let (mut start, mut end) = (usize::MAX, 0);
        for (i, r) in running.iter_mut().enumerate() {
            r.visible = p.visible(self.first + i, self.nonpad.and_then(|n| n.get(self.b).copied()));
            if r.visible.0 < r.visible.1 {
                (start, end) = (start.min(r.visible.0), end.max(r.visible.1));
            }
            self.row(i).fill(0.0);
        }
        let mut block = start.min(end) / PANEL * PANEL;
        while block < end {
            let keys = KEYS.min(end - block);
            self.scores(s, &mut scores, kv, block, keys);
            for (i, r) in running.iter_mut().enumerate() {
                let row = &mut scores[i * KEYS..][..keys];
                let seen = (r.visible.0.clamp(block, block + keys) - block, r.visible.1.clamp(block, block + keys) - block);
                row[..seen.0].fill(0.0);
                row[seen.1.max(seen.0)..].fill(0.0);
                if seen.0 < seen.1 {
                    self.weigh(s, &mut row[seen.0..seen.1], r, i, block + seen.0);
                }
            }
            let from = offset(p.v, self.b, kv, block);
            let product = Thin {
                a: scores.as_ptr(),
                a_stride: KEYS,
                // SAFETY: the output's view was checked.
                out: unsafe { self.target.at(offset(p.out, self.b, self.h, self.first)) },
                out_stride: p.out[2],
                rows: self.count,
                k: keys,
                columns: p.v_dim,
                b: self.v[from..].as_ptr(),
                b_row: p.v[2],
                b_panel: PANEL,
            };
            // SAFETY: the views of values and output were checked; the output's rows are this task's.
            unsafe { accumulate(s, product) };
            block += KEYS;
        }
        for (i, r) in running.iter().enumerate() {
            let blind = if p.blind_is_nan { f32::NAN } else { 0.0 };
            scale_row(s, self.row(i), if r.sum == 0.0 { blind } else { 1.0 / r.sum });
        }
    }
}

impl Block<'_> {
    /// The output's row of a query.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // The rows are this task's alone, one is held at a time.
    fn row(&self, i: usize) -> &mut [f32] {
        let at = offset(self.p.out, self.b, self.h, self.first + i);
        // SAFETY: the output's view was checked, its rows do not overlap, and only this task has this head's block of queries.
        unsafe { core::slice::from_raw_parts_mut(self.target.at(at), self.p.v_dim) }
    }

    /// The products of the block's queries with `keys` keys from `block` on.
    #[inline(always)]
    fn scores<S: Simd>(&self, s: S, scores: &mut [f32; QUERIES * KEYS], kv: usize, block: usize, keys: usize) {
        let p = self.p;
        let query = offset(p.q, self.b, self.h, self.first);
        let Some(panels) = self.panels else {
            for i in 0..self.count {
                let query = &self.q[query + i * p.q[2]..][..p.qk_dim];
                for (j, score) in scores[i * KEYS..][..keys].iter_mut().enumerate() {
                    *score = dot(s, query, &self.k[offset(p.k, self.b, kv, block + j)..][..p.qk_dim]);
                }
            }
            return;
        };
        scores[..self.count * KEYS].fill(0.0);
        let len = p.kv_len.div_ceil(PANEL) * PANEL * p.qk_dim;
        let head = &panels[(self.b * p.kv_heads + kv) * len..][..len];
        let product = Thin {
            a: self.q[query..].as_ptr(),
            a_stride: p.q[2],
            out: scores.as_mut_ptr(),
            out_stride: KEYS,
            rows: self.count,
            k: p.qk_dim,
            columns: keys.div_ceil(PANEL) * PANEL,
            b: head[block * p.qk_dim..].as_ptr(),
            b_row: PANEL,
            b_panel: PANEL * p.qk_dim,
        };
        // SAFETY: the view of queries was checked; the block starts on a panel and its panels exist; a row of scores has room for them.
        unsafe { accumulate(s, product) };
    }

    /// Scales and masks the visible scores of query `i` (keys from `key` on), and turns them into weights below the running maximum.
    #[inline(always)]
    fn weigh<S: Simd>(&self, s: S, row: &mut [f32], r: &mut Running, i: usize, key: usize) {
        let p = self.p;
        self.bias(s, row, i, key);
        let top = fold::run(s, Max, row);
        let new = if top > r.top || top.is_nan() { top } else { r.top };
        if new == f32::NEG_INFINITY {
            return row.fill(0.0);
        }
        if r.sum != 0.0 && new != r.top {
            let factor = s.reduce_max(exp_nonpositive(s, s.splat(r.top - new)));
            r.sum *= factor;
            scale_row(s, self.row(i), factor);
        }
        r.top = new;
        let (new, mut sum) = (s.splat(new), s.zero());
        for x in row.chunks_mut(S::LANES) {
            let y = exp_nonpositive(s, s.sub(s.load_head(x), new));
            s.store_head(x, y);
            sum = s.add(sum, s.select(s.head_mask(x.len()), y, s.zero()));
        }
        r.sum += s.reduce_sum(sum);
        debug_assert!(p.v_dim > 0);
    }

    /// Scale, soft cap and mask.
    #[inline(always)]
    fn bias<S: Simd>(&self, s: S, row: &mut [f32], i: usize, key: usize) {
        let p = self.p;
        let scale = s.splat(p.scale);
        let at = p.mask[0] * self.b + p.mask[1] * self.h + p.mask[2] * (self.first + i) + p.mask[3] * key;
        let mask = self.mask.and_then(|m| m.get(at..)).unwrap_or_default();
        let cap = s.splat(p.softcap);
        for (nth, x) in row.chunks_mut(S::LANES).enumerate() {
            let mut v = s.mul(s.load_head(x), scale);
            if p.softcap > 0.0 {
                v = s.mul(cap, s.tanh(s.div(v, cap)));
            }
            if let [first, ..] = mask {
                let m = if p.mask[3] == 1 { s.load_head(mask.get(nth * S::LANES..).unwrap_or_default()) } else { s.splat(*first) };
                v = s.add(v, m);
            }
            s.store_head(x, v);
        }
    }
}

#[inline(always)]
fn scale_row<S: Simd>(s: S, row: &mut [f32], by: f32) {
    let by = s.splat(by);
    for x in row.chunks_mut(S::LANES) {
        s.store_head(x, s.mul(s.load_head(x), by));
    }
}

#[inline(always)]
fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let (mut even, mut odd) = (s.zero(), s.zero());
    let mut a2 = a.chunks_exact(2 * S::LANES);
    let mut b2 = b.chunks_exact(2 * S::LANES);
    for (a, b) in (&mut a2).zip(&mut b2) {
        even = s.mul_add(s.load(a), s.load(b), even);
        odd = s.mul_add(s.load(&a[S::LANES..]), s.load(&b[S::LANES..]), odd);
    }
    for (a, b) in a2.remainder().chunks(S::LANES).zip(b2.remainder().chunks(S::LANES)) {
        even = s.mul_add(s.load_head(a), s.load_head(b), even);
    }
    s.reduce_sum(s.add(even, odd))
}
