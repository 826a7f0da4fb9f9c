//! Values as bytes, between the processes of this harness: a tag, then what the tag says, integers as little-endian u64.

use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Map, Tensor, Value};

/// The bytes of some values.
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    list(values, &mut out);
    out
}

/// The values of [`encode`]'s bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = Reader { rest: bytes };
    let values = reader.list(0)?;
    if reader.rest.is_empty() { Ok(values) } else { Err("bytes are left over".to_owned()) }
}

fn number(n: usize, out: &mut Vec<u8>) {
    out.extend((n as u64).to_le_bytes());
}

fn list(values: &[Value], out: &mut Vec<u8>) {
    number(values.len(), out);
    values.iter().for_each(|v| value(v, out));
}

fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Tensor(t) => {
            out.push(0);
            tensor(t, out);
        }
        Value::Sequence(items) => {
            out.push(1);
            list(items, out);
        }
        Value::Optional(item) => {
            out.push(2);
            list(item.as_deref().map_or(&[], std::slice::from_ref), out);
        }
        Value::Map(map) => {
            out.push(3);
            tensor(&map.keys, out);
            tensor(&map.values, out);
        }
    }
}

fn tensor(tensor: &Tensor, out: &mut Vec<u8>) {
    out.push(tensor.dtype() as u8);
    number(tensor.shape().len(), out);
    tensor.shape().iter().for_each(|&d| number(d, out));
    match tensor.as_strings() {
        Some(strings) => strings.iter().for_each(|s| {
            number(s.len(), out);
            out.extend(s.as_bytes());
        }),
        None => out.extend(tensor.bytes()),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or("the bytes end early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<usize, String> {
        let bytes = self.bytes(8)?.try_into().map_err(|_| "the bytes end early")?;
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| "a length does not fit".to_owned())
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, String> {
        let n = self.number()?;
        (0..n).map(|_| self.value(depth + 1)).collect()
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > 64 {
            return Err("values are nested too deep".to_owned());
        }
        Ok(match self.byte()? {
            0 => Value::Tensor(self.tensor()?),
            1 => Value::Sequence(self.list(depth)?),
            2 => Value::Optional(self.list(depth)?.pop().map(Box::new)),
            3 => Value::Map(Map { keys: self.tensor()?, values: self.tensor()? }),
            tag => return Err(format!("unknown tag {tag}")),
        })
    }

    fn tensor(&mut self) -> Result<Tensor, String> {
        let code = self.byte()?;
        let dtype = DType::all().find(|&d| d as u8 == code).ok_or("unknown dtype")?;
        let rank = self.number()?;
        let shape: Vec<usize> = (0..rank).map(|_| self.number()).collect::<Result<_, _>>()?;
        let n = onnxc_runtime::value::count(&shape).map_err(|e| e.to_string())?;
        let tensor = if dtype == DType::String {
            let text = |reader: &mut Self| {
                let len = reader.number()?;
                String::from_utf8(reader.bytes(len)?.to_vec()).map_err(|e| e.to_string())
            };
            let strings: Vec<String> = (0..n).map(|_| text(self)).collect::<Result<_, String>>()?;
            Tensor::from_strings(&shape, strings)
        } else {
            let len = n.checked_mul(dtype.size()).ok_or("a tensor does not fit")?;
            Tensor::from_raw(dtype, &shape, self.bytes(len)?)
        };
        tensor.map_err(|e| e.to_string())
    }
}
