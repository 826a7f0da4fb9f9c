//! `Resize` and `Upsample`: interpolation along axes.

use super::output_shape;
use crate::import::{Parse, scalar};
use crate::ir::dim::{Dim, Dims};
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::resize;
use serde::{Deserialize, Serialize};

crate::param_enum!(resize::Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    TfHalfPixelForNn,
    AlignCorners,
    Asymmetric,
    TfCropAndResize
});
crate::param_enum!(resize::Rounding { RoundPreferFloor, RoundPreferCeil, Floor, Ceil });
crate::param_enum!(resize::Filter { Linear, Cubic });
crate::param_enum!(resize::Policy { Stretch, NotLarger, NotSmaller });
crate::param_struct!(resize::Options { filter, coordinates, antialias, exclude_outside, cubic_coeff_a, extrapolation_value, policy });

/// The attributes as names of variants of the runtime's enums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// `Nearest`, `Linear` or `Cubic`.
    filter: String,
    coordinates: String,
    rounding: String,
    policy: String,
    antialias: bool,
    exclude_outside: bool,
    cubic_coeff_a: f32,
    extrapolation_value: f32,
    /// The axes that scales, sizes and roi are about.
    pub axes: Vec<usize>,
}

/// `names!(text, "attribute": "onnx" => Variant, …)`: the runtime's variant for a name of ONNX.
macro_rules! names {
    ($text:expr, $attribute:literal: $($name:literal => $variant:ident),* $(,)?) => {
        match $text.as_str() {
            $($name => Ok(stringify!($variant)),)*
            other => Err(OpError::invalid(format!("{} is `{other}`", $attribute))),
        }
    };
}

fn filter(cx: &Parse<'_>) -> Result<&'static str, OpError> {
    names!(cx.string("mode", "nearest")?, "mode": "nearest" => Nearest, "linear" => Linear, "bilinear" => Linear, "cubic" => Cubic)
}

/// The variant of a name, to be printed and to be run.
fn variant(table: &[(&'static str, &'static str)], name: &str) -> Option<Arg> {
    table.iter().find(|v| v.1 == name).map(|&(path, name)| Arg::Variant(path, name))
}

const VARIANTS: &[(&str, &str)] = &[
    ("resize::Coordinates", "HalfPixel"),
    ("resize::Coordinates", "HalfPixelSymmetric"),
    ("resize::Coordinates", "PytorchHalfPixel"),
    ("resize::Coordinates", "TfHalfPixelForNn"),
    ("resize::Coordinates", "AlignCorners"),
    ("resize::Coordinates", "Asymmetric"),
    ("resize::Coordinates", "TfCropAndResize"),
    ("resize::Rounding", "RoundPreferFloor"),
    ("resize::Rounding", "RoundPreferCeil"),
    ("resize::Rounding", "Floor"),
    ("resize::Rounding", "Ceil"),
    ("resize::Filter", "Linear"),
    ("resize::Filter", "Cubic"),
    ("resize::Policy", "Stretch"),
    ("resize::Policy", "NotLarger"),
    ("resize::Policy", "NotSmaller"),
];

/// ONNX `Upsample`: the scales are attributes before opset 9 (in opset 1 of height and width).
pub fn parse_upsample(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let scales = if cx.opset() >= 9 {
        cx.input(1)?
    } else if let Some(scales) = cx.floats("scales")? {
        cx.constant(Tensor::vector(&scales))
    } else {
        let scales = [1.0, 1.0, cx.float("height_scale", 1.0)?, cx.float("width_scale", 1.0)?];
        cx.constant(Tensor::vector(&scales))
    };
    old(cx, x, scales, rank)
}

/// What `Upsample` and `Resize` of opset 10 compute.
fn old(cx: &mut Parse<'_>, x: ValueId, scales: ValueId, rank: usize) -> Result<Vec<ValueId>, OpError> {
    let op = Resize {
        filter: filter(cx)?.into(),
        coordinates: "Asymmetric".into(),
        rounding: "Floor".into(),
        policy: "Stretch".into(),
        antialias: false,
        exclude_outside: false,
        cubic_coeff_a: -0.75,
        extrapolation_value: 0.0,
        axes: (0..rank).collect(),
    };
    cx.add_n(op, &[Some(x), None, Some(scales), None])
}

/// ONNX `Resize`: opset 10 knows scales only, since 11 there are sizes, since 18 axes, antialias and policies.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    if cx.opset() < 11 {
        let scales = cx.input(1)?;
        return old(cx, x, scales, rank);
    }
    let axes = match cx.ints("axes")? {
        None => (0..rank).collect(),
        Some(axes) => axes.into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
    };
    let coordinates = names!(cx.string("coordinate_transformation_mode", "half_pixel")?, "coordinate_transformation_mode":
        "half_pixel" => HalfPixel, "half_pixel_symmetric" => HalfPixelSymmetric, "pytorch_half_pixel" => PytorchHalfPixel,
        "tf_half_pixel_for_nn" => TfHalfPixelForNn, "align_corners" => AlignCorners, "asymmetric" => Asymmetric,
        "tf_crop_and_resize" => TfCropAndResize)?;
    let rounding = names!(cx.string("nearest_mode", "round_prefer_floor")?, "nearest_mode": "round_prefer_floor" => RoundPreferFloor,
        "round_prefer_ceil" => RoundPreferCeil, "floor" => Floor, "ceil" => Ceil)?;
    let policy = names!(cx.string("keep_aspect_ratio_policy", "stretch")?, "keep_aspect_ratio_policy": "stretch" => Stretch,
        "not_larger" => NotLarger, "not_smaller" => NotSmaller)?;
    let op = Resize {
        filter: filter(cx)?.into(),
        coordinates: coordinates.into(),
        rounding: rounding.into(),
        policy: policy.into(),
        antialias: cx.flag("antialias", false)?,
        exclude_outside: cx.flag("exclude_outside", false)?,
        cubic_coeff_a: cx.float("cubic_coeff_a", -0.75)?,
        extrapolation_value: cx.float("extrapolation_value", 0.0)?,
        axes,
    };
    let roi = if coordinates == "TfCropAndResize" { given(cx, 1)? } else { None };
    let (scales, sizes) = (given(cx, 2)?, given(cx, 3)?);
    if scales.is_none() && sizes.is_none() {
        return Err(OpError::invalid("one of scales and sizes is needed"));
    }
    cx.add_n(op, &[Some(x), roi, scales, sizes])
}

/// Input `i`, unless it is absent or has no elements (which is how files leave it out).
fn given(cx: &mut Parse<'_>, i: usize) -> Result<Option<ValueId>, OpError> {
    let Some(value) = cx.opt_input(i)? else { return Ok(None) };
    let zero = cx.dims().int(0);
    Ok(if cx.shape(value)?.contains(&zero) { None } else { Some(value) })
}

/// The scales and the sizes, as far as they count: the standard wants one of them to be empty. If one is known not to be, it is the other; else the
/// run will tell.
struct Given<'a> {
    scales: Option<&'a Fact>,
    sizes: Option<&'a Fact>,
}

impl<'a> Given<'a> {
    fn of(d: &Dims, scales: Option<&'a Fact>, sizes: Option<&'a Fact>) -> Self {
        let length = |fact: &Fact| fact.shape().and_then(|s| d.value(d.product(s)));
        let (scales, sizes) = (scales.filter(|f| length(f) != Some(0)), sizes.filter(|f| length(f) != Some(0)));
        match (scales.map(length), sizes.map(length)) {
            (Some(None), Some(Some(_))) => Self { scales: None, sizes },
            (Some(Some(_)), Some(None)) => Self { scales, sizes: None },
            _ => Self { scales, sizes },
        }
    }

    /// Whether only the run knows which one counts.
    fn open(&self) -> bool {
        self.scales.is_some() && self.sizes.is_some()
    }
}

impl Resize {
    /// Whether each element of the result is one of the input, or a constant.
    pub fn moves(&self) -> bool {
        self.filter == "Nearest"
    }

    /// Whether sizes are those of the axes, whatever their proportions.
    pub fn stretches(&self) -> bool {
        self.policy == "Stretch"
    }

    /// The same, with zero for what lies outside.
    pub fn without_extrapolation(&self) -> Self {
        Self { extrapolation_value: 0.0, ..self.clone() }
    }

    /// What it does to one of its axes, done to axis number `axis`.
    pub fn along(&self, axis: usize) -> Self {
        Self { axes: vec![axis], ..self.without_extrapolation() }
    }

    /// The dims of the result, where they need not be asked of a kernel.
    fn dims(&self, d: &Dims, shape: &[Dim], given: &Given<'_>) -> Result<Option<Vec<Dim>>, OpError> {
        let n = self.axes.len();
        let wrong = |got: usize| OpError::invalid(format!("{got} scales or sizes for {n} axes"));
        if given.open() {
            return Ok(None);
        }
        let mut new = shape.to_vec();
        if let Some(scales) = given.scales {
            let Some(scales) = scales.as_const().and_then(Tensor::to_vec::<f32>) else { return Ok(None) };
            if scales.len() != n {
                return Err(wrong(scales.len()));
            }
            for (&axis, &scale) in self.axes.iter().zip(&scales) {
                let Some(dim) = scaled(d, shape[axis], scale) else { return Ok(None) };
                new[axis] = dim;
            }
            return Ok(Some(new));
        }
        let Some(sizes) = given.sizes.and_then(|f| f.as_elements(d)) else { return Ok(None) };
        if sizes.len() != n {
            return Err(wrong(sizes.len()));
        }
        let Some(sizes) = sizes.into_iter().collect::<Option<Vec<Dim>>>() else { return Ok(None) };
        if self.policy == "Stretch" {
            for (&axis, &size) in self.axes.iter().zip(&sizes) {
                new[axis] = size;
            }
            return Ok(Some(new));
        }
        let numbers = |dims: &[Dim]| dims.iter().map(|&x| d.value(x)).collect::<Option<Vec<i64>>>();
        let (Some(known), Some(sizes)) = (numbers(shape), numbers(&sizes)) else { return Ok(None) };
        let known: Vec<usize> = known.into_iter().map(|v| usize::try_from(v).unwrap_or(0)).collect();
        let axes: Vec<i64> = self.axes.iter().map(|&a| a as i64).collect();
        let policy = if self.policy == "NotLarger" { resize::Policy::NotLarger } else { resize::Policy::NotSmaller };
        let mut bind = vec![0; known.len()];
        resize::dims(&mut bind, &known, &axes, &[], &sizes, policy).map_err(|e| OpError::invalid(e.to_string()))?;
        Ok(Some(bind.into_iter().map(|v| d.int(v)).collect()))
    }

    /// Which of the axes change, and the scales of these if they are constants.
    fn changing(&self, x: &Operand, out: &[Dim], scales: Option<Vec<f32>>) -> (Vec<usize>, Option<Vec<f32>>) {
        let crops = self.coordinates == "TfCropAndResize";
        let keeps = |k: usize| match &scales {
            Some(scales) => scales.get(k) == Some(&1.0),
            None => self.policy == "Stretch" && x.shape[self.axes[k]] == out[self.axes[k]],
        };
        let kept: Vec<usize> = (0..self.axes.len()).filter(|&k| crops || !keeps(k)).collect();
        let scales = scales.map(|s| kept.iter().filter_map(|&k| s.get(k).copied()).collect());
        (kept.into_iter().map(|k| self.axes[k]).collect(), scales)
    }
}

/// `floor(dim * scale)` in f32, as exporters count: a scale such as 23/12 is rounded and its product must round back to a whole number.
fn scaled(d: &Dims, dim: Dim, scale: f32) -> Option<Dim> {
    if !(scale > 0.0 && scale.is_finite()) {
        return None;
    }
    if let Some(n) = d.value(dim) {
        return Some(d.int((scale * n as f32) as i64));
    }
    // A symbolic dim needs a scale whose products are exact for dims below 4096 and more: a numerator of 12 bits. Others wait for the dim.
    let (mut numerator, mut denominator) = (f64::from(scale), 1i64);
    while numerator.fract() != 0.0 {
        numerator *= 2.0;
        denominator = denominator.checked_mul(2).filter(|&n| n <= 1 << 30)?;
    }
    (numerator < f64::from(1 << 12)).then(|| d.floor_div(d.scale(dim, numerator as i64), d.int(denominator)))
}

impl Operator for Resize {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        if self.axes.iter().any(|&a| a >= shape.len()) {
            return Err(OpError::invalid("an axis does not exist"));
        }
        let (scales, sizes) = (cx.fact(2).ok(), cx.fact(3).ok());
        let given = Given::of(cx.dims, scales, sizes);
        for unused in [scales.filter(|_| given.scales.is_none()), sizes.filter(|_| given.sizes.is_none())].into_iter().flatten() {
            let length = cx.dims.product(unused.shape().unwrap_or_default());
            let none = cx.int(0);
            cx.require_equal(length, none, "the number of scales or sizes that do not count");
        }
        let new = self.dims(cx.dims, &shape, &given)?;
        let fresh = || shape.iter().enumerate().map(|(i, &d)| if self.axes.contains(&i) { cx.fresh() } else { d }).collect();
        Ok(vec![Fact::tensor(dtype, new.unwrap_or_else(fresh))])
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let axes = self.axes.iter().map(|a| perm.iter().position(|p| p == a)).collect::<Option<_>>()?;
        Some((Self { axes, ..self.clone() }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let given = Given::of(&dims, cx.fact(2).ok(), cx.fact(3).ok());
        let (by_scales, by_sizes) = (given.scales.is_some(), given.sizes.is_some());
        let known = self.dims(&dims, &x.shape, &given)?.is_some();
        let scales = if by_scales { Some(cx.input(2)?.read()) } else { None };
        let policy = variant(VARIANTS, &self.policy).ok_or_else(|| OpError::invalid("policy"))?;
        let shape = output_shape(cx, 0)?;
        let none = Arg::I64s(Vec::new());
        if !known {
            let sizes = if by_sizes { cx.input_i64(3)?.read() } else { none.clone() };
            let axes = Arg::I64s(self.axes.iter().map(|&a| dims.int(a as i64)).collect());
            let given = scales.clone().unwrap_or_else(|| Arg::F32s(Vec::new()));
            let args = vec![Arg::Usizes(x.shape.clone()), axes, given, sizes, policy.clone()];
            cx.call_binding(crate::kernel!(resize::dims(_, _, _, _, _, _)), &shape, |bind| [vec![bind], args].concat())?;
        }
        let constant = if by_scales { cx.constant(2).and_then(Tensor::to_vec::<f32>) } else { None };
        let (axes, literal) = if known || self.policy == "Stretch" {
            self.changing(&x, &shape, constant.filter(|_| known))
        } else {
            (self.axes.clone(), None)
        };
        if axes.is_empty() {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        // With run-time scales all axes are there, as are their scales.
        let axes = if scales.is_some() && literal.is_none() { self.axes.clone() } else { axes };
        let scales = literal.map(Arg::F32s).or(scales).unwrap_or_else(|| Arg::F32s(Vec::new()));
        let sizes = if by_sizes && self.policy != "Stretch" { cx.input_i64(3)?.read() } else { none };
        let axes = if self.policy == "Stretch" { axes } else { self.axes.clone() };
        let roi = if cx.has(1) { roi(cx)? } else { Arg::F32s(Vec::new()) };
        let list = Arg::Usizes(axes.iter().map(|&a| dims.int(a as i64)).collect());
        let common = vec![Arg::Usizes(x.shape.clone()), Arg::Usizes(shape.clone()), list, scales, sizes, roi];
        if self.filter == "Nearest" { self.nearest(cx, &x, &axes, common) } else { self.interpolate(cx, &x, &axes, common) }
    }
}

/// The region of interest as f32.
fn roi(cx: &mut Lower<'_>) -> Result<Arg, OpError> {
    let roi = cx.input(1)?;
    if roi.dtype == DType::F32 {
        return Ok(roi.read());
    }
    let constant = cx.constant(1).and_then(Tensor::to_f64s);
    let values = constant.ok_or_else(|| OpError::unsupported(format!("a run-time roi of dtype {}", roi.dtype)))?;
    Ok(Arg::F32s(values.into_iter().map(|v| v as f32).collect()))
}

impl Resize {
    fn variant(name: &str) -> Result<Arg, OpError> {
        variant(VARIANTS, name).ok_or_else(|| OpError::invalid(format!("the mode is `{name}`")))
    }

    fn nearest(&self, cx: &mut Lower<'_>, x: &Operand, axes: &[usize], common: Vec<Arg>) -> Result<(), OpError> {
        let out = cx.output(0)?;
        let dims = cx.dims();
        let table = axes.iter().fold(cx.int(0), |sum, &a| dims.add(sum, out.shape[a]));
        let table = cx.temp(DType::I64, &[table]);
        let outside = if self.extrapolation_value == 0.0 {
            Arg::Absent
        } else {
            let value = scalar(x.dtype, f64::from(self.extrapolation_value));
            let value = value.ok_or_else(|| OpError::unsupported(format!("an extrapolation value of dtype {}", x.dtype)))?;
            Arg::Present(Box::new(cx.weight("outside", value).read()))
        };
        let modes = vec![Self::variant(&self.coordinates)?, Self::variant(&self.rounding)?, Self::variant(&self.policy)?];
        cx.call(
            crate::kernel!(resize::nearest(_, _, _, _, _, _, _, _, _, _, _, _, _) for any(x.dtype)),
            [vec![out.write(), table.write(), x.read(), outside], common, modes].concat(),
        )
    }

    fn interpolate(&self, cx: &mut Lower<'_>, x: &Operand, axes: &[usize], common: Vec<Arg>) -> Result<(), OpError> {
        let out = cx.output(0)?;
        let dims = cx.dims();
        let dtype = if matches!(x.dtype, DType::F32 | DType::F16 | DType::BF16) { DType::F32 } else { DType::F64 };
        let starts = axes.iter().fold(cx.int(0), |sum, &a| dims.add(sum, out.shape[a]));
        let (work, starts) = (cx.temp(dtype, &[work_len(&dims, x, &out, axes)]), cx.temp(DType::I64, &[starts]));
        let options = Arg::Struct(
            "resize::Options",
            vec![
                ("filter", Self::variant(&self.filter)?),
                ("coordinates", Self::variant(&self.coordinates)?),
                ("antialias", Arg::Bool(self.antialias)),
                ("exclude_outside", Arg::Bool(self.exclude_outside)),
                ("cubic_coeff_a", Arg::F32(self.cubic_coeff_a)),
                ("extrapolation_value", Arg::F32(self.extrapolation_value)),
                ("policy", Self::variant(&self.policy)?),
            ],
        );
        cx.call(
            crate::kernel!(resize::interpolate(_, _, _, _, _, _, _, _, _, _, _) for num(x.dtype)),
            [vec![out.write(), work.write(), starts.write(), x.read()], common, vec![options]].concat(),
        )
    }
}

/// `interpolate_work_len` of the runtime, over symbolic dims.
fn work_len(d: &Dims, x: &Operand, out: &Operand, axes: &[usize]) -> Dim {
    let pairs = || x.shape.iter().copied().zip(out.shape.iter().copied());
    let table = |(i, o): (Dim, Dim)| d.offset(d.add(d.scale(o, 4), d.scale(i, 8)), 8);
    let tables = axes.iter().filter_map(|&a| pairs().nth(a)).fold(d.int(0), |sum, pair| d.add(sum, table(pair)));
    let first = axes.iter().copied().min().unwrap_or(0);
    let slice = pairs().skip(first).fold(d.int(1), |n, (i, o)| d.mul(n, d.max(i, o)));
    d.add(tables, d.scale(slice, axes.len().saturating_sub(1).min(2) as i64))
}
