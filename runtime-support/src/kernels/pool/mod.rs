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
    let tasks = parallel::tasks(cx, pixels.saturating_mul(g.in_channels).saturating_mul(g.taps() * 3)).min(pixels);
    let y = Shared(y.as_mut_ptr());
    parallel::each(cx, tasks, |task| {
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

impl WithSimd for Pixels<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let channels = self.g.in_channels;
        for pixel in self.range.clone() {
            let position = self.g.out_position(pixel);
            let mut channel = 0;
            while channel < channels {
                // SAFETY: four whole vectors of channels exist, or `channels - channel` lanes of one.
                channel += unsafe {
                    let four = const { !matches!(S::ISA, Isa::Scalar) } && channels - channel >= 4 * S::LANES;
                    match (self.kind, four) {
                        (Kind::Max, _) if const { matches!(S::ISA, Isa::Scalar) } => self.window::<S, true, 1>(s, pixel, position, channel),
                        _ if const { matches!(S::ISA, Isa::Scalar) } => self.window::<S, false, 1>(s, pixel, position, channel),
                        (Kind::Max, true) => self.window::<S, true, 4>(s, pixel, position, channel),
                        (Kind::Max, false) => self.window::<S, true, 1>(s, pixel, position, channel),
                        (Kind::Average { .. }, true) => self.window::<S, false, 4>(s, pixel, position, channel),
                        (Kind::Average { .. }, false) => self.window::<S, false, 1>(s, pixel, position, channel),
                    }
                };
            }
        }
    }
}

impl Pixels<'_> {
    /// One window, `V` vectors of channels; gives the number of channels done.
    ///
    /// # Safety
    /// The pixel exists, and `V` whole vectors from `channel` on; if `V` is 1 there may be fewer channels than a vector has lanes.
    #[inline(always)]
    unsafe fn window<S: Simd, const MAX: bool, const V: usize>(&self, s: S, pixel: usize, position: [usize; 4], channel: usize) -> usize {
        let g = self.g;
        let lanes = (g.in_channels - channel).min(S::LANES);
        let [image, d, h, w] = position;
        let (taps_d, taps_h, taps_w) = (g.taps_inside(0, d), g.taps_inside(1, h), g.taps_inside(2, w));
        let mut acc = [s.splat(if MAX { f32::NEG_INFINITY } else { 0.0 }); V];
        for tap_d in taps_d.0..taps_d.1 {
            let d = (g.start(0, d) + (tap_d * g.dilation[0]) as isize) as usize;
            for tap_h in taps_h.0..taps_h.1 {
                let h = (g.start(1, h) + (tap_h * g.dilation[1]) as isize) as usize;
                let line = g.line_offset(image, d, h) + channel;
                for tap_w in taps_w.0..taps_w.1 {
                    let w = (g.start(2, w) + (tap_w * g.dilation[2]) as isize) as usize;
                    for v in 0..V {
                        // SAFETY: the tap is inside the input, the channels exist.
                        let x = unsafe { load_up_to(s, self.x.add(line + w * g.in_pitch + v * S::LANES), lanes) };
                        acc[v] = if MAX { s.max(x, acc[v]) } else { s.add(acc[v], x) };
                    }
                }
            }
        }
        if let Kind::Average { count_include_pad } = self.kind {
            let count = s.splat(taps_counted(g, position, count_include_pad) as f32);
            for v in 0..V {
                acc[v] = s.div(acc[v], count);
            }
        }
        for v in 0..V {
            // SAFETY: the pixel and the channels exist.
            unsafe { store_up_to(s, self.y.at(pixel * g.out_pitch + channel + v * S::LANES), lanes, acc[v]) };
        }
        if V == 1 { lanes } else { V * S::LANES }
    }
}
