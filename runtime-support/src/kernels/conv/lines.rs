//! Few channels out of one: vectors of pixels along a line instead of vectors of channels, which would be mostly empty.

use super::Geometry;
use crate::kernels::gemm::{Activation, PANEL, activate};
use crate::kernels::parallel::Parts;
use crate::simd::{MAX_LANES, Simd, WithSimd};
use core::ops::Range;

/// The most channels that this is for: with more of them, tiles of vectors of channels are as full.
const MOST: usize = 8;

/// Whether the windows are such: one dense channel in, few out, every window inside the input, its taps of a line side by side for
/// neighbouring pixels, and lines of at least a vector.
pub(super) fn applies(g: &Geometry) -> bool {
    let inside = (0..3).all(|axis| g.outputs_interior(axis) == (0, g.output[axis]));
    let few = g.in_channels == 1 && g.in_pitch == 1 && g.out_channels <= MOST;
    few && g.stride[2] == 1 && g.output[2] >= MAX_LANES && inside
}

/// Some output lines.
pub(super) struct Lines<'a> {
    pub y: &'a Parts<'a, f32>,
    pub x: &'a [f32],
    /// The one packed panel.
    pub w: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub g: &'a Geometry,
    pub activation: Activation,
    pub range: Range<usize>,
}

impl WithSimd for Lines<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (g, width, line) = (self.g, self.g.output[2], self.g.output[2] * self.g.out_pitch);
        for i in self.range.clone() {
            // SAFETY: a line is one task's.
            let y = unsafe { self.y.part(i * line..(i + 1) * line) };
            let [image, d, h, _] = g.out_position(i * width);
            for block in 0..width.div_ceil(S::LANES) {
                // The last block begins earlier rather than ending later.
                let first = (block * S::LANES).min(width - S::LANES);
                match g.out_channels {
                    ..=3 => self.block::<S, 3>(s, y, [image, d, h], first),
                    4..=6 => self.block::<S, 6>(s, y, [image, d, h], first),
                    _ => self.block::<S, MOST>(s, y, [image, d, h], first),
                }
            }
            if self.activation.is_costly() {
                // SAFETY: the pixels of this line, which are one task's; the slice ends with the last one's channels or later.
                unsafe { activate(s, self.activation, y.as_mut_ptr(), g.out_pitch, width, g.out_channels) }
            }
        }
    }
}

impl Lines<'_> {
    /// A vector of pixels of one line from `first` on, all channels, of which there are at most `N`.
    #[inline(always)]
    fn block<S: Simd, const N: usize>(&self, s: S, y: &mut [f32], [image, d, h]: [usize; 3], first: usize) {
        let g = self.g;
        let mut sums = [s.zero(); N];
        for (sum, &bias) in sums.iter_mut().zip(self.bias.unwrap_or_default()) {
            *sum = s.splat(bias);
        }
        let mut weights = self.w.chunks_exact(PANEL);
        for tap_d in 0..g.kernel[0] {
            for tap_h in 0..g.kernel[1] {
                let (d, h) = (d * g.stride[0] + tap_d * g.dilation[0], h * g.stride[1] + tap_h * g.dilation[1]);
                let x = self.x.get(g.line_offset(image, d, h) + first..).unwrap_or_default();
                for (tap, weights) in (0..g.kernel[2]).zip(&mut weights) {
                    let x = s.load(&x[tap * g.dilation[2]..]);
                    for n in 0..N {
                        sums[n] = s.mul_add(s.splat(weights[n]), x, sums[n]);
                    }
                }
            }
        }
        let mut pixels = [[0.0; MAX_LANES]; N];
        for (to, mut sum) in pixels.iter_mut().zip(sums) {
            if let Some((low, high)) = self.activation.as_clamp() {
                // In this order of arguments NaN stays NaN.
                sum = s.min(s.splat(high), s.max(s.splat(low), sum));
            }
            s.store(to, sum);
        }
        for i in 0..S::LANES {
            let y = &mut y[(first + i) * g.out_pitch..];
            if g.out_channels == N {
                // A number that the compiler knows: no loop.
                let y = &mut y[..N];
                for n in 0..N {
                    y[n] = pixels[n][i];
                }
            } else {
                y[..g.out_channels].iter_mut().zip(&pixels).for_each(|(y, channel)| *y = channel[i]);
            }
        }
    }
}
