//! Types of values.

/// Type of a value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct TypeProto {
    /// Which kind of type; absent when the file leaves it open.
    #[prost(oneof = "TypeKind", tags = "1, 4, 5, 7, 8, 9")]
    pub value: Option<TypeKind>,
    /// Meaning of the value, for instance `IMAGE`.
    #[prost(string, tag = 6)]
    pub denotation: String,
}

/// The kinds of type that ONNX has.
#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub enum TypeKind {
    /// A dense tensor.
    #[prost(message, tag = 1)]
    Tensor(TensorType),
    /// A sequence of values of one type.
    #[prost(message, tag = 4)]
    Sequence(Box<SequenceType>),
    /// A map from integers or strings to values of one type.
    #[prost(message, tag = 5)]
    Map(Box<MapType>),
    /// A type with only a name.
    #[prost(message, tag = 7)]
    Opaque(OpaqueType),
    /// A sparse tensor.
    #[prost(message, tag = 8)]
    SparseTensor(SparseTensorType),
    /// A value that may be absent.
    #[prost(message, tag = 9)]
    Optional(Box<OptionalType>),
}

/// A dense tensor's type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct TensorType {
    /// A [`DataType`](super::DataType).
    #[prost(int32, tag = 1)]
    pub elem_type: i32,
    /// Absent when even the rank is unknown.
    #[prost(message, optional, tag = 2)]
    pub shape: Option<TensorShapeProto>,
}

/// A sequence's type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SequenceType {
    /// Type of each element.
    #[prost(message, optional, boxed, tag = 1)]
    pub elem_type: Option<Box<TypeProto>>,
}

/// A map's type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MapType {
    /// A [`DataType`](super::DataType): an integer type or `STRING`.
    #[prost(int32, tag = 1)]
    pub key_type: i32,
    /// Type of each value.
    #[prost(message, optional, boxed, tag = 2)]
    pub value_type: Option<Box<TypeProto>>,
}

/// An optional's type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OptionalType {
    /// Type of the value when present.
    #[prost(message, optional, boxed, tag = 1)]
    pub elem_type: Option<Box<TypeProto>>,
}

/// A sparse tensor's type.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SparseTensorType {
    /// A [`DataType`](super::DataType).
    #[prost(int32, tag = 1)]
    pub elem_type: i32,
    /// Absent when even the rank is unknown.
    #[prost(message, optional, tag = 2)]
    pub shape: Option<TensorShapeProto>,
}

/// A type known only by name.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpaqueType {
    /// Empty means `ai.onnx`.
    #[prost(string, tag = 1)]
    pub domain: String,
    /// Name of the type.
    #[prost(string, tag = 2)]
    pub name: String,
}

/// A shape of known rank.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct TensorShapeProto {
    /// The extents, outermost first.
    #[prost(message, repeated, tag = 1)]
    pub dim: Vec<Dimension>,
}

/// One extent.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Dimension {
    /// Absent when unknown.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
    /// Meaning of the axis, for instance `DATA_BATCH`.
    #[prost(string, tag = 3)]
    pub denotation: String,
}

/// What is known of an extent.
#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub enum DimensionValue {
    /// Its value.
    #[prost(int64, tag = 1)]
    DimValue(i64),
    /// Its name: equal names in one graph are equal extents.
    #[prost(string, tag = 2)]
    DimParam(String),
}
