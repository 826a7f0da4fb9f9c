//! Values that know their own type: tensors of any dtype, sequences, optionals and maps. Generated code uses plain slices for tensors;
//! these are for what ONNX only knows at run time, for [`Session`](crate::session::Session), and for the compiler's interpreter.

use crate::aligned::Block;
use crate::element::{DType, Element, from_bytes, from_bytes_mut};
use crate::error::Fault;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A value of any ONNX type.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// A sequence of values of one type.
    Sequence(Vec<Value>),
    /// A value or nothing.
    Optional(Option<Box<Value>>),
    /// A map with integer or string keys.
    Map(Map),
}

/// A map as two tensors of one dim and equal length: keys (int64 or string) and values.
#[derive(Clone, PartialEq)]
pub struct Map {
    /// The keys, each once.
    pub keys: Tensor,
    /// The value of each key.
    pub values: Tensor,
}

/// The type of a map's keys: `i64` or `String`.
pub trait MapKey: PartialEq + Sized {
    /// The keys, if they are of this type.
    fn keys(map: &Map) -> Option<&[Self]>;
}
impl MapKey for i64 {
    fn keys(map: &Map) -> Option<&[Self]> {
        map.keys.as_slice()
    }
}
impl MapKey for String {
    fn keys(map: &Map) -> Option<&[Self]> {
        map.keys.as_strings()
    }
}

/// A map whose types are known: what ZipMap gives for a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapView<'a, K, V> {
    keys: &'a [K],
    values: &'a [V],
}

impl<'a, K: MapKey, V: Element> MapView<'a, K, V> {
    /// A view of a map; empty if it is of other types.
    pub fn new(map: &'a Map) -> Self {
        let (keys, values) = (K::keys(map).unwrap_or_default(), map.values.as_slice().unwrap_or_default());
        if keys.len() == values.len() { Self { keys, values } } else { Self { keys: &[], values: &[] } }
    }

    /// A view of an item of a sequence of maps; empty if it is anything else.
    pub fn of_item(sequence: &'a Value, item: usize) -> Self {
        match sequence {
            Value::Sequence(items) => match items.get(item) {
                Some(Value::Map(map)) => Self::new(map),
                _ => Self { keys: &[], values: &[] },
            },
            _ => Self { keys: &[], values: &[] },
        }
    }

    /// The keys.
    pub fn keys(&self) -> &'a [K] {
        self.keys
    }

    /// The values, in the order of the keys.
    pub fn values(&self) -> &'a [V] {
        self.values
    }

    /// The value of a key.
    pub fn get<Q: PartialEq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: core::borrow::Borrow<Q>,
    {
        let place = self.keys.iter().position(|k| k.borrow() == key)?;
        self.values.get(place).copied()
    }

    /// Keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a K, V)> + use<'a, K, V> {
        self.keys.iter().zip(self.values.iter().copied())
    }
}

/// A tensor: dtype, shape and row-major elements. Plain elements are aligned to 64 bytes.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Plain(Block),
    Strings(Vec<String>),
}

const SHAPE: Fault = Fault::Internal { what: "the number of elements is not the product of the shape" };

/// The number of elements of a shape.
pub fn count(shape: &[usize]) -> Result<usize, Fault> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or(Fault::Memory { bytes: usize::MAX })
}

impl Tensor {
    /// A tensor of zeros, `false`, or empty strings.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Self, Fault> {
        let n = count(shape)?;
        let data = if dtype == DType::String {
            let mut strings = Vec::new();
            strings.try_reserve_exact(n).map_err(|_| Fault::Memory { bytes: n.saturating_mul(size_of::<String>()) })?;
            strings.resize(n, String::new());
            Data::Strings(strings)
        } else {
            Data::Plain(Block::zeroed(n.checked_mul(dtype.size()).ok_or(Fault::Memory { bytes: usize::MAX })?)?)
        };
        Ok(Self { dtype, shape: shape.to_vec(), data })
    }

    /// A tensor with a copy of the elements; `Fault::Internal` if their number is not the product of `shape`.
    pub fn from_slice<T: Element>(shape: &[usize], elements: &[T]) -> Result<Self, Fault> {
        Self::from_raw(T::DTYPE, shape, crate::element::as_bytes(elements))
    }

    /// A tensor with a copy of raw bytes in memory order (`dtype.size()` bytes each); not for strings.
    pub fn from_raw(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Self, Fault> {
        if dtype == DType::String || count(shape)?.checked_mul(dtype.size()) != Some(bytes.len()) {
            return Err(SHAPE);
        }
        let mut block = Block::zeroed(bytes.len())?;
        block.bytes_mut().copy_from_slice(bytes);
        Ok(Self { dtype, shape: shape.to_vec(), data: Data::Plain(block) })
    }

    /// A tensor of strings; `Fault::Internal` if their number is not the product of `shape`.
    pub fn from_strings(shape: &[usize], strings: Vec<String>) -> Result<Self, Fault> {
        if count(shape)? != strings.len() {
            return Err(SHAPE);
        }
        Ok(Self { dtype: DType::String, shape: shape.to_vec(), data: Data::Strings(strings) })
    }

    /// The dtype.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Plain(b) => b.len() / self.dtype.size().max(1),
            Data::Strings(s) => s.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements; `None` if the dtype is another one.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if self.dtype == T::DTYPE { from_bytes(self.bytes()) } else { None }
    }

    /// The elements, mutable; `None` if the dtype is another one.
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.dtype == T::DTYPE { from_bytes_mut(self.bytes_mut()) } else { None }
    }

    /// The elements; `Fault::Type` if the dtype is another one.
    pub fn elements<T: Element>(&self) -> Result<&[T], Fault> {
        self.as_slice().ok_or(Fault::Type { expected: T::DTYPE.name() })
    }

    /// The strings; `None` if it is not a tensor of strings.
    pub fn as_strings(&self) -> Option<&[String]> {
        match &self.data {
            Data::Strings(s) => Some(s),
            Data::Plain(_) => None,
        }
    }

    /// The strings, mutable; `None` if it is not a tensor of strings.
    pub fn as_mut_strings(&mut self) -> Option<&mut [String]> {
        match &mut self.data {
            Data::Strings(s) => Some(s),
            Data::Plain(_) => None,
        }
    }

    /// The raw bytes in memory order; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Plain(b) => b.bytes(),
            Data::Strings(_) => &[],
        }
    }

    /// The raw bytes, mutable; empty for strings.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.data {
            Data::Plain(b) => b.bytes_mut(),
            Data::Strings(_) => &mut [],
        }
    }

    /// The same elements in another shape; `Fault::Internal` if the counts differ.
    pub fn reshaped(self, shape: &[usize]) -> Result<Self, Fault> {
        if count(shape)? == self.len() { Ok(Self { shape: shape.to_vec(), ..self }) } else { Err(SHAPE) }
    }
}

impl Value {
    /// The tensor, or `Fault::Type`.
    pub fn tensor(&self) -> Result<&Tensor, Fault> {
        match self {
            Self::Tensor(t) => Ok(t),
            _ => Err(Fault::Type { expected: "a tensor" }),
        }
    }

    /// The items of a sequence, or `Fault::Type`.
    pub fn sequence(&self) -> Result<&[Self], Fault> {
        match self {
            Self::Sequence(items) => Ok(items),
            _ => Err(Fault::Type { expected: "a sequence" }),
        }
    }

    /// The items of a sequence, growable, or `Fault::Type`.
    pub fn sequence_mut(&mut self) -> Result<&mut Vec<Self>, Fault> {
        match self {
            Self::Sequence(items) => Ok(items),
            _ => Err(Fault::Type { expected: "a sequence" }),
        }
    }

    /// What an optional holds, or `Fault::Type`.
    pub fn optional(&self) -> Result<Option<&Self>, Fault> {
        match self {
            Self::Optional(item) => Ok(item.as_deref()),
            _ => Err(Fault::Type { expected: "an optional" }),
        }
    }

    /// The map, or `Fault::Type`.
    pub fn map(&self) -> Result<&Map, Fault> {
        match self {
            Self::Map(map) => Ok(map),
            _ => Err(Fault::Type { expected: "a map" }),
        }
    }
}

/// The empty optional: what an object holds before a step writes it.
impl Default for Value {
    fn default() -> Self {
        Self::Optional(None)
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

/// Equal dtype, shape and elements. Floats compare as numbers: NaN differs from itself, -0 equals 0.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        fn same<T: Element>(a: &Tensor, b: &Tensor) -> bool {
            a.as_slice::<T>() == b.as_slice::<T>()
        }
        let equal = match (&self.data, &other.data) {
            (Data::Strings(a), Data::Strings(b)) => a == b,
            _ => with_element!(self.dtype, T => same::<T>(self, other), else true),
        };
        self.dtype == other.dtype && self.shape == other.shape && equal
    }
}

/// `f32[2, 3] [1.0, 2.0, …]`, at most 16 elements.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Short<'a, T>(&'a [T]);
        impl<T: fmt::Debug> fmt::Debug for Short<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut list = f.debug_list();
                list.entries(self.0.iter().take(16));
                if self.0.len() > 16 { list.finish_non_exhaustive() } else { list.finish() }
            }
        }
        write!(f, "{}{:?} ", self.dtype, self.shape)?;
        match &self.data {
            Data::Strings(s) => Short(s).fmt(f),
            Data::Plain(_) => with_element!(self.dtype, T => Short(self.as_slice::<T>().unwrap_or_default()).fmt(f), else Ok(())),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(t) => t.fmt(f),
            Self::Sequence(items) => f.debug_list().entries(items).finish(),
            Self::Optional(None) => f.write_str("none"),
            Self::Optional(Some(v)) => write!(f, "some({v:?})"),
            Self::Map(map) => write!(f, "{{{:?} => {:?}}}", map.keys, map.values),
        }
    }
}

/// Runs an expression with `$t` as the element type of a dtype; the `else` one for strings.
macro_rules! with_element {
    ($dtype:expr, $t:ident => $body:expr, else $other:expr) => {
        $crate::value::with_element!(@rows $dtype, $t, $body, $other;
            F32 f32, F64 f64, F16 $crate::float::F16, BF16 $crate::float::BF16, F8E4M3FN $crate::float::F8E4M3FN,
            F8E4M3FNUZ $crate::float::F8E4M3FNUZ, F8E5M2 $crate::float::F8E5M2, F8E5M2FNUZ $crate::float::F8E5M2FNUZ,
            F8E8M0 $crate::float::F8E8M0, F4E2M1 $crate::float::F4E2M1, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            I4 $crate::element::I4, U4 $crate::element::U4, I2 $crate::element::I2, U2 $crate::element::U2,
            Bool $crate::element::Bool, C64 $crate::element::Complex<f32>, C128 $crate::element::Complex<f64>)
    };
    (@rows $dtype:expr, $t:ident, $body:expr, $other:expr; $($variant:ident $ty:ty),*) => {
        match $dtype {
            $($crate::element::DType::$variant => { type $t = $ty; $body })*
            $crate::element::DType::String => $other,
        }
    };
}
pub(crate) use with_element;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn tensors_hold_what_they_were_given() {
        let t = Tensor::from_slice(&[2, 2], &[1i64, -2, 3, 4]).unwrap();
        assert_eq!((t.dtype(), t.shape(), t.len()), (DType::I64, &[2, 2][..], 4));
        assert_eq!(t.as_slice::<i64>(), Some(&[1i64, -2, 3, 4][..]));
        assert_eq!(t.as_slice::<f64>(), None);
        assert_eq!(format!("{t:?}"), "i64[2, 2] [1, -2, 3, 4]");
        assert!(Tensor::from_slice(&[3], &[1.0f32]).is_err());
        assert!(Tensor::zeros(DType::F64, &[usize::MAX, 3]).is_err());
        assert!(Tensor::zeros(DType::F64, &[1 << 60]).is_err());
        assert_eq!(Tensor::zeros(DType::U8, &[0, 5]).unwrap().len(), 0);
    }

    #[test]
    fn equality_is_of_numbers() {
        let f = |x: f32| Tensor::from_slice(&[], &[x]).unwrap();
        assert_eq!(f(0.0), f(-0.0));
        assert_ne!(f(f32::NAN), f(f32::NAN));
        assert_ne!(f(0.0), f(0.0).reshaped(&[1]).unwrap());
        let s = Tensor::from_strings(&[1], vec!["a".to_string()]).unwrap();
        assert_eq!(s, s.clone());
        assert_ne!(s, Tensor::zeros(DType::String, &[1]).unwrap());
        assert_eq!(format!("{:?}", Value::Sequence(vec![s.into()])), r#"[string[1] ["a"]]"#);
    }
}
