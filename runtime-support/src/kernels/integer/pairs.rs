//! Products and convolutions of 8-bit operands on the tiles of [`gemm`](crate::kernels::gemm).
//!
//! Both operands are widened to i16 with their zero points taken off, which is exact, and laid out in pairs along k: an element of 32 bits is
//! two neighbours, and multiplying two elements is the sum of two products ([`Simd::dot_i16`](crate::simd::Simd::dot_i16)), which fits an i32.
//! To the loops such an element is as good as an f32. Padding is the pair of zeros, since the zero points are gone.

use super::Byte;
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::conv::{Geometry, conv_with};
use crate::kernels::gemm::{Activation, PANEL, Pairs, Panels, Product, gemm_with, pack_len, promise};
use crate::simd::{Simd, WithSimd, dispatch};

/// The pairs that hold `depth` elements.
pub const fn pairs(depth: usize) -> usize {
    depth.div_ceil(2)
}

/// A pair of i16 as the loops see it: the even element in the low half.
const fn pair(even: i16, odd: i16) -> i32 {
    (even as u16 as i32) | (odd as i32) << 16
}

/// Pairs as the elements that the tiles move.
fn elements(x: &[i32]) -> &[f32] {
    // SAFETY: i32 and f32 have the same size and alignment, and any bits are an f32.
    unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The same to write to.
pub(super) fn elements_mut(x: &mut [i32]) -> &mut [f32] {
    // SAFETY: i32 and f32 have the same size and alignment, and any bits are either.
    unsafe { core::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// `x - zero` as pairs: rows of `groups` runs of `depth` elements, each run padded to whole pairs.
///
/// `x` is `[rows][groups][depth]`, `out` is `[rows][groups][ceil(depth / 2)]`. `zero` is one for all, or one for each row, repeated if there are
/// fewer zeros than rows (none: 0).
pub fn widen<T: Byte>(cx: Cx, out: &mut [i32], x: &[T], zero: Option<&[T]>, rows: usize, groups: usize, depth: usize) -> Result<(), Fault> {
    let runs = rows.checked_mul(groups);
    promise(runs.and_then(|r| r.checked_mul(depth)) == Some(x.len()), "widen: wrong length of the input")?;
    promise(runs.and_then(|r| r.checked_mul(pairs(depth))) == Some(out.len()), "widen: wrong length of the output")?;
    promise(zero.is_none_or(|z| z.len() == 1 || (!z.is_empty() && rows.is_multiple_of(z.len()))), "widen: wrong number of zero points")?;
    if !x.is_empty() {
        dispatch(cx, Widen { out, x, zero, run: groups * depth, depth });
    }
    Ok(())
}

struct Widen<'a, T> {
    out: &'a mut [i32],
    x: &'a [T],
    zero: Option<&'a [T]>,
    /// Elements in a row.
    run: usize,
    depth: usize,
}

impl<T: Byte> WithSimd for Widen<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { out, x, zero, run, depth } = self;
        if let (None | Some([_]), true) = (zero, depth.is_multiple_of(2)) {
            let zero = zero.map_or(0, |z| z[0].into());
            for (y, x) in out.chunks_mut(BLOCK).zip(x.chunks(2 * BLOCK)) {
                widen_run(y, x, zero);
            }
            return;
        }
        let width = run / depth * pairs(depth);
        for (i, (y, x)) in out.chunks_exact_mut(width).zip(x.chunks_exact(run)).enumerate() {
            let zero = zero.map_or(0, |z| z[i % z.len()].into());
            for (y, x) in y.chunks_exact_mut(pairs(depth)).zip(x.chunks_exact(depth)) {
                let (whole, last) = (depth / 2, depth % 2);
                widen_run(&mut y[..whole], &x[..2 * whole], zero);
                if last == 1 {
                    y[whole] = pair(x[2 * whole].into() - zero, 0);
                }
            }
        }
    }
}

/// Pairs that are widened in one loop.
const BLOCK: usize = 1024;

/// `y[i] = (x[2i] - zero, x[2i + 1] - zero)`.
#[inline(always)]
fn widen_run<T: Byte>(y: &mut [i32], x: &[T], zero: i16) {
    for (y, x) in y.iter_mut().zip(x.chunks_exact(2)) {
        *y = pair(x[0].into() - zero, x[1].into() - zero);
    }
}

/// The pairs of a packed right operand.
pub const fn pack_pairs_len(group: usize, out_channels: usize, group_in: usize, taps: usize) -> usize {
    match out_channels.checked_div(group) {
        Some(group_out) => group.saturating_mul(pack_len(taps.saturating_mul(pairs(group_in)), group_out)),
        None => 0,
    }
}

/// Packs `w - zero` into panels of pairs, `[group][out / 32][taps][ceil(group_in / 2)][32]`, padded with zeros.
///
/// Filter `f`'s element for channel `c` and tap `t` is `w[f * strides[0] + c * strides[1] + t * strides[2]]`; a matrix `k × n` is `n` filters of
/// one tap with strides `[1, n, 0]`. `zero` is one, or one a filter (none: 0).
pub fn pack_pairs<T: Byte>(
    out: &mut [i32],
    w: &[T],
    zero: Option<&[T]>,
    group: usize,
    out_channels: usize,
    group_in: usize,
    taps: usize,
    strides: &[usize],
) -> Result<(), Fault> {
    promise(out.len() == pack_pairs_len(group, out_channels, group_in, taps), "pack_pairs: wrong length of the packed operand")?;
    promise(out_channels.checked_mul(group_in).and_then(|n| n.checked_mul(taps)) == Some(w.len()), "pack_pairs: wrong number of elements")?;
    promise(zero.is_none_or(|z| z.len() == 1 || z.len() == out_channels), "pack_pairs: wrong number of zero points")?;
    let &[by_filter, by_channel, by_tap] = strides else { return promise(false, "pack_pairs: three strides") };
    if out.is_empty() {
        return Ok(());
    }
    let (group_out, depth) = (out_channels / group, pairs(group_in));
    let panels = group_out.div_ceil(PANEL);
    let element = |filter: usize, channel: usize, tap: usize| -> i16 {
        let zero = zero.map_or(0, |z| z[if z.len() == 1 { 0 } else { filter }].into());
        let at = filter * by_filter + channel * by_channel + tap * by_tap;
        if channel < group_in { w.get(at).map_or(0, |&w| w.into() - zero) } else { 0 }
    };
    for (i, panel) in out.chunks_exact_mut(taps * depth * PANEL).enumerate() {
        let (group, first) = (i / panels, i % panels * PANEL);
        for (l, line) in panel.chunks_exact_mut(PANEL).enumerate() {
            let (tap, channel) = (l / depth, l % depth * 2);
            for (j, y) in line.iter_mut().enumerate() {
                let filter = group * group_out + first + j;
                let inside = first + j < group_out;
                *y = if inside { pair(element(filter, channel, tap), element(filter, channel + 1, tap)) } else { 0 };
            }
        }
    }
    Ok(())
}

/// `out = a · b`, exact in i32 (wrapping): `a` is `m × k` elements [`widen`]ed with one group, `b` is [`pack_pairs`]ed.
pub fn product(cx: Cx, out: &mut [i32], a: &[i32], b: &[i32], m: usize, k: usize, n: usize) -> Result<(), Fault> {
    let p = Product::dense(m, n, pairs(k));
    gemm_with::<Pairs>(cx, elements_mut(out), elements(a), Panels::of(elements(b)), None, None, None, p, 1.0, Activation::NONE)
}

/// The convolution of `x` ([`widen`]ed with its groups) and `w` ([`pack_pairs`]ed), exact in i32 (wrapping), channels last. The geometry counts
/// elements of the unwidened input; pixels of input and output are contiguous.
pub fn conv(cx: Cx, out: &mut [i32], x: &[i32], w: &[i32], g: Geometry) -> Result<(), Fault> {
    let in_channels = pairs(g.in_channels / g.group.max(1)).saturating_mul(g.group);
    let g = Geometry { in_channels, in_pitch: in_channels, ..g };
    conv_with::<Pairs>(cx, elements_mut(out), elements(x), Panels::of(elements(w)), None, None, g, Activation::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    use crate::kernels::integer::{conv_u8i8, matmul_i8u8, matmul_u8i8};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    fn bytes(noise: &mut Noise, len: usize) -> Vec<u8> {
        (0..len).map(|_| noise.next() as u8).collect()
    }

    fn signed(x: &[u8]) -> Vec<i8> {
        x.iter().map(|&v| v as i8).collect()
    }

    #[test]
    fn products_match_the_naive_twin() {
        let mut noise = Noise(3);
        for round in 0..60 {
            let [m, k, n] = [noise.below(40), noise.below(if round % 8 == 0 { 1500 } else { 60 }), noise.below(80)];
            let (a, b) = (bytes(&mut noise, m * k), bytes(&mut noise, k * n));
            let (a_zero, b_zero) =
                (bytes(&mut noise, if round % 2 == 0 { 1 } else { m }), bytes(&mut noise, if round % 3 == 0 { 1 } else { n }));
            for cx in contexts() {
                let (mut wide, mut packed) = (vec![7; m * pairs(k)], vec![7; pack_pairs_len(1, n, k, 1)]);
                let (mut expected, mut got) = (vec![0; m * n], vec![0; m * n]);
                let none = usize::from(a_zero.is_empty() || b_zero.is_empty());
                let (az, bz) = ((none == 0).then_some(&a_zero[..]), (none == 0).then_some(&b_zero[..]));
                if round % 4 < 2 {
                    let (b, bz) = (signed(&b), bz.map(signed));
                    matmul_u8i8(cx, &mut expected, &a, &b, az, bz.as_deref(), &[], &[], &[], m, k, n).unwrap();
                    widen(cx, &mut wide, &a, az, m, 1, k).unwrap();
                    pack_pairs(&mut packed, &b, bz.as_deref(), 1, n, k, 1, &[1, n, 0]).unwrap();
                } else {
                    let (a, az) = (signed(&a), az.map(signed));
                    matmul_i8u8(cx, &mut expected, &a, &b, az.as_deref(), bz, &[], &[], &[], m, k, n).unwrap();
                    widen(cx, &mut wide, &a, az.as_deref(), m, 1, k).unwrap();
                    pack_pairs(&mut packed, &b, bz, 1, n, k, 1, &[1, n, 0]).unwrap();
                }
                product(cx, &mut got, &wide, &packed, m, k, n).unwrap();
                assert_eq!(got, expected, "{m} {k} {n} {cx:?}");
            }
        }
    }

    /// `[n][c][pixels]` as `[n][pixels][c]`, or back with the last two lengths swapped.
    fn swapped<T: Copy + Default>(x: &[T], batch: usize, rows: usize, columns: usize) -> Vec<T> {
        let mut out = vec![T::default(); x.len()];
        for (i, &v) in x.iter().enumerate() {
            let (b, r, c) = (i / (rows * columns), i / columns % rows, i % columns);
            out[(b * columns + c) * rows + r] = v;
        }
        assert_eq!(x.len(), batch * rows * columns);
        out
    }

    #[test]
    fn convolutions_match_the_naive_twin() {
        let mut noise = Noise(5);
        for round in 0..40 {
            let group = [1, 1, 2, 3][noise.below(4)];
            let (depth, filters) = (1 + noise.below(7), group * (1 + noise.below(if round % 5 == 0 { 50 } else { 6 })));
            let (batch, channels) = (1 + noise.below(2), depth * group);
            let axis = |noise: &mut Noise| {
                let (kernel, stride, dilation, pad) = (1 + noise.below(3), 1 + noise.below(2), 1 + noise.below(2), noise.below(2));
                let input = (kernel - 1) * dilation + 1 + noise.below(9);
                [input, (input + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1, kernel, stride, dilation, pad]
            };
            let (h, w) = (axis(&mut noise), axis(&mut noise));
            let (x, weights) = (bytes(&mut noise, batch * channels * h[0] * w[0]), bytes(&mut noise, filters * depth * h[2] * w[2]));
            let (x_zero, w_zero) = (bytes(&mut noise, 1), signed(&bytes(&mut noise, filters)));
            let (weights, taps, outputs) = (signed(&weights), h[2] * w[2], h[1] * w[1]);
            let mut expected = vec![0; batch * filters * outputs];
            conv_u8i8(
                Cx::REFERENCE,
                &mut expected,
                &x,
                &weights,
                Some(&x_zero),
                Some(&w_zero),
                &[batch, channels, h[0], w[0]],
                &[filters, depth, h[2], w[2]],
                &[h[1], w[1]],
                &[h[3], w[3]],
                &[h[4], w[4]],
                &[h[5], w[5]],
                group,
            )
            .unwrap();
            let geometry = Geometry {
                batch,
                input: [1, h[0], w[0]],
                output: [1, h[1], w[1]],
                in_channels: channels,
                out_channels: filters,
                group,
                kernel: [1, h[2], w[2]],
                stride: [1, h[3], w[3]],
                dilation: [1, h[4], w[4]],
                pads: [0, h[5], w[5]],
                pads_end: [0, h[5], w[5]],
                in_pitch: channels,
                out_pitch: filters,
                residual_pitch: filters,
            };
            let last = swapped(&x, batch, channels, h[0] * w[0]);
            for cx in contexts() {
                let mut wide = vec![7; batch * h[0] * w[0] * group * pairs(depth)];
                let mut packed = vec![7; pack_pairs_len(group, filters, depth, taps)];
                let mut got = vec![7; expected.len()];
                widen(cx, &mut wide, &last, Some(&x_zero), batch * h[0] * w[0], group, depth).unwrap();
                pack_pairs(&mut packed, &weights, Some(&w_zero), group, filters, depth, taps, &[depth * taps, taps, 1]).unwrap();
                conv(cx, &mut got, &wide, &packed, geometry).unwrap();
                assert_eq!(swapped(&got, batch, outputs, filters), expected, "{geometry:?} {cx:?}");
            }
        }
    }
}
