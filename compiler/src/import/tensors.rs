//! TensorProto → constant, and the value types of test data.

use super::dtype_of;
use crate::ir::{DType, Tensor};
use onnxc_proto::{Elements, ExternalFiles, SparseData, SparseTensorProto, TensorData, TensorProto};

/// Sparse initializers are made dense up to this many bytes.
const MAX_DENSE: usize = 1 << 31;

/// A constant; its bytes are shared with the file.
pub fn to_tensor(proto: TensorProto, files: &mut ExternalFiles) -> Result<Tensor, String> {
    let name = proto.name.clone();
    let data = TensorData::from_proto(proto, files).map_err(|e| e.to_string())?;
    from_data(data, &name)
}

/// A constant from decoded tensor data.
pub fn from_data(data: TensorData, name: &str) -> Result<Tensor, String> {
    let dtype = dtype_of(data.dtype as i32)
        .ok_or_else(|| format!("tensor `{name}` has data type {}, which onnxc does not support", data.dtype.name()))?;
    let tensor = match data.elements {
        Elements::Bytes(bytes) => Tensor::from_raw(dtype, data.dims, bytes),
        Elements::Strings(strings) => {
            let texts = strings.into_iter().map(|s| String::from_utf8(s.to_vec())).collect::<Result<Vec<_>, _>>();
            let texts = texts.map_err(|_| format!("tensor `{name}` holds a string that is not UTF-8"))?;
            debug_assert_eq!(dtype, DType::String);
            Tensor::strings(data.dims, texts)
        }
    };
    tensor.ok_or_else(|| format!("tensor `{name}`: the elements do not fit the shape"))
}

/// A sparse constant, made dense; and its name.
pub fn sparse(proto: SparseTensorProto, files: &mut ExternalFiles) -> Result<(String, Tensor), String> {
    let name = proto.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
    let data = SparseData::from_proto(proto, files).map_err(|e| e.to_string())?;
    let dense = data.to_dense(MAX_DENSE).map_err(|e| e.to_string())?;
    from_data(dense, &name).map(|t| (name, t))
}
