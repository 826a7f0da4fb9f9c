//! What a stored tensor means: one canonical form for every way of storing elements.

use bytemuck::Pod;
use bytes::Bytes;

use crate::external::{ExternalError, ExternalFiles};
use crate::messages::{DataLocation, DataType, TensorProto};
use crate::pack::{pack, unpack};

/// A tensor in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorData {
    /// Element type, never `UNDEFINED`.
    pub dtype: DataType,
    /// Extents; their product is the number of elements and fits, zero extents left aside.
    pub dims: Vec<usize>,
    /// The elements, row-major.
    pub elements: Elements,
}

/// The elements of a [`TensorData`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Every type but `STRING`: [`DataType::size`] bytes each, little-endian, real before imaginary.
    /// Types of less than a byte take one: `INT4` and `INT2` extended with their sign, the others
    /// (floats as their codes) with zeros. `BOOL` is 0 or 1. The bytes may begin at any address.
    Bytes(Bytes),
    /// `STRING`: by convention, not by rule, UTF-8.
    Strings(Vec<Bytes>),
}

/// A tensor whose storage contradicts its type or shape.
#[derive(Debug, thiserror::Error)]
#[error("tensor {name:?}: {flaw}")]
pub struct TensorError {
    /// Name of the tensor, often empty in attributes.
    pub name: String,
    /// What is wrong.
    pub flaw: TensorFlaw,
}

/// One way in which a stored tensor can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFlaw {
    /// A type that ONNX did not have when this was written.
    #[error("element type {0} is not known")]
    UnknownType(i32),
    /// No type.
    #[error("has no element type")]
    NoType,
    /// An extent below zero.
    #[error("extent {dim} of axis {axis} is negative")]
    NegativeDim {
        /// The axis.
        axis: usize,
        /// Its extent.
        dim: i64,
    },
    /// More elements than can be addressed.
    #[error("shape {dims:?} has more elements than fit in memory")]
    TooLarge {
        /// The extents.
        dims: Vec<i64>,
    },
    /// `segment` is set.
    #[error("is a segment of a larger tensor, which nothing supports")]
    Segment,
    /// `data_location` is neither value.
    #[error("data_location {0} is not known")]
    UnknownLocation(i32),
    /// The elements are not as many as the shape says.
    #[error("{field} holds {found} {unit}, the shape and type need {needed}")]
    Length {
        /// The field of `TensorProto` that holds the elements.
        field: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        needed: usize,
    },
    /// Strings stored as raw bytes or in another file.
    #[error("strings are stored outside string_data")]
    Strings,
    /// The elements are in another file that cannot or may not be read.
    #[error(transparent)]
    External(#[from] ExternalError),
}

impl TensorData {
    /// Reads a tensor of any storage form.
    ///
    /// Takes the message, so that elements are shared with it and not copied: raw bytes and strings
    /// always, typed fields where their layout is already the canonical one. Elements that `int32_data`
    /// and `uint64_data` hold are cut to their type, as every reader of ONNX does.
    pub fn from_proto(mut tensor: TensorProto, files: &mut ExternalFiles) -> Result<Self, TensorError> {
        let name = std::mem::take(&mut tensor.name);
        Self::read(tensor, files).map_err(|flaw| TensorError { name, flaw })
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The message that stores this tensor: raw bytes, or `string_data`.
    pub fn to_proto(&self, name: &str) -> TensorProto {
        let mut tensor = TensorProto {
            name: name.to_owned(),
            data_type: self.dtype as i32,
            dims: self.dims.iter().map(|&dim| dim as i64).collect(),
            ..Default::default()
        };
        match (&self.elements, self.dtype.stored_bits()) {
            (Elements::Strings(strings), _) => tensor.string_data.clone_from(strings),
            (Elements::Bytes(bytes), Some(bits)) if bits < 8 => {
                tensor.raw_data = Some(pack(bits, bytes).into());
            }
            (Elements::Bytes(bytes), _) => tensor.raw_data = Some(bytes.clone()),
        }
        tensor
    }

    fn read(tensor: TensorProto, files: &mut ExternalFiles) -> Result<Self, TensorFlaw> {
        if tensor.segment.is_some() {
            return Err(TensorFlaw::Segment);
        }
        let dtype = DataType::try_from(tensor.data_type).map_err(|_| TensorFlaw::UnknownType(tensor.data_type))?;
        let location = DataLocation::try_from(tensor.data_location).map_err(|_| TensorFlaw::UnknownLocation(tensor.data_location))?;
        let (dims, count) = shape(&tensor.dims, dtype)?;
        let elements = match (dtype, dtype.stored_bits()) {
            (DataType::String, _) => Elements::Strings(strings(tensor, location, count)?),
            (_, None) => return Err(TensorFlaw::NoType),
            (_, Some(bits)) => Elements::Bytes(numbers(dtype, bits, tensor, location, count, files)?),
        };
        Ok(Self { dtype, dims, elements })
    }
}

/// The extents and the number of elements, whose bytes can be addressed.
pub(crate) fn shape(dims: &[i64], dtype: DataType) -> Result<(Vec<usize>, usize), TensorFlaw> {
    let too_large = || TensorFlaw::TooLarge { dims: dims.to_vec() };
    let mut extents = Vec::with_capacity(dims.len());
    for (axis, &dim) in dims.iter().enumerate() {
        if dim < 0 {
            return Err(TensorFlaw::NegativeDim { axis, dim });
        }
        extents.push(usize::try_from(dim).map_err(|_| too_large())?);
    }
    // Zero extents left aside: whoever computes strides multiplies the others.
    let size = dtype.size().unwrap_or(size_of::<Bytes>());
    let mut nonzero = extents.iter().filter(|&&dim| dim != 0);
    let bytes = nonzero.try_fold(size, |product, &dim| product.checked_mul(dim));
    // Bits are counted too, so eight times the bytes must fit.
    if bytes.is_none_or(|bytes| bytes > usize::MAX / 8) {
        return Err(too_large());
    }
    let count = extents.iter().product();
    Ok((extents, count))
}

fn strings(tensor: TensorProto, location: DataLocation, count: usize) -> Result<Vec<Bytes>, TensorFlaw> {
    let raw = tensor.raw_data.is_some_and(|raw| !raw.is_empty());
    if raw || location == DataLocation::External {
        return Err(TensorFlaw::Strings);
    }
    exact("string_data", "elements", tensor.string_data.len(), count)?;
    Ok(tensor.string_data)
}

fn numbers(
    dtype: DataType,
    bits: usize,
    mut tensor: TensorProto,
    location: DataLocation,
    count: usize,
    files: &mut ExternalFiles,
) -> Result<Bytes, TensorFlaw> {
    let stored = (count * bits).div_ceil(8);
    let raw = match (location, tensor.raw_data.take()) {
        (DataLocation::External, _) => files.read(&tensor.external_data, stored)?,
        // Some writers set an empty raw_data beside a typed field.
        (_, Some(raw)) if stored == 0 || !raw.is_empty() => raw,
        _ => return typed(dtype, stored, count, tensor),
    };
    exact("raw_data", "bytes", raw.len(), stored)?;
    Ok(match dtype {
        _ if bits < 8 => unpack(dtype, bits, &raw, count).into(),
        DataType::Bool if raw.iter().any(|&byte| byte > 1) => raw.iter().map(|&byte| u8::from(byte != 0)).collect(),
        _ => raw,
    })
}

/// Elements of the typed fields, `stored` being the bytes they would take as raw data.
fn typed(dtype: DataType, stored: usize, count: usize, tensor: TensorProto) -> Result<Bytes, TensorFlaw> {
    let field = |field, found, needed| exact(field, "elements", found, needed);
    match dtype {
        DataType::Float | DataType::Complex64 => {
            field("float_data", tensor.float_data.len(), stored / 4)?;
            Ok(share(tensor.float_data))
        }
        DataType::Double | DataType::Complex128 => {
            field("double_data", tensor.double_data.len(), stored / 8)?;
            Ok(share(tensor.double_data))
        }
        DataType::Int64 => {
            field("int64_data", tensor.int64_data.len(), count)?;
            Ok(share(tensor.int64_data))
        }
        DataType::Uint64 => {
            field("uint64_data", tensor.uint64_data.len(), count)?;
            Ok(share(tensor.uint64_data))
        }
        DataType::Uint32 => {
            field("uint64_data", tensor.uint64_data.len(), count)?;
            Ok(share(tensor.uint64_data.iter().map(|&wide| wide as u32).collect()))
        }
        small => {
            let packs = small.stored_bits().is_some_and(|bits| bits < 8 && bits != 6);
            let needed = if packs { stored } else { count };
            field("int32_data", tensor.int32_data.len(), needed)?;
            Ok(narrow(small, tensor.int32_data, count))
        }
    }
}

/// Elements of `int32_data`: one each, but as many as fill a byte for 4 and 2 bits.
fn narrow(dtype: DataType, values: Vec<i32>, count: usize) -> Bytes {
    let bytes = |value: fn(i32) -> u8| values.iter().map(|&wide| value(wide)).collect::<Vec<u8>>();
    match (dtype, dtype.stored_bits()) {
        (DataType::Bool, _) => bytes(|wide| u8::from(wide != 0)).into(),
        (_, Some(32)) => share(values),
        (_, Some(16)) => share(values.iter().map(|&wide| wide as u16).collect()),
        (_, Some(6)) => bytes(|wide| wide as u8 & 0x3f).into(),
        (_, Some(bits @ (2 | 4))) => unpack(dtype, bits, &bytes(|wide| wide as u8), count).into(),
        _ => bytes(|wide| wide as u8).into(),
    }
}

fn exact(field: &'static str, unit: &'static str, found: usize, needed: usize) -> Result<(), TensorFlaw> {
    if found != needed {
        return Err(TensorFlaw::Length { field, unit, found, needed });
    }
    Ok(())
}

/// The little-endian bytes of numbers, without copying them.
fn share<T: Pod + Send + Sync>(mut numbers: Vec<T>) -> Bytes {
    struct Owner<T>(Vec<T>);
    impl<T: Pod> AsRef<[u8]> for Owner<T> {
        fn as_ref(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }
    }
    if cfg!(target_endian = "big") {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut numbers);
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    Bytes::from_owner(Owner(numbers))
}

#[cfg(test)]
mod tests;
