//! What generated code calls: one file per family.

pub mod arg_reduce;
pub mod fmath;
pub mod integer;
pub mod lrn;
pub mod matmul;
pub mod norm;
pub mod num;
pub mod quantize;
pub mod reduce;
pub mod softmax;
