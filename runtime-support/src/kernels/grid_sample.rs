//! GridSample and AffineGrid: reading a tensor at places that another tensor says. Places are f64; values are computed in f64, rounded once.

use super::arith::{Arith, Linear};
use super::fmath::{floor, round};
use super::walk::{count, dense, promise};
use crate::error::Fault;

/// The most spatial axes.
const AXES: usize = 3;
/// The most neighbours: four on each axis.
const TAPS: usize = 64;

/// How values between elements come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// The nearest element, ties to even.
    Nearest,
    /// Two neighbours an axis.
    Linear,
    /// Four neighbours an axis, `a = -0.75`.
    Cubic,
}

/// What stands outside the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Zero.
    Zeros,
    /// The border's value.
    Border,
    /// The mirror image.
    Reflection,
}

/// One neighbour: its offset in a plane (`None`: zero) and its weight.
type Tap = (Option<usize>, f64);

/// `x` mirrored into `low..=high`.
fn reflect(x: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 || !x.is_finite() {
        return low;
    }
    let (from, sign) = if x < low { (low - x, true) } else { (x - high, false) };
    if from <= 0.0 {
        return x;
    }
    let turns = floor(from / range);
    let rest = from - turns * range;
    // After an even number of turns the mirror starts at the near end.
    if (turns % 2.0 == 0.0) == sign { low + rest } else { high - rest }
}

#[derive(Clone, Copy)]
struct Rules {
    sampling: Sampling,
    outside: Outside,
    align: bool,
}

impl Rules {
    /// The element at a whole index of an axis.
    fn element(self, i: f64, len: usize) -> Option<usize> {
        let last = len as f64 - 1.0;
        let i = match self.outside {
            Outside::Zeros => i,
            Outside::Border => i.clamp(0.0, last),
            Outside::Reflection if self.align => reflect(i, 0.0, last),
            Outside::Reflection => reflect(i, -0.5, last + 0.5).clamp(0.0, last),
        };
        (i >= 0.0 && i <= last).then(|| round(i) as usize)
    }

    /// The neighbours on one axis of a normalised coordinate, and how many.
    fn axis(self, coordinate: f64, len: usize) -> ([Tap; 4], usize) {
        let n = len as f64;
        let x = if self.align { f64::midpoint(coordinate, 1.0) * (n - 1.0) } else { ((coordinate + 1.0) * n - 1.0) / 2.0 };
        // Cubic neighbours are mirrored or clamped one by one; for the others the place itself is.
        let x = match self.outside {
            _ if self.sampling != Sampling::Linear => x,
            Outside::Border => x.clamp(0.0, n - 1.0),
            Outside::Reflection if self.align => reflect(x, 0.0, n - 1.0),
            Outside::Reflection => reflect(x, -0.5, n - 0.5).clamp(0.0, n - 1.0),
            Outside::Zeros => x,
        };
        let mut taps = [(None, 0.0); 4];
        // What is no number is nowhere.
        if x.is_nan() || x.abs() >= 1e15 {
            return (taps, 1);
        }
        let below = floor(x);
        let t = x - below;
        match self.sampling {
            Sampling::Nearest => {
                taps[0] = (self.element(round(x), len), 1.0);
                (taps, 1)
            }
            Sampling::Linear => {
                taps[0] = (self.element(below, len), 1.0 - t);
                taps[1] = (self.element(below + 1.0, len), t);
                (taps, 2)
            }
            Sampling::Cubic => {
                let a = -0.75;
                let far = |d: f64| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
                let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
                let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                for (k, (tap, weight)) in taps.iter_mut().zip(weights).enumerate() {
                    *tap = (self.element(below + k as f64 - 1.0, len), weight);
                }
                (taps, 4)
            }
        }
    }

    /// The neighbours of a place; its coordinates are given last axis first.
    fn place(self, grid: impl Fn(usize) -> f64, shape: &[usize], strides: &[usize], all: &mut [Tap; TAPS]) -> usize {
        all[0] = (Some(0), 1.0);
        let mut used = 1;
        for (axis, &len) in shape.iter().enumerate() {
            let (taps, n) = self.axis(grid(shape.len() - 1 - axis), len);
            // From the end, so that what is there is read before it is overwritten.
            for i in (0..used).rev() {
                let (offset, weight) = all[i];
                for k in (0..n).rev() {
                    let both = offset.zip(taps[k].0).map(|(o, j)| o + j * strides[axis]);
                    all[i * n + k] = (both, weight * taps[k].1);
                }
            }
            used *= n;
        }
        used
    }
}

/// What is sampled where: `shape` are the spatial dims of the tensor, `points` the number of places of each batch.
struct Images<'a> {
    grid: &'a [f64],
    shape: &'a [usize],
    sizes: [usize; 3],
}

impl Images<'_> {
    /// Calls `element` with the neighbours of each place and the image, for all elements of `out`.
    fn each<T: Clone + Default>(self, out: &mut [T], x: &[T], rules: Rules, element: impl Fn(&[Tap], &[T]) -> T) -> Result<(), Fault> {
        let (rank, plane, [batch, channels, points]) = (self.shape.len(), count(self.shape)?, self.sizes);
        promise((1..=AXES).contains(&rank), "grid_sample: the rank must be at most 3")?;
        promise(
            out.len() == count(&[batch, channels, points])? && x.len() == count(&[batch, channels, plane])?,
            "grid_sample: lengths differ",
        )?;
        promise(self.grid.len() == count(&[batch, points, rank])?, "grid_sample: wrong length of the grid")?;
        if out.is_empty() {
            return Ok(());
        }
        if plane == 0 {
            out.fill(T::default());
            return Ok(());
        }
        let strides = dense(self.shape)?;
        let mut taps = [(None, 0.0); TAPS];
        let images = out.chunks_exact_mut(channels * points).zip(x.chunks_exact(channels * plane));
        for ((to, from), grid) in images.zip(self.grid.chunks_exact(points * rank)) {
            for (p, at) in grid.chunks_exact(rank).enumerate() {
                let used = rules.place(|i| at[i], self.shape, &strides, &mut taps);
                for (c, image) in from.chunks_exact(plane).enumerate() {
                    to[c * points + p] = element(&taps[..used], image);
                }
            }
        }
        Ok(())
    }
}

/// `out[n, c, p]` is `x[n, c]` at the place `grid[n, p]`: coordinates from -1 to 1, last axis first. `shape` are the spatial dims of `x`, `points` the
/// number of places of each batch. `align`: -1 and 1 are the centres of the border elements, not their edges.
pub fn grid_sample<T: Linear>(
    out: &mut [T],
    x: &[T],
    grid: &[f64],
    shape: &[usize],
    batch: usize,
    channels: usize,
    points: usize,
    sampling: Sampling,
    outside: Outside,
    align: bool,
) -> Result<(), Fault> {
    let images = Images { grid, shape, sizes: [batch, channels, points] };
    images.each(out, x, Rules { sampling, outside, align }, |taps, image| {
        T::weighted(taps.iter().filter_map(|&(offset, weight)| offset.map(|o| (weight, image[o]))))
    })
}

/// As [`grid_sample`], the nearest element of any type as it is.
pub fn grid_nearest<T: Clone + Default>(
    out: &mut [T],
    x: &[T],
    grid: &[f64],
    shape: &[usize],
    batch: usize,
    channels: usize,
    points: usize,
    outside: Outside,
    align: bool,
) -> Result<(), Fault> {
    let images = Images { grid, shape, sizes: [batch, channels, points] };
    images.each(out, x, Rules { sampling: Sampling::Nearest, outside, align }, |taps, image| {
        taps.first().and_then(|tap| tap.0).map(|o| image[o].clone()).unwrap_or_default()
    })
}

/// The grid of an affine map: `theta` is `batch × rank × (rank + 1)`, `out` is `batch × shape × rank`.
pub fn affine_grid<T: Arith>(out: &mut [T], theta: &[T], shape: &[usize], align: bool) -> Result<(), Fault> {
    let (rank, points) = (shape.len(), count(shape)?);
    promise((1..=AXES).contains(&rank), "affine_grid: the rank must be at most 3")?;
    let batch = theta.len() / (rank * (rank + 1));
    promise(out.len() == count(&[batch, points, rank])? && theta.len() == batch * rank * (rank + 1), "affine_grid: lengths differ")?;
    if out.is_empty() {
        return Ok(());
    }
    let place = |i: usize, n: usize| match (align, n) {
        (true, 1) => -1.0,
        (true, _) => 2.0 * i as f64 / (n as f64 - 1.0) - 1.0,
        _ => (2.0 * i as f64 + 1.0) / n as f64 - 1.0,
    };
    for (to, theta) in out.chunks_exact_mut(points * rank).zip(theta.chunks_exact(rank * (rank + 1))) {
        for (p, to) in to.chunks_exact_mut(rank).enumerate() {
            // Coordinates are last axis first.
            let (mut rest, mut at) = (p, [1.0; AXES + 1]);
            for axis in (0..rank).rev() {
                at[rank - 1 - axis] = place(rest % shape[axis], shape[axis]);
                rest /= shape[axis];
            }
            at[rank] = 1.0;
            for (v, row) in to.iter_mut().zip(theta.chunks_exact(rank + 1)) {
                *v = T::from_f64(row.iter().zip(at).map(|(t, a)| t.to_f64() * a).sum());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Complex;

    #[test]
    fn places_between_elements() {
        let x = [0f32, 1.0, 2.0, 3.0];
        let mut out = [0f32; 1];
        let mut at = |place: [f64; 2], sampling, outside, align| {
            grid_sample(&mut out, &x, &place, &[2, 2], 1, 1, 1, sampling, outside, align).unwrap();
            out[0]
        };
        assert_eq!(at([0.0, 0.0], Sampling::Linear, Outside::Zeros, true), 1.5);
        assert_eq!(at([1.0, -1.0], Sampling::Linear, Outside::Zeros, true), 1.0);
        assert_eq!(at([1.0, -1.0], Sampling::Linear, Outside::Zeros, false), 0.25);
        assert_eq!(at([2.0, -1.0], Sampling::Linear, Outside::Border, false), 1.0);
        assert_eq!(at([3.0, -1.0], Sampling::Nearest, Outside::Reflection, true), 0.0);
        assert_eq!(at([0.0, 0.0], Sampling::Cubic, Outside::Border, true), 1.5);
        assert_eq!(at([f64::NAN, 0.0], Sampling::Linear, Outside::Zeros, true), 0.0);
    }

    #[test]
    fn elements_of_any_type() {
        // No f64 holds this number.
        let x = [i64::MAX, 1, 2, 3];
        let mut out = [0; 2];
        grid_nearest(&mut out, &x, &[-1.0, -1.0, 3.0, 0.0], &[2, 2], 1, 1, 2, Outside::Zeros, true).unwrap();
        assert_eq!(out, [i64::MAX, 0]);
        let x = [(0.0, 4.0), (2.0, 8.0)].map(|(re, im)| Complex { re, im });
        let mut out = [Complex::default(); 1];
        grid_sample(&mut out, &x, &[0.0f64], &[2], 1, 1, 1, Sampling::Linear, Outside::Zeros, true).unwrap();
        assert_eq!(out, [Complex { re: 1.0f32, im: 6.0 }]);
    }

    #[test]
    fn mirrors() {
        let all: std::vec::Vec<f64> = (-5..8).map(|i| reflect(i as f64, 0.0, 2.0)).collect();
        assert_eq!(all, [1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0]);
    }

    #[test]
    fn identity_map() {
        let mut out = [0f32; 8];
        affine_grid(&mut out, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[2, 2], true).unwrap();
        assert_eq!(out, [-1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0]);
    }
}
