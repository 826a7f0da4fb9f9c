//! The domain `ai.onnx.ml`: encoders, scalers, linear models, support vector machines, trees, maps.
//!
//! Most of its operators are core operators put together, so that folding and fusion know them already. What is new is here: looking keys up
//! ([`encode::Lookup`]), distances ([`distance::Distance`]), votes and probabilities of support vector machines ([`svm`]), maps ([`map`]).
//! Where the standard leaves something open, the results are those of ONNX Runtime.

pub mod array_feature_extractor;
pub mod binarizer;
pub mod distance;
pub mod encode;
pub mod feature_vectorizer;
pub mod imputer;
pub mod label_encoder;
pub mod linear;
pub mod map;
pub mod normalizer;
pub mod one_hot_encoder;
pub mod post_transform;
pub mod scaler;
pub mod svm;
pub mod trees;

use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;

/// A function of two tensors.
pub(crate) fn binary(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// A table of rows: a vector is one row.
pub(crate) fn rows(cx: &mut Parse<'_>, x: ValueId) -> Result<ValueId, OpError> {
    match cx.rank(x)? {
        1 => cx.add(Reshape::Unsqueeze { axes: vec![0] }, &[x]),
        2 => Ok(x),
        rank => Err(OpError::invalid(format!("the input must be a row or a table of rows, its rank is {rank}"))),
    }
}

/// The same elements in that shape, where `-1` is what is left.
pub(crate) fn reshape(cx: &mut Parse<'_>, x: ValueId, shape: &[i64]) -> Result<ValueId, OpError> {
    let shape = cx.i64s(shape);
    cx.add(Reshape::To { allow_zero: false }, &[x, shape])
}

/// A function of a tensor whose last axis is the features. The features of a vector are its elements, else axis 1 says how many there are, and
/// they take turns along the elements as they lie in memory (ONNX Runtime's rule, which is the obvious one up to rank 2).
pub(crate) fn by_feature(
    cx: &mut Parse<'_>,
    x: ValueId,
    features: usize,
    f: impl FnOnce(&mut Parse<'_>, ValueId) -> Result<ValueId, OpError>,
) -> Result<ValueId, OpError> {
    if cx.rank(x)? <= 2 || features == 1 {
        return f(cx, x);
    }
    let shape = cx.add(Shape::between(0, i64::MAX), &[x])?;
    let rows = reshape(cx, x, &[-1, features as i64])?;
    let y = f(cx, rows)?;
    cx.add(Reshape::To { allow_zero: true }, &[y, shape])
}

/// The number of features of a tensor, as [`by_feature`] counts, if it is known when compiling.
pub(crate) fn features(cx: &mut Parse<'_>, x: ValueId) -> Result<Option<i64>, OpError> {
    let shape = cx.shape(x)?;
    let dim = shape.get(usize::from(shape.len() > 1)).copied();
    let dim = dim.ok_or_else(|| OpError::invalid("the input must not be a scalar"))?;
    Ok(cx.dims().value(dim))
}

/// The class labels of a classifier: `classlabels_strings` or else the attribute of that name.
pub(crate) fn labels(cx: &Parse<'_>, ints: &str) -> Result<Tensor, OpError> {
    let strings = cx.strings("classlabels_strings")?.unwrap_or_default();
    let ints = cx.ints(ints)?.unwrap_or_default();
    if !strings.is_empty() && !ints.is_empty() {
        return Err(OpError::invalid("there are class labels of two kinds"));
    }
    let count = strings.len();
    let labels = if count > 0 { Tensor::strings(vec![count], strings) } else { Some(Tensor::vector(&ints)) };
    labels.filter(|l| !l.is_empty()).ok_or_else(|| OpError::invalid("there are no class labels"))
}

/// One of the numeric dtypes that this domain's operators take.
pub(crate) fn numeric(cx: &mut Parse<'_>, x: ValueId) -> Result<DType, OpError> {
    match cx.dtype(x)? {
        dtype @ (DType::F32 | DType::F64 | DType::I64 | DType::I32) => Ok(dtype),
        other => Err(OpError::invalid(format!("the input must be float, double, int64 or int32, it is {other}"))),
    }
}
