//! Resize (and Upsample): nearest, linear and cubic interpolation along any axes of a tensor of any layout.
//!
//! Interpolation is separable: each resized axis has a table (first input index and weights of every output index), computed in f64 from the
//! coordinate formulas of the specification, and one pass over `outer × axis × inner`. The layout is in the axes: NCHW resizes axes 2 and 3 with
//! rows of one element, NHWC axes 1 and 2 with rows of all channels. Axes that keep their size should be left out.

mod axis;
mod interpolate;
mod nearest;

pub use axis::dims;
pub use interpolate::{Resizable, interpolate, interpolate_work_len};
pub use nearest::nearest;

/// Where an output index lies in the input (`coordinate_transformation_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// `(y + 0.5) / scale - 0.5`.
    HalfPixel,
    /// As half pixel, with the centre kept when the output size was rounded.
    HalfPixelSymmetric,
    /// As half pixel, but an output of length one is taken at -0.5.
    PytorchHalfPixel,
    /// `(y + 0.5) / scale`: the mode of opset 11 for TensorFlow's nearest.
    TfHalfPixelForNn,
    /// First and last pixel stay.
    AlignCorners,
    /// `y / scale`.
    Asymmetric,
    /// A region of interest, with a value for what is outside the input.
    TfCropAndResize,
}

/// How a nearest coordinate between two pixels is resolved (`nearest_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties down.
    RoundPreferFloor,
    /// To the nearest, ties up.
    RoundPreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

/// The interpolation filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Two neighbours an axis.
    Linear,
    /// Four neighbours an axis, the polynomial of `cubic_coeff_a`.
    Cubic,
}

/// What `sizes` means (`keep_aspect_ratio_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Each axis gets its size.
    Stretch,
    /// One scale for all axes: none gets larger than its size.
    NotLarger,
    /// One scale for all axes: none gets smaller than its size.
    NotSmaller,
}

/// The attributes of an interpolating Resize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The filter.
    pub filter: Filter,
    /// Where output indices lie.
    pub coordinates: Coordinates,
    /// Widens the filter when the axis shrinks.
    pub antialias: bool,
    /// Neighbours outside the input get no weight.
    pub exclude_outside: bool,
    /// The parameter of the cubic filter.
    pub cubic_coeff_a: f32,
    /// The value outside the input of `TfCropAndResize`.
    pub extrapolation_value: f32,
    /// What `sizes` means.
    pub policy: Policy,
}
