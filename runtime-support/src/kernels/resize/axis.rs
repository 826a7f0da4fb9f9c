//! One resized axis: its scale, its coordinates.

use super::{Coordinates, Policy, Rounding};
use crate::error::Fault;
use crate::kernels::fmath::floor;
use crate::kernels::walk::{MAX_RANK, promise, wrap};

/// One resized axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) scale: f64,
    /// Start and end of the region of interest, as fractions of the input.
    roi: [f64; 2],
}

/// The axes that change, by axis number; `axes`, `scales`, `sizes`, `roi` as ONNX gives them (see [`super::nearest`]).
pub(super) fn axes(
    in_shape: &[usize],
    out_shape: &[usize],
    axes: &[usize],
    scales: &[f32],
    sizes: &[i64],
    roi: &[f32],
    policy: Policy,
) -> Result<[Option<Axis>; MAX_RANK], Fault> {
    let n = axes.len();
    promise(in_shape.len() == out_shape.len() && in_shape.len() <= MAX_RANK, "resize: ranks differ")?;
    promise(axes.iter().all(|&a| a < in_shape.len()), "resize: no such axis")?;
    promise(roi.is_empty() || roi.len() == 2 * n, "resize: wrong length of roi")?;
    let kept = |a: usize| axes.contains(&a) || in_shape[a] == out_shape[a];
    promise((0..in_shape.len()).all(kept), "resize: another axis changes")?;
    let mut found = [None; MAX_RANK];
    for (k, &a) in axes.iter().enumerate() {
        let (input, output) = (in_shape[a], out_shape[a]);
        let scale = match (scales.is_empty(), policy) {
            (false, _) => *scales.get(k).ok_or(Fault::Internal { what: "resize: too few scales" })? as f64,
            (true, Policy::Stretch) => output as f64 / input as f64,
            (true, _) => common_scale(in_shape, axes, sizes, policy)?,
        };
        let roi = if roi.is_empty() { [0.0, 1.0] } else { [roi[k] as f64, roi[n + k] as f64] };
        let near = |x: f64, y: f64| (x - y).abs() <= 1e-9;
        if input == output && near(scale, 1.0) && near(roi[0], 0.0) && near(roi[1], 1.0) {
            continue;
        }
        if input == 0 && output > 0 {
            return Err(Fault::Value { what: "an empty axis cannot be enlarged", got: output as i64 });
        }
        if output > 0 && !(scale > 0.0 && scale.is_finite()) {
            return Err(Fault::Value { what: "a scale must be positive", got: scale as i64 });
        }
        found[a] = Some(Axis { input, output, scale, roi });
    }
    Ok(found)
}

/// The scale of the policies that keep the aspect ratio.
fn common_scale(in_shape: &[usize], axes: &[usize], sizes: &[i64], policy: Policy) -> Result<f64, Fault> {
    promise(sizes.len() == axes.len(), "resize: wrong number of sizes")?;
    let ratios = axes.iter().zip(sizes).map(|(&a, &s)| s as f64 / in_shape[a] as f64);
    Ok(if policy == Policy::NotLarger { ratios.fold(f64::INFINITY, f64::min) } else { ratios.fold(0.0, f64::max) })
}

/// Writes the output shape to `bind` (as long as `in_shape`), for scales or sizes that only the run knows. One of the two is empty; the other has one
/// number for each of `axes` (from the front; negative ones from the back).
pub fn dims(bind: &mut [i64], in_shape: &[usize], axes: &[i64], scales: &[f32], sizes: &[i64], policy: Policy) -> Result<(), Fault> {
    promise(bind.len() == in_shape.len() && axes.len() <= MAX_RANK, "resize dims: ranks differ")?;
    for (out, &d) in bind.iter_mut().zip(in_shape) {
        *out = d as i64;
    }
    if !scales.is_empty() && !sizes.is_empty() {
        return Err(Fault::Value { what: "beside scales there must be no sizes", got: sizes.len() as i64 });
    }
    let given = scales.len() + sizes.len();
    if given != axes.len() {
        return Err(Fault::Dim { expected: axes.len() as i64, got: given as i64 });
    }
    let mut positive = [0; MAX_RANK];
    for (p, &a) in positive.iter_mut().zip(axes) {
        *p = wrap(a, in_shape.len())?;
    }
    let axes = &positive[..axes.len()];
    for (k, &a) in axes.iter().enumerate() {
        let len = in_shape[a] as f64;
        bind[a] = if !scales.is_empty() {
            (scales[k] * in_shape[a] as f32) as i64
        } else if policy == Policy::Stretch {
            sizes[k]
        } else {
            (common_scale(in_shape, axes, sizes, policy)? * len + 0.5) as i64
        };
        if bind[a] < 0 {
            return Err(Fault::Value { what: "a size must not be negative", got: bind[a] });
        }
    }
    Ok(())
}

impl Axis {
    /// Where output index `y` lies in the input; `None` outside the region that `TfCropAndResize` can see.
    pub(super) fn coordinate(&self, y: usize, mode: Coordinates) -> Option<f64> {
        let (y, last, scale) = (y as f64, self.input as f64 - 1.0, self.scale);
        // The length before it was rounded to an integer.
        let length = scale * self.input as f64;
        let x = match mode {
            Coordinates::HalfPixelSymmetric => {
                let offset = self.input as f64 / 2.0 * (1.0 - self.output as f64 / length);
                offset + (y + 0.5) / scale - 0.5
            }
            Coordinates::PytorchHalfPixel if length == 1.0 => -0.5,
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (y + 0.5) / scale - 0.5,
            Coordinates::TfHalfPixelForNn => (y + 0.5) / scale,
            Coordinates::AlignCorners if length == 1.0 => 0.0,
            Coordinates::AlignCorners => y * last / (length - 1.0),
            Coordinates::Asymmetric => y / scale,
            Coordinates::TfCropAndResize => {
                let [start, end] = self.roi;
                let inside = if length == 1.0 { (end - start) * last / 2.0 } else { y * (end - start) * last / (length - 1.0) };
                let x = inside + start * last;
                return (0.0..=last).contains(&x).then_some(x);
            }
        };
        Some(x)
    }

    /// The input index nearest to output index `y`.
    pub(super) fn nearest(&self, y: usize, mode: Coordinates, rounding: Rounding) -> Option<usize> {
        let x = self.coordinate(y, mode)?;
        let below = floor(x);
        let rest = x - below;
        let up = match rounding {
            Rounding::RoundPreferFloor => rest > 0.5,
            Rounding::RoundPreferCeil => rest >= 0.5,
            Rounding::Floor => false,
            Rounding::Ceil => rest > 0.0,
        };
        let index = (below as i64).saturating_add(i64::from(up));
        Some(index.clamp(0, self.input as i64 - 1) as usize)
    }
}
