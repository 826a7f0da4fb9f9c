//! Products with few columns, and the scaler before them, become one operator: a linear model goes over its rows once.

use crate::ir::Tensor;
use crate::ir::graph::{Graph, NodeError, Origin, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::ops::linear::few_columns::FewColumns;
use crate::ops::linear::matmul::MatMul;
use crate::ops::shape::transpose::Transpose;
use crate::passes::fuse::epilogue::{along, as_vector};
use crate::passes::peephole::{Site, apply, binary};
use crate::program::formula::Unary as F;

/// The most columns that are faster by vectors of features than by tiles of 32 columns.
const COLUMNS: i64 = 4;
/// … with a scaler, which saves a pass over the features.
const COLUMNS_SCALED: i64 = 8;
/// The most features: of more, tiles sum more exactly, block by block.
const FEATURES: i64 = 4096;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    apply(graph, &[product])
}

/// `(x - offset) * scale`, and where it comes from.
struct Scaler {
    x: ValueId,
    offset: Option<ValueId>,
    scale: Option<ValueId>,
    origin: Origin,
}

fn product(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::MatMul(MatMul { transpose_a: false, transpose_b, alpha: 1.0, bias, residual: false, epilogue }) = site.node.op else {
        return Ok(None);
    };
    let Some(inputs) = site.inputs.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some((features, columns)) = sizes(site, inputs[1], transpose_b) else { return Ok(None) };
    if !inputs.iter().all(|&v| site.is_f32(v)) || !(1..=COLUMNS_SCALED).contains(&columns) || !(1..=FEATURES).contains(&features) {
        return Ok(None);
    }
    let scaler = if site.sole_user(0) { scaler(site, inputs[0])? } else { None };
    if scaler.is_none() && columns > COLUMNS {
        return Ok(None);
    }
    let weights = if transpose_b { inputs[1] } else { site.add(Transpose { perm: vec![1, 0] }, &[inputs[1]])? };
    let mut parameters = vec![scaler.as_ref().map_or(inputs[0], |s| s.x), weights];
    if let Some(scaler) = &scaler {
        for (given, neutral) in [(scaler.offset, 0f32), (scaler.scale, 1.0)] {
            parameters.push(given.unwrap_or_else(|| site.constant(Tensor::vector(&vec![neutral; features as usize]))));
        }
    }
    // Where folding was refused (a budget), the product stays as it was.
    if parameters[1..].iter().any(|&v| site.new.constant(v).is_none()) {
        return Ok(None);
    }
    parameters.extend(bias.then(|| inputs[2]));
    let op = FewColumns { scaled: scaler.is_some(), bias, epilogue };
    site.replace(op, &parameters, scaler.as_ref().map(|s| &s.origin)).map(Some)
}

/// Features and columns of a constant matrix.
fn sizes(site: &Site<'_>, weights: ValueId, transposed: bool) -> Option<(i64, i64)> {
    site.new.constant(weights)?;
    let &[a, b] = site.new.fact(weights).shape()? else { return None };
    let (a, b) = (site.new.dims.value(a)?, site.new.dims.value(b)?);
    Some(if transposed { (b, a) } else { (a, b) })
}

/// What a value is as a scaler's result: a factor, an offset before it, or both.
fn scaler(site: &mut Site<'_>, value: ValueId) -> Result<Option<Scaler>, NodeError> {
    let (mut first, mut offset, mut scale) = (value, None, None);
    if let Some((x, c, divided)) = with_vector(site, first, BinaryFn::Mul, BinaryFn::Div)? {
        let one = site.constant(Tensor::scalar(1f32));
        scale = Some(if divided { site.add(Binary { f: BinaryFn::Div }, &[one, c])? } else { c });
        first = x;
    }
    let factors = scale.and_then(|s| site.new.constant(s)).and_then(Tensor::to_vec::<f32>);
    if factors.is_some_and(|f| f.iter().any(|x| !x.is_normal())) {
        return Ok(None);
    }
    let mut last = first;
    if let Some((x, c, subtracted)) = with_vector(site, first, BinaryFn::Add, BinaryFn::Sub)? {
        offset = Some(if subtracted { c } else { site.add(Unary { f: F::Neg }, &[c])? });
        (first, last) = (x, first);
    } else if scale.is_some() {
        last = value;
    }
    let Some(origin) = site.producer(last).map(|node| node.origin.clone()) else { return Ok(None) };
    Ok((first != value).then_some(Scaler { x: first, offset, scale, origin }))
}

/// `x`, a constant as a vector with an element for each feature, and whether `f` is inverse, if a value is `x f c`.
fn with_vector(site: &mut Site<'_>, value: ValueId, f: BinaryFn, inverse: BinaryFn) -> Result<Option<(ValueId, ValueId, bool)>, NodeError> {
    let Some(shape) = site.shape(value) else { return Ok(None) };
    let direct = binary(site.new, value, f);
    let swapped = direct.map(|(a, b)| (b, a, false));
    let candidates = [direct.map(|(a, b)| (a, b, false)), swapped, binary(site.new, value, inverse).map(|(a, b)| (a, b, true))];
    for (x, c, inverse) in candidates.into_iter().flatten() {
        let Some(axis) = shape.len().checked_sub(1).filter(|_| site.shape(x).as_ref() == Some(&shape)) else { continue };
        let Some(how) = along(site, c, &shape, axis) else { continue };
        if let Some(c) = as_vector(site, c, &how, shape[axis])? {
            return Ok(Some((x, c, inverse)));
        }
    }
    Ok(None)
}
