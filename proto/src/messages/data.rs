//! Values that are not tensors, as test data stores them.

use bytes::Bytes;

use super::{SparseTensorProto, TensorProto};

/// A sequence of values of one kind.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SequenceProto {
    /// Name of the value.
    #[prost(string, tag = 1)]
    pub name: String,
    /// A [`ValueKind`]: which of the fields below is in use.
    #[prost(int32, tag = 2)]
    pub elem_type: i32,
    /// Elements that are tensors.
    #[prost(message, repeated, tag = 3)]
    pub tensor_values: Vec<TensorProto>,
    /// Elements that are sparse tensors.
    #[prost(message, repeated, tag = 4)]
    pub sparse_tensor_values: Vec<SparseTensorProto>,
    /// Elements that are sequences.
    #[prost(message, repeated, tag = 5)]
    pub sequence_values: Vec<SequenceProto>,
    /// Elements that are maps.
    #[prost(message, repeated, tag = 6)]
    pub map_values: Vec<MapProto>,
    /// Elements that are optionals.
    #[prost(message, repeated, tag = 7)]
    pub optional_values: Vec<OptionalProto>,
}

/// A map: keys, and values in the same order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MapProto {
    /// Name of the value.
    #[prost(string, tag = 1)]
    pub name: String,
    /// A [`DataType`](super::DataType): an integer type or `STRING`.
    #[prost(int32, tag = 2)]
    pub key_type: i32,
    /// Keys that are integers.
    #[prost(int64, repeated, packed = "false", tag = 3)]
    pub keys: Vec<i64>,
    /// Keys that are strings.
    #[prost(bytes = "bytes", repeated, tag = 4)]
    pub string_keys: Vec<Bytes>,
    /// The values.
    #[prost(message, optional, tag = 5)]
    pub values: Option<SequenceProto>,
}

/// A value that may be absent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OptionalProto {
    /// Name of the value.
    #[prost(string, tag = 1)]
    pub name: String,
    /// A [`ValueKind`]: which of the fields below may be in use.
    #[prost(int32, tag = 2)]
    pub elem_type: i32,
    /// A tensor.
    #[prost(message, optional, boxed, tag = 3)]
    pub tensor_value: Option<Box<TensorProto>>,
    /// A sparse tensor.
    #[prost(message, optional, boxed, tag = 4)]
    pub sparse_tensor_value: Option<Box<SparseTensorProto>>,
    /// A sequence.
    #[prost(message, optional, boxed, tag = 5)]
    pub sequence_value: Option<Box<SequenceProto>>,
    /// A map.
    #[prost(message, optional, boxed, tag = 6)]
    pub map_value: Option<Box<MapProto>>,
    /// Another optional.
    #[prost(message, optional, boxed, tag = 7)]
    pub optional_value: Option<Box<OptionalProto>>,
}

/// What a [`SequenceProto`] or [`OptionalProto`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the names say it
pub enum ValueKind {
    Undefined = 0,
    Tensor = 1,
    SparseTensor = 2,
    Sequence = 3,
    Map = 4,
    Optional = 5,
}
