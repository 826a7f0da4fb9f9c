//! Maps: made of rows, and made into rows.

use crate::element::DType;
use crate::error::Fault;
use crate::kernels::sequence::Item;
use crate::kernels::walk::promise;
use crate::value::{Map, Tensor, Value};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A sequence of one map for each row of `x`, from the keys (int64 or string) to the row's elements.
pub fn zip<K: Item>(out: &mut Value, x: &[f32], keys: &[K], rows: usize, dtype: DType) -> Result<(), Fault> {
    promise(x.len() == rows * keys.len(), "zip: lengths")?;
    let keys = K::store(dtype, &[keys.len()], keys)?;
    let mut maps = Vec::with_capacity(rows);
    for row in x.chunks_exact(keys.len().max(1)) {
        maps.push(Value::Map(Map { keys: keys.clone(), values: Tensor::from_slice(&[row.len()], row)? }));
    }
    *out = Value::Sequence(maps);
    Ok(())
}

/// The map's value of each key, zero or empty where it lacks the key.
fn values<T: Item, K: PartialEq>(out: &mut [T], map: &Map, keys: &[K], own: &[K], dtype: DType) -> Result<(), Fault> {
    let mut all: Vec<T> = Vec::new();
    all.resize(map.values.len(), T::default());
    T::load(&mut all, dtype, &map.values)?;
    for (to, key) in out.iter_mut().zip(keys) {
        *to = own.iter().position(|k| k == key).and_then(|i| all.get(i).cloned()).unwrap_or_default();
    }
    Ok(())
}

/// The values of those keys, of a map from strings.
pub fn values_of_strings<T: Item>(out: &mut [T], map: &Value, keys: &[String], dtype: DType) -> Result<(), Fault> {
    let map = map.map()?;
    let own = map.keys.as_strings().ok_or(Fault::Type { expected: "a map from strings" })?;
    values(out, map, keys, own, dtype)
}

/// The values of those keys, of a map from int64.
pub fn values_of_ints<T: Item>(out: &mut [T], map: &Value, keys: &[i64], dtype: DType) -> Result<(), Fault> {
    let map = map.map()?;
    values(out, map, keys, map.keys.elements::<i64>()?, dtype)
}

/// The number of values, to `bind[0]`.
pub fn count(bind: &mut [i64], map: &Value) -> Result<(), Fault> {
    promise(bind.len() == 1, "map: one result")?;
    bind[0] = map.map()?.values.len() as i64;
    Ok(())
}

/// `out[i]` is the value of the i-th key in ascending order, or (`sparse`) of the key i, or `pad`; `of` gives it from a number or a text.
fn cast<T: Clone>(
    out: &mut [T],
    map: &Value,
    sparse: bool,
    pad: &T,
    of_float: impl Fn(f32) -> T,
    of_text: impl Fn(&str) -> Option<T>,
) -> Result<(), Fault> {
    let map = map.map()?;
    let keys = map.keys.elements::<i64>()?;
    let mut order: Vec<usize> = (0..keys.len().min(map.values.len())).collect();
    order.sort_by_key(|&i| keys[i]);
    if sparse && let Some(&got) = keys.iter().find(|&&k| k < 0) {
        return Err(Fault::Value { what: "a key of a sparse map is negative", got });
    }
    out.fill(pad.clone());
    for (place, &i) in order.iter().enumerate() {
        let place = if sparse { usize::try_from(keys[i]).unwrap_or(usize::MAX) } else { place };
        let Some(to) = out.get_mut(place) else { continue };
        *to = match map.values.as_strings().and_then(|s| s.get(i)) {
            Some(text) => of_text(text).ok_or(Fault::Text { what: "a value of a map is no number" })?,
            None => of_float(*map.values.elements::<f32>()?.get(i).ok_or(Fault::Internal { what: "map: lengths" })?),
        };
    }
    Ok(())
}

/// The longest start of a text that is a number of that type, as C reads numbers.
fn leading<T: core::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim_start();
    (1..=text.len()).rev().filter_map(|n| text.get(..n)).find_map(|t| t.parse().ok())
}

/// The values as float.
pub fn cast_to_float(out: &mut [f32], map: &Value, sparse: bool) -> Result<(), Fault> {
    cast(out, map, sparse, &0.0, |x| x, leading)
}

/// The values as int64; numbers are cut.
pub fn cast_to_int(out: &mut [i64], map: &Value, sparse: bool) -> Result<(), Fault> {
    cast(out, map, sparse, &0, |x| x as i64, leading)
}

/// The values as text: numbers with six decimals, and `0.f` where there is none, as ONNX Runtime writes them.
pub fn cast_to_string(out: &mut [String], map: &Value, sparse: bool) -> Result<(), Fault> {
    let number = |x: f32| if x.is_nan() { "nan".to_string() } else { format!("{x:.6}") };
    cast(out, map, sparse, &"0.f".to_string(), number, |t| Some(t.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn map() -> Value {
        Value::Map(Map { keys: Tensor::from_slice(&[2], &[3i64, 1]).unwrap(), values: Tensor::from_slice(&[2], &[1.75f32, -2.5]).unwrap() })
    }

    #[test]
    fn rows_to_maps() {
        let mut out = Value::default();
        zip(&mut out, &[0.5, 1.5], &["a".to_string()], 2, DType::String).unwrap();
        let second = out.sequence().unwrap()[1].map().unwrap();
        assert_eq!((second.keys.as_strings(), second.values.as_slice()), (Some(&["a".to_string()][..]), Some(&[1.5f32][..])));
        assert!(zip(&mut out, &[0.5, 1.5, 2.5], &[1u64, 2], 2, DType::I64).is_err());
    }

    #[test]
    fn maps_to_rows() {
        let mut out = [9u32; 2];
        values_of_ints(&mut out, &map(), &[2, 3], DType::F32).unwrap();
        assert_eq!(out, [0, 1.75f32.to_bits()]);
        let mut texts = vec![String::new(); 4];
        cast_to_string(&mut texts, &map(), true).unwrap();
        assert_eq!(texts, ["0.f", "-2.500000", "0.f", "1.750000"]);
        let mut ints = [0; 2];
        cast_to_int(&mut ints, &map(), false).unwrap();
        assert_eq!(ints, [-2, 1]);
        assert_eq!((leading::<i64>(" 12.5x"), leading::<f32>("12.5x"), leading::<f32>("x")), (Some(12), Some(12.5), None));
    }
}
