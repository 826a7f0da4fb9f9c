//! Convolutions, channels last.
//!
//! [`conv_packed`] is the tiles of [`gemm`](super::gemm) with windows for rows: nothing is copied to columns first. [`depthwise`] has a kernel
//! of its own, as have few channels out of one, [`winograd`] computes 3×3 windows with fewer multiplications, [`plain`] is the naive one, channels first, for every element type.

mod depthwise;
mod geometry;
mod lines;
mod plain;
#[cfg(test)]
pub(crate) mod tests;
mod transpose;
mod windows;
mod winograd;

pub(crate) use depthwise::depthwise_sums;
pub use depthwise::{depthwise, pack_depthwise};
pub use geometry::Geometry;
pub use plain::{plain, plain_transpose};
pub use transpose::{
    conv_transpose, conv_transpose_disjoint, conv_transpose_disjoint_scratch_len, conv_transpose_scratch_len, pack_conv_transpose,
    pack_conv_transpose_len,
};
pub use winograd::{pack_winograd, pack_winograd_len, winograd, winograd_scratch_len};

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::gemm::{
    Activation, Arithmetic, Bf16Pairs, Finish, Matrix, PANEL, PATCHES, Panels, ROWS, Real, Shared, Stored, Target, compute, elements,
    pack_len, promise,
};
use crate::kernels::parallel::{self, Parts};
use crate::simd::{dispatch, has_dot_bf16};
use lines::Lines;
use windows::Windows;

/// The elements of the packed weights of a convolution.
pub const fn pack_conv_len(group: usize, out_channels: usize, group_in: usize, taps: usize) -> usize {
    match out_channels.checked_div(group) {
        Some(group_out) => group.saturating_mul(pack_len(taps.saturating_mul(group_in), group_out)),
        None => 0,
    }
}

/// Packs ONNX weights `w[out_channels][group_in][taps]` for [`conv_packed`]: `[group][out / 32][taps][group_in][32]`, padded with zeros.
pub fn pack_conv(out: &mut [f32], w: &[f32], group: usize, out_channels: usize, group_in: usize, taps: usize) -> Result<(), Fault> {
    let k = taps.saturating_mul(group_in);
    promise(out_channels.checked_mul(k) == Some(w.len()), "pack_conv: wrong number of weights")?;
    promise(out.len() == pack_conv_len(group, out_channels, group_in, taps), "pack_conv: wrong length of the packed weights")?;
    if out.is_empty() {
        return Ok(());
    }
    let group_out = out_channels / group;
    let panels = group_out.div_ceil(PANEL);
    for (i, panel) in out.chunks_exact_mut(k * PANEL).enumerate() {
        let (group, first) = (i / panels, i % panels * PANEL);
        for (l, line) in panel.chunks_exact_mut(PANEL).enumerate() {
            let (tap, channel) = (l / group_in, l % group_in);
            for (j, y) in line.iter_mut().enumerate() {
                let filter = group * group_out + first + j;
                *y = if first + j < group_out { w[(filter * group_in + channel) * taps + tap] } else { 0.0 };
            }
        }
    }
    Ok(())
}

/// `y = activation(conv(x, w) + bias + residual)`, weights packed by [`pack_conv`].
///
/// `bias` has an element for each output channel; the residual is like the output, its pixels `residual_pitch` apart.
pub fn conv_packed<W: Stored>(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: &[W],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    conv_panels(cx, y, x, Panels::of(w), bias, residual, g, activation)
}

/// [`conv_packed`] for whatever the panels are stored as: compiled once, as [`gemm_panels`](super::gemm::gemm_panels) is.
#[inline(never)]
fn conv_panels(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: Panels<'_>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    conv_with::<Real>(cx, y, x, w, bias, residual, g, activation)
}

/// [`conv_packed`] of numbers rounded to bf16, summed as f32: the input by [`to_bf16`](super::gemm::to_bf16) in the same context, the weights, packed,
/// by [`pack_bf16`](super::gemm::pack_bf16). A group has an even number of channels, a pixel of the input an even number of elements.
pub fn conv_bf16(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: &[u32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    let even = g.group > 0 && (g.in_channels / g.group).is_multiple_of(2) && g.in_pitch.is_multiple_of(2);
    promise(even, "conv: pairs of an odd number of channels")?;
    if !has_dot_bf16(cx) {
        return conv_with::<Real>(cx, y, x, Panels::of_pairs(w), bias, residual, g, activation);
    }
    let g = Geometry { in_channels: g.in_channels / 2, in_pitch: g.in_pitch / 2, ..g };
    conv_with::<Bf16Pairs>(cx, y, x, Panels::of(elements(w)), bias, residual, g, activation)
}

/// The most elements of an input that is copied with its padding, on the stack, rather than treated apart at its edges.
const SMALL: usize = PATCHES;

/// Calls `f` with a copy of an input between its padding. Not inlined, lest every convolution have room for it on its stack.
#[inline(never)]
fn on_padded(x: &[f32], g: &Geometry, padded: &Geometry, f: impl FnOnce(&[f32]) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut room = [0.0; SMALL];
    let line = g.input[2] * g.in_channels;
    for image in 0..g.batch {
        for d in 0..g.input[0] {
            for h in 0..g.input[1] {
                let at = padded.line_offset(image, d + g.pads[0], h + g.pads[1]) + g.pads[2] * g.in_channels;
                let from = g.line_offset(image, d, h);
                room[at..at + line].copy_from_slice(&x[from..from + line]);
            }
        }
    }
    f(&room)
}

/// [`conv_packed`] for any meaning of the elements; only real ones have an epilogue.
pub(crate) fn conv_with<A: Arithmetic>(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: Panels<'_>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), residual.map(<[f32]>::len))?;
    promise(w.len() >= pack_conv_len(g.group, g.out_channels, g.group_in(), g.taps()), "conv: the packed weights are too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.out_channels), "conv: the bias is too short")?;
    let (rows, channels, depth) = (g.out_pixels(), g.group_out(), g.taps().saturating_mul(g.group_in()));
    if rows == 0 || channels == 0 {
        return Ok(());
    }
    let (has_padding, padded) = (g.pads != [0; 3] || g.pads_end != [0; 3], g.padded());
    if has_padding && Windows::are_lines(&g) && padded.in_elements() <= SMALL {
        return on_padded(x, &g, &padded, |x| conv_with::<A>(cx, y, x, w, bias, residual, padded, activation));
    }
    let work = rows.saturating_mul(g.out_channels).saturating_mul(depth);
    if let (true, None, Some(w)) = (A::SINGLE && lines::applies(&g), residual, w.as_f32()) {
        let (count, y) = (rows / g.output[2], Parts::new(y));
        let tasks = parallel::tasks(cx, work).min(count);
        parallel::each(cx, work, tasks, |task| {
            dispatch(cx, Lines { y: &y, x, w, bias, g: &g, activation, range: parallel::part(count, 1, task, tasks) });
        });
        return Ok(());
    }
    let panels = channels.div_ceil(PANEL);
    let (row_parts, panel_parts) = parallel::grid(parallel::tasks(cx, work).div_ceil(g.group), rows, ROWS, panels);
    let y = Shared(y.as_mut_ptr());
    let windows_are_pixels = g.taps() == 1 && g.stride == [1; 3] && g.pads == [0; 3] && g.input == g.output;
    parallel::each(cx, work, g.group * row_parts * panel_parts, |task| {
        let (task, panel_part) = (task / panel_parts, task % panel_parts);
        let (group, row_part) = (task / row_parts, task % row_parts);
        let (first_in, first) = (group * g.group_in(), group * channels);
        let finish = Finish {
            alpha: 1.0,
            bias: bias.map(|b| b.get(first..).unwrap_or_default()),
            row_bias: None,
            residual: residual.map(|r| (r.as_ptr().wrapping_add(first), g.residual_pitch)),
            activation,
        };
        let panel_range = parallel::part(panels, 1, panel_part, panel_parts);
        let row_range = parallel::part(rows, ROWS, row_part, row_parts);
        // SAFETY: `check` compared the slices with the geometry; each task has its own rectangle of pixels and channels of the output.
        unsafe {
            let b = w.from(group * pack_len(depth, channels));
            let target = Target { b, c: y.at(first), c_row: g.out_pitch, n: channels, finish: &finish };
            if windows_are_pixels {
                let pixels = Matrix { a: x.get(first_in..).unwrap_or_default(), row: g.in_pitch, col: 1, k: depth };
                compute::<A>(cx, &pixels, &target, row_range, panel_range);
            } else {
                compute::<A>(cx, &Windows::new(x, &g, first_in), &target, row_range, panel_range);
            }
        }
    });
    Ok(())
}
