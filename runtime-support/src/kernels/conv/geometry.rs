//! The shape of a convolution or pooling.

use crate::error::Fault;
use crate::kernels::gemm::{extent, promise};

/// Sizes of a channels-last convolution or pooling over up to three spatial axes (missing ones come first and have length 1).
///
/// The input is `[batch, input.., in_channels]`, the output `[batch, output.., out_channels]`; pixels may be further apart than they have
/// channels, so that a concatenation's inputs are written in place and a split's outputs read in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Depth, height, width of the input.
    pub input: [usize; 3],
    /// Depth, height, width of the output.
    pub output: [usize; 3],
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output; for pooling the same as of the input.
    pub out_channels: usize,
    /// Groups that channels are split into; 1 for pooling.
    pub group: usize,
    /// The window.
    pub kernel: [usize; 3],
    /// Input pixels between windows.
    pub stride: [usize; 3],
    /// Input pixels between taps.
    pub dilation: [usize; 3],
    /// Padding before each axis.
    pub pads: [usize; 3],
    /// Padding after each axis; only average pooling that counts padding looks at it.
    pub pads_end: [usize; 3],
    /// Elements from an input pixel to the next.
    pub in_pitch: usize,
    /// Elements from an output pixel to the next.
    pub out_pitch: usize,
    /// Elements from a pixel of the residual to the next.
    pub residual_pitch: usize,
}

/// The product of three lengths; saturates.
const fn volume(a: [usize; 3]) -> usize {
    a[0].saturating_mul(a[1]).saturating_mul(a[2])
}

impl Geometry {
    /// The taps of a window.
    pub const fn taps(&self) -> usize {
        volume(self.kernel)
    }

    /// Output pixels of all images.
    pub const fn out_pixels(&self) -> usize {
        self.batch.saturating_mul(volume(self.output))
    }

    /// Input pixels of all images.
    pub const fn in_pixels(&self) -> usize {
        self.batch.saturating_mul(volume(self.input))
    }

    /// Output channels of a group.
    pub(crate) const fn group_out(&self) -> usize {
        self.out_channels / if self.group == 0 { 1 } else { self.group }
    }

    /// Input channels of a group.
    pub(crate) const fn group_in(&self) -> usize {
        self.in_channels / if self.group == 0 { 1 } else { self.group }
    }

    /// Checks what the loops rely on: slices long enough, pixels that do not overlap, no arithmetic that overflows.
    pub(crate) fn check(&self, y: usize, x: usize, residual: Option<usize>) -> Result<(), Fault> {
        let input = extent(&[(self.in_pixels(), self.in_pitch), (self.in_channels, 1)]);
        let output = extent(&[(self.out_pixels(), self.out_pitch), (self.out_channels, 1)]);
        let added = extent(&[(self.out_pixels(), self.residual_pitch), (self.out_channels, 1)]);
        promise(input.is_some_and(|n| n <= x), "conv: the input is too short")?;
        promise(output.is_some_and(|n| n <= y), "conv: the output is too short")?;
        promise(residual.is_none_or(|r| added.is_some_and(|n| n <= r)), "conv: the residual is too short")?;
        promise(self.out_pitch >= self.out_channels && self.in_pitch >= self.in_channels, "conv: pixels overlap")?;
        let whole = self.group > 0 && self.in_channels.is_multiple_of(self.group) && self.out_channels.is_multiple_of(self.group);
        promise(whole, "conv: groups do not divide the channels")?;
        for d in 0..3 {
            // Far below overflow, so that positions may be computed as isize.
            let spans = [(self.output[d], self.stride[d]), (self.kernel[d], self.dilation[d]), (self.pads[d], 1), (self.input[d], 1)];
            let far =
                spans.iter().try_fold(0usize, |sum, s| sum.checked_add(s.0.checked_mul(s.1)?)).is_none_or(|s| s > isize::MAX as usize / 4);
            promise(!far && self.stride[d] > 0, "conv: strides or sizes are out of range")?;
        }
        Ok(())
    }

    /// Where the window of an output coordinate starts on an axis; negative under padding.
    #[inline(always)]
    pub(crate) fn start(&self, axis: usize, out: usize) -> isize {
        (out * self.stride[axis]) as isize - self.pads[axis] as isize
    }

    /// The taps (first, one past the last) of an output coordinate that lie within the input on an axis.
    #[inline(always)]
    pub(crate) fn taps_inside(&self, axis: usize, out: usize) -> (usize, usize) {
        inside(self.start(axis, out), self.dilation[axis], self.input[axis], self.kernel[axis])
    }

    /// The taps (first, one past the last) of an output coordinate that lie within the padded input on an axis.
    #[inline(always)]
    pub(crate) fn taps_inside_padding(&self, axis: usize, out: usize) -> (usize, usize) {
        let padded = self.pads[axis].saturating_add(self.input[axis]).saturating_add(self.pads_end[axis].min(isize::MAX as usize / 4));
        inside((out * self.stride[axis]) as isize, self.dilation[axis], padded, self.kernel[axis])
    }

    /// The output coordinates (first, one past the last) on an axis whose tap lies within the input.
    #[inline(always)]
    pub(crate) fn outputs_inside(&self, axis: usize, tap: usize) -> (usize, usize) {
        let offset = (tap * self.dilation[axis]) as isize - self.pads[axis] as isize;
        inside(offset, self.stride[axis], self.input[axis], self.output[axis])
    }

    /// The output coordinates on an axis whose whole window lies within the input.
    #[inline(always)]
    pub(crate) fn outputs_interior(&self, axis: usize) -> (usize, usize) {
        let (first, last) = self.outputs_inside(axis, 0);
        let (f, l) = self.outputs_inside(axis, self.kernel[axis].saturating_sub(1));
        let (first, last) = (first.max(f), last.min(l));
        (first.min(last), last)
    }

    /// The same windows over the input with its padding.
    pub(crate) fn padded(&self) -> Self {
        let input = core::array::from_fn(|a| self.input[a].saturating_add(self.pads[a]).saturating_add(self.pads_end[a]));
        Self { input, pads: [0; 3], pads_end: [0; 3], ..*self }
    }

    /// The elements of the input, if its pixels are dense.
    pub(crate) fn in_elements(&self) -> usize {
        self.input.iter().fold(self.batch.saturating_mul(self.in_channels), |n, &d| n.saturating_mul(d))
    }

    /// The coordinates `[image, d, h, w]` of an output pixel.
    #[inline(always)]
    pub(crate) fn out_position(&self, pixel: usize) -> [usize; 4] {
        let [d, h, w] = self.output.map(|len| len.max(1));
        [pixel / (d * h * w), pixel / (h * w) % d, pixel / w % h, pixel % w]
    }

    /// The offset of the first pixel of an input line.
    #[inline(always)]
    pub(crate) fn line_offset(&self, image: usize, d: usize, h: usize) -> usize {
        ((image * self.input[0] + d) * self.input[1] + h) * self.input[2] * self.in_pitch
    }
}

/// The indices (first, one past the last) of `count` positions `start, start + step ..` that lie in `0..len`.
#[inline(always)]
fn inside(start: isize, step: usize, len: usize, count: usize) -> (usize, usize) {
    let step = step.max(1);
    let first = if start < 0 { start.unsigned_abs().div_ceil(step) } else { 0 };
    let room = len as isize - start;
    let last = if room <= 0 { 0 } else { room.unsigned_abs().div_ceil(step) };
    let last = last.min(count);
    (first.min(last), last)
}
