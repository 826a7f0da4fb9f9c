//! Sequences and optionals: tensors on the heap that are put in, taken out and counted.

use super::walk::{count, promise, wrap};
use crate::element::{Bool, DType, Element, as_bytes, as_bytes_mut};
use crate::error::Fault;
use crate::value::{Tensor, Value};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// What a tensor's elements can be: plain ones (seen by width, so the dtype is told apart) or strings.
pub trait Item: Clone + Default {
    /// A tensor with a copy of the elements.
    fn store(dtype: DType, shape: &[usize], items: &[Self]) -> Result<Tensor, Fault>;
    /// Copies a tensor's elements; a fault if there are not as many or they are of another dtype.
    fn load(out: &mut [Self], dtype: DType, tensor: &Tensor) -> Result<(), Fault>;
}

impl<T: Element> Item for T {
    fn store(dtype: DType, shape: &[usize], items: &[Self]) -> Result<Tensor, Fault> {
        Tensor::from_raw(dtype, shape, as_bytes(items))
    }

    fn load(out: &mut [Self], dtype: DType, tensor: &Tensor) -> Result<(), Fault> {
        if tensor.dtype() != dtype {
            return Err(Fault::Type { expected: dtype.name() });
        }
        let (to, from) = (as_bytes_mut(out), tensor.bytes());
        promise(to.len() == from.len(), "sequence: lengths differ")?;
        to.copy_from_slice(from);
        Ok(())
    }
}

impl Item for String {
    fn store(_: DType, shape: &[usize], items: &[Self]) -> Result<Tensor, Fault> {
        Tensor::from_strings(shape, items.to_vec())
    }

    fn load(out: &mut [Self], _: DType, tensor: &Tensor) -> Result<(), Fault> {
        let from = tensor.as_strings().ok_or(Fault::Type { expected: "a tensor of strings" })?;
        promise(out.len() == from.len(), "sequence: lengths differ")?;
        out.clone_from_slice(from);
        Ok(())
    }
}

/// An empty sequence.
pub fn empty(out: &mut Value) -> Result<(), Fault> {
    *out = Value::Sequence(Vec::new());
    Ok(())
}

/// Adds a tensor at the end.
pub fn push<T: Item>(sequence: &mut Value, x: &[T], shape: &[usize], dtype: DType) -> Result<(), Fault> {
    let tensor = T::store(dtype, shape, x)?;
    sequence.sequence_mut()?.push(Value::Tensor(tensor));
    Ok(())
}

/// Adds an object, a tensor of any rank, at the end.
pub fn push_object(sequence: &mut Value, x: &Value) -> Result<(), Fault> {
    sequence.sequence_mut()?.push(x.clone());
    Ok(())
}

/// `out` is `sequence` with a tensor put before `position` (from the end if negative; absent: at the end).
pub fn insert<T: Item>(
    out: &mut Value,
    sequence: &Value,
    x: &[T],
    position: Option<&[i64]>,
    shape: &[usize],
    dtype: DType,
) -> Result<(), Fault> {
    inserted(out, sequence, Value::Tensor(T::store(dtype, shape, x)?), position)
}

/// As [`insert`], of an object: a tensor of any rank.
pub fn insert_object(out: &mut Value, sequence: &Value, x: &Value, position: Option<&[i64]>) -> Result<(), Fault> {
    inserted(out, sequence, x.clone(), position)
}

fn inserted(out: &mut Value, sequence: &Value, x: Value, position: Option<&[i64]>) -> Result<(), Fault> {
    let items = sequence.sequence()?;
    let at = match position {
        None => items.len(),
        Some(p) => {
            let given = one(p)?;
            let at = if given < 0 { given.saturating_add(items.len() as i64) } else { given };
            usize::try_from(at).ok().filter(|&at| at <= items.len()).ok_or(Fault::Index { index: given, len: items.len() })?
        }
    };
    let mut new = Vec::with_capacity(items.len() + 1);
    new.extend_from_slice(&items[..at]);
    new.push(x);
    new.extend_from_slice(&items[at..]);
    *out = Value::Sequence(new);
    Ok(())
}

/// `out` is `sequence` without the item at `position` (from the end if negative; absent: the last).
pub fn erase(out: &mut Value, sequence: &Value, position: Option<&[i64]>) -> Result<(), Fault> {
    let items = sequence.sequence()?;
    let at = wrap(position.map_or(Ok(-1), one)?, items.len())?;
    let kept = items.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, item)| item.clone());
    *out = Value::Sequence(kept.collect());
    Ok(())
}

/// The number of items, to `out[0]`.
pub fn length(out: &mut [i64], sequence: &Value) -> Result<(), Fault> {
    let n = sequence.sequence()?.len() as i64;
    let [out] = out else { return Err(Fault::Internal { what: "sequence length: one result" }) };
    *out = n;
    Ok(())
}

/// The shape of the item at `position`, to `bind`.
pub fn at_shape(bind: &mut [i64], sequence: &Value, position: &[i64]) -> Result<(), Fault> {
    write_shape(bind, item(sequence, position)?.tensor()?.shape())
}

/// The elements of the item at `position`, which has the shape that [`at_shape`] tells.
pub fn at<T: Item>(out: &mut [T], sequence: &Value, position: &[i64], dtype: DType) -> Result<(), Fault> {
    T::load(out, dtype, item(sequence, position)?.tensor()?)
}

/// The item at `position` of a sequence of objects.
pub fn at_object(out: &mut Value, sequence: &Value, position: &[i64]) -> Result<(), Fault> {
    out.clone_from(item(sequence, position)?);
    Ok(())
}

fn item<'a>(sequence: &'a Value, position: &[i64]) -> Result<&'a Value, Fault> {
    let items = sequence.sequence()?;
    let at = wrap(one(position)?, items.len())?;
    items.get(at).ok_or(Fault::Index { index: at as i64, len: items.len() })
}

fn one(x: &[i64]) -> Result<i64, Fault> {
    match x {
        [x] => Ok(*x),
        _ => Err(Fault::Dim { expected: 1, got: x.len() as i64 }),
    }
}

/// Gives a tensor's shape to `bind`, which has as many places as the model declares dims.
pub(super) fn write_shape(bind: &mut [i64], shape: &[usize]) -> Result<(), Fault> {
    if bind.len() != shape.len() {
        return Err(Fault::Value { what: "a tensor has another rank than the model declares", got: shape.len() as i64 });
    }
    bind.iter_mut().zip(shape).for_each(|(b, &d)| *b = d as i64);
    Ok(())
}

/// Splits `x` along `axis` into a sequence. `split` is absent (parts of one), one number (parts of that length, the last perhaps shorter; `scalar`)
/// or the length of each part. Without `keep` the axis is dropped.
pub fn split<T: Item>(
    out: &mut Value,
    x: &[T],
    split: Option<&[i64]>,
    shape: &[usize],
    axis: usize,
    scalar: bool,
    keep: bool,
    dtype: DType,
) -> Result<(), Fault> {
    let &len = shape.get(axis).ok_or(Fault::Internal { what: "split: no such axis" })?;
    promise(x.len() == count(shape)?, "split: lengths differ")?;
    let size = |v: i64| usize::try_from(v).map_err(|_| Fault::Value { what: "a length must not be negative", got: v });
    let mut lengths: Vec<usize> = Vec::new();
    match split {
        Some(given) if !scalar => {
            for &v in given {
                lengths.push(size(v)?);
            }
        }
        given => {
            let each = size(given.map_or(Ok(1), one)?)?;
            if each == 0 {
                return Err(Fault::Value { what: "a length must be positive", got: 0 });
            }
            lengths.extend((0..len).step_by(each).map(|at| each.min(len - at)));
        }
    }
    let sum = lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if sum != Some(len) {
        return Err(Fault::Dim { expected: len as i64, got: sum.unwrap_or(usize::MAX) as i64 });
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let (mut items, mut start) = (Vec::new(), 0);
    for n in lengths {
        let mut part: Vec<T> = Vec::new();
        for block in x.chunks_exact((len * inner).max(1)) {
            part.extend_from_slice(&block[start * inner..(start + n) * inner]);
        }
        start += n;
        let mut to = shape.to_vec();
        if keep {
            to[axis] = n;
        } else {
            to.remove(axis);
        }
        items.push(Value::Tensor(T::store(dtype, &to, &part)?));
    }
    *out = Value::Sequence(items);
    Ok(())
}

/// The shape of all items one after the other along `axis` (from the end if negative), or stacked along a new one, to `bind`.
pub fn concat_shape(bind: &mut [i64], sequence: &Value, axis: i64, stack: bool) -> Result<(), Fault> {
    let items = sequence.sequence()?;
    let first = items.first().ok_or(Fault::Value { what: "an empty sequence cannot be concatenated", got: 0 })?.tensor()?.shape();
    let axis = wrap(axis, bind.len())?;
    let mut shape = first.to_vec();
    if stack {
        if axis > shape.len() {
            return Err(Fault::Index { index: axis as i64, len: shape.len() });
        }
        shape.insert(axis, items.len());
    }
    write_shape(bind, &shape)?;
    let mut total = 0;
    for item in items {
        let other = item.tensor()?.shape();
        let same = other.len() == first.len() && other.iter().zip(first).enumerate().all(|(i, (a, b))| a == b || (i == axis && !stack));
        if !same {
            return Err(Fault::Type { expected: "a sequence of tensors of one shape" });
        }
        total += other.get(axis).copied().unwrap_or(0) as i64;
    }
    if !stack {
        bind[axis] = total;
    }
    Ok(())
}

/// All items one after the other, seen as `outer × length × inner` each; `out` has the shape that [`concat_shape`] tells.
pub fn concat<T: Item>(out: &mut [T], sequence: &Value, outer: usize, inner: usize, dtype: DType) -> Result<(), Fault> {
    let total = out.len().checked_div(outer).unwrap_or(0);
    let mut start = 0;
    for item in sequence.sequence()? {
        let tensor = item.tensor()?;
        let row = tensor.len().checked_div(outer).unwrap_or(0);
        let mut part: Vec<T> = Vec::new();
        part.resize(tensor.len(), T::default());
        T::load(&mut part, dtype, tensor)?;
        promise(start + row <= total && (inner == 0 || row % inner == 0), "concat: lengths differ")?;
        if row > 0 {
            for (to, from) in out.chunks_exact_mut(total).zip(part.chunks_exact(row)) {
                to[start..start + row].clone_from_slice(from);
            }
        }
        start += row;
    }
    promise(start == total || outer == 0, "concat: lengths differ")
}

/// An optional that holds nothing.
pub fn none(out: &mut Value) -> Result<(), Fault> {
    *out = Value::Optional(None);
    Ok(())
}

/// An optional that holds a tensor.
pub fn some<T: Item>(out: &mut Value, x: &[T], shape: &[usize], dtype: DType) -> Result<(), Fault> {
    *out = Value::Optional(Some(Box::new(Value::Tensor(T::store(dtype, shape, x)?))));
    Ok(())
}

/// An optional that holds an object.
pub fn some_object(out: &mut Value, x: &Value) -> Result<(), Fault> {
    *out = Value::Optional(Some(Box::new(x.clone())));
    Ok(())
}

/// Whether an optional holds something, to `out[0]`.
pub fn has(out: &mut [Bool], x: &Value) -> Result<(), Fault> {
    let [out] = out else { return Err(Fault::Internal { what: "optional: one result" }) };
    *out = Bool::from(!matches!(x, Value::Optional(None)));
    Ok(())
}

/// What an optional holds; anything else is what it is.
fn held(x: &Value) -> Result<&Value, Fault> {
    match x {
        Value::Optional(Some(inner)) => Ok(inner),
        Value::Optional(None) => Err(Fault::Type { expected: "an optional that holds something" }),
        other => Ok(other),
    }
}

/// The shape of the tensor that an optional holds, to `bind`.
pub fn get_shape(bind: &mut [i64], x: &Value) -> Result<(), Fault> {
    write_shape(bind, held(x)?.tensor()?.shape())
}

/// The elements of the tensor that an optional holds.
pub fn get<T: Item>(out: &mut [T], x: &Value, dtype: DType) -> Result<(), Fault> {
    T::load(out, dtype, held(x)?.tensor()?)
}

/// The object that an optional holds.
pub fn get_object(out: &mut Value, x: &Value) -> Result<(), Fault> {
    out.clone_from(held(x)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(x: &Value) -> Vec<Vec<i32>> {
        x.sequence().unwrap().iter().map(|t| t.tensor().unwrap().as_slice::<i32>().unwrap().to_vec()).collect()
    }

    #[test]
    fn putting_in_and_taking_out() {
        let (mut s, mut t) = (Value::default(), Value::default());
        empty(&mut s).unwrap();
        push(&mut s, &[1, 2], &[2], DType::I32).unwrap();
        insert(&mut t, &s, &[3], Some(&[-1]), &[1], DType::I32).unwrap();
        assert_eq!(items(&t), [std::vec![3], std::vec![1, 2]]);
        assert!(insert(&mut s, &t, &[3], Some(&[3]), &[1], DType::I32).is_err());
        erase(&mut s, &t, None).unwrap();
        assert_eq!(items(&s), [[3]]);
        let mut bind = [0];
        at_shape(&mut bind, &t, &[1]).unwrap();
        assert_eq!(bind, [2]);
        let mut out = [0; 2];
        at(&mut out, &t, &[-1], DType::I32).unwrap();
        assert_eq!(out, [1, 2]);
        assert!(at(&mut out, &t, &[-1], DType::F32).is_err());
        assert!(at_shape(&mut bind, &t, &[2]).is_err());
    }

    #[test]
    fn splitting_and_joining() {
        let x: Vec<i32> = (0..10).collect();
        let mut s = Value::default();
        split(&mut s, &x, Some(&[2]), &[2, 5], 1, true, true, DType::I32).unwrap();
        assert_eq!(items(&s), [std::vec![0, 1, 5, 6], std::vec![2, 3, 7, 8], std::vec![4, 9]]);
        let mut bind = [0; 2];
        concat_shape(&mut bind, &s, -1, false).unwrap();
        assert_eq!(bind, [2, 5]);
        let mut out = [0; 10];
        concat(&mut out, &s, 2, 1, DType::I32).unwrap();
        assert_eq!(out[..], x[..]);
        split(&mut s, &x, None, &[2, 5], 0, true, false, DType::I32).unwrap();
        concat_shape(&mut bind, &s, 1, true).unwrap();
        assert_eq!(bind, [5, 2]);
        assert!(split(&mut s, &x, Some(&[1, 3]), &[2, 5], 1, false, true, DType::I32).is_err());
    }
}
