//! Constant tensors: shared bytes with a dtype and a shape.

use bytes::Bytes;
use onnxc_runtime::element::{DType, Element, as_bytes, from_bytes};
use std::sync::Arc;

/// The elements of a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Plain elements, little-endian, [`DType::size`] bytes each; shared with the model file where possible.
    Bytes(Bytes),
    /// Strings.
    Strings(Arc<Vec<String>>),
}

/// A constant tensor. Cloning shares the elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The dtype.
    pub dtype: DType,
    /// The shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, in row-major order.
    pub data: Data,
}

impl Tensor {
    /// A tensor of elements; `None` if their number is not the product of `shape`.
    pub fn new<T: Element>(shape: &[usize], elements: &[T]) -> Option<Self> {
        let fits = count(shape) == Some(elements.len());
        fits.then(|| Self { dtype: T::DTYPE, shape: shape.to_vec(), data: Data::Bytes(Bytes::copy_from_slice(as_bytes(elements))) })
    }

    /// A one-dimensional tensor.
    pub fn vector<T: Element>(elements: &[T]) -> Self {
        Self { dtype: T::DTYPE, shape: vec![elements.len()], data: Data::Bytes(Bytes::copy_from_slice(as_bytes(elements))) }
    }

    /// A scalar.
    pub fn scalar<T: Element>(element: T) -> Self {
        Self { dtype: T::DTYPE, shape: Vec::new(), data: Data::Bytes(Bytes::copy_from_slice(as_bytes(&[element]))) }
    }

    /// A tensor of raw little-endian bytes; `None` if their number does not fit dtype and shape.
    pub fn from_raw(dtype: DType, shape: Vec<usize>, bytes: Bytes) -> Option<Self> {
        let fits = count(&shape).and_then(|n| n.checked_mul(dtype.size())) == Some(bytes.len()) && dtype != DType::String;
        fits.then_some(Self { dtype, shape, data: Data::Bytes(bytes) })
    }

    /// A tensor of strings; `None` if their number is not the product of `shape`.
    pub fn strings(shape: Vec<usize>, strings: Vec<String>) -> Option<Self> {
        let fits = count(&shape) == Some(strings.len());
        fits.then(|| Self { dtype: DType::String, shape, data: Data::Strings(Arc::new(strings)) })
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Bytes(b) => b.len() / self.dtype.size().max(1),
            Data::Strings(s) => s.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The raw bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(b) => b,
            Data::Strings(_) => &[],
        }
    }

    /// The elements, copied; `None` if the tensor has another dtype.
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        if self.dtype != T::DTYPE {
            return None;
        }
        let bytes = self.bytes();
        Some(from_bytes::<T>(bytes).map_or_else(
            || {
                // The file's bytes need not be aligned: copy through aligned memory.
                let mut elements = vec![T::default(); self.len()];
                onnxc_runtime::element::as_bytes_mut(&mut elements).copy_from_slice(bytes);
                elements
            },
            <[T]>::to_vec,
        ))
    }

    /// The strings; `None` if the tensor has another dtype.
    pub fn as_strings(&self) -> Option<&[String]> {
        match &self.data {
            Data::Strings(s) => Some(s),
            Data::Bytes(_) => None,
        }
    }

    /// The elements of any integer (or boolean) dtype as i64.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        macro_rules! any {
            ($($dtype:ident $ty:ty),*) => {
                match self.dtype {
                    $(DType::$dtype => self.to_vec::<$ty>().map(|v| v.into_iter().map(|x| x as i64).collect()),)*
                    DType::Bool => Some(self.bytes().iter().map(|&b| i64::from(b != 0)).collect()),
                    _ => None,
                }
            };
        }
        any!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    }

    /// The elements of any floating-point or integer dtype as f64.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        use onnxc_runtime::float::{BF16, F16};
        match self.dtype {
            DType::F32 => self.to_vec::<f32>().map(|v| v.into_iter().map(f64::from).collect()),
            DType::F64 => self.to_vec(),
            DType::F16 => self.to_vec::<F16>().map(|v| v.into_iter().map(|x| f64::from(x.to_f32())).collect()),
            DType::BF16 => self.to_vec::<BF16>().map(|v| v.into_iter().map(|x| f64::from(x.to_f32())).collect()),
            _ => self.to_i64s().map(|v| v.into_iter().map(|x| x as f64).collect()),
        }
    }

    /// The value of a tensor with one element, as f64.
    pub fn to_scalar_f64(&self) -> Option<f64> {
        (self.len() == 1).then(|| self.to_f64s())?.map(|v| v[0])
    }

    /// The scalar that all elements are, bit by bit, if there are any and they are all the same.
    pub fn splat(&self) -> Option<Self> {
        let data = match &self.data {
            Data::Bytes(bytes) => {
                let size = self.dtype.size().max(1);
                let first = bytes.get(..size)?;
                bytes.chunks(size).all(|element| element == first).then(|| Data::Bytes(bytes.slice(..size)))?
            }
            Data::Strings(strings) => {
                let first = strings.first()?;
                strings.iter().all(|s| s == first).then(|| Data::Strings(Arc::new(vec![first.clone()])))?
            }
        };
        Some(Self { dtype: self.dtype, shape: Vec::new(), data })
    }

    /// A tensor all of whose elements are that scalar; `None` if it is no scalar or the size overflows.
    pub fn filled(scalar: &Self, shape: &[usize]) -> Option<Self> {
        let n = count(shape).filter(|_| scalar.len() == 1)?;
        let data = match &scalar.data {
            Data::Bytes(one) => Data::Bytes(Bytes::from(one.repeat(n))),
            Data::Strings(one) => Data::Strings(Arc::new(vec![one[0].clone(); n])),
        };
        Some(Self { dtype: scalar.dtype, shape: shape.to_vec(), data })
    }

    /// The same elements in another shape; `None` if the counts differ.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        (count(&shape) == Some(self.len())).then(|| Self { shape, ..self.clone() })
    }
}

/// The number of elements of a shape, unless it overflows.
pub fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}
