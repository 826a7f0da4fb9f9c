//! Bytes → messages → bytes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use prost::Message;

use crate::error::DecodeError;
use crate::limits::Limits;
use crate::messages::{MapProto, ModelProto, OptionalProto, SequenceProto, SparseTensorProto, TensorProto};
use crate::wire::{self, Schema};

/// Decodes a model. Tensor contents and doc strings of the result are slices of `bytes`.
pub fn decode_model(bytes: Bytes, limits: &Limits) -> Result<ModelProto, DecodeError> {
    let not_onnx = |error| recognise(&bytes).map_or(error, |found| DecodeError::NotOnnx { found });
    let model: ModelProto = decode(bytes.clone(), &wire::MODEL, limits).map_err(not_onnx)?;
    if model.graph.is_none() {
        return Err(not_onnx(DecodeError::NoGraph));
    }
    Ok(model)
}

/// Reads and decodes a model. Elements in other files are read later, by [`ExternalFiles`](crate::ExternalFiles).
pub fn decode_model_file(path: impl AsRef<Path>, limits: &Limits) -> Result<ModelProto, DecodeError> {
    decode_model(read_file(path, limits)?, limits)
}

/// Decodes a tensor, such as `input_0.pb` of test data.
pub fn decode_tensor(bytes: Bytes, limits: &Limits) -> Result<TensorProto, DecodeError> {
    decode(bytes, &wire::TENSOR, limits)
}

/// Decodes a sparse tensor.
pub fn decode_sparse_tensor(bytes: Bytes, limits: &Limits) -> Result<SparseTensorProto, DecodeError> {
    decode(bytes, &wire::SPARSE_TENSOR, limits)
}

/// Decodes a sequence.
pub fn decode_sequence(bytes: Bytes, limits: &Limits) -> Result<SequenceProto, DecodeError> {
    decode(bytes, &wire::SEQUENCE, limits)
}

/// Decodes an optional.
pub fn decode_optional(bytes: Bytes, limits: &Limits) -> Result<OptionalProto, DecodeError> {
    decode(bytes, &wire::OPTIONAL, limits)
}

/// Decodes a map.
pub fn decode_map(bytes: Bytes, limits: &Limits) -> Result<MapProto, DecodeError> {
    decode(bytes, &wire::MAP, limits)
}

/// Encodes any message of ONNX.
pub fn encode(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Reads a regular file of at most [`Limits::max_bytes`].
pub fn read_file(path: impl AsRef<Path>, limits: &Limits) -> Result<Bytes, DecodeError> {
    let path = path.as_ref();
    let read = |cause| DecodeError::Read { path: path.to_path_buf(), cause };
    // Before opening: opening a pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(DecodeError::NotAFile { path: path.to_path_buf() });
    }
    check_size(metadata.len(), limits)?;
    let mut bytes = Vec::new();
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(size).map_err(|error| read(error.into()))?;
    // The file may grow while it is read; one byte more than allowed is enough to know.
    let mut file = File::open(path).map_err(read)?.take(limits.max_bytes.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(read)?;
    check_size(bytes.len() as u64, limits)?;
    Ok(bytes.into())
}

fn decode<M: Message + Default>(bytes: Bytes, schema: &'static Schema, limits: &Limits) -> Result<M, DecodeError> {
    check_size(bytes.len() as u64, limits)?;
    wire::scan(&bytes, schema, limits)?;
    M::decode(bytes).map_err(DecodeError::Prost)
}

fn check_size(size: u64, limits: &Limits) -> Result<(), DecodeError> {
    let limit = limits.max_bytes;
    if size > limit {
        return Err(DecodeError::TooLarge { size, limit });
    }
    Ok(())
}

/// Names what people most often have in hand instead of a model.
fn recognise(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let holds = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(magic));
    let found = if starts(b"version https://git-lfs") {
        "a Git LFS pointer (fetch the file itself with `git lfs pull`)"
    } else if starts(b"PK\x03\x04") {
        "a zip archive (a PyTorch checkpoint or a packed model; export or unpack it first)"
    } else if starts(b"\x1f\x8b") {
        "a gzip archive (unpack it first)"
    } else if holds(4, b"ORTM") {
        "a model in ONNX Runtime's own format (compile the .onnx file it was made from)"
    } else if holds(4, b"TFL3") {
        "a TensorFlow Lite model (convert it with tf2onnx)"
    } else if starts(b"GGUF") {
        "a GGUF model"
    } else if starts(b"\x89HDF") {
        "an HDF5 file, such as a Keras model (convert it with tf2onnx)"
    } else if starts(b"<!") || starts(b"<html") {
        "a web page (the download went to a page instead of the file)"
    } else {
        return None;
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{GraphProto, NodeProto, TensorProto};
    use crate::{AttributeProto, Flaw};

    fn model(graph: GraphProto) -> ModelProto {
        ModelProto { ir_version: 8, graph: Some(graph), ..Default::default() }
    }

    #[test]
    fn tensor_contents_are_shared_with_the_input() {
        let raw_data = Some(Bytes::from(vec![7; 4096]));
        let initializer = vec![TensorProto { raw_data, ..Default::default() }];
        let bytes = Bytes::from(encode(&model(GraphProto { initializer, ..Default::default() })));
        let decoded = decode_model(bytes.clone(), &Limits::default()).unwrap();
        let tensor = &decoded.graph.unwrap().initializer[0];
        assert!(bytes.as_ptr_range().contains(&tensor.raw_data.as_ref().unwrap().as_ptr()));
    }

    #[test]
    fn malformed_files_name_the_byte_and_the_field() {
        let node = |name: &str| NodeProto { name: name.into(), ..Default::default() };
        let node = vec![node("a"), node("b"), node("x_c")];
        let mut bytes = encode(&model(GraphProto { node, ..Default::default() }));
        let at = bytes.windows(3).position(|window| window == b"x_c").unwrap() + 1;
        bytes[at] = 0xff;
        let error = decode_model(bytes.into(), &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("malformed at byte {at}, in graph.node[2].name: the text is not UTF-8"));
    }

    #[test]
    fn what_is_no_model_is_named() {
        let error = |bytes: &'static [u8]| decode_model(Bytes::from_static(bytes), &Limits::default()).unwrap_err().to_string();
        assert!(error(b"").contains("no graph"));
        assert!(error(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
        assert!(error(b"<!DOCTYPE html><html>").contains("web page"));
        assert!(error(b"\x3a").contains("malformed at byte 1"));
    }

    #[test]
    fn doc_strings_need_not_be_text() {
        let doc_string = Some(Bytes::from_static(b"\xff latin"));
        let graph = GraphProto { doc_string, ..Default::default() };
        assert!(decode_model(encode(&model(graph)).into(), &Limits::default()).is_ok());
    }

    fn nested(levels: usize) -> GraphProto {
        (0..levels).fold(GraphProto::default(), |inner, _| {
            let g = Some(Box::new(inner));
            let attribute = vec![AttributeProto { g, ..Default::default() }];
            let node = vec![NodeProto { attribute, ..Default::default() }];
            GraphProto { node, ..Default::default() }
        })
    }

    #[test]
    fn depth_has_an_end() {
        let decode = |levels| decode_model(encode(&model(nested(levels))).into(), &Limits::default());
        assert!(decode(32).is_ok());
        assert!(matches!(decode(33), Err(DecodeError::TooDeep { .. })));
        assert!(matches!(decode(300), Err(DecodeError::TooDeep { .. })));
    }

    #[test]
    fn small_files_cannot_ask_for_much_memory() {
        // A graph of empty nodes: two bytes each, hundreds when decoded.
        let graph = [0x0a, 0x00].repeat(50_000);
        let mut bytes = vec![0x3a, 0xa0, 0x8d, 0x06];
        bytes.extend(graph);
        let bytes = Bytes::from(bytes);
        assert!(decode_model(bytes.clone(), &Limits::default()).is_ok());
        let limits = Limits { max_memory: 1 << 20, ..Limits::default() };
        assert!(matches!(decode_model(bytes, &limits), Err(DecodeError::TooMuchMemory { .. })));
    }

    #[test]
    fn lengths_are_checked() {
        let bytes = Bytes::from_static(b"\x3a\xff\xff\xff\xff\x07\x00");
        let error = decode_model(bytes, &Limits::default()).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { offset: 1, flaw: Flaw::Length { left: 1, .. }, .. }));
    }

    #[test]
    fn files_are_regular_and_not_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let default = Limits::default();
        let read = |limits| read_file(dir.path().join("f"), limits);
        assert!(matches!(read(&default), Err(DecodeError::Read { .. })));
        fs::write(dir.path().join("f"), [0; 100]).unwrap();
        assert_eq!(read(&default).unwrap().len(), 100);
        let limits = Limits { max_bytes: 99, ..Limits::default() };
        assert!(matches!(read(&limits), Err(DecodeError::TooLarge { .. })));
        let directory = read_file(dir.path(), &limits);
        assert!(matches!(directory, Err(DecodeError::NotAFile { .. })));
    }
}
