//! The outermost messages: the model, its functions, training and device information.

use bytes::Bytes;

use super::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

/// The IR version that [`crate::messages`] describes; newer files decode, their new fields are dropped.
pub const IR_VERSION: i64 = 14;

/// A whole ONNX file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelProto {
    /// Version of the file format itself.
    #[prost(int64, tag = 1)]
    pub ir_version: i64,
    /// The tool that wrote the model.
    #[prost(string, tag = 2)]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = 3)]
    pub producer_version: String,
    /// Reverse-DNS namespace of the model.
    #[prost(string, tag = 4)]
    pub domain: String,
    /// Version of the model itself.
    #[prost(int64, tag = 5)]
    pub model_version: i64,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 6)]
    pub doc_string: Option<Bytes>,
    /// The graph that a run evaluates.
    #[prost(message, optional, tag = 7)]
    pub graph: Option<GraphProto>,
    /// The operator sets that nodes refer to, at most one version per domain.
    #[prost(message, repeated, tag = 8)]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Free-form named values.
    #[prost(message, repeated, tag = 14)]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Graphs that initialise and train; inference ignores them.
    #[prost(message, repeated, tag = 20)]
    pub training_info: Vec<TrainingInfoProto>,
    /// Functions that nodes of the graph may call.
    #[prost(message, repeated, tag = 25)]
    pub functions: Vec<FunctionProto>,
    /// Devices that nodes may be assigned to.
    #[prost(message, repeated, tag = 26)]
    pub configuration: Vec<DeviceConfigurationProto>,
}

/// A domain of operators and the version of it that is meant.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OperatorSetIdProto {
    /// Empty means `ai.onnx`.
    #[prost(string, tag = 1)]
    pub domain: String,
    /// Version of the operator set.
    #[prost(int64, tag = 2)]
    pub version: i64,
}

/// One named text: metadata, external data keys, bindings.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct StringStringEntryProto {
    /// The name.
    #[prost(string, tag = 1)]
    pub key: String,
    /// The text.
    #[prost(string, tag = 2)]
    pub value: String,
}

/// A function: a named list of nodes that is called like an operator.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FunctionProto {
    /// The operator type that calls it.
    #[prost(string, tag = 1)]
    pub name: String,
    /// Formal inputs.
    #[prost(string, repeated, tag = 4)]
    pub input: Vec<String>,
    /// Formal outputs.
    #[prost(string, repeated, tag = 5)]
    pub output: Vec<String>,
    /// Attributes without a default.
    #[prost(string, repeated, tag = 6)]
    pub attribute: Vec<String>,
    /// The body, in topological order.
    #[prost(message, repeated, tag = 7)]
    pub node: Vec<NodeProto>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 8)]
    pub doc_string: Option<Bytes>,
    /// The operator sets that the body refers to.
    #[prost(message, repeated, tag = 9)]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The domain that calls name it by.
    #[prost(string, tag = 10)]
    pub domain: String,
    /// Attributes with their defaults.
    #[prost(message, repeated, tag = 11)]
    pub attribute_proto: Vec<AttributeProto>,
    /// Types of values of the body.
    #[prost(message, repeated, tag = 12)]
    pub value_info: Vec<ValueInfoProto>,
    /// Tells functions of one domain and name apart.
    #[prost(string, tag = 13)]
    pub overload: String,
    /// Free-form named values.
    #[prost(message, repeated, tag = 14)]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// How to initialise and train a model.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TrainingInfoProto {
    /// Computes initial values.
    #[prost(message, optional, tag = 1)]
    pub initialization: Option<GraphProto>,
    /// Computes one training step.
    #[prost(message, optional, tag = 2)]
    pub algorithm: Option<GraphProto>,
    /// Initializer name ← output of `initialization`.
    #[prost(message, repeated, tag = 3)]
    pub initialization_binding: Vec<StringStringEntryProto>,
    /// Initializer name ← output of `algorithm`.
    #[prost(message, repeated, tag = 4)]
    pub update_binding: Vec<StringStringEntryProto>,
}

/// A named set of devices.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DeviceConfigurationProto {
    /// Name that nodes refer to.
    #[prost(string, tag = 1)]
    pub name: String,
    /// Number of devices.
    #[prost(int32, tag = 2)]
    pub num_devices: i32,
    /// Optional names of the devices.
    #[prost(string, repeated, tag = 3)]
    pub device: Vec<String>,
}

/// Where one node runs under one device configuration.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeDeviceConfigurationProto {
    /// Name of the device configuration.
    #[prost(string, tag = 1)]
    pub configuration_id: String,
    /// How the node's tensors are split.
    #[prost(message, repeated, tag = 2)]
    pub sharding_spec: Vec<ShardingSpecProto>,
    /// Pipeline stage of the node.
    #[prost(int32, optional, tag = 3)]
    pub pipeline_stage: Option<i32>,
}

/// How one tensor is split over devices.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShardingSpecProto {
    /// The tensor.
    #[prost(string, tag = 1)]
    pub tensor_name: String,
    /// Devices or device groups; negative numbers are groups.
    #[prost(int64, repeated, packed = "false", tag = 2)]
    pub device: Vec<i64>,
    /// What the groups hold.
    #[prost(message, repeated, tag = 3)]
    pub index_to_device_group_map: Vec<IntIntListEntryProto>,
    /// Which axes are split and how.
    #[prost(message, repeated, tag = 4)]
    pub sharded_dim: Vec<ShardedDimProto>,
}

/// A number and the numbers it stands for.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct IntIntListEntryProto {
    /// The number.
    #[prost(int64, tag = 1)]
    pub key: i64,
    /// What it stands for.
    #[prost(int64, repeated, packed = "false", tag = 2)]
    pub value: Vec<i64>,
}

/// How one axis is split.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShardedDimProto {
    /// The axis; negative counts from the end.
    #[prost(int64, tag = 1)]
    pub axis: i64,
    /// The parts, outermost first.
    #[prost(message, repeated, tag = 2)]
    pub simple_sharding: Vec<SimpleShardedDimProto>,
}

/// One way of cutting an axis.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SimpleShardedDimProto {
    /// The extent that is cut.
    #[prost(oneof = "SimpleShardedDim", tags = "1, 2")]
    pub dim: Option<SimpleShardedDim>,
    /// Into how many parts.
    #[prost(int64, tag = 3)]
    pub num_shards: i64,
}

/// The extent that a [`SimpleShardedDimProto`] cuts.
#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub enum SimpleShardedDim {
    /// Known.
    #[prost(int64, tag = 1)]
    DimValue(i64),
    /// Symbolic.
    #[prost(string, tag = 2)]
    DimParam(String),
}
