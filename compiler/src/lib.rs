//! onnxc: an ahead-of-time compiler from ONNX to native Rust.
#![forbid(unsafe_code)]

pub mod ir;
pub mod program;
