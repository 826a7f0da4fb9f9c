//! Pooling of every number type, channels first as in ONNX and dense (pitches are ignored), one window at a time.

use super::taps_counted;
use crate::error::Fault;
use crate::kernels::conv::Geometry;
use crate::kernels::fmath;
use crate::kernels::gemm::promise;
use crate::kernels::num::{Acc, Num};

/// Calls `f(i, window)` for each output element, `window` being the offsets of the elements of its window in the input, with their places.
fn each_window(g: &Geometry, y: usize, x: usize, mut f: impl FnMut(usize, &Window<'_>)) -> Result<(), Fault> {
    Geometry { in_pitch: g.in_channels, out_pitch: g.out_channels, residual_pitch: 0, ..*g }.check(y, x, None)?;
    promise(g.group == 1 && g.in_channels == g.out_channels, "pool: channels differ")?;
    let volume = g.output.iter().product::<usize>();
    for i in 0..g.out_pixels() * g.out_channels {
        f(i, &Window { g, plane: i / volume * g.input.iter().product::<usize>(), position: g.out_position(i % volume) });
    }
    Ok(())
}

/// The window of one output element.
struct Window<'a> {
    g: &'a Geometry,
    /// The offset of the input plane.
    plane: usize,
    position: [usize; 4],
}

impl Window<'_> {
    /// Calls `f(offset, coordinates)` for each tap inside the input, in row-major order.
    fn each(&self, mut f: impl FnMut(usize, [usize; 3])) {
        let g = self.g;
        let [_, d, h, w] = self.position;
        let at = |axis: usize, out: usize, tap: usize| (g.start(axis, out) + (tap * g.dilation[axis]) as isize) as usize;
        let inside = |axis: usize, out: usize| {
            let (first, last) = g.taps_inside(axis, out);
            first..last
        };
        for a in inside(0, d) {
            for b in inside(1, h) {
                for c in inside(2, w) {
                    let [d, h, w] = [at(0, d, a), at(1, h, b), at(2, w, c)];
                    f(self.plane + (d * g.input[1] + h) * g.input[2] + w, [d, h, w]);
                }
            }
        }
    }
}

/// The greatest element of each window; the least value of the type for a window of nothing but padding.
pub fn max_pool<T: Num>(y: &mut [T], x: &[T], g: Geometry) -> Result<(), Fault> {
    each_window(&g, y.len(), x.len(), |i, window| {
        y[i] = T::LOWEST;
        window.each(|at, _| {
            if x[at] > y[i] {
                y[i] = x[at];
            }
        });
    })
}

/// The same, with the place of each greatest element: its index in the whole input, or (`column_major`) with the first spatial axis of its
/// plane running fastest. The first of equal elements counts; a window of nothing but padding gives the plane's first index.
pub fn max_pool_indices<T: Num>(y: &mut [T], indices: &mut [i64], x: &[T], g: Geometry, column_major: bool) -> Result<(), Fault> {
    promise(indices.len() == y.len(), "pool: as many indices as elements")?;
    let [depth, height, _] = g.input;
    each_window(&g, y.len(), x.len(), |i, window| {
        y[i] = T::LOWEST;
        indices[i] = window.plane as i64;
        let mut found = false;
        window.each(|at, [d, h, w]| {
            if !found || x[at] > y[i] {
                found = true;
                y[i] = x[at];
                indices[i] = if column_major { window.plane + d + (h + w * height) * depth } else { at } as i64;
            }
        });
    })
}

/// The average of each window: over the taps inside the input, or (`count_include_pad`) inside the padded input.
pub fn average_pool<T: Num>(y: &mut [T], x: &[T], g: Geometry, count_include_pad: bool) -> Result<(), Fault> {
    each_window(&g, y.len(), x.len(), |i, window| {
        let mut sum = T::Acc::ZERO;
        window.each(|at, _| sum = sum.add(x[at].widen()));
        y[i] = T::narrow(sum.over(taps_counted(&g, window.position, count_include_pad)));
    })
}

/// The p-norm of each window, `(Σ |x|^p)^(1/p)`, computed in f64.
pub fn lp_pool<T: Num>(y: &mut [T], x: &[T], g: Geometry, p: i64) -> Result<(), Fault> {
    each_window(&g, y.len(), x.len(), |i, window| {
        let mut sum = 0.0;
        window.each(|at, _| {
            let x = x[at].widen().to_f64().abs();
            sum += match p {
                1 => x,
                2 => x * x,
                _ => fmath::pow(x, p as f64),
            };
        });
        y[i] = T::narrow(T::Acc::from_f64(match p {
            1 => sum,
            2 => fmath::sqrt(sum),
            _ => fmath::pow(sum, 1.0 / p as f64),
        }));
    })
}
