//! Transposed convolution, channels last: one matrix product gives what each input pixel adds through each tap, then each output line
//! gathers what falls on it. Where windows neither overlap nor leave gaps there is nothing to gather: [`conv_transpose_disjoint`].

use super::Geometry;
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::gemm::{Activation, PANEL, Panels, Product, Shared, Stored, activate, gemm_panels, pack_len, promise};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// The elements of the packed weights of a transposed convolution.
pub const fn pack_conv_transpose_len(group: usize, in_channels: usize, group_out: usize, lines: usize, taps: usize) -> usize {
    match in_channels.checked_div(group) {
        Some(group_in) => group.saturating_mul(lines).saturating_mul(pack_len(group_in, taps.saturating_mul(group_out))),
        None => 0,
    }
}

/// Packs ONNX weights `w[in_channels][group_out][lines][taps]`: for each group and line the panels of `[in][taps * group_out]`.
///
/// [`conv_transpose`] wants all taps in one line, [`conv_transpose_disjoint`] the taps along the innermost axis.
pub fn pack_conv_transpose(
    out: &mut [f32],
    w: &[f32],
    group: usize,
    in_channels: usize,
    group_out: usize,
    lines: usize,
    taps: usize,
) -> Result<(), Fault> {
    let columns = taps.saturating_mul(group_out);
    let filters = columns.saturating_mul(lines);
    promise(in_channels.checked_mul(filters) == Some(w.len()), "pack_conv_transpose: wrong number of weights")?;
    promise(out.len() == pack_conv_transpose_len(group, in_channels, group_out, lines, taps), "pack_conv_transpose: wrong packed length")?;
    if out.is_empty() {
        return Ok(());
    }
    let group_in = in_channels / group;
    let panels = columns.div_ceil(PANEL);
    for (i, panel) in out.chunks_exact_mut(group_in * PANEL).enumerate() {
        let (line, group) = (i / panels % lines, i / panels / lines);
        for (c, row) in panel.chunks_exact_mut(PANEL).enumerate() {
            let filters = &w[(group * group_in + c) * filters..][..filters];
            for (j, y) in row.iter_mut().enumerate() {
                let column = i % panels * PANEL + j;
                *y = if column < columns { filters[(column % group_out * lines + line) * taps + column / group_out] } else { 0.0 };
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
pub fn conv_transpose<W: Stored>(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: &[W],
    bias: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    overlapping(cx, y, scratch, x, Panels::of(w), bias, g, activation)
}

/// [`conv_transpose`] for whatever the panels are stored as: compiled once, as [`gemm_panels`] is.
#[inline(never)]
fn overlapping(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: Panels<'_>,
    bias: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), None)?;
    let (group_in, group_out) = (g.group_in(), g.group_out());
    promise(
        w.len() >= pack_conv_transpose_len(g.group, g.in_channels, group_out, 1, g.taps()),
        "conv_transpose: the weights are too short",
    )?;
    promise(scratch.len() >= conv_transpose_scratch_len(g), "conv_transpose: the scratch is too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.out_channels), "conv_transpose: the bias is too short")?;
    let (pixels, columns) = (g.input.iter().product::<usize>(), g.taps() * group_out);
    if g.out_pixels() == 0 || group_out == 0 {
        return Ok(());
    }
    let lines = g.output[0] * g.output[1];
    let work = pixels.saturating_mul(columns).saturating_mul(2);
    let tasks = parallel::tasks(cx, work).min(lines);
    let y = Shared(y.as_mut_ptr());
    for image in 0..g.batch {
        for group in 0..g.group {
            let x = x.get(image * pixels * g.in_pitch + group * group_in..).unwrap_or_default();
            let p = Product { a_row: g.in_pitch, ..Product::dense(pixels, columns, group_in) };
            let w = w.from(group * pack_len(group_in, columns));
            gemm_panels(cx, scratch, x, w, None, None, None, p, 1.0, Activation::NONE)?;
            let terms = &*scratch;
            let bias = bias.map(|b| &b[group * group_out..][..group_out]);
            parallel::each(cx, work, tasks, |task| {
                let lines = parallel::part(lines, 1, task, tasks);
                dispatch(cx, Gather { y, first: group * group_out, image, lines, terms, bias, g: &g, activation });
            });
        }
    }
    Ok(())
}

/// The scratch that [`conv_transpose_disjoint`] needs, in elements: the bias for a line of taps.
pub const fn conv_transpose_disjoint_scratch_len(g: Geometry) -> usize {
    g.kernel[2].saturating_mul(g.out_channels)
}

/// [`conv_transpose`] where the windows lie side by side: one group, strides equal to the kernel, no padding, dense channels.
///
/// Then what one input line gives through one line of taps is one line of outputs, so that line is a matrix product in place.
pub fn conv_transpose_disjoint<W: Stored>(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: &[W],
    bias: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    disjoint(cx, y, scratch, x, Panels::of(w), bias, g, activation)
}

/// [`conv_transpose_disjoint`] for whatever the panels are stored as: compiled once, as [`gemm_panels`] is.
#[inline(never)]
fn disjoint(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: Panels<'_>,
    bias: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), None)?;
    let lies = |a: usize| g.kernel[a] == g.stride[a] && g.dilation[a] == 1 && g.pads[a] == 0 && g.output[a] == g.input[a] * g.stride[a];
    let dense = g.group == 1 && g.in_pitch == g.in_channels && g.out_pitch == g.out_channels;
    promise(dense && (0..3).all(lies), "conv_transpose_disjoint: the windows overlap")?;
    let [kernel_d, kernel_h, kernel_w] = g.kernel;
    let (lines, columns) = (kernel_d * kernel_h, kernel_w * g.out_channels);
    let packed = pack_conv_transpose_len(1, g.in_channels, g.out_channels, lines, kernel_w);
    promise(w.len() >= packed, "conv_transpose_disjoint: the weights are too short")?;
    promise(scratch.len() >= conv_transpose_disjoint_scratch_len(g), "conv_transpose_disjoint: the scratch is too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.out_channels), "conv_transpose_disjoint: the bias is too short")?;
    if g.out_pixels() == 0 || columns == 0 {
        return Ok(());
    }
    let bias = bias.map(|bias| {
        scratch[..columns].chunks_exact_mut(g.out_channels).for_each(|tap| tap.copy_from_slice(&bias[..g.out_channels]));
        &scratch[..columns]
    });
    let (x_line, y_line) = (g.input[2] * g.in_channels, g.output[2] * g.out_channels);
    let p = Product {
        batch: [g.input[1], kernel_h],
        a_batch: [x_line, 0],
        b_batch: [0, 1],
        c_batch: [kernel_h * y_line, y_line],
        ..Product::dense(g.input[2], columns, g.in_channels)
    };
    for slice in 0..g.batch * g.output[0] {
        let x = &x[slice / kernel_d * g.input[1] * x_line..];
        let w = w.from(slice % kernel_d * kernel_h * pack_len(g.in_channels, columns));
        gemm_panels(cx, &mut y[slice * g.output[1] * y_line..], x, w, bias, None, None, p, 1.0, activation)?;
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
