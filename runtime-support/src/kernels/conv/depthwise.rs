//! Depthwise convolution: every channel has its own window, so vectors run over channels and nothing is summed across them.

use super::Geometry;
use crate::cx::{Cx, Isa};
use crate::error::Fault;
use crate::kernels::gemm::{Activation, Shared, activate, load_up_to, promise, store_up_to};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// Packs ONNX weights `w[channels][1][taps]` for [`depthwise`]: `[taps][channels]`.
pub fn pack_depthwise(out: &mut [f32], w: &[f32], channels: usize, taps: usize) -> Result<(), Fault> {
    promise(channels.checked_mul(taps) == Some(w.len()) && out.len() == w.len(), "pack_depthwise: wrong number of weights")?;
    for (i, y) in out.iter_mut().enumerate() {
        *y = w[i % channels * taps + i / channels];
    }
    Ok(())
}

/// `y = activation(conv(x, w) + bias + residual)` where groups, input and output channels are equally many; weights by [`pack_depthwise`].
pub fn depthwise(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
) -> Result<(), Fault> {
    run(cx, y, x, w, bias, residual, g, activation, false)
}

/// The sums alone, which must be integers that an i32 holds: each element of `y` is left as the bits of that i32.
pub(crate) fn depthwise_sums(cx: Cx, y: &mut [f32], x: &[f32], w: &[f32], g: Geometry) -> Result<(), Fault> {
    run(cx, y, x, w, None, None, g, Activation::NONE, true)
}

fn run(
    cx: Cx,
    y: &mut [f32],
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
    integers: bool,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), residual.map(<[f32]>::len))?;
    promise(g.group == g.in_channels && g.group == g.out_channels, "depthwise: channels and groups differ")?;
    promise(w.len() >= g.taps().saturating_mul(g.group), "depthwise: the weights are too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.group), "depthwise: the bias is too short")?;
    let pixels = g.out_pixels();
    if pixels == 0 || g.group == 0 {
        return Ok(());
    }
    let lines = pixels / g.output[2];
    // A tap of a channel costs about three multiply-adds of a matrix product.
    let work = pixels.saturating_mul(g.group).saturating_mul(g.taps() * 3);
    let tasks = parallel::tasks(cx, work).min(lines);
    let y = Shared(y.as_mut_ptr());
    parallel::each(cx, work, tasks, |task| {
        let job = Depthwise { y, x: x.as_ptr(), w: w.as_ptr(), bias, residual: residual.map(<[f32]>::as_ptr), g: &g, activation, integers };
        dispatch(cx, Lines(&job, parallel::part(lines, 1, task, tasks)));
    });
    Ok(())
}

/// The operands. The slices behind the pointers fit the geometry; a line of the output belongs to one task.
struct Depthwise<'a> {
    y: Shared,
    x: *const f32,
    w: *const f32,
    bias: Option<&'a [f32]>,
    residual: Option<*const f32>,
    g: &'a Geometry,
    activation: Activation,
    /// Whether the sums are left as i32.
    integers: bool,
}

struct Lines<'j, 'a>(&'j Depthwise<'a>, Range<usize>);

impl WithSimd for Lines<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        for line in self.1 {
            self.0.line(s, line);
        }
    }
}

/// The pixels of a row: together their sums hide the latency of the additions.
const ROW: usize = 4;
/// The most lines of a window that are computed in rows.
const LINES: usize = 5;

/// The pixels that are computed together.
struct Strip {
    /// The first output pixel, of all images.
    pixel: usize,
    /// The column of the first pixel in its line.
    column: usize,
    /// The first image line of the window's taps, as a pixel number: that of tap (0, 0, 0), column 0; may lie before the image.
    origin: isize,
    /// The taps that are inside along each axis.
    taps: [(usize, usize); 3],
    /// The first channel.
    channel: usize,
}

impl Depthwise<'_> {
    /// One line of the output.
    #[inline(always)]
    fn line<S: Simd>(&self, s: S, line: usize) {
        let g = self.g;
        let width = g.output[2];
        let pixel = line * width;
        let [image, d, h, _] = g.out_position(pixel);
        let (taps_d, taps_h) = (g.taps_inside(0, d), g.taps_inside(1, h));
        let [_, height, in_width] = g.input.map(|len| len as isize);
        let origin = ((image * g.input[0]) as isize + g.start(0, d)) * height + g.start(1, h);
        let (first, last) = g.outputs_interior(2);
        let mut strip = Strip { pixel, column: 0, origin: origin * in_width, taps: [taps_d, taps_h, (0, 0)], channel: 0 };
        let lines = (taps_d.1 - taps_d.0) * (taps_h.1 - taps_h.0);
        if const { !matches!(S::ISA, Isa::Scalar) } && width >= ROW && lines <= LINES && g.dilation[2] == 1 {
            // SAFETY: the line has as many pixels as a row of them.
            strip.channel = unsafe {
                match (g.kernel[2], g.stride[2]) {
                    (3, 1) => self.rows::<S, 3, 1>(s, &strip),
                    (3, 2) => self.rows::<S, 3, 2>(s, &strip),
                    (5, 1) => self.rows::<S, 5, 1>(s, &strip),
                    (5, 2) => self.rows::<S, 5, 2>(s, &strip),
                    _ => strip.channel,
                }
            };
        }
        while strip.channel < g.group {
            // Portable code is compiled for one shape only.
            let pair = const { !matches!(S::ISA, Isa::Scalar) } && g.group - strip.channel >= 2 * S::LANES;
            let lanes = (g.group - strip.channel).min(S::LANES);
            strip.column = 0;
            while strip.column < width {
                strip.pixel = pixel + strip.column;
                strip.taps[2] = g.taps_inside(2, strip.column);
                let run = if strip.column < first || strip.column >= last { 1 } else { last - strip.column };
                // SAFETY: the channels exist (`lanes` of them, or two whole vectors) and the pixels are in one line, inside if several.
                strip.column += unsafe {
                    match (run, pair) {
                        _ if const { matches!(S::ISA, Isa::Scalar) } => self.strip::<S, 1, 1>(s, &strip, lanes),
                        (4.., true) => self.strip::<S, 4, 2>(s, &strip, S::LANES),
                        (4.., false) => self.strip::<S, 4, 1>(s, &strip, lanes),
                        (2.., true) => self.strip::<S, 2, 2>(s, &strip, S::LANES),
                        (_, true) => self.strip::<S, 1, 2>(s, &strip, S::LANES),
                        (_, false) => self.strip::<S, 1, 1>(s, &strip, lanes),
                    }
                };
            }
            strip.channel += if pair { 2 * S::LANES } else { S::LANES };
        }
        if self.activation.is_costly() {
            // SAFETY: the line that was just written.
            unsafe { activate(s, self.activation, self.y.at(pixel * g.out_pitch), g.out_pitch, width, g.group) };
        }
        if self.integers {
            for pixel in pixel..pixel + width {
                // SAFETY: the line that was just written.
                unsafe { to_integers(s, self.y.at(pixel * g.out_pitch), g.group) };
            }
        }
    }

    /// One line of the output in rows of pixels, the last of them overlapping the one before if need be, for all whole vectors of
    /// channels; gives the first channel that is left. The window is `KW` taps wide, windows are `STEP` pixels apart.
    ///
    /// # Safety
    /// The line has at least `ROW` pixels, windows at most `LINES` lines, and taps along a line are neighbours.
    #[inline(always)]
    unsafe fn rows<S: Simd, const KW: usize, const STEP: usize>(&self, s: S, at: &Strip) -> usize {
        // A copy, because what is behind references might change with every store.
        let g = *self.g;
        let (mut lines, mut count) = ([(self.x, self.w); LINES], 0);
        for d in at.taps[0].0..at.taps[0].1 {
            for h in at.taps[1].0..at.taps[1].1 {
                let pixel = at.origin + ((d * g.dilation[0] * g.input[1] + h * g.dilation[1]) * g.input[2]) as isize;
                let weights = (d * g.kernel[1] + h) * KW * g.group;
                lines[count] = (self.x.wrapping_offset((pixel + g.start(2, 0)) * g.in_pitch as isize), self.w.wrapping_add(weights));
                count += 1;
            }
        }
        let channels = g.group / S::LANES * S::LANES;
        let (mut column, mut start) = (0, g.start(2, 0));
        loop {
            let inside = (start.min(0).unsigned_abs(), (g.input[2] as isize - start).max(0) as usize);
            // SAFETY: the pixels are in the line; those that stick out of the input are named.
            unsafe {
                if inside.0 == 0 && inside.1 >= (ROW - 1) * STEP + KW {
                    self.row::<S, KW, STEP, false>(s, &lines[..count], &g, at.pixel, column, inside, channels);
                } else {
                    self.row::<S, KW, STEP, true>(s, &lines[..count], &g, at.pixel, column, inside, channels);
                }
            }
            if column + ROW >= g.output[2] {
                return channels;
            }
            column = (column + ROW).min(g.output[2] - ROW);
            start = g.start(2, column);
        }
    }

    /// `ROW` neighbouring pixels of the output line from a column on, whole vectors of channels one after the other, as memory has them.
    /// `lines` are the lines under the windows of column 0, and their weights. Of the pixels from the first window's start on, those in the
    /// range `inside` exist (all that are needed, unless `EDGE`).
    ///
    /// # Safety
    /// The pixels are in the line, `inside` is right, and the channels exist.
    #[inline(always)]
    unsafe fn row<S: Simd, const KW: usize, const STEP: usize, const EDGE: bool>(
        &self,
        s: S,
        lines: &[(*const f32, *const f32)],
        g: &Geometry,
        line: usize,
        column: usize,
        inside: (usize, usize),
        channels: usize,
    ) {
        let (pitch, group, out_pitch, residual_pitch) = (g.in_pitch, g.group, g.out_pitch, g.residual_pitch);
        let (bias, residual, y) = (self.bias.map(<[f32]>::as_ptr), self.residual, self.y);
        let clamp = self.activation.as_clamp().unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let (low, high) = (s.splat(clamp.0), s.splat(clamp.1));
        let mut channel = 0;
        while channel < channels {
            // SAFETY: the channels exist, and taps outside the input are left out.
            unsafe {
                let start = match bias {
                    Some(bias) => s.load_ptr(bias.add(channel)),
                    None => s.zero(),
                };
                let mut acc = [start; ROW];
                for &(x, weights) in lines {
                    let (x, weights) = (x.wrapping_add(column * STEP * pitch + channel), weights.wrapping_add(channel));
                    for w in 0..KW {
                        let weight = s.load_ptr(weights.wrapping_add(w * group));
                        for p in 0..ROW {
                            let at = p * STEP + w;
                            if !EDGE || (at >= inside.0 && at < inside.1) {
                                acc[p] = s.mul_add(s.load_ptr(x.wrapping_add(at * pitch)), weight, acc[p]);
                            }
                        }
                    }
                }
                if let Some(residual) = residual {
                    for p in 0..ROW {
                        acc[p] = s.add(acc[p], s.load_ptr(residual.add((line + column + p) * residual_pitch + channel)));
                    }
                }
                for p in 0..ROW {
                    s.store_ptr(y.at((line + column + p) * out_pitch + channel), s.min(high, s.max(low, acc[p])));
                }
            }
            channel += S::LANES;
        }
    }

    /// `P` neighbouring pixels, `V` vectors of channels; gives `P`.
    ///
    /// # Safety
    /// The pixels are in one output line and their taps in the given ranges are inside the input; `V * lanes` channels exist (`lanes` is all if V > 1).
    #[inline(always)]
    unsafe fn strip<S: Simd, const P: usize, const V: usize>(&self, s: S, at: &Strip, lanes: usize) -> usize {
        let g = self.g;
        let [_, kernel_h, kernel_w] = g.kernel;
        let step = g.stride[2] * g.in_pitch;
        let mut acc = [[s.zero(); V]; P];
        if let Some(bias) = self.bias {
            for v in 0..V {
                // SAFETY: the channels exist.
                let b = unsafe { load_up_to(s, bias.as_ptr().add(at.channel + v * S::LANES), lanes) };
                for p in 0..P {
                    acc[p][v] = b;
                }
            }
        }
        for d in at.taps[0].0..at.taps[0].1 {
            for h in at.taps[1].0..at.taps[1].1 {
                let line = at.origin + ((d * g.dilation[0] * g.input[1] + h * g.dilation[1]) * g.input[2]) as isize;
                for w in at.taps[2].0..at.taps[2].1 {
                    let pixel = line + g.start(2, at.column) + (w * g.dilation[2]) as isize;
                    // SAFETY: the tap is inside for all pixels, and the channels exist.
                    unsafe {
                        let x = self.x.offset(pixel * g.in_pitch as isize).add(at.channel);
                        let weights = self.w.add(((d * kernel_h + h) * kernel_w + w) * g.group + at.channel);
                        for v in 0..V {
                            let weight = load_up_to(s, weights.add(v * S::LANES), lanes);
                            for p in 0..P {
                                acc[p][v] = s.mul_add(load_up_to(s, x.add(p * step + v * S::LANES), lanes), weight, acc[p][v]);
                            }
                        }
                    }
                }
            }
        }
        let clamp = self.activation.as_clamp();
        for p in 0..P {
            for v in 0..V {
                let channel = at.channel + v * S::LANES;
                let mut out = acc[p][v];
                // SAFETY: the pixels and channels exist.
                unsafe {
                    if let Some(residual) = self.residual {
                        out = s.add(out, load_up_to(s, residual.add((at.pixel + p) * g.residual_pitch + channel), lanes));
                    }
                    if let Some((low, high)) = clamp {
                        out = s.min(s.splat(high), s.max(s.splat(low), out));
                    }
                    store_up_to(s, self.y.at((at.pixel + p) * g.out_pitch + channel), lanes, out);
                }
            }
        }
        P
    }
}

/// Replaces numbers that are integers by the bits of the i32 they are.
///
/// # Safety
/// There are `len` elements at `y`.
#[inline(always)]
unsafe fn to_integers<S: Simd>(s: S, y: *mut f32, len: usize) {
    for i in (0..len).step_by(S::LANES) {
        // SAFETY: the elements exist.
        unsafe {
            let lanes = (len - i).min(S::LANES);
            let sums = load_up_to(s, y.add(i), lanes);
            store_up_to(s, y.add(i), lanes, s.with_bits(s.to_i32_round(sums)));
        }
    }
}
