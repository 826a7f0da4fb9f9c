//! `Reshape` and its kin (`Flatten`, `Squeeze`, `Unsqueeze`): the same elements, another shape. No step, unless the shape is only known at run time.
//!
//! All are one core operator with a shape input: Squeeze, Unsqueeze and Flatten write it from the dims of their input.

use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Type, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Arg, View};
use serde::{Deserialize, Serialize};

/// ONNX `Reshape`: the shape is an attribute before opset 5; `allowzero` since 14.
pub fn parse_reshape(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let allow_zero = cx.int("allowzero", 0)? != 0;
    let x = cx.input(0)?;
    let shape = if cx.opset() < 5 {
        let shape = cx.ints("shape")?.unwrap_or_default();
        cx.constant(crate::ir::Tensor::vector(&shape))
    } else {
        cx.input(1)?
    };
    cx.add(Reshape::To { allow_zero }, &[x, shape]).map(|v| vec![v])
}

/// ONNX `Flatten`.
pub fn parse_flatten(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = cx.int("axis", 1)?;
    let x = cx.input(0)?;
    cx.add(Reshape::Flatten { axis }, &[x]).map(|v| vec![v])
}

/// ONNX `Squeeze`: the axes are an attribute before opset 13.
pub fn parse_squeeze(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if let Some(axes) = run_time_axes(cx)? {
        return cx.add(Reshape::SqueezeAt, &[x, axes]).map(|v| vec![v]);
    }
    let axes = if cx.opset() < 13 { cx.ints("axes")? } else { cx.constant_ints(1, "the axes of Squeeze")? };
    cx.add(Reshape::Squeeze { axes }, &[x]).map(|v| vec![v])
}

/// ONNX `Unsqueeze`: the axes are an attribute before opset 13.
pub fn parse_unsqueeze(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if let Some(axes) = run_time_axes(cx)? {
        return cx.add(Reshape::UnsqueezeAt, &[x, axes]).map(|v| vec![v]);
    }
    let axes = if cx.opset() < 13 { cx.ints("axes")? } else { cx.constant_ints(1, "the axes of Unsqueeze")? };
    let axes = axes.ok_or_else(|| OpError::invalid("the axes are missing"))?;
    cx.add(Reshape::Unsqueeze { axes }, &[x]).map(|v| vec![v])
}

/// com.microsoft `ExpandDims`: one new axis.
pub fn parse_expand_dims(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let axes = cx.constant_ints(1, "the axis of ExpandDims")?.ok_or_else(|| OpError::invalid("the axis is missing"))?;
    cx.add(Reshape::Unsqueeze { axes }, &[x]).map(|v| vec![v])
}

/// The axes, if only the run knows them.
fn run_time_axes(cx: &mut Parse<'_>) -> Result<Option<ValueId>, OpError> {
    let Some(axes) = cx.opt_input(1)?.filter(|_| cx.opset() >= 13) else { return Ok(None) };
    Ok(if cx.constant_of(axes).is_none() { Some(axes) } else { None })
}

/// How the new shape comes about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reshape {
    /// To the shape that input 1 says: 0 copies a dim (unless `allow_zero`), -1 is what is left.
    To {
        /// Whether 0 means zero.
        allow_zero: bool,
    },
    /// To a matrix: the dims before `axis`, and the rest.
    Flatten {
        /// Where the second dim starts.
        axis: i64,
    },
    /// Without the axes (all of one, if none are named).
    Squeeze {
        /// Which axes; they must be of one.
        axes: Option<Vec<i64>>,
    },
    /// With new axes of one at these positions of the result.
    Unsqueeze {
        /// The positions.
        axes: Vec<i64>,
    },
    /// Without the axes that input 1 says, which only the run knows.
    SqueezeAt,
    /// With new axes of one at the positions that input 1 says, which only the run knows.
    UnsqueezeAt,
}

impl Reshape {
    /// The shape of a `To`, as far as its elements are known.
    fn target(cx: &mut Infer<'_>, shape: &[Dim], allow_zero: bool) -> Result<Option<Vec<Dim>>, OpError> {
        let Some(elements) = cx.elements(1) else { return Ok(None) };
        let (zero, minus_one) = (cx.int(0), cx.int(-1));
        let wildcard = elements.iter().position(|&e| e == Some(minus_one));
        let mut target = Vec::new();
        for (i, element) in elements.iter().enumerate() {
            target.push(match element {
                Some(d) if *d == zero && !allow_zero => {
                    *shape.get(i).ok_or_else(|| OpError::invalid(format!("the shape copies dim {i}, which the input does not have")))?
                }
                Some(d) => *d,
                None => cx.fresh(),
            });
        }
        let total = cx.dims.product(shape);
        if let Some(at) = wildcard {
            let rest: Vec<Dim> = target.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, d)| *d).collect();
            let rest = cx.dims.product(&rest);
            target[at] = if elements.iter().all(Option::is_some) { cx.dims.floor_div(total, rest) } else { cx.fresh() };
        }
        // With an element that only the data tells, the kernel checks the count.
        if elements.iter().all(Option::is_some) {
            let count = cx.dims.product(&target);
            cx.require_equal(total, count, "the element counts before and after");
        }
        Ok(Some(target))
    }

    fn squeezed(cx: &mut Infer<'_>, shape: &[Dim], axes: Option<&[i64]>) -> Result<Vec<Dim>, OpError> {
        let one = cx.int(1);
        let Some(axes) = axes else {
            if let Some(d) = shape.iter().find(|&&d| d != one && cx.dims.bounds(d).0 <= 1) {
                return Err(OpError::unsupported(format!("Squeeze without axes where a dim ({}) may or may not be 1", cx.dims.show(*d)))
                    .help("give the dim a value with --dim"));
            }
            return Ok(shape.iter().copied().filter(|&d| d != one).collect());
        };
        let axes = axes.iter().map(|&a| resolve_axis(a, shape.len())).collect::<Result<Vec<_>, _>>()?;
        for &axis in &axes {
            cx.require_equal(shape[axis], one, "a squeezed axis and 1");
        }
        Ok(shape.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d).collect())
    }

    fn unsqueezed(cx: &Infer<'_>, shape: &[Dim], axes: &[i64]) -> Result<Vec<Dim>, OpError> {
        let rank = shape.len() + axes.len();
        let axes = axes.iter().map(|&a| resolve_axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
        let mut old = shape.iter().copied();
        let new: Vec<Dim> = (0..rank).filter_map(|i| if axes.contains(&i) { Some(cx.int(1)) } else { old.next() }).collect();
        if new.len() == rank { Ok(new) } else { Err(OpError::invalid("an axis is named twice")) }
    }
}

impl Operator for Reshape {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = cx.dtype(0)?;
        let shape = cx.shape(0)?;
        let new = match self {
            Self::To { allow_zero } => match Self::target(cx, &shape, *allow_zero)? {
                Some(new) => new,
                None => return Ok(vec![Fact::unranked(dtype)]),
            },
            Self::Flatten { axis } => {
                let axis = if *axis == shape.len() as i64 {
                    shape.len()
                } else if shape.is_empty() {
                    0
                } else {
                    resolve_axis(*axis, shape.len())?
                };
                vec![cx.dims.product(&shape[..axis]), cx.dims.product(&shape[axis..])]
            }
            Self::SqueezeAt | Self::UnsqueezeAt => {
                let Some(count) = cx.shape(1)?.first().and_then(|&n| cx.dims.value(n)) else { return Ok(vec![Fact::unranked(dtype)]) };
                let rank = shape.len() as i64 + if *self == Self::SqueezeAt { -count } else { count };
                if rank < 0 {
                    return Err(OpError::invalid(format!("{count} axes for rank {}", shape.len())));
                }
                (0..rank).map(|_| cx.fresh()).collect()
            }
            Self::Squeeze { axes } => Self::squeezed(cx, &shape, axes.as_deref())?,
            Self::Unsqueeze { axes } => Self::unsqueezed(cx, &shape, axes)?,
        };
        if let (Some(tensor), Some(lengths)) = (cx.constant(0), constant_shape(cx, &new))
            && let Some(tensor) = tensor.reshaped(lengths)
        {
            return Ok(vec![Fact::constant(tensor, cx.dims)]);
        }
        Ok(vec![match cx.elements(0) {
            Some(elements) if new.len() <= 1 && dtype.is_int() => Fact::elements(dtype, new, elements, cx.dims),
            _ => Fact::tensor(dtype, new),
        }])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, fact) = (cx.input(0)?, cx.output_fact(0)?);
        let Type::Tensor(_, Some(shape)) = &fact.ty else {
            return Err(
                OpError::unsupported("the rank of the result is not known when compiling").help("make the shape a constant of the model")
            );
        };
        if let Self::To { allow_zero } = self
            && cx.elements(1).is_none()
        {
            let target = cx.input_i64(1)?;
            cx.call_binding(crate::kernel!(shape::reshape(_, _, _, _)), shape, |bind| {
                vec![bind, Arg::Usizes(x.shape.clone()), target.read(), Arg::Bool(*allow_zero)]
            })?;
        }
        if matches!(self, Self::SqueezeAt | Self::UnsqueezeAt) {
            let axes = cx.input_i64(1)?;
            let kernel =
                if *self == Self::SqueezeAt { crate::kernel!(shape::squeeze(_, _, _)) } else { crate::kernel!(shape::unsqueeze(_, _, _)) };
            cx.call_binding(kernel, shape, |bind| vec![bind, Arg::Usizes(x.shape.clone()), axes.read()])?;
        }
        let len = cx.dims().product(shape);
        cx.alias(0, Place::Tensor(View { len, ..x.view }));
        Ok(())
    }
}

/// The shape as numbers, if all dims are constant.
fn constant_shape(cx: &Infer<'_>, shape: &[Dim]) -> Option<Vec<usize>> {
    shape.iter().map(|&d| cx.dims.value(d).and_then(|v| usize::try_from(v).ok())).collect()
}

/// The dtype of shapes.
pub const SHAPE: DType = DType::I64;
