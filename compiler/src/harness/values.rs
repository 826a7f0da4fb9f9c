//! Values in files: ONNX's `.pb` messages, by the type that the graph declares.

use onnxc_proto::{
    Bytes, DataType, Elements, ExternalFiles, Limits, MapProto, OptionalProto, SequenceProto, TensorData, TensorProto, TypeKind, TypeProto,
    ValueKind,
};
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Map, Tensor, Value};
use std::path::Path;

/// The dtypes by their ONNX number.
const DTYPES: [(DataType, DType); 26] = [
    (DataType::Float, DType::F32),
    (DataType::Uint8, DType::U8),
    (DataType::Int8, DType::I8),
    (DataType::Uint16, DType::U16),
    (DataType::Int16, DType::I16),
    (DataType::Int32, DType::I32),
    (DataType::Int64, DType::I64),
    (DataType::String, DType::String),
    (DataType::Bool, DType::Bool),
    (DataType::Float16, DType::F16),
    (DataType::Double, DType::F64),
    (DataType::Uint32, DType::U32),
    (DataType::Uint64, DType::U64),
    (DataType::Complex64, DType::C64),
    (DataType::Complex128, DType::C128),
    (DataType::Bfloat16, DType::BF16),
    (DataType::Float8e4m3fn, DType::F8E4M3FN),
    (DataType::Float8e4m3fnuz, DType::F8E4M3FNUZ),
    (DataType::Float8e5m2, DType::F8E5M2),
    (DataType::Float8e5m2fnuz, DType::F8E5M2FNUZ),
    (DataType::Uint4, DType::U4),
    (DataType::Int4, DType::I4),
    (DataType::Float4e2m1, DType::F4E2M1),
    (DataType::Float8e8m0, DType::F8E8M0),
    (DataType::Uint2, DType::U2),
    (DataType::Int2, DType::I2),
];

/// The dtype of an ONNX number, if both sides know it.
pub fn dtype_of(number: i32) -> Option<DType> {
    let wanted = DataType::try_from(number).ok()?;
    DTYPES.iter().find(|row| row.0 == wanted).map(|row| row.1)
}

/// The ONNX dtype of a dtype.
pub fn data_type_of(dtype: DType) -> DataType {
    DTYPES.iter().find(|row| row.1 == dtype).map_or(DataType::Undefined, |row| row.0)
}

/// The value in a `.pb` file that holds a value of the declared type.
pub fn read_pb(path: &Path, ty: &TypeProto) -> Result<Value, String> {
    let limits = Limits::default();
    let bytes = onnxc_proto::read_file(path, &limits).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut files = ExternalFiles::beside(path).map_err(|e| format!("{}: {e}", path.display()))?;
    decode(bytes, ty, &mut files).map_err(|e| format!("{}: {e}", path.display()))
}

/// The value in the bytes of a message of the declared type.
pub fn decode(bytes: Bytes, ty: &TypeProto, files: &mut ExternalFiles) -> Result<Value, String> {
    let limits = Limits::default();
    match &ty.value {
        declared @ (Some(TypeKind::Tensor(_)) | None) => {
            let mut proto = onnxc_proto::decode_tensor(bytes, &limits).map_err(|e| e.to_string())?;
            // numpy has no bfloat16: the test cases of releases up to 1.18 store its bits as uint16.
            let is_bfloat16 = matches!(declared, Some(TypeKind::Tensor(t)) if t.elem_type == DataType::Bfloat16 as i32);
            if is_bfloat16 && proto.data_type == DataType::Uint16 as i32 {
                proto.data_type = DataType::Bfloat16 as i32;
            }
            tensor(proto, files).map(Value::Tensor)
        }
        Some(TypeKind::Sequence(_)) => sequence(onnxc_proto::decode_sequence(bytes, &limits).map_err(|e| e.to_string())?, files),
        Some(TypeKind::Optional(_)) => optional(onnxc_proto::decode_optional(bytes, &limits).map_err(|e| e.to_string())?, files),
        Some(TypeKind::Map(_)) => map(onnxc_proto::decode_map(bytes, &limits).map_err(|e| e.to_string())?, files),
        Some(TypeKind::SparseTensor(_)) => Err("sparse tensors as inputs or outputs are not supported".to_owned()),
        Some(TypeKind::Opaque(_)) => Err("opaque types are not supported".to_owned()),
    }
}

fn tensor(proto: TensorProto, files: &mut ExternalFiles) -> Result<Tensor, String> {
    let data = TensorData::from_proto(proto, files).map_err(|e| e.to_string())?;
    let dtype = dtype_of(data.dtype as i32).ok_or_else(|| format!("dtype {} is not supported", data.dtype.name()))?;
    match data.elements {
        Elements::Bytes(bytes) => Tensor::from_raw(dtype, &data.dims, &bytes),
        Elements::Strings(strings) => Tensor::from_strings(&data.dims, strings.iter().map(|s| text(s)).collect()),
    }
    .map_err(|e| e.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sequence(proto: SequenceProto, files: &mut ExternalFiles) -> Result<Value, String> {
    let items = match ValueKind::try_from(proto.elem_type) {
        Ok(ValueKind::Tensor) => proto.tensor_values.into_iter().map(|t| tensor(t, files).map(Value::Tensor)).collect::<Result<_, _>>()?,
        Ok(ValueKind::Sequence) => proto.sequence_values.into_iter().map(|s| sequence(s, files)).collect::<Result<_, _>>()?,
        Ok(ValueKind::Map) => proto.map_values.into_iter().map(|m| map(m, files)).collect::<Result<_, _>>()?,
        Ok(ValueKind::Optional) => proto.optional_values.into_iter().map(|o| optional(o, files)).collect::<Result<_, _>>()?,
        // An empty sequence need not say what it does not hold.
        Ok(ValueKind::Undefined) => Vec::new(),
        _ => return Err(format!("sequences of kind {} are not supported", proto.elem_type)),
    };
    Ok(Value::Sequence(items))
}

fn optional(proto: OptionalProto, files: &mut ExternalFiles) -> Result<Value, String> {
    let item = if let Some(t) = proto.tensor_value {
        Some(Value::Tensor(tensor(*t, files)?))
    } else if let Some(s) = proto.sequence_value {
        Some(sequence(*s, files)?)
    } else if let Some(m) = proto.map_value {
        Some(map(*m, files)?)
    } else if let Some(o) = proto.optional_value {
        Some(optional(*o, files)?)
    } else {
        None
    };
    Ok(Value::Optional(item.map(Box::new)))
}

fn map(proto: MapProto, files: &mut ExternalFiles) -> Result<Value, String> {
    let keys = if proto.string_keys.is_empty() {
        Tensor::from_slice(&[proto.keys.len()], &proto.keys)
    } else {
        Tensor::from_strings(&[proto.string_keys.len()], proto.string_keys.iter().map(|k| text(k)).collect())
    };
    let keys = keys.map_err(|e| e.to_string())?;
    let values = proto.values.unwrap_or_default().tensor_values.into_iter().map(|t| tensor(t, files)).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::Map(Map { keys, values: joined(&values)? }))
}

/// One tensor of one dim of the elements of several.
fn joined(items: &[Tensor]) -> Result<Tensor, String> {
    let Some(first) = items.first() else { return Tensor::zeros(DType::F32, &[0]).map_err(|e| e.to_string()) };
    if items.iter().any(|t| t.dtype() != first.dtype()) {
        return Err("the values of a map differ in dtype".to_owned());
    }
    let len = items.iter().map(Tensor::len).sum();
    if first.dtype() == DType::String {
        let strings = items.iter().flat_map(|t| t.as_strings().unwrap_or_default()).cloned().collect();
        return Tensor::from_strings(&[len], strings).map_err(|e| e.to_string());
    }
    let bytes: Vec<u8> = items.iter().flat_map(Tensor::bytes).copied().collect();
    Tensor::from_raw(first.dtype(), &[len], &bytes).map_err(|e| e.to_string())
}

/// The message of a tensor, contents as raw data.
pub fn tensor_proto(name: &str, tensor: &Tensor) -> TensorProto {
    let dims = tensor.shape().to_vec();
    let data = if let Some(strings) = tensor.as_strings() {
        let elements = Elements::Strings(strings.iter().map(|s| s.clone().into()).collect());
        TensorData { dtype: DataType::String, dims, elements }
    } else {
        let elements = Elements::Bytes(Bytes::copy_from_slice(tensor.bytes()));
        TensorData { dtype: data_type_of(tensor.dtype()), dims, elements }
    };
    data.to_proto(name)
}

/// The bytes of the message of a value, as [`decode`] reads them.
pub fn encode(name: &str, value: &Value) -> Vec<u8> {
    match value {
        Value::Tensor(t) => onnxc_proto::encode(&tensor_proto(name, t)),
        Value::Sequence(items) => onnxc_proto::encode(&sequence_proto(name, items)),
        Value::Optional(item) => onnxc_proto::encode(&optional_proto(name, item.as_deref())),
        Value::Map(m) => onnxc_proto::encode(&map_proto(name, m)),
    }
}

fn sequence_proto(name: &str, items: &[Value]) -> SequenceProto {
    let mut proto = SequenceProto { name: name.to_owned(), elem_type: ValueKind::Tensor as i32, ..SequenceProto::default() };
    for item in items {
        let kind = match item {
            Value::Tensor(t) => {
                proto.tensor_values.push(tensor_proto("", t));
                ValueKind::Tensor
            }
            Value::Sequence(s) => {
                proto.sequence_values.push(sequence_proto("", s));
                ValueKind::Sequence
            }
            Value::Optional(o) => {
                proto.optional_values.push(optional_proto("", o.as_deref()));
                ValueKind::Optional
            }
            Value::Map(m) => {
                proto.map_values.push(map_proto("", m));
                ValueKind::Map
            }
        };
        proto.elem_type = kind as i32;
    }
    proto
}

fn optional_proto(name: &str, item: Option<&Value>) -> OptionalProto {
    let mut proto = OptionalProto { name: name.to_owned(), ..OptionalProto::default() };
    let kind = match item {
        None => ValueKind::Undefined,
        Some(Value::Tensor(t)) => {
            proto.tensor_value = Some(Box::new(tensor_proto("", t)));
            ValueKind::Tensor
        }
        Some(Value::Sequence(s)) => {
            proto.sequence_value = Some(Box::new(sequence_proto("", s)));
            ValueKind::Sequence
        }
        Some(Value::Optional(o)) => {
            proto.optional_value = Some(Box::new(optional_proto("", o.as_deref())));
            ValueKind::Optional
        }
        Some(Value::Map(m)) => {
            proto.map_value = Some(Box::new(map_proto("", m)));
            ValueKind::Map
        }
    };
    proto.elem_type = kind as i32;
    proto
}

fn map_proto(name: &str, map: &Map) -> MapProto {
    let mut proto = MapProto { name: name.to_owned(), key_type: data_type_of(map.keys.dtype()) as i32, ..MapProto::default() };
    match map.keys.as_strings() {
        Some(keys) => proto.string_keys = keys.iter().map(|k| k.clone().into()).collect(),
        None => proto.keys = map.keys.as_slice::<i64>().unwrap_or_default().to_vec(),
    }
    let size = map.values.dtype().size();
    let scalar = |i: usize| match map.values.as_strings() {
        Some(strings) => Tensor::from_strings(&[], vec![strings[i].clone()]),
        None => Tensor::from_raw(map.values.dtype(), &[], &map.values.bytes()[i * size..(i + 1) * size]),
    };
    let items: Vec<Value> = (0..map.values.len()).filter_map(|i| scalar(i).ok().map(Value::Tensor)).collect();
    proto.values = Some(sequence_proto("", &items));
    proto
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_proto::{MapType, OptionalType, SequenceType, TensorType};

    fn typed(value: TypeKind) -> TypeProto {
        TypeProto { value: Some(value), ..TypeProto::default() }
    }

    fn there_and_back(value: &Value, ty: TypeKind) {
        let bytes = encode("v", value);
        assert_eq!(decode(bytes.into(), &typed(ty), &mut ExternalFiles::refused()).as_ref(), Ok(value));
    }

    #[test]
    fn every_kind_of_value_survives_its_message() {
        let floats = Tensor::from_slice(&[2, 1], &[1.5f32, -0.0]).unwrap();
        let strings = Tensor::from_strings(&[2], vec!["a".into(), "ü".into()]).unwrap();
        let int4 = Tensor::from_raw(DType::I4, &[3], &[0xff, 7, 0xf8]).unwrap();
        let map = Value::Map(Map { keys: strings.clone(), values: Tensor::from_slice(&[2], &[0.25f32, 0.75]).unwrap() });
        let tensor = || TypeKind::Tensor(TensorType::default());
        for t in [&floats, &strings, &int4] {
            there_and_back(&t.clone().into(), tensor());
        }
        there_and_back(&Value::Sequence(vec![floats.clone().into(), strings.into()]), TypeKind::Sequence(Box::<SequenceType>::default()));
        there_and_back(&Value::Sequence(vec![map.clone()]), TypeKind::Sequence(Box::<SequenceType>::default()));
        there_and_back(&Value::Optional(None), TypeKind::Optional(Box::<OptionalType>::default()));
        there_and_back(&Value::Optional(Some(Box::new(floats.into()))), TypeKind::Optional(Box::<OptionalType>::default()));
        there_and_back(&map, TypeKind::Map(Box::<MapType>::default()));
    }

    #[test]
    fn the_dtypes_are_a_bijection() {
        for dtype in DType::all() {
            assert_eq!(dtype_of(data_type_of(dtype) as i32), Some(dtype));
        }
        assert_eq!(dtype_of(0), None);
        assert_eq!(dtype_of(99), None);
    }
}
