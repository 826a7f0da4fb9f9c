//! Kernels of `ai.onnx.ml`.

pub mod distance;
#[cfg(feature = "alloc")]
pub mod encode;
#[cfg(feature = "alloc")]
pub mod map;
pub mod post_transform;
pub mod svm;
