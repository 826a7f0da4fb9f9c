//! `LabelEncoder` and `CategoryMapper`: each element by a table.

use super::encode::{Duplicates, lookup};
use crate::import::{Parse, scalar};
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::slice::gather::Gather;

/// ONNX `LabelEncoder`: names and their numbers (version 1), keys and values of plain kinds (version 2), or of any dtype (version 4). Of equal
/// keys the first counts, of equal names the last, as in ONNX Runtime; NaN is a key since version 4.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if cx.opset() < 2 {
        let classes = cx.strings("classes_strings")?.unwrap_or_default();
        let numbers = (0..classes.len() as i64).collect();
        return names(cx, classes, numbers);
    }
    let (keys, values) = (list(cx, "keys")?, list(cx, "values")?);
    if keys.len() != values.len() {
        return Err(OpError::invalid(format!("there are {} keys and {} values", keys.len(), values.len())));
    }
    let default = default(cx, values.dtype)?;
    if cx.opset() >= 4 {
        return encode(cx, &keys, &values, &default, Duplicates::First);
    }
    // NaN equals no key.
    let kept: Vec<usize> = match keys.to_vec::<f32>() {
        Some(floats) => (0..floats.len()).filter(|&i| !floats[i].is_nan()).collect(),
        None => (0..keys.len()).collect(),
    };
    let (keys, values) = (pick(&keys, &kept)?, pick(&values, &kept)?);
    encode(cx, &keys, &values, &default, Duplicates::First)
}

/// ONNX `CategoryMapper`.
pub fn parse_category(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let names_ = cx.strings("cats_strings")?.unwrap_or_default();
    let numbers = cx.ints("cats_int64s")?.unwrap_or_default();
    if names_.len() != numbers.len() {
        return Err(OpError::invalid(format!("there are {} strings and {} integers", names_.len(), numbers.len())));
    }
    names(cx, names_, numbers)
}

/// Names to numbers, or numbers to names.
fn names(cx: &mut Parse<'_>, names: Vec<String>, numbers: Vec<i64>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let from_names = cx.dtype(x)? == DType::String;
    let names = strings(names)?;
    let numbers = Tensor::vector(&numbers);
    let (keys, values) = if from_names { (names, numbers) } else { (numbers, names) };
    let default = default(cx, values.dtype)?;
    encode(cx, &keys, &values, &default, Duplicates::Last)
}

/// The value of each element's key.
fn encode(cx: &mut Parse<'_>, keys: &Tensor, values: &Tensor, default: &Tensor, duplicates: Duplicates) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if let (Some(values), Some(default)) = (values.to_vec::<i64>(), default.to_vec::<i64>()) {
        return lookup(cx, x, keys, &values, default.first().copied(), duplicates).map(|v| vec![v]);
    }
    let numbers: Vec<i64> = (0..values.len() as i64).collect();
    let index = lookup(cx, x, keys, &numbers, Some(values.len() as i64), duplicates)?;
    let values = cx.constant(joined(values, default)?);
    cx.add(Gather { axis: 0 }, &[values, index]).map(|v| vec![v])
}

/// The one attribute among `keys_…` or `values_…` that is given.
fn list(cx: &mut Parse<'_>, what: &str) -> Result<Tensor, OpError> {
    let mut given = Vec::new();
    if let Some(list) = cx.strings(&format!("{what}_strings"))?.filter(|l| !l.is_empty()) {
        given.push(strings(list)?);
    }
    if let Some(list) = cx.ints(&format!("{what}_int64s"))?.filter(|l| !l.is_empty()) {
        given.push(Tensor::vector(&list));
    }
    if let Some(list) = cx.floats(&format!("{what}_floats"))?.filter(|l| !l.is_empty()) {
        given.push(Tensor::vector(&list));
    }
    if let Some(tensor) = cx.tensor(&format!("{what}_tensor"))? {
        let count = tensor.len();
        given.extend(tensor.reshaped(vec![count]));
    }
    let [one] = given.as_slice() else {
        return Err(OpError::invalid(format!("{} lists of {what} are given, one is needed", given.len())));
    };
    Ok(one.clone())
}

/// The value for what is no key.
fn default(cx: &mut Parse<'_>, dtype: DType) -> Result<Tensor, OpError> {
    if let Some(given) = cx.tensor("default_tensor")? {
        let one = given.reshaped(vec![1]).filter(|t| t.dtype == dtype);
        return one.ok_or_else(|| OpError::invalid(format!("default_tensor must be one {dtype}")));
    }
    let tensor = match dtype {
        DType::String => strings(vec![cx.string("default_string", "_Unused")?])?,
        DType::F32 => Tensor::vector(&[cx.float("default_float", -0.0)?]),
        DType::I64 => Tensor::vector(&[cx.int("default_int64", -1)?]),
        DType::F64 => Tensor::vector(&[-0.0f64]),
        other => {
            scalar(other, -1.0).and_then(|t| t.reshaped(vec![1])).ok_or_else(|| OpError::unsupported(format!("values of dtype {other}")))?
        }
    };
    Ok(tensor)
}

fn strings(list: Vec<String>) -> Result<Tensor, OpError> {
    Tensor::strings(vec![list.len()], list).ok_or_else(|| OpError::invalid("a list of strings"))
}

/// The elements of those numbers.
fn pick(tensor: &Tensor, numbers: &[usize]) -> Result<Tensor, OpError> {
    if let Some(list) = tensor.as_strings() {
        return strings(numbers.iter().filter_map(|&i| list.get(i).cloned()).collect());
    }
    let bytes: Vec<u8> = {
        let elements: Vec<&[u8]> = tensor.bytes().chunks_exact(tensor.dtype.size().max(1)).collect();
        numbers.iter().filter_map(|&i| elements.get(i)).flat_map(|e| e.iter().copied()).collect()
    };
    Tensor::from_raw(tensor.dtype, vec![numbers.len()], bytes.into()).ok_or_else(|| OpError::invalid("a list"))
}

/// The elements of both.
fn joined(a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
    if let (Some(a), Some(b)) = (a.as_strings(), b.as_strings()) {
        return strings([a, b].concat());
    }
    let (count, bytes) = (a.len() + b.len(), [a.bytes(), b.bytes()].concat());
    Tensor::from_raw(a.dtype, vec![count], bytes.into()).ok_or_else(|| OpError::invalid("the values and the default are of two dtypes"))
}
