//! The language of the middle rooms: values with facts, nodes in order, symbolic dims.

pub mod arena;
pub mod dim;
pub mod dtype_text;
pub mod fact;
pub mod graph;
pub mod parse;
pub mod tensor;
pub mod text;

pub use dim::{Dim, Dims};
pub use fact::{Fact, Known, Type};
pub use graph::{Graph, Node, NodeError, Origin, ValueId};
pub use onnxc_runtime::element::DType;
pub use tensor::Tensor;
