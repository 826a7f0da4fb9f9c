//! ONNX files: bytes in, messages out, and back.
//!
//! Three rooms. [`messages`] is what a file says, field by field. [`TensorData`] is what a stored
//! tensor means: one canonical form for the dozen ways of storing elements. [`ExternalFiles`] reads
//! elements that are kept in other files, and only from files that the model may name.
//!
//! A file is untrusted. Decoding walks the bytes first ([`DecodeError`] names the byte and the field),
//! refuses what passes [`Limits`], and shares tensor contents with the input instead of copying them.
//! What is checked here is form: every length, every depth, every path. What a model *means* (names
//! that exist, operators that are known, types that agree) is the compiler's to check.
//!
//! ```no_run
//! use onnxc_proto::{ExternalFiles, Limits, TensorData, decode_model_file};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = decode_model_file("model.onnx", &Limits::default())?;
//! let mut files = ExternalFiles::beside("model.onnx")?;
//! for initializer in model.graph.map(|graph| graph.initializer).unwrap_or_default() {
//!     let name = initializer.name.clone();
//!     let tensor = TensorData::from_proto(initializer, &mut files)?;
//!     println!("{name}: {:?} {:?}", tensor.dtype, tensor.dims);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod decode;
mod dtype;
mod error;
mod external;
mod limits;
pub mod messages;
mod pack;
mod sha1;
mod sparse;
mod tensor;
mod wire;

pub use bytes::Bytes;
pub use decode::{
    decode_map, decode_model, decode_model_file, decode_optional, decode_sequence, decode_sparse_tensor, decode_tensor, encode, read_file,
};
pub use error::{DecodeError, Flaw};
pub use external::{ExternalError, ExternalFiles};
pub use limits::Limits;
pub use messages::*;
pub use sparse::{SparseData, SparseError};
pub use tensor::{Elements, TensorData, TensorError, TensorFlaw};
