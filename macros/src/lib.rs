//! `include_onnx!`: compile an ONNX model in place.
#![forbid(unsafe_code)]
