//! Transposed convolution, channels last: one matrix product gives what each input pixel adds through each tap, then each output line
//! gathers what falls on it.

use super::Geometry;
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::gemm::PANEL;
use crate::kernels::gemm::{Activation, Product, Shared, activate, gemm_packed, pack_len, promise};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// The elements of the packed weights of a transposed convolution.
pub const fn pack_conv_transpose_len(group: usize, in_channels: usize, group_out: usize, taps: usize) -> usize {
    match in_channels.checked_div(group) {
        Some(group_in) => group.saturating_mul(pack_len(group_in, taps.saturating_mul(group_out))),
        None => 0,
    }
}

/// Packs ONNX weights `w[in_channels][group_out][taps]` for [`conv_transpose`]: for each group the panels of `[in][taps * group_out]`.
pub fn pack_conv_transpose(
    out: &mut [f32],
    w: &[f32],
    group: usize,
    in_channels: usize,
    group_out: usize,
    taps: usize,
) -> Result<(), Fault> {
    let columns = taps.saturating_mul(group_out);
    promise(in_channels.checked_mul(columns) == Some(w.len()), "pack_conv_transpose: wrong number of weights")?;
    promise(out.len() == pack_conv_transpose_len(group, in_channels, group_out, taps), "pack_conv_transpose: wrong packed length")?;
    if out.is_empty() {
        return Ok(());
    }
    let group_in = in_channels / group;
    let panels = columns.div_ceil(PANEL);
    for (i, panel) in out.chunks_exact_mut(group_in * PANEL).enumerate() {
        for (c, line) in panel.chunks_exact_mut(PANEL).enumerate() {
            let filters = &w[(i / panels * group_in + c) * columns..][..columns];
            for (j, y) in line.iter_mut().enumerate() {
                let column = i % panels * PANEL + j;
                *y = if column < columns { filters[column % group_out * taps + column / group_out] } else { 0.0 };
            }
        }
    }
    Ok(())
}

/// The scratch that [`conv_transpose`] needs, in elements: what each pixel of one image adds through each tap, for one group.
pub const fn conv_transpose_scratch_len(g: Geometry) -> usize {
    let pixels = g.input[0].saturating_mul(g.input[1]).saturating_mul(g.input[2]);
    pixels.saturating_mul(g.taps()).saturating_mul(g.group_out())
}

/// `y = activation(conv_transpose(x, w) + bias)`, weights packed by [`pack_conv_transpose`].
///
/// In the geometry, `input` and `output` are the operator's own; kernel, stride, dilation and pads are its attributes
/// (`output = (input - 1) * stride + (kernel - 1) * dilation + 1 + output_padding - pads - pads_end`).
pub fn conv_transpose(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), None)?;
    let (group_in, group_out) = (g.group_in(), g.group_out());
    promise(w.len() >= pack_conv_transpose_len(g.group, g.in_channels, group_out, g.taps()), "conv_transpose: the weights are too short")?;
    promise(scratch.len() >= conv_transpose_scratch_len(g), "conv_transpose: the scratch is too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.out_channels), "conv_transpose: the bias is too short")?;
    let (pixels, columns) = (g.input.iter().product::<usize>(), g.taps() * group_out);
    if g.out_pixels() == 0 || group_out == 0 {
        return Ok(());
    }
    let lines = g.output[0] * g.output[1];
    let tasks = parallel::tasks(cx, pixels.saturating_mul(columns).saturating_mul(2)).min(lines);
    let y = Shared(y.as_mut_ptr());
    for image in 0..g.batch {
        for group in 0..g.group {
            let x = x.get(image * pixels * g.in_pitch + group * group_in..).unwrap_or_default();
            let p = Product { a_row: g.in_pitch, ..Product::dense(pixels, columns, group_in) };
            let w = &w[group * pack_len(group_in, columns)..];
            gemm_packed(cx, scratch, x, w, None, None, None, p, 1.0, Activation::NONE)?;
            let terms = &*scratch;
            let bias = bias.map(|b| &b[group * group_out..][..group_out]);
            parallel::each(cx, tasks, |task| {
                let lines = parallel::part(lines, 1, task, tasks);
                dispatch(cx, Gather { y, first: group * group_out, image, lines, terms, bias, g: &g, activation });
            });
        }
    }
    Ok(())
}

/// Sums what falls on some lines of one image.
struct Gather<'a> {
    y: Shared,
    first: usize,
    image: usize,
    lines: Range<usize>,
    terms: &'a [f32],
    bias: Option<&'a [f32]>,
    g: &'a Geometry,
    activation: Activation,
}

impl WithSimd for Gather<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let g = self.g;
        let (width, channels) = (g.output[2], g.group_out());
        for line in self.lines.clone() {
            let at = (self.image * g.output[0] * g.output[1] + line) * width * g.out_pitch + self.first;
            for column in 0..width {
                // SAFETY: `check` made sure of the output's extent; the line belongs to this task.
                let pixel = unsafe { core::slice::from_raw_parts_mut(self.y.at(at + column * g.out_pitch), channels) };
                match self.bias {
                    Some(bias) => pixel.copy_from_slice(bias),
                    None => pixel.fill(0.0),
                }
                self.pixel(pixel, [line / g.output[1], line % g.output[1], column]);
            }
            // SAFETY: as above.
            unsafe { activate(s, self.activation, self.y.at(at), g.out_pitch, width, channels) };
        }
    }
}

impl Gather<'_> {
    /// Adds the terms of all taps to one pixel.
    #[inline(always)]
    fn pixel(&self, y: &mut [f32], [d, h, w]: [usize; 3]) {
        let g = self.g;
        for tap_d in 0..g.kernel[0] {
            let Some(d) = self.source(0, d, tap_d) else { continue };
            for tap_h in 0..g.kernel[1] {
                let Some(h) = self.source(1, h, tap_h) else { continue };
                for tap_w in 0..g.kernel[2] {
                    let Some(w) = self.source(2, w, tap_w) else { continue };
                    let pixel = (d * g.input[1] + h) * g.input[2] + w;
                    let tap = (tap_d * g.kernel[1] + tap_h) * g.kernel[2] + tap_w;
                    let terms = &self.terms[(pixel * g.taps() + tap) * y.len()..][..y.len()];
                    for (y, t) in y.iter_mut().zip(terms) {
                        *y += t;
                    }
                }
            }
        }
    }

    /// The input coordinate from which a tap reaches an output coordinate, if any.
    #[inline(always)]
    fn source(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let g = self.g;
        let from = (out + g.pads[axis]).checked_sub(tap * g.dilation[axis])?;
        (from % g.stride[axis] == 0 && from / g.stride[axis] < g.input[axis]).then_some(from / g.stride[axis])
    }
}
