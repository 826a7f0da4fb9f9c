//! Depthwise convolution of 8-bit operands, exact, in f32.
//!
//! The operands are widened to f32 without their zero points; sums of at most [`MAX_TAPS`] products stay below 2^24, where every integer is an f32.
//! So the kernel of f32 gives them exactly, whatever the order of its additions, and leaves them as i32.

use super::Byte;
use super::pairs::elements_mut;
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::conv::{Geometry, depthwise_sums};
use crate::kernels::gemm::promise;
use crate::simd::{Simd, WithSimd, dispatch};

/// The most taps of a window whose sums are exact, for any 8-bit operands and zero points.
pub const MAX_TAPS: usize = (1 << 24) / (255 * 255);

/// `x - zero` as f32; without a zero point 0.
pub fn real<T: Byte>(cx: Cx, out: &mut [f32], x: &[T], zero: Option<&[T]>) -> Result<(), Fault> {
    promise(out.len() == x.len() && zero.is_none_or(|z| z.len() == 1), "integers as f32: lengths")?;
    let zero = zero.map_or(0, |z| z[0].into());
    dispatch(cx, Widen { out, x, zero });
    Ok(())
}

struct Widen<'a, T> {
    out: &'a mut [f32],
    x: &'a [T],
    zero: i16,
}

impl<T: Byte> WithSimd for Widen<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let zero = self.zero;
        for (y, &x) in self.out.iter_mut().zip(self.x) {
            let x: i16 = x.into();
            *y = f32::from(x - zero);
        }
    }
}

/// Packs `w[channels][taps] - zero` for [`depthwise`]: `[taps][channels]`. `zero` is one, or one a channel (none: 0).
pub fn pack_depthwise<T: Byte>(out: &mut [f32], w: &[T], zero: Option<&[T]>, channels: usize, taps: usize) -> Result<(), Fault> {
    promise(channels.checked_mul(taps) == Some(w.len()) && out.len() == w.len(), "integer pack_depthwise: wrong number of weights")?;
    promise(zero.is_none_or(|z| z.len() == 1 || z.len() == channels), "integer pack_depthwise: wrong number of zero points")?;
    for (i, y) in out.iter_mut().enumerate() {
        let (tap, channel) = (i / channels, i % channels);
        let zero: i16 = zero.map_or(0, |z| z[if z.len() == 1 { 0 } else { channel }].into());
        let w: i16 = w[channel * taps + tap].into();
        *y = f32::from(w - zero);
    }
    Ok(())
}

/// The convolution of `x` ([`real`]) and `w` ([`pack_depthwise`]), where groups, input and output channels are equally many: exact sums, channels
/// last, pixels contiguous.
pub fn depthwise(cx: Cx, out: &mut [i32], x: &[f32], w: &[f32], g: Geometry) -> Result<(), Fault> {
    promise(g.taps() <= MAX_TAPS, "integer depthwise: the window is too large")?;
    promise(g.out_pitch == g.out_channels, "integer depthwise: pixels must be contiguous")?;
    depthwise_sums(cx, elements_mut(out), x, w, g)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    use crate::kernels::integer::conv_u8i8;
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn matches_the_naive_twin() {
        let mut noise = Noise(17);
        for round in 0..60 {
            let channels = 1 + noise.below(70);
            let axis = |noise: &mut Noise| {
                let (kernel, stride, dilation, pad) =
                    ([1, 3, 5, 2][noise.below(4)], 1 + noise.below(2), 1 + noise.below(2), noise.below(3));
                let input = (kernel - 1) * dilation + 1 + noise.below(12);
                [input, (input + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1, kernel, stride, dilation, pad]
            };
            let (h, w) = (axis(&mut noise), axis(&mut noise));
            let (batch, taps, inputs, outputs) = (1 + noise.below(2), h[2] * w[2], h[0] * w[0], h[1] * w[1]);
            // Every third round has the extremes only, where sums are greatest.
            let byte = |noise: &mut Noise| if round % 3 == 0 { 255 * (noise.next() as u8 % 2) } else { noise.next() as u8 };
            let x: Vec<u8> = (0..batch * channels * inputs).map(|_| byte(&mut noise)).collect();
            let weights: Vec<i8> = (0..channels * taps).map(|_| byte(&mut noise) as i8).collect();
            let (x_zero, w_zero) = ([byte(&mut noise)], (0..channels).map(|_| byte(&mut noise) as i8).collect::<Vec<_>>());
            let mut expected = vec![0; batch * channels * outputs];
            conv_u8i8(
                Cx::REFERENCE,
                &mut expected,
                &x,
                &weights,
                Some(&x_zero),
                Some(&w_zero),
                &[batch, channels, h[0], w[0]],
                &[channels, 1, h[2], w[2]],
                &[h[1], w[1]],
                &[h[3], w[3]],
                &[h[4], w[4]],
                &[h[5], w[5]],
                channels,
            )
            .unwrap();
            let geometry = Geometry {
                batch,
                input: [1, h[0], w[0]],
                output: [1, h[1], w[1]],
                in_channels: channels,
                out_channels: channels,
                group: channels,
                kernel: [1, h[2], w[2]],
                stride: [1, h[3], w[3]],
                dilation: [1, h[4], w[4]],
                pads: [0, h[5], w[5]],
                pads_end: [0, h[5], w[5]],
                in_pitch: channels,
                out_pitch: channels,
                residual_pitch: channels,
            };
            let mut last = vec![0; x.len()];
            for (i, &v) in x.iter().enumerate() {
                let (b, c, p) = (i / (channels * inputs), i / inputs % channels, i % inputs);
                last[(b * inputs + p) * channels + c] = v;
            }
            for cx in contexts() {
                let (mut wide, mut packed, mut got) = (vec![9.0; x.len()], vec![9.0; weights.len()], vec![9; expected.len()]);
                real(cx, &mut wide, &last, Some(&x_zero)).unwrap();
                pack_depthwise(&mut packed, &weights, Some(&w_zero), channels, taps).unwrap();
                depthwise(cx, &mut got, &wide, &packed, geometry).unwrap();
                for (i, &want) in expected.iter().enumerate() {
                    let (b, c, p) = (i / (channels * outputs), i / outputs % channels, i % outputs);
                    assert_eq!(got[(b * outputs + p) * channels + c], want, "{geometry:?} {cx:?}");
                }
            }
        }
    }
}
