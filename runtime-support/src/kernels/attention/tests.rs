use super::*;
use crate::cx::{Cx, Isa};
use crate::element::Bool;
extern crate std;
use std::vec::Vec;

fn data(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// Heads before positions, everything contiguous, no mask.
fn plain(batch: usize, [q_heads, kv_heads]: [usize; 2], [q_len, kv_len]: [usize; 2], [qk_dim, v_dim]: [usize; 2]) -> Attention {
    Attention {
        batch,
        q_heads,
        kv_heads,
        q_len,
        kv_len,
        qk_dim,
        v_dim,
        q: [q_heads * q_len * qk_dim, q_len * qk_dim, qk_dim],
        k: [kv_heads * kv_len * qk_dim, kv_len * qk_dim, qk_dim],
        v: [kv_heads * kv_len * v_dim, kv_len * v_dim, v_dim],
        out: [q_heads * q_len * v_dim, q_len * v_dim, v_dim],
        mask: [0, 0, 0, 0],
        mask_len: kv_len,
        causal: false,
        past: 0,
        left: -1,
        right: -1,
        scale: 0.3,
        softcap: 0.0,
        blind_is_nan: false,
    }
}

fn compare(p: Attention, mask: Option<&[f32]>, nonpad: Option<&[i64]>) {
    let n = p.batch * p.q_heads * p.q_len;
    let (q, k, v) =
        (data(n * p.qk_dim, 1), data(p.batch * p.kv_heads * p.kv_len * p.qk_dim, 2), data(p.batch * p.kv_heads * p.kv_len * p.v_dim, 3));
    let mut want = std::vec![f32::NAN; n * p.v_dim];
    attention_any(&mut want, &mut [], &mut std::vec![0f64; p.kv_len], &q, &k, &v, mask, nonpad, p, 0).unwrap();
    for isa in Isa::ALL {
        let Some(cx) = Cx::REFERENCE.with_isa(isa) else { continue };
        let mut got = std::vec![f32::NAN; n * p.v_dim];
        let mut scratch = std::vec![f32::NAN; scratch_len(p)];
        attention(cx.with_threads(2), &mut got, &mut scratch, &q, &k, &v, mask, nonpad, p).unwrap();
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 3e-6 || a.is_nan() && b.is_nan()), "{p:?} {isa:?}\n{got:?}\n{want:?}");
    }
}

#[test]
fn blocks_agree_with_the_plain_loops() {
    compare(plain(1, [1, 1], [1, 1], [3, 5]), None, None);
    compare(plain(2, [4, 2], [3, 130], [20, 12]), None, None);
    compare(plain(1, [2, 2], [50, 300], [33, 70]), None, None);
    compare(Attention { causal: true, ..plain(1, [2, 1], [150, 150], [16, 16]) }, None, None);
    compare(Attention { causal: true, past: 9, softcap: 0.5, ..plain(1, [2, 1], [4, 13], [16, 8]) }, None, None);
    compare(Attention { left: 3, right: 1, ..plain(2, [1, 1], [40, 200], [8, 8]) }, None, None);
    compare(Attention { causal: true, left: 40, ..plain(1, [1, 1], [200, 200], [8, 8]) }, None, None);
    compare(Attention { causal: true, ..plain(3, [1, 1], [5, 40], [8, 8]) }, None, Some(&[40, 3, 17]));
    // Packed fully, whatever is in the batch: positions before heads.
    let p = plain(2, [3, 3], [10, 10], [8, 8]);
    compare(Attention { q: [240, 8, 24], k: [240, 8, 24], v: [240, 8, 24], out: [240, 8, 24], ..p }, None, None);
}

#[test]
fn masks() {
    let p = Attention { mask: [40 * 150, 0, 150, 1], mask_len: 150, ..plain(2, [2, 2], [40, 160], [8, 8]) };
    let mut mask = data(2 * 40 * 150, 9);
    mask.iter_mut().step_by(7).for_each(|m| *m = f32::NEG_INFINITY);
    mask[150..300].fill(f32::NEG_INFINITY);
    compare(p, Some(&mask), None);
    compare(Attention { blind_is_nan: true, ..p }, Some(&mask), None);
    compare(
        Attention { q_len: 2, mask: [0, 0, 1, 0], mask_len: 160, ..plain(2, [2, 2], [2, 160], [8, 8]) },
        Some(&[1.0, f32::NEG_INFINITY]),
        None,
    );
    let mut added = [9f32; 2];
    mask_from_bool(&mut added, &[Bool(1), Bool(0)]).unwrap();
    assert_eq!(added, [0.0, f32::NEG_INFINITY]);
}

/// By hand: two keys, one hidden by the causal frontier from the first query; the scores in every mode.
#[test]
fn by_the_formula() {
    let p = Attention { causal: true, scale: 1.0, softcap: 2.0, ..plain(1, [1, 1], [2, 2], [1, 1]) };
    let (mut out, mut scores) = ([0f64; 2], [0f64; 4]);
    let mut run = |mode| {
        attention_any(&mut out, &mut scores, &mut [0.0; 2], &[1.0, 2.0], &[3.0, 1.0], &[10.0, 20.0], None, None, p, mode).unwrap();
        scores
    };
    assert_eq!(run(0), [3.0, 1.0, 6.0, 2.0]);
    let cap = |x: f64| 2.0 * (x / 2.0).tanh();
    let capped = run(1);
    assert!((capped[2] - cap(6.0)).abs() < 1e-15);
    assert_eq!(run(2)[..2], [capped[0], f64::NEG_INFINITY]);
    let weight = 1.0 / (1.0 + (cap(2.0) - cap(6.0)).exp());
    assert_eq!(run(3)[..2], [1.0, 0.0]);
    assert!((run(3)[2] - weight).abs() < 1e-15);
    assert!(out[0] == 10.0 && (out[1] - (10.0 * weight + 20.0 * (1.0 - weight))).abs() < 1e-13);
    let bad = Attention { kv_len: 3, ..p };
    assert!(attention_any(&mut out, &mut scores, &mut [0.0; 3], &[1.0, 2.0], &[3.0, 1.0], &[10.0, 20.0], None, None, bad, 0).is_err());
}
