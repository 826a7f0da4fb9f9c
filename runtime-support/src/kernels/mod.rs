//! What generated code calls: one file per family.

pub mod arg_reduce;
pub mod arith;
pub mod copy;
pub mod cumsum;
pub mod fmath;
pub mod gather;
pub mod generate;
pub mod integer;
pub mod lrn;
pub mod matmul;
pub mod non_max_suppression;
pub mod nonzero;
pub mod norm;
pub mod num;
#[cfg(feature = "alloc")]
pub mod object;
pub mod pad;
pub mod quantize;
pub mod rearrange;
pub mod reduce;
pub mod resize;
pub mod scatter;
pub mod shape;
pub mod slice;
pub mod softmax;
pub mod tile;
pub mod top_k;
pub mod transpose;
pub mod unique;
mod walk;
