//! Whatever the bytes are: an error or a model, never a panic, and never tensors that contradict themselves.

use onnxc_proto::*;

fn seed() -> Vec<u8> {
    let tensor = |dtype: DataType, dims: &[i64]| TensorProto { data_type: dtype as i32, dims: dims.to_vec(), ..Default::default() };
    let raw = |dtype, dims: &[i64], length| TensorProto { raw_data: Some(vec![1; length].into()), ..tensor(dtype, dims) };
    let external_data = vec![StringStringEntryProto { key: "location".into(), value: "Cargo.toml".into() }];
    let initializer = vec![
        raw(DataType::Float, &[2, 2], 16),
        raw(DataType::Int4, &[3], 2),
        raw(DataType::Bool, &[3], 3),
        raw(DataType::Float6e2m3, &[5], 4),
        TensorProto { float_data: vec![1.0; 4], ..tensor(DataType::Complex64, &[2]) },
        TensorProto { int32_data: vec![1, -1], ..tensor(DataType::Float16, &[2]) },
        TensorProto { int32_data: vec![1], ..tensor(DataType::Uint2, &[4]) },
        TensorProto { uint64_data: vec![1], ..tensor(DataType::Uint32, &[]) },
        TensorProto { string_data: vec!["s".into()], ..tensor(DataType::String, &[1]) },
        TensorProto { external_data, data_location: 1, ..tensor(DataType::Uint8, &[4]) },
    ];
    let sparse = SparseTensorProto {
        values: Some(raw(DataType::Float, &[2], 8)),
        indices: Some(TensorProto { int64_data: vec![0, 1, 1, 1], ..tensor(DataType::Int64, &[2, 2]) }),
        dims: vec![2, 2],
    };
    let graph = GraphProto { initializer, sparse_initializer: vec![sparse], ..Default::default() };
    encode(&ModelProto { graph: Some(graph), ..Default::default() })
}

/// True when it decodes and every tensor converts.
fn digest(bytes: Vec<u8>) -> bool {
    let Ok(model) = decode_model(bytes.into(), &Limits::default()) else { return false };
    let graph = model.graph.unwrap();
    let mut files = ExternalFiles::in_directory(env!("CARGO_MANIFEST_DIR")).unwrap();
    let mut sound = true;
    for tensor in graph.initializer {
        match TensorData::from_proto(tensor, &mut files) {
            Ok(TensorData { dtype, dims, elements: Elements::Bytes(bytes) }) => {
                assert_eq!(bytes.len(), dims.iter().product::<usize>() * dtype.size().unwrap());
            }
            Ok(_) => {}
            Err(_) => sound = false,
        }
    }
    for sparse in graph.sparse_initializer {
        match SparseData::from_proto(sparse, &mut files) {
            Ok(sparse) => drop(sparse.to_dense(1 << 16)),
            Err(_) => sound = false,
        }
    }
    sound
}

#[test]
fn truncations_and_mutations_never_panic() {
    let seed = seed();
    assert!(digest(seed.clone()));
    for end in 0..seed.len() {
        digest(seed[..end].to_vec());
    }
    // Every byte with every value: lengths, tags, dims and types all get their turn.
    for at in 0..seed.len() {
        for value in 0..=255 {
            let mut bytes = seed.clone();
            bytes[at] = value;
            digest(bytes);
        }
    }
}
