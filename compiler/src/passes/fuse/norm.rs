//! Normalisations and softmax as exporters decompose them.
//!
//! The table has the formulas without scale and bias; those that follow are taken in afterwards, if they are shaped as the normalised axes.

use crate::ir::graph::{Graph, NodeError, ValueId};
use crate::ir::{DType, Dim, Tensor};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::nn::norm::LayerNorm;
use crate::ops::nn::softmax::{Kind, Softmax};
use crate::ops::shape::reshape::Reshape;
use crate::passes::pattern::{self, Place, Row};
use crate::passes::peephole::{Site, apply};

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let graph = pattern::run(graph, TABLE)?;
    // Scale first: a bias is only taken in after it, and another pass sees what this one made.
    apply(&apply(&graph, &[scale])?, &[bias])
}

/// Formulas of normalisations.
pub const TABLE: &[Row] = &[
    // TensorFlow's batch_normalization over moments.
    Row {
        name: "layer norm, scale folded",
        formula: "r = 1 / sqrt(mean((x - mean(x))^2) + c); x * (r * s) + (b - mean(x) * (r * s))",
        build: layer_norm_with_scale,
    },
    Row { name: "layer norm", formula: "d = x - mean(x); d / sqrt(mean(d^2) + c)", build: layer_norm },
    Row { name: "rms norm", formula: "x / sqrt(mean(x^2) + c)", build: rms_norm },
    Row { name: "l2 norm", formula: "x / sqrt(sum(x^2) + c)", build: l2_norm },
    Row { name: "softmax", formula: "e = exp(x - max_of(x)); e / sum(e)", build: softmax },
    // Better than written: it cannot overflow.
    Row { name: "softmax without maximum", formula: "exp(x) / sum(exp(x))", build: softmax },
    Row { name: "log softmax", formula: "d = x - max_of(x); d - log(sum(exp(d)))", build: log_softmax },
    Row { name: "log softmax without maximum", formula: "x - log(sum(exp(x)))", build: log_softmax },
];

/// The first normalised axis, if they are the last ones of `x` and there is an element in each row.
fn trailing(place: &Place<'_>) -> Option<(ValueId, usize, Vec<Dim>)> {
    let x = place.value("x")?;
    let shape = place.new.fact(x).shape()?.to_vec();
    let mut axes = place.found.axes.clone()?;
    axes.sort_unstable();
    let first = shape.len().checked_sub(axes.len())?;
    (!axes.is_empty() && axes.iter().copied().eq(first..shape.len())).then_some((x, first, shape))
}

fn normalise(place: &mut Place<'_>, rms: bool) -> Result<Option<ValueId>, NodeError> {
    let (Some((x, axis, _)), Some(epsilon)) = (trailing(place), place.constant("c")) else { return Ok(None) };
    place.add(LayerNorm { axis, epsilon, rms, stash: DType::F32 }, &[x]).map(Some)
}

fn layer_norm(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    normalise(place, false)
}

fn rms_norm(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    normalise(place, true)
}

fn layer_norm_with_scale(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    let Some((x, axis, shape)) = trailing(place) else { return Ok(None) };
    let (Some(epsilon), Some(s), Some(b)) = (place.constant("c"), place.value("s"), place.value("b")) else { return Ok(None) };
    let fits = |v| place.new.fact(v).dtype() == Some(DType::F32) && place.new.fact(v).shape() == Some(&shape[axis..]);
    if !fits(s) || !fits(b) {
        return Ok(None);
    }
    place.add(LayerNorm { axis, epsilon, rms: false, stash: DType::F32 }, &[x, s, b]).map(Some)
}

/// By the root of the sum of squares, which is that of their mean but for a factor.
fn l2_norm(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    let (Some((x, axis, shape)), Some(c)) = (trailing(place), place.constant("c")) else { return Ok(None) };
    let lengths: Option<Vec<usize>> = shape[axis..].iter().map(|&d| usize::try_from(place.new.dims.value(d)?).ok()).collect();
    let Some(lengths) = lengths else { return Ok(None) };
    let n: usize = lengths.iter().product();
    if n == 0 {
        return Ok(None);
    }
    let Some(factors) = Tensor::new(&lengths, &vec![(1.0 / (n as f64).sqrt()) as f32; n]) else { return Ok(None) };
    let factors = place.tensor(factors);
    place.add(LayerNorm { axis, epsilon: c / n as f32, rms: true, stash: DType::F32 }, &[x, factors]).map(Some)
}

fn over_axis(place: &mut Place<'_>, kind: Kind) -> Result<Option<ValueId>, NodeError> {
    let (Some(x), Some([axis])) = (place.value("x"), place.found.axes.as_deref()) else { return Ok(None) };
    let axis = *axis;
    place.add(Softmax { kind, axis, to_end: false }, &[x]).map(Some)
}

fn softmax(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    over_axis(place, Kind::Softmax)
}

fn log_softmax(place: &mut Place<'_>) -> Result<Option<ValueId>, NodeError> {
    over_axis(place, Kind::LogSoftmax)
}

/// `norm * s` where the norm has no scale and no bias.
fn scale(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    take_in(site, BinaryFn::Mul, &|inputs| inputs.len() == 1)
}

/// `norm + b` where the norm has a scale and no bias.
fn bias(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    take_in(site, BinaryFn::Add, &|inputs| inputs.len() == 2)
}

fn take_in(site: &mut Site<'_>, f: BinaryFn, open: &dyn Fn(&[Option<ValueId>]) -> bool) -> Result<Option<Vec<ValueId>>, NodeError> {
    if site.node.op != Op::Binary(Binary { f }) {
        return Ok(None);
    }
    for (i, other) in [(0, 1), (1, 0)] {
        let (Some(value), Some(parameter)) = (site.input(i), site.input(other)) else { continue };
        let Some(node) = site.producer(value) else { continue };
        let Op::LayerNorm(norm) = node.op.clone() else { continue };
        let Some(mut inputs) = node.inputs.iter().copied().collect::<Option<Vec<_>>>() else { continue };
        let (origin, fits) = (node.origin.clone(), open(&node.inputs) && node.outputs.first() == Some(&value));
        // RMS normalisation has no bias.
        if !fits || (f == BinaryFn::Add && norm.rms) || !site.sole_user(i) || !site.is_f32(value) || !site.is_f32(parameter) {
            continue;
        }
        let (Some(shape), Some(own)) = (site.shape(value), site.shape(parameter)) else { continue };
        let (row, one) = (&shape[norm.axis..], site.new.dims.int(1));
        let Some(lead) = own.len().checked_sub(row.len()) else { continue };
        if own.len() > shape.len() || own[lead..] != *row || own[..lead].iter().any(|&d| d != one) {
            continue;
        }
        let axes = (0..lead as i64).collect();
        let plain = if lead == 0 { parameter } else { site.add(Reshape::Squeeze { axes: Some(axes) }, &[parameter])? };
        inputs.push(plain);
        return site.replace(norm, &inputs, Some(&origin)).map(|made| Some(made[..1].to_vec()));
    }
    Ok(None)
}
