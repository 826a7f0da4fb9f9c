//! Tensors as they are stored. [`crate::TensorData`] is what they mean.

use bytes::Bytes;

use super::StringStringEntryProto;

/// A tensor: its elements are in exactly one of `raw_data`, a typed field, or an external file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
    /// Extents; no extents is a scalar.
    #[prost(int64, repeated, packed = "false", tag = 1)]
    pub dims: Vec<i64>,
    /// A [`DataType`].
    #[prost(int32, tag = 2)]
    pub data_type: i32,
    /// Which part of a larger tensor this is; nothing writes it and no reader supports it.
    #[prost(message, optional, tag = 3)]
    pub segment: Option<Segment>,
    /// Elements of `FLOAT`, pairs of `COMPLEX64`.
    #[prost(float, repeated, tag = 4)]
    pub float_data: Vec<f32>,
    /// Elements of every type of 32 bits and less but `FLOAT` and `UINT32`, in the low bits.
    #[prost(int32, repeated, tag = 5)]
    pub int32_data: Vec<i32>,
    /// Elements of `STRING`.
    #[prost(bytes = "bytes", repeated, tag = 6)]
    pub string_data: Vec<Bytes>,
    /// Elements of `INT64`.
    #[prost(int64, repeated, tag = 7)]
    pub int64_data: Vec<i64>,
    /// Name of the value.
    #[prost(string, tag = 8)]
    pub name: String,
    /// Elements of every type but `STRING`, little-endian, small types packed.
    #[prost(bytes = "bytes", optional, tag = 9)]
    pub raw_data: Option<Bytes>,
    /// Elements of `DOUBLE`, pairs of `COMPLEX128`.
    #[prost(double, repeated, tag = 10)]
    pub double_data: Vec<f64>,
    /// Elements of `UINT32` and `UINT64`.
    #[prost(uint64, repeated, tag = 11)]
    pub uint64_data: Vec<u64>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 12)]
    pub doc_string: Option<Bytes>,
    /// Where the elements are when they are in another file: `location`, `offset`, `length`, `checksum`.
    #[prost(message, repeated, tag = 13)]
    pub external_data: Vec<StringStringEntryProto>,
    /// A [`DataLocation`].
    #[prost(int32, tag = 14)]
    pub data_location: i32,
    /// Free-form named values.
    #[prost(message, repeated, tag = 16)]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A range of a larger tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Segment {
    /// First element.
    #[prost(int64, tag = 1)]
    pub begin: i64,
    /// One past the last.
    #[prost(int64, tag = 2)]
    pub end: i64,
}

/// A tensor stored as the values that are not zero and where they are.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SparseTensorProto {
    /// The values, `[NNZ]`; its name is the name of the whole.
    #[prost(message, optional, tag = 1)]
    pub values: Option<TensorProto>,
    /// Linear indices `[NNZ]` or coordinates `[NNZ, rank]`, ascending.
    #[prost(message, optional, tag = 2)]
    pub indices: Option<TensorProto>,
    /// Extents of the whole.
    #[prost(int64, repeated, packed = "false", tag = 3)]
    pub dims: Vec<i64>,
}

/// Where the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum DataLocation {
    /// In the message.
    Default = 0,
    /// In another file.
    External = 1,
}

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the names say it
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
    Float8e4m3fn = 17,
    Float8e4m3fnuz = 18,
    Float8e5m2 = 19,
    Float8e5m2fnuz = 20,
    Uint4 = 21,
    Int4 = 22,
    Float4e2m1 = 23,
    Float8e8m0 = 24,
    Uint2 = 25,
    Int2 = 26,
    Float6e2m3 = 27,
    Float6e3m2 = 28,
}
