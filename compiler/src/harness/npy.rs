//! NumPy's `.npy` files: version 1 to 3, little- and big-endian, C and Fortran order, strings as fixed-width Unicode.
//!
//! The dtypes that NumPy does not have (bfloat16, 8-bit floats, sub-byte integers) are written as raw `V` elements of their size, as
//! `ml_dtypes` does, and read back where the model's declared type says what they are.

use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Tensor, count};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The descriptors of the dtypes that NumPy has, without byte order.
const DESCRIPTORS: [(&str, DType); 14] = [
    ("f4", DType::F32),
    ("f8", DType::F64),
    ("f2", DType::F16),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
    ("b1", DType::Bool),
    ("c8", DType::C64),
    ("c16", DType::C128),
];

/// The tensor in a `.npy` file; `declared` is the dtype for descriptors that say only a size (`V2`).
pub fn read(bytes: &[u8], declared: Option<DType>) -> Result<Tensor, String> {
    let (header, data) = split(bytes).ok_or("not a .npy file")?;
    let field = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let descr = field("descr").and_then(|rest| rest.strip_prefix('\'')?.split_once('\'')).map(|(d, _)| d);
    let descr = descr.ok_or("structured .npy dtypes are not supported")?;
    let fortran = field("fortran_order").is_some_and(|rest| rest.starts_with("True"));
    let shape = field("shape").and_then(parse_shape).ok_or("the .npy header has no shape")?;
    let (order, code) = descr.split_at_checked(1).ok_or("empty .npy dtype")?;
    let n = count(&shape).map_err(|e| e.to_string())?;
    if let Some(width) = code.strip_prefix('U').and_then(|w| w.parse::<usize>().ok()) {
        let strings = unicode(data, width, n, order == ">").ok_or("the .npy file is shorter than its shape says")?;
        let strings = if fortran { transposed(&strings, &shape) } else { strings };
        return Tensor::from_strings(&shape, strings).map_err(|e| e.to_string());
    }
    let known = DESCRIPTORS.iter().find(|(name, _)| *name == code).map(|row| row.1);
    let raw = code.strip_prefix('V').and_then(|w| w.parse::<usize>().ok());
    let dtype =
        known.or_else(|| declared.filter(|d| raw == Some(d.size()))).ok_or_else(|| format!("the .npy dtype `{descr}` is not supported"))?;
    let size = dtype.size();
    let data = n.checked_mul(size).and_then(|len| data.get(..len)).ok_or("the .npy file is shorter than its shape says")?;
    let mut items: Vec<&[u8]> = data.chunks_exact(size).collect();
    if fortran {
        items = transposed(&items, &shape);
    }
    let mut plain = items.concat();
    if order == ">" {
        let part = if dtype.is_complex() { size / 2 } else { size };
        plain.chunks_exact_mut(part).for_each(<[u8]>::reverse);
    }
    Tensor::from_raw(dtype, &shape, &plain).map_err(|e| e.to_string())
}

/// The `.npy` file of a tensor.
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let (descr, data) = if let Some(strings) = tensor.as_strings() {
        let width = strings.iter().map(|s| s.chars().count()).max().unwrap_or(0).max(1);
        let data = strings.iter().flat_map(|s| padded(s, width)).flat_map(u32::to_le_bytes).collect();
        (format!("<U{width}"), data)
    } else {
        let known = DESCRIPTORS.iter().find(|row| row.1 == tensor.dtype());
        let descr = known.map_or_else(|| format!("|V{}", tensor.dtype().size()), |row| format!("<{}", row.0));
        (descr, tensor.bytes().to_vec())
    };
    let dims: String = tensor.shape().iter().map(|d| format!("{d}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", dims.trim_end());
    // The data begins at a multiple of 64: ten bytes of preamble, the header, a newline.
    header.push_str(&" ".repeat(63 - (header.len() + 10) % 64));
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(data);
    out
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_at_checked(2)?;
    let (len, rest) = if version[0] == 1 {
        let (len, rest) = rest.split_first_chunk()?;
        (u16::from_le_bytes(*len) as usize, rest)
    } else {
        let (len, rest) = rest.split_first_chunk()?;
        (u32::from_le_bytes(*len) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(len)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

fn parse_shape(rest: &str) -> Option<Vec<usize>> {
    let (dims, _) = rest.strip_prefix('(')?.split_once(')')?;
    dims.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

fn unicode(data: &[u8], width: usize, n: usize, big_endian: bool) -> Option<Vec<String>> {
    let bytes = width.checked_mul(4)?;
    if bytes == 0 {
        return Some(vec![String::new(); n]);
    }
    let data = data.get(..n.checked_mul(bytes)?)?;
    let code = |c: &[u8]| c.try_into().map_or(0, |c| if big_endian { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) });
    let text = |item: &[u8]| -> String { item.chunks_exact(4).map(code).take_while(|&c| c != 0).filter_map(char::from_u32).collect() };
    Some(data.chunks_exact(bytes).map(text).collect())
}

fn padded(text: &str, width: usize) -> impl Iterator<Item = u32> {
    text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width)
}

/// Elements stored with the first axis fastest, in row-major order.
fn transposed<T: Clone>(items: &[T], shape: &[usize]) -> Vec<T> {
    let place = |mut index: usize| {
        let mut at = 0;
        for axis in (0..shape.len()).rev() {
            let stride: usize = shape[..axis].iter().product();
            at += index % shape[axis] * stride;
            index /= shape[axis];
        }
        at
    };
    (0..items.len()).map(|i| items[place(i)].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let strings = Tensor::from_strings(&[2], vec!["naïve".to_owned(), String::new()]).unwrap();
        let floats = Tensor::from_slice(&[2, 1], &[1.5f32, -2.0]).unwrap();
        let half = Tensor::from_raw(DType::BF16, &[], &[0x80, 0x3f]).unwrap();
        for tensor in [strings, floats, half] {
            let bytes = write(&tensor);
            assert_eq!(read(&bytes, Some(tensor.dtype())).unwrap(), tensor);
            assert_eq!((bytes.len() - tensor.bytes().len()) % 64, if tensor.as_strings().is_some() { bytes.len() % 64 } else { 0 });
            for cut in 0..bytes.len() {
                assert!(read(&bytes[..cut], Some(tensor.dtype())).is_err());
            }
        }
    }

    #[test]
    fn foreign_orders_are_understood() {
        let mut bytes = b"\x93NUMPY\x01\x00\x46\x00{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }".to_vec();
        bytes.resize(80 - 1, b' ');
        bytes.push(b'\n');
        bytes.extend([1i16, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_be_bytes()));
        assert_eq!(read(&bytes, None).unwrap(), Tensor::from_slice(&[2, 3], &[1i16, 2, 3, 4, 5, 6]).unwrap());
    }
}
