//! Inputs as people give them: `name=file.npy`, `name=file.pb`, `name=literal`, or a folder of test data.

use onnxc::harness::{cases, literal, npy, values};
use onnxc_proto::{GraphProto, TypeKind, TypeProto, ValueInfoProto};
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Tensor, Value};
use std::path::Path;

/// The values of a model's inputs, in its order, from `NAME=VALUE` texts.
pub fn read(graph: &GraphProto, given: &[String]) -> Result<Vec<Value>, String> {
    let entries = cases::entries(graph);
    let mut found: Vec<Option<Value>> = vec![None; entries.len()];
    for text in given {
        let (index, value) = split(&entries, text)?;
        found[index] = Some(one(entries[index], value)?);
    }
    let missing: Vec<String> = entries.iter().zip(&found).filter(|(_, v)| v.is_none()).map(|(e, _)| format!("  {}", describe(e))).collect();
    if !missing.is_empty() {
        return Err(format!("no value is given (--input NAME=VALUE) for\n{}", missing.join("\n")));
    }
    Ok(found.into_iter().flatten().collect())
}

/// `NAME=VALUE`, where both may contain `=`: the longest name that the model has. With one input, the name may be left out.
fn split<'t>(entries: &[&ValueInfoProto], text: &'t str) -> Result<(usize, &'t str), String> {
    let named = entries.iter().enumerate().filter_map(|(i, e)| Some((e.name.len(), i, text.strip_prefix(&e.name)?.strip_prefix('=')?)));
    if let Some((_, index, value)) = named.max_by_key(|n| n.0) {
        return Ok((index, value));
    }
    if entries.len() == 1 && !text.contains('=') {
        return Ok((0, text));
    }
    let names: Vec<String> = entries.iter().map(|e| format!("`{}`", e.name)).collect();
    let name = text.split('=').next().unwrap_or(text);
    Err(format!("`{name}` is not an input of the model; its inputs are {}", names.join(", ")))
}

fn one(entry: &ValueInfoProto, text: &str) -> Result<Value, String> {
    let ty = entry.r#type.clone().unwrap_or_default();
    let path = Path::new(text);
    let at = |message: String| format!("input `{}`: {message}", entry.name);
    match path.extension().and_then(|e| e.to_str()) {
        Some("pb") => values::read_pb(path, &ty),
        Some("npy") => {
            let bytes = std::fs::read(path).map_err(|e| at(format!("{text}: {e}")))?;
            npy::read(&bytes, dtype(&ty)).map(Value::Tensor)
        }
        _ => match dtype(&ty) {
            Some(dtype) => literal::parse(text, dtype).map(Value::Tensor),
            None => Err("only a .pb file can hold a value that is no tensor".to_owned()),
        },
    }
    .map_err(at)
}

/// The dtype of a tensor type.
pub fn dtype(ty: &TypeProto) -> Option<DType> {
    match &ty.value {
        Some(TypeKind::Tensor(tensor)) => values::dtype_of(tensor.elem_type),
        _ => None,
    }
}

/// `name: f32[batch, 3]`, as the model declares it.
pub fn describe(entry: &ValueInfoProto) -> String {
    format!("{}: {}", entry.name, entry.r#type.as_ref().map_or_else(|| "?".to_owned(), show_type))
}

/// `f32[batch, 3]`, `seq(string[])`.
pub fn show_type(ty: &TypeProto) -> String {
    let inner = |ty: Option<&TypeProto>| ty.map_or_else(|| "?".to_owned(), show_type);
    match &ty.value {
        Some(TypeKind::Tensor(tensor)) => {
            let dtype = values::dtype_of(tensor.elem_type).map_or("?", DType::name);
            match &tensor.shape {
                None => format!("{dtype}[...]"),
                Some(shape) => format!("{dtype}[{}]", shape.dim.iter().map(show_dim).collect::<Vec<_>>().join(", ")),
            }
        }
        Some(TypeKind::Sequence(s)) => format!("seq({})", inner(s.elem_type.as_deref())),
        Some(TypeKind::Optional(o)) => format!("optional({})", inner(o.elem_type.as_deref())),
        Some(TypeKind::Map(m)) => {
            format!("map({}, {})", values::dtype_of(m.key_type).map_or("?", DType::name), inner(m.value_type.as_deref()))
        }
        Some(TypeKind::SparseTensor(_)) => "sparse tensor".to_owned(),
        Some(TypeKind::Opaque(_)) => "opaque".to_owned(),
        None => "?".to_owned(),
    }
}

fn show_dim(dim: &onnxc_proto::Dimension) -> String {
    match &dim.value {
        Some(onnxc_proto::DimensionValue::DimValue(n)) => n.to_string(),
        Some(onnxc_proto::DimensionValue::DimParam(name)) if !name.is_empty() => name.clone(),
        _ => "?".to_owned(),
    }
}

/// A tensor of plausible numbers, the same every time: for timing a model without data.
pub fn plausible(dtype: DType, shape: &[usize], seed: u64) -> Result<Tensor, String> {
    let n = onnxc_runtime::value::count(shape).map_err(|e| e.to_string())?;
    if dtype == DType::String {
        return Tensor::from_strings(shape, (0..n).map(|i| format!("text {i}")).collect()).map_err(|e| e.to_string());
    }
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let parts = if dtype.is_complex() { 2 * n } else { n };
    // Small integers are valid as indices, lengths and labels of most models; floats look like normalised data.
    let numbers: Vec<f64> =
        (0..parts).map(|_| if dtype.is_float() || dtype.is_complex() { 2.0 * next() - 1.0 } else { f64::from(next() > 0.5) }).collect();
    onnxc::harness::numbers::from_f64s(dtype, shape, &numbers).ok_or("no numbers of that dtype")?.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_proto::TensorType;

    fn entry(name: &str, elem_type: i32) -> ValueInfoProto {
        let ty = TypeProto { value: Some(TypeKind::Tensor(TensorType { elem_type, shape: None })), ..TypeProto::default() };
        ValueInfoProto { name: name.to_owned(), r#type: Some(ty), ..ValueInfoProto::default() }
    }

    fn graph() -> GraphProto {
        GraphProto { input: vec![entry("a", 1), entry("a=b", 7)], ..GraphProto::default() }
    }

    #[test]
    fn names_may_contain_the_divider() {
        let values = read(&graph(), &["a=b=[1, 2]".to_owned(), "a=0.5".to_owned()]).unwrap();
        assert_eq!(values[0], Tensor::from_slice(&[], &[0.5f32]).unwrap().into());
        assert_eq!(values[1], Tensor::from_slice(&[2], &[1i64, 2]).unwrap().into());
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(read(&graph(), &["a=1".to_owned()]).unwrap_err(), "no value is given (--input NAME=VALUE) for\n  a=b: i64[...]");
        assert_eq!(read(&graph(), &["c=1".to_owned()]).unwrap_err(), "`c` is not an input of the model; its inputs are `a`, `a=b`");
        assert_eq!(read(&graph(), &["a=x".to_owned()]).unwrap_err(), "input `a`: `x` is not a value of dtype f32");
    }
}
