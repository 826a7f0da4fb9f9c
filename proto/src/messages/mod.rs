//! Every message of ONNX, as prost derives written by hand from `onnx-ml.proto` and
//! `onnx-data.proto` of onnx 1.23.2 (IR version 14).
//!
//! Conventions, the same in every message:
//! - Tags, wire types and packing are those of the `.proto` files, so `encode` writes what `onnx` writes.
//! - `string` fields that are only ever compared or looked up are plain `String`, empty when absent.
//!   ONNX gives an absent string and an empty one the same meaning.
//! - `doc_string` and tensor contents are [`Bytes`](bytes::Bytes): slices of the input, never copied. Doc strings
//!   of exporters hold whole stack traces, and some are not UTF-8; neither should cost anything.
//! - Scalars whose absence means something are `Option`.
//! - Enumerations travel as `i32`: a value from a newer ONNX must survive decoding to be reported.
//! - Optional messages inside messages that occur by the thousand are boxed, so an attribute that
//!   holds one integer is not a kilobyte.

mod data;
mod graph;
mod model;
mod tensor;
mod types;

pub use data::{MapProto, OptionalProto, SequenceProto, ValueKind};
pub use graph::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorAnnotation, ValueInfoProto};
pub use model::{
    DeviceConfigurationProto, FunctionProto, IR_VERSION, IntIntListEntryProto, ModelProto, NodeDeviceConfigurationProto,
    OperatorSetIdProto, ShardedDimProto, ShardingSpecProto, SimpleShardedDim, SimpleShardedDimProto, StringStringEntryProto,
    TrainingInfoProto,
};
pub use tensor::{DataLocation, DataType, Segment, SparseTensorProto, TensorProto};
pub use types::{
    Dimension, DimensionValue, MapType, OpaqueType, OptionalType, SequenceType, SparseTensorType, TensorShapeProto, TensorType, TypeKind,
    TypeProto,
};
