//! Graphs, nodes, attributes.

use bytes::Bytes;

use super::{NodeDeviceConfigurationProto, SparseTensorProto, StringStringEntryProto, TensorProto, TypeProto};

/// A graph: nodes in topological order, and what enters and leaves.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GraphProto {
    /// The nodes, in topological order.
    #[prost(message, repeated, tag = 1)]
    pub node: Vec<NodeProto>,
    /// Name of the graph.
    #[prost(string, tag = 2)]
    pub name: String,
    /// Constants, or defaults of inputs of the same name.
    #[prost(message, repeated, tag = 5)]
    pub initializer: Vec<TensorProto>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 10)]
    pub doc_string: Option<Bytes>,
    /// Inputs; before IR 4 every initializer is among them.
    #[prost(message, repeated, tag = 11)]
    pub input: Vec<ValueInfoProto>,
    /// Outputs.
    #[prost(message, repeated, tag = 12)]
    pub output: Vec<ValueInfoProto>,
    /// Types of values inside.
    #[prost(message, repeated, tag = 13)]
    pub value_info: Vec<ValueInfoProto>,
    /// Which tensors hold the scale and zero point of a tensor.
    #[prost(message, repeated, tag = 14)]
    pub quantization_annotation: Vec<TensorAnnotation>,
    /// Constants that are mostly zero.
    #[prost(message, repeated, tag = 15)]
    pub sparse_initializer: Vec<SparseTensorProto>,
    /// Free-form named values.
    #[prost(message, repeated, tag = 16)]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A named value and its type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfoProto {
    /// Name of the value.
    #[prost(string, tag = 1)]
    pub name: String,
    /// Its type; may be absent inside function bodies and subgraphs.
    #[prost(message, optional, tag = 2)]
    pub r#type: Option<TypeProto>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 3)]
    pub doc_string: Option<Bytes>,
    /// Free-form named values.
    #[prost(message, repeated, tag = 4)]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// One call of an operator or function.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeProto {
    /// Names of the inputs; empty is an optional input left out.
    #[prost(string, repeated, tag = 1)]
    pub input: Vec<String>,
    /// Names of the outputs; empty is an optional output left out.
    #[prost(string, repeated, tag = 2)]
    pub output: Vec<String>,
    /// Name of the node, often empty, not always unique.
    #[prost(string, tag = 3)]
    pub name: String,
    /// The operator or function.
    #[prost(string, tag = 4)]
    pub op_type: String,
    /// Named attributes.
    #[prost(message, repeated, tag = 5)]
    pub attribute: Vec<AttributeProto>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 6)]
    pub doc_string: Option<Bytes>,
    /// The operator's domain; empty means `ai.onnx`.
    #[prost(string, tag = 7)]
    pub domain: String,
    /// Which of the functions of one name is called.
    #[prost(string, tag = 8)]
    pub overload: String,
    /// Free-form named values.
    #[prost(message, repeated, tag = 9)]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Where the node runs.
    #[prost(message, repeated, tag = 10)]
    pub device_configurations: Vec<NodeDeviceConfigurationProto>,
}

/// Which tensors describe the quantization of a tensor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorAnnotation {
    /// The tensor described.
    #[prost(string, tag = 1)]
    pub tensor_name: String,
    /// For instance `SCALE_TENSOR` and the tensor's name.
    #[prost(message, repeated, tag = 2)]
    pub quant_parameter_tensor_names: Vec<StringStringEntryProto>,
}

/// A named attribute: one of the value fields is in use, [`AttributeProto::kind`] tells which.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeProto {
    /// Name of the attribute.
    #[prost(string, tag = 1)]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = 2)]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = 3)]
    pub i: Option<i64>,
    /// A string, UTF-8 by convention only.
    #[prost(bytes = "bytes", optional, tag = 4)]
    pub s: Option<Bytes>,
    /// A tensor.
    #[prost(message, optional, boxed, tag = 5)]
    pub t: Option<Box<TensorProto>>,
    /// A graph.
    #[prost(message, optional, boxed, tag = 6)]
    pub g: Option<Box<GraphProto>>,
    /// Floats.
    #[prost(float, repeated, packed = "false", tag = 7)]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = 8)]
    pub ints: Vec<i64>,
    /// Strings, UTF-8 by convention only.
    #[prost(bytes = "bytes", repeated, tag = 9)]
    pub strings: Vec<Bytes>,
    /// Tensors.
    #[prost(message, repeated, tag = 10)]
    pub tensors: Vec<TensorProto>,
    /// Graphs.
    #[prost(message, repeated, tag = 11)]
    pub graphs: Vec<GraphProto>,
    /// Human-readable text.
    #[prost(bytes = "bytes", optional, tag = 13)]
    pub doc_string: Option<Bytes>,
    /// A type.
    #[prost(message, optional, boxed, tag = 14)]
    pub tp: Option<Box<TypeProto>>,
    /// Types.
    #[prost(message, repeated, tag = 15)]
    pub type_protos: Vec<TypeProto>,
    /// An [`AttributeType`]; read it through [`AttributeProto::kind`].
    #[prost(int32, tag = 20)]
    pub r#type: i32,
    /// Inside a function: the attribute of the caller that stands here, instead of a value.
    #[prost(string, tag = 21)]
    pub ref_attr_name: String,
    /// A sparse tensor.
    #[prost(message, optional, boxed, tag = 22)]
    pub sparse_tensor: Option<Box<SparseTensorProto>>,
    /// Sparse tensors.
    #[prost(message, repeated, tag = 23)]
    pub sparse_tensors: Vec<SparseTensorProto>,
}

/// Which value field of an [`AttributeProto`] is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[allow(missing_docs)] // the names say it
pub enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    TypeProto = 13,
    TypeProtos = 14,
}

impl AttributeProto {
    /// Which value field is in use.
    ///
    /// Files of IR version 1 have no `type`; there the field that is present tells, and an attribute
    /// with no value at all is `Undefined`. A type that this crate does not know is `Err` with its number.
    pub fn kind(&self) -> Result<AttributeType, i32> {
        if self.r#type != 0 {
            return AttributeType::try_from(self.r#type).map_err(|_| self.r#type);
        }
        let present = [
            (self.f.is_some(), AttributeType::Float),
            (self.i.is_some(), AttributeType::Int),
            (self.s.is_some(), AttributeType::String),
            (self.t.is_some(), AttributeType::Tensor),
            (self.g.is_some(), AttributeType::Graph),
            (!self.floats.is_empty(), AttributeType::Floats),
            (!self.ints.is_empty(), AttributeType::Ints),
            (!self.strings.is_empty(), AttributeType::Strings),
            (!self.tensors.is_empty(), AttributeType::Tensors),
            (!self.graphs.is_empty(), AttributeType::Graphs),
            (self.sparse_tensor.is_some(), AttributeType::SparseTensor),
            (!self.sparse_tensors.is_empty(), AttributeType::SparseTensors),
            (self.tp.is_some(), AttributeType::TypeProto),
            (!self.type_protos.is_empty(), AttributeType::TypeProtos),
        ];
        let found = present.into_iter().find(|(is_present, _)| *is_present);
        Ok(found.map_or(AttributeType::Undefined, |(_, kind)| kind))
    }
}
