//! Products of numbers rounded to bf16, summed as f32 (`--precision bf16`).
//!
//! Weights are stored in pairs along k: an element of 32 bits is two neighbours. Where there is an instruction that multiplies pairs and adds both
//! products to an f32 ([`Simd::dot_bf16`](crate::simd::Simd::dot_bf16), AVX512-BF16), the left operand is laid out in pairs too. To the loops such an
//! element is as good as an f32, and the result is one, so that they and the epilogue are those of every other product. Elsewhere the left operand
//! is rounded and stays f32, panels are widened as other narrow ones are, and the product is the usual one.

use super::epilogue::Activation;
use super::gemm_with;
use super::pack::PANEL;
use super::panels::Panels;
use super::product::{Product, promise};
use super::tile::{Bf16Pairs, Real};
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::parallel::{self, Parts};
use crate::simd::{Simd, WithSimd, dispatch, has_dot_bf16};

/// Pairs as the elements that the tiles move.
pub(crate) fn elements(x: &[u32]) -> &[f32] {
    // SAFETY: u32 and f32 have the same size and alignment, and any bits are an f32.
    unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The bits of a number rounded to bf16, to the nearest and halves to even. As [`BF16::from_f32`](crate::float::BF16::from_f32), but vectors can do it.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16;
    // A NaN of low bits only would become an infinity, or wrap to zero.
    if bits << 1 > 0xff00_0000 { bits >> 16 | 0x40 } else { rounded }
}

/// A pair: the first number in the low half.
#[inline(always)]
fn pair(first: f32, second: f32) -> u32 {
    round(first) | round(second) << 16
}

/// Rounds the left operand of [`gemm_bf16`], or the input of [`conv_bf16`](crate::kernels::conv::conv_bf16), for the same context: `out` is as long
/// as `x`, an even number of elements. Where pairs are multiplied, the first half of `out` has them.
pub fn to_bf16(cx: Cx, out: &mut [f32], x: &[f32]) -> Result<(), Fault> {
    promise(out.len() == x.len() && x.len().is_multiple_of(2), "to_bf16: wrong length of the output")?;
    round_all(cx, out, x, has_dot_bf16(cx));
    Ok(())
}

fn round_all(cx: Cx, out: &mut [f32], x: &[f32], paired: bool) {
    let per_element = if paired { 2 } else { 1 };
    let len = x.len() / per_element;
    let tasks = parallel::tasks(cx, x.len());
    let parts = Parts::new(&mut out[..len]);
    parallel::each(cx, x.len(), tasks, |task| {
        let range = parallel::part(len, STEP, task, tasks);
        let x = &x[per_element * range.start..per_element * range.end];
        // SAFETY: parts of one division of the output do not overlap.
        dispatch(cx, Round { out: unsafe { parts.part(range) }, x, paired });
    });
}

/// Elements that tasks are cut at: a cache line's.
const STEP: usize = 16;

struct Round<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    paired: bool,
}

impl WithSimd for Round<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // Plain code, which the compiler turns into vectors of whatever instructions there are.
        if self.paired {
            for (y, x) in self.out.iter_mut().zip(self.x.as_chunks::<2>().0) {
                *y = f32::from_bits(pair(x[0], x[1]));
            }
        } else {
            for (y, &x) in self.out.iter_mut().zip(self.x) {
                *y = f32::from_bits(round(x) << 16);
            }
        }
    }
}

/// Rounds packed panels to bf16 and pairs their rows: `[panels][k][32]`, with an even k, becomes `[panels][k / 2][32]`.
///
/// Panels lie one after another and k is even, so a pair never reaches from one to the next.
pub fn pack_bf16(out: &mut [u32], panels: &[f32]) -> Result<(), Fault> {
    promise(out.len().is_multiple_of(PANEL) && out.len().checked_mul(2) == Some(panels.len()), "pack_bf16: wrong length of the output")?;
    for (y, x) in out.chunks_exact_mut(PANEL).zip(panels.chunks_exact(2 * PANEL)) {
        let (first, second) = x.split_at(PANEL);
        for (y, (&a, &b)) in y.iter_mut().zip(first.iter().zip(second)) {
            *y = pair(a, b);
        }
    }
    Ok(())
}

/// [`gemm_packed`](super::gemm_packed) of numbers rounded to bf16: `a` by [`to_bf16`] in the same context, `b`, packed, by [`pack_bf16`]. `p.k` and
/// the strides of A's rows and matrices are even, and A's columns lie side by side.
pub fn gemm_bf16(
    cx: Cx,
    c: &mut [f32],
    a: &[f32],
    b: &[u32],
    bias: Option<&[f32]>,
    row_bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    p: Product,
    alpha: f32,
    activation: Activation,
) -> Result<(), Fault> {
    let even = [p.k, p.a_row, p.a_batch[0], p.a_batch[1]].iter().all(|x| x.is_multiple_of(2));
    promise(even && p.a_col == 1, "gemm: A does not consist of pairs")?;
    if has_dot_bf16(cx) {
        return gemm_with::<Bf16Pairs>(cx, c, a, Panels::of(elements(b)), bias, row_bias, residual, of_pairs(p), alpha, activation);
    }
    gemm_with::<Real>(cx, c, a, Panels::of_pairs(b), bias, row_bias, residual, p, alpha, activation)
}

/// The same product, counted in pairs.
fn of_pairs(p: Product) -> Product {
    Product { k: p.k / 2, a_row: p.a_row / 2, a_batch: p.a_batch.map(|x| x / 2), ..p }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Noise, assert_close, contexts};
    use super::super::{ActivationKind, gemm_packed, pack_b, pack_len};
    use super::*;
    use crate::float::BF16;
    extern crate std;
    use std::vec::Vec;
    use std::{format, vec};

    fn rounded(x: &[f32]) -> Vec<f32> {
        x.iter().map(|&x| BF16::from_f32(x).to_f32()).collect()
    }

    #[test]
    fn numbers_are_rounded_as_the_type_rounds() {
        let mut noise = Noise(31);
        let special = [0.0, -0.0, 1.0, f32::MAX, -f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1e-40];
        let ties = (0..8).map(|i| f32::from_bits(0x3f80_8000 + (i << 15)));
        let mut x: Vec<f32> = special.into_iter().chain(ties).collect();
        x.extend((0..5000).map(|_| f32::from_bits(noise.next() as u32 ^ (noise.next() as u32) << 8)));
        x.extend([f32::from_bits(0x7f80_0001), f32::from_bits(0xffff_ffff), f32::NAN]);
        x.truncate(x.len() / 2 * 2);
        for cx in contexts() {
            let (mut single, mut pairs) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            round_all(cx, &mut single, &x, false);
            round_all(cx, &mut pairs, &x, true);
            let of_pair = |p: &f32| [BF16(p.to_bits() as u16).to_f32(), BF16((p.to_bits() >> 16) as u16).to_f32()];
            let of_pairs: Vec<f32> = pairs[..x.len() / 2].iter().flat_map(of_pair).collect();
            for (((single, paired), expected), &x) in single.into_iter().zip(of_pairs).zip(rounded(&x)).zip(&x) {
                for got in [single, paired] {
                    assert!(got.to_bits() == expected.to_bits() || got.is_nan() && x.is_nan(), "{cx:?}: {x} became {got}");
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_rounded_numbers() {
        let mut noise = Noise(32);
        // One row; several blocks of rows and of k; panels that are not full; nothing at all.
        for (m, n, k) in [(1, 40, 300), (7, 300, 130), (150, 70, 1600), (3, 5, 0), (20, 1, 2)] {
            let p = Product { batch: [1, 2], a_batch: [0, m * k], c_batch: [0, m * n], ..Product::dense(m, n, k) };
            let (a, b) = (noise.floats(2 * m * k), noise.floats(k * n));
            let (bias, row_bias, residual) = (noise.floats(n), noise.floats(m), noise.floats(2 * m * n));
            let mut panels = vec![0.0; pack_len(k, n)];
            pack_b(&mut panels, &b, 1, k, n, 0, n, 1).unwrap();
            let mut pairs = vec![0; panels.len() / 2];
            pack_bf16(&mut pairs, &panels).unwrap();
            for cx in contexts() {
                for activation in [Activation::NONE, Activation::new(ActivationKind::Relu), Activation::new(ActivationKind::Tanh)] {
                    let (mut got, mut expected, mut narrow) = (vec![f32::NAN; 2 * m * n], vec![f32::NAN; 2 * m * n], vec![0.0; 2 * m * k]);
                    let (bias, row_bias, residual) = (Some(&bias[..]), Some(&row_bias[..]), Some(&residual[..]));
                    gemm_packed(cx, &mut expected, &rounded(&a), &rounded(&panels), bias, row_bias, residual, p, 0.5, activation).unwrap();
                    to_bf16(cx, &mut narrow, &a).unwrap();
                    gemm_bf16(cx, &mut got, &narrow, &pairs, bias, row_bias, residual, p, 0.5, activation).unwrap();
                    assert_close(&got, &expected, 1e-4, &format!("{cx:?} {p:?}"));
                    // Pairs, by the instruction or, where there is none, by portable code.
                    round_all(cx, &mut narrow, &a, true);
                    let b = Panels::of(elements(&pairs));
                    gemm_with::<Bf16Pairs>(cx, &mut got, &narrow, b, bias, row_bias, residual, of_pairs(p), 0.5, activation).unwrap();
                    assert_close(&got, &expected, 1e-4, &format!("pairs, {cx:?} {p:?}"));
                }
            }
        }
    }

    #[test]
    fn broken_promises_are_faults() {
        let call = |p| gemm_bf16(Cx::REFERENCE, &mut [0.0; 4], &[0.0; 8], &[0; 64], None, None, None, p, 1.0, Activation::NONE);
        let p = Product::dense(2, 2, 4);
        assert!(call(p).is_ok());
        assert!(call(Product { k: 3, ..p }).is_err());
        assert!(call(Product { a_row: 5, ..p }).is_err());
        assert!(call(Product { a_col: 2, ..p }).is_err());
        assert!(to_bf16(Cx::REFERENCE, &mut [0.0; 3], &[0.0; 3]).is_err());
        assert!(to_bf16(Cx::REFERENCE, &mut [0.0; 2], &[0.0; 4]).is_err());
        assert!(pack_bf16(&mut [0; 16], &[0.0; 32]).is_err());
    }
}
