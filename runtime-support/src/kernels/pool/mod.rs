//! Pooling: channels last for f32, with vectors over channels; [`plain`] is channels first, for every number type.
//!
//! Both take a [`Geometry`] with as many output as input channels and one group. Global pooling is a window as large as the input.

mod bytes;
pub mod plain;
#[cfg(test)]
mod tests;

pub use bytes::max_pool_bytes;

use super::conv::Geometry;
use crate::cx::{Cx, Isa};
use crate::error::Fault;
use crate::kernels::gemm::{Shared, load_up_to, promise, store_up_to};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// The greatest element of each window, channels last; padding does not count, and a window of nothing but padding gives -∞.
pub fn max_pool(cx: Cx, y: &mut [f32], x: &[f32], g: Geometry) -> Result<(), Fault> {
    pool(cx, y, x, g, Kind::Max)
}

/// The average of each window, channels last: over the taps inside the input, or (`count_include_pad`) inside the padded input.
pub fn average_pool(cx: Cx, y: &mut [f32], x: &[f32], g: Geometry, count_include_pad: bool) -> Result<(), Fault> {
    pool(cx, y, x, g, Kind::Average { count_include_pad })
}

/// What is made of a window.
#[derive(Clone, Copy)]
enum Kind {
    Max,
    Average { count_include_pad: bool },
}

fn pool(cx: Cx, y: &mut [f32], x: &[f32], g: Geometry, kind: Kind) -> Result<(), Fault> {
    g.check(y.len(), x.len(), None)?;
    promise(g.group == 1 && g.in_channels == g.out_channels, "pool: channels differ")?;
    let pixels = g.out_pixels();
    if pixels == 0 || g.in_channels == 0 {
        return Ok(());
    }
    let work = pixels.saturating_mul(g.in_channels).saturating_mul(g.taps() * 3);
    let tasks = parallel::tasks(cx, work).min(pixels);
    let y = Shared(y.as_mut_ptr());
    parallel::each(cx, work, tasks, |task| {
        dispatch(cx, Pixels { y, x: x.as_ptr(), g: &g, kind, range: parallel::part(pixels, 1, task, tasks) });
    });
    Ok(())
}

/// The number of taps of an output pixel that the average divides by.
fn taps_counted(g: &Geometry, [_, d, h, w]: [usize; 4], include_pad: bool) -> usize {
    let along = |axis: usize, out: usize| {
        let (first, last) = if include_pad { g.taps_inside_padding(axis, out) } else { g.taps_inside(axis, out) };
        last - first
    };
    along(0, d) * along(1, h) * along(2, w)
}

/// Some output pixels of one task. The slices behind the pointers fit the geometry.
struct Pixels<'a> {
    y: Shared,
    x: *const f32,
    g: &'a Geometry,
    kind: Kind,
    range: Range<usize>,
}

/// A window along one axis: its first input coordinate, which may lie in the padding, the first of its taps that is inside, and one past the last.
type Span = (isize, usize, usize);

/// What the windows of one line of outputs have in common.
#[derive(Clone, Copy)]
struct Line {
    image: usize,
    d: Span,
    h: Span,
}

impl WithSimd for Pixels<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let g = self.g;
        let interior = g.outputs_interior(2);
        let mut pixel = self.range.start;
        // Line by line, since finding a place takes divisions.
        while pixel < self.range.end {
            let [image, d, h, first] = g.out_position(pixel);
            let (taps_d, taps_h) = (g.taps_inside(0, d), g.taps_inside(1, h));
            let line = Line { image, d: (g.start(0, d), taps_d.0, taps_d.1), h: (g.start(1, h), taps_h.0, taps_h.1) };
            let end = (pixel + g.output[2] - first).min(self.range.end);
            let mut inner = 0.0;
            for (w, pixel) in (first..).zip(pixel..end) {
                let inside = w >= interior.0 && w < interior.1;
                let taps = if inside { (0, g.kernel[2]) } else { g.taps_inside(2, w) };
                let mut count = inner;
                if let Kind::Average { count_include_pad } = self.kind
                    && (!inside || inner == 0.0)
                {
                    count = taps_counted(g, [image, d, h, w], count_include_pad) as f32;
                    if inside {
                        // The windows that are inside count alike.
                        inner = count;
                    }
                }
                self.pixel(s, &line, pixel, (g.start(2, w), taps.0, taps.1), count);
            }
            pixel = end;
        }
    }
}

impl Pixels<'_> {
    /// All channels of one window.
    #[inline(always)]
    fn pixel<S: Simd>(&self, s: S, line: &Line, pixel: usize, taps: Span, count: f32) {
        let channels = self.g.in_channels;
        let mut channel = 0;
        while channel < channels {
            // SAFETY: four whole vectors of channels exist, or `channels - channel` lanes of one.
            channel += unsafe {
                let four = const { !matches!(S::ISA, Isa::Scalar) } && channels - channel >= 4 * S::LANES;
                match (self.kind, four) {
                    (Kind::Max, _) if const { matches!(S::ISA, Isa::Scalar) } => {
                        self.window::<S, true, 1>(s, line, pixel, taps, channel, count)
                    }
                    _ if const { matches!(S::ISA, Isa::Scalar) } => self.window::<S, false, 1>(s, line, pixel, taps, channel, count),
                    (Kind::Max, true) => self.window::<S, true, 4>(s, line, pixel, taps, channel, count),
                    (Kind::Max, false) => self.window::<S, true, 1>(s, line, pixel, taps, channel, count),
                    (Kind::Average { .. }, true) => self.window::<S, false, 4>(s, line, pixel, taps, channel, count),
                    (Kind::Average { .. }, false) => self.window::<S, false, 1>(s, line, pixel, taps, channel, count),
                }
            };
        }
    }

    /// One window, `V` vectors of channels; gives the number of channels done.
    ///
    /// # Safety
    /// The pixel exists, its window's taps are those of the line and `taps`, and `V` whole vectors from `channel` on exist; if `V` is 1 there may
    /// be fewer channels than a vector has lanes.
    #[inline(always)]
    unsafe fn window<S: Simd, const MAX: bool, const V: usize>(
        &self,
        s: S,
        line: &Line,
        pixel: usize,
        taps: Span,
        channel: usize,
        count: f32,
    ) -> usize {
        let g = self.g;
        let lanes = (g.in_channels - channel).min(S::LANES);
        let mut acc = [s.splat(if MAX { f32::NEG_INFINITY } else { 0.0 }); V];
        for tap_d in line.d.1..line.d.2 {
            let d = (line.d.0 + (tap_d * g.dilation[0]) as isize) as usize;
            for tap_h in line.h.1..line.h.2 {
                let h = (line.h.0 + (tap_h * g.dilation[1]) as isize) as usize;
                let from = g.line_offset(line.image, d, h) + channel;
                for tap_w in taps.1..taps.2 {
                    let w = (taps.0 + (tap_w * g.dilation[2]) as isize) as usize;
                    for v in 0..V {
                        // SAFETY: the tap is inside the input, the channels exist.
                        let x = unsafe { load_up_to(s, self.x.add(from + w * g.in_pitch + v * S::LANES), lanes) };
                        acc[v] = if MAX { s.max(x, acc[v]) } else { s.add(acc[v], x) };
                    }
                }
            }
        }
        if !MAX {
            for v in 0..V {
                acc[v] = s.div(acc[v], s.splat(count));
            }
        }
        for v in 0..V {
            // SAFETY: the pixel and the channels exist.
            unsafe { store_up_to(s, self.y.at(pixel * g.out_pitch + channel + v * S::LANES), lanes, acc[v]) };
        }
        if V == 1 { lanes } else { V * S::LANES }
    }
}
