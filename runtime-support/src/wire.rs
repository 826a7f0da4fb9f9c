//! Values as bytes, so that a compiled model can be run in another process: magic, count, then each value as a tag and its parts.
//! Numbers are little-endian u64. Decoding trusts nothing: lengths are checked against what is there, nesting is limited.

use crate::element::{DType, as_bytes};
use crate::error::Fault;
use crate::value::{Map, Tensor, Value, count};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

const MAGIC: &[u8; 8] = b"onnxcv1\0";
const MAX_DEPTH: usize = 32;
const BAD: Fault = Fault::Text { what: "these bytes are not a list of values" };

/// The bytes of a list of values.
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    number(&mut out, values.len());
    values.iter().for_each(|v| value(&mut out, v));
    out
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u64).to_le_bytes());
}

fn value(out: &mut Vec<u8>, v: &Value) {
    match v {
        Value::Tensor(t) => {
            out.push(0);
            tensor(out, t);
        }
        Value::Sequence(items) => {
            out.push(1);
            number(out, items.len());
            items.iter().for_each(|item| value(out, item));
        }
        Value::Optional(None) => out.push(2),
        Value::Optional(Some(inner)) => {
            out.push(3);
            value(out, inner);
        }
        Value::Map(map) => {
            out.push(4);
            tensor(out, &map.keys);
            tensor(out, &map.values);
        }
    }
}

fn tensor(out: &mut Vec<u8>, t: &Tensor) {
    out.push(t.dtype() as u8);
    number(out, t.shape().len());
    t.shape().iter().for_each(|&d| number(out, d));
    match t.as_strings() {
        Some(strings) => strings.iter().for_each(|s| {
            number(out, s.len());
            out.extend_from_slice(s.as_bytes());
        }),
        None => out.extend_from_slice(as_bytes(t.bytes())),
    }
}

/// The values of bytes that [`encode`] made.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, Fault> {
    let mut from = Reader { rest: bytes.strip_prefix(MAGIC).ok_or(BAD)? };
    let n = from.number()?;
    let values = from.values(n, 0)?;
    if from.rest.is_empty() { Ok(values) } else { Err(BAD) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(BAD)?;
        self.rest = rest;
        Ok(head)
    }

    fn number(&mut self) -> Result<usize, Fault> {
        let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| BAD)?;
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| BAD)
    }

    /// A value takes at least one byte, which bounds their number.
    fn values(&mut self, n: usize, depth: usize) -> Result<Vec<Value>, Fault> {
        if n > self.rest.len() || depth > MAX_DEPTH {
            return Err(BAD);
        }
        (0..n).map(|_| self.value(depth)).collect()
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > MAX_DEPTH {
            return Err(BAD);
        }
        Ok(match self.take(1)? {
            [0] => Value::Tensor(self.tensor()?),
            [1] => {
                let n = self.number()?;
                Value::Sequence(self.values(n, depth + 1)?)
            }
            [2] => Value::Optional(None),
            [3] => Value::Optional(Some(Box::new(self.value(depth + 1)?))),
            [4] => Value::Map(Map { keys: self.tensor()?, values: self.tensor()? }),
            _ => return Err(BAD),
        })
    }

    fn tensor(&mut self) -> Result<Tensor, Fault> {
        let &[tag] = self.take(1)? else { return Err(BAD) };
        let dtype = DType::all().find(|&d| d as u8 == tag).ok_or(BAD)?;
        let rank = self.number()?;
        if rank > self.rest.len() / 8 {
            return Err(BAD);
        }
        let shape = (0..rank).map(|_| self.number()).collect::<Result<Vec<_>, _>>()?;
        let n = count(&shape)?;
        if dtype != DType::String {
            return Tensor::from_raw(dtype, &shape, self.take(n.checked_mul(dtype.size()).ok_or(BAD)?)?);
        }
        // Each string takes at least its length's bytes.
        if n > self.rest.len() / 8 {
            return Err(BAD);
        }
        let string = |from: &mut Self| {
            let len = from.number()?;
            core::str::from_utf8(from.take(len)?).map(String::from).map_err(|_| BAD)
        };
        let strings = (0..n).map(|_| string(self)).collect::<Result<Vec<_>, _>>()?;
        Tensor::from_strings(&shape, strings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn examples() -> Vec<Value> {
        let f = Tensor::from_slice(&[2, 1], &[1.5f32, -2.0]).unwrap();
        let s = Tensor::from_strings(&[2], vec!["é".into(), String::new()]).unwrap();
        let i = Tensor::from_slice(&[0, 3], &[] as &[i64]).unwrap();
        vec![
            f.clone().into(),
            Value::Sequence(vec![s.clone().into(), Value::Sequence(Vec::new())]),
            Value::Optional(None),
            Value::Optional(Some(Box::new(i.into()))),
            Value::Map(Map { keys: s, values: f.reshaped(&[2]).unwrap() }),
        ]
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(decode(&encode(&examples())).unwrap(), examples());
    }

    #[test]
    fn broken_bytes_are_an_error() {
        let good = encode(&examples());
        for n in 0..good.len() {
            assert!(decode(&good[..n]).is_err());
            // Any byte changed: an error or other values, never a panic.
            let mut bytes = good.clone();
            bytes[n] ^= 0xff;
            let _ = decode(&bytes);
        }
        let mut deep = MAGIC.to_vec();
        number(&mut deep, 1);
        deep.resize(deep.len() + 100_000, 3);
        assert!(decode(&deep).is_err());
    }
}
