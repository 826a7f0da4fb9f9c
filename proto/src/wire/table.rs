//! The fields of every message, as the scan sees them. A test holds this table, the prost derives
//! and onnx's own descriptors against each other.

use super::schema::{Schema, bytes, double, float, int32, int64, message, text};
use crate::messages;

pub(crate) static MODEL: Schema = Schema {
    size: size_of::<messages::ModelProto>(),
    fields: &[
        int64(1, "ir_version"),
        text(2, "producer_name"),
        text(3, "producer_version"),
        text(4, "domain"),
        int64(5, "model_version"),
        bytes(6, "doc_string"),
        message(7, "graph", &GRAPH),
        message(8, "opset_import", &OPERATOR_SET_ID).many(),
        message(14, "metadata_props", &STRING_STRING_ENTRY).many(),
        message(20, "training_info", &TRAINING_INFO).many(),
        message(25, "functions", &FUNCTION).many(),
        message(26, "configuration", &DEVICE_CONFIGURATION).many(),
    ],
};

pub(crate) static OPERATOR_SET_ID: Schema =
    Schema { size: size_of::<messages::OperatorSetIdProto>(), fields: &[text(1, "domain"), int64(2, "version")] };

pub(crate) static GRAPH: Schema = Schema {
    size: size_of::<messages::GraphProto>(),
    fields: &[
        message(1, "node", &NODE).many(),
        text(2, "name"),
        message(5, "initializer", &TENSOR).many(),
        bytes(10, "doc_string"),
        message(11, "input", &VALUE_INFO).many(),
        message(12, "output", &VALUE_INFO).many(),
        message(13, "value_info", &VALUE_INFO).many(),
        message(14, "quantization_annotation", &TENSOR_ANNOTATION).many(),
        message(15, "sparse_initializer", &SPARSE_TENSOR).many(),
        message(16, "metadata_props", &STRING_STRING_ENTRY).many(),
    ],
};

pub(crate) static NODE: Schema = Schema {
    size: size_of::<messages::NodeProto>(),
    fields: &[
        text(1, "input").many(),
        text(2, "output").many(),
        text(3, "name"),
        text(4, "op_type"),
        message(5, "attribute", &ATTRIBUTE).many(),
        bytes(6, "doc_string"),
        text(7, "domain"),
        text(8, "overload"),
        message(9, "metadata_props", &STRING_STRING_ENTRY).many(),
        message(10, "device_configurations", &NODE_DEVICE_CONFIGURATION).many(),
    ],
};

pub(crate) static ATTRIBUTE: Schema = Schema {
    size: size_of::<messages::AttributeProto>(),
    fields: &[
        text(1, "name"),
        float(2, "f"),
        int64(3, "i"),
        bytes(4, "s"),
        message(5, "t", &TENSOR),
        message(6, "g", &GRAPH),
        float(7, "floats").many(),
        int64(8, "ints").many(),
        bytes(9, "strings").many(),
        message(10, "tensors", &TENSOR).many(),
        message(11, "graphs", &GRAPH).many(),
        bytes(13, "doc_string"),
        message(14, "tp", &TYPE),
        message(15, "type_protos", &TYPE).many(),
        int32(20, "type"),
        text(21, "ref_attr_name"),
        message(22, "sparse_tensor", &SPARSE_TENSOR),
        message(23, "sparse_tensors", &SPARSE_TENSOR).many(),
    ],
};

pub(crate) static TENSOR: Schema = Schema {
    size: size_of::<messages::TensorProto>(),
    fields: &[
        int64(1, "dims").many(),
        int32(2, "data_type"),
        message(3, "segment", &SEGMENT),
        float(4, "float_data").many(),
        int32(5, "int32_data").many(),
        bytes(6, "string_data").many(),
        int64(7, "int64_data").many(),
        text(8, "name"),
        bytes(9, "raw_data"),
        double(10, "double_data").many(),
        int64(11, "uint64_data").many(),
        bytes(12, "doc_string"),
        message(13, "external_data", &STRING_STRING_ENTRY).many(),
        int32(14, "data_location"),
        message(16, "metadata_props", &STRING_STRING_ENTRY).many(),
    ],
};

pub(crate) static SEGMENT: Schema = Schema { size: size_of::<messages::Segment>(), fields: &[int64(1, "begin"), int64(2, "end")] };

pub(crate) static STRING_STRING_ENTRY: Schema =
    Schema { size: size_of::<messages::StringStringEntryProto>(), fields: &[text(1, "key"), text(2, "value")] };

pub(crate) static SPARSE_TENSOR: Schema = Schema {
    size: size_of::<messages::SparseTensorProto>(),
    fields: &[message(1, "values", &TENSOR), message(2, "indices", &TENSOR), int64(3, "dims").many()],
};

pub(crate) static TYPE: Schema = Schema {
    size: size_of::<messages::TypeProto>(),
    fields: &[
        message(1, "tensor_type", &TENSOR_TYPE),
        message(4, "sequence_type", &SEQUENCE_TYPE),
        message(5, "map_type", &MAP_TYPE),
        text(6, "denotation"),
        message(7, "opaque_type", &OPAQUE_TYPE),
        message(8, "sparse_tensor_type", &SPARSE_TENSOR_TYPE),
        message(9, "optional_type", &OPTIONAL_TYPE),
    ],
};

pub(crate) static TENSOR_TYPE: Schema =
    Schema { size: size_of::<messages::TensorType>(), fields: &[int32(1, "elem_type"), message(2, "shape", &TENSOR_SHAPE)] };

pub(crate) static TENSOR_SHAPE: Schema =
    Schema { size: size_of::<messages::TensorShapeProto>(), fields: &[message(1, "dim", &DIMENSION).many()] };

pub(crate) static DIMENSION: Schema =
    Schema { size: size_of::<messages::Dimension>(), fields: &[int64(1, "dim_value"), text(2, "dim_param"), text(3, "denotation")] };

pub(crate) static SEQUENCE_TYPE: Schema = Schema { size: size_of::<messages::SequenceType>(), fields: &[message(1, "elem_type", &TYPE)] };

pub(crate) static MAP_TYPE: Schema =
    Schema { size: size_of::<messages::MapType>(), fields: &[int32(1, "key_type"), message(2, "value_type", &TYPE)] };

pub(crate) static OPTIONAL_TYPE: Schema = Schema { size: size_of::<messages::OptionalType>(), fields: &[message(1, "elem_type", &TYPE)] };

pub(crate) static SPARSE_TENSOR_TYPE: Schema =
    Schema { size: size_of::<messages::SparseTensorType>(), fields: &[int32(1, "elem_type"), message(2, "shape", &TENSOR_SHAPE)] };

pub(crate) static OPAQUE_TYPE: Schema = Schema { size: size_of::<messages::OpaqueType>(), fields: &[text(1, "domain"), text(2, "name")] };

pub(crate) static NODE_DEVICE_CONFIGURATION: Schema = Schema {
    size: size_of::<messages::NodeDeviceConfigurationProto>(),
    fields: &[text(1, "configuration_id"), message(2, "sharding_spec", &SHARDING_SPEC).many(), int32(3, "pipeline_stage")],
};

pub(crate) static SHARDING_SPEC: Schema = Schema {
    size: size_of::<messages::ShardingSpecProto>(),
    fields: &[
        text(1, "tensor_name"),
        int64(2, "device").many(),
        message(3, "index_to_device_group_map", &INT_INT_LIST_ENTRY).many(),
        message(4, "sharded_dim", &SHARDED_DIM).many(),
    ],
};

pub(crate) static INT_INT_LIST_ENTRY: Schema =
    Schema { size: size_of::<messages::IntIntListEntryProto>(), fields: &[int64(1, "key"), int64(2, "value").many()] };

pub(crate) static SHARDED_DIM: Schema = Schema {
    size: size_of::<messages::ShardedDimProto>(),
    fields: &[int64(1, "axis"), message(2, "simple_sharding", &SIMPLE_SHARDED_DIM).many()],
};

pub(crate) static SIMPLE_SHARDED_DIM: Schema = Schema {
    size: size_of::<messages::SimpleShardedDimProto>(),
    fields: &[int64(1, "dim_value"), text(2, "dim_param"), int64(3, "num_shards")],
};

pub(crate) static VALUE_INFO: Schema = Schema {
    size: size_of::<messages::ValueInfoProto>(),
    fields: &[
        text(1, "name"),
        message(2, "type", &TYPE),
        bytes(3, "doc_string"),
        message(4, "metadata_props", &STRING_STRING_ENTRY).many(),
    ],
};

pub(crate) static TENSOR_ANNOTATION: Schema = Schema {
    size: size_of::<messages::TensorAnnotation>(),
    fields: &[text(1, "tensor_name"), message(2, "quant_parameter_tensor_names", &STRING_STRING_ENTRY).many()],
};

pub(crate) static TRAINING_INFO: Schema = Schema {
    size: size_of::<messages::TrainingInfoProto>(),
    fields: &[
        message(1, "initialization", &GRAPH),
        message(2, "algorithm", &GRAPH),
        message(3, "initialization_binding", &STRING_STRING_ENTRY).many(),
        message(4, "update_binding", &STRING_STRING_ENTRY).many(),
    ],
};

pub(crate) static FUNCTION: Schema = Schema {
    size: size_of::<messages::FunctionProto>(),
    fields: &[
        text(1, "name"),
        text(4, "input").many(),
        text(5, "output").many(),
        text(6, "attribute").many(),
        message(7, "node", &NODE).many(),
        bytes(8, "doc_string"),
        message(9, "opset_import", &OPERATOR_SET_ID).many(),
        text(10, "domain"),
        message(11, "attribute_proto", &ATTRIBUTE).many(),
        message(12, "value_info", &VALUE_INFO).many(),
        text(13, "overload"),
        message(14, "metadata_props", &STRING_STRING_ENTRY).many(),
    ],
};

pub(crate) static DEVICE_CONFIGURATION: Schema = Schema {
    size: size_of::<messages::DeviceConfigurationProto>(),
    fields: &[text(1, "name"), int32(2, "num_devices"), text(3, "device").many()],
};

pub(crate) static SEQUENCE: Schema = Schema {
    size: size_of::<messages::SequenceProto>(),
    fields: &[
        text(1, "name"),
        int32(2, "elem_type"),
        message(3, "tensor_values", &TENSOR).many(),
        message(4, "sparse_tensor_values", &SPARSE_TENSOR).many(),
        message(5, "sequence_values", &SEQUENCE).many(),
        message(6, "map_values", &MAP).many(),
        message(7, "optional_values", &OPTIONAL).many(),
    ],
};

pub(crate) static MAP: Schema = Schema {
    size: size_of::<messages::MapProto>(),
    fields: &[
        text(1, "name"),
        int32(2, "key_type"),
        int64(3, "keys").many(),
        bytes(4, "string_keys").many(),
        message(5, "values", &SEQUENCE),
    ],
};

pub(crate) static OPTIONAL: Schema = Schema {
    size: size_of::<messages::OptionalProto>(),
    fields: &[
        text(1, "name"),
        int32(2, "elem_type"),
        message(3, "tensor_value", &TENSOR),
        message(4, "sparse_tensor_value", &SPARSE_TENSOR),
        message(5, "sequence_value", &SEQUENCE),
        message(6, "map_value", &MAP),
        message(7, "optional_value", &OPTIONAL),
    ],
};
