//! What generated code calls: one file per family.

pub mod arg_reduce;
pub mod arith;
pub mod attention;
pub mod bits;
pub mod cache;
pub mod cast;
pub mod conv;
pub mod copy;
pub mod cumsum;
pub mod det;
pub mod elementwise;
pub mod fmath;
mod fold;
pub mod fused;
pub mod gather;
pub mod gemm;
pub mod generate;
pub mod grid_sample;
pub mod hash;
#[cfg(feature = "alloc")]
pub mod image;
pub mod integer;
pub mod layout;
pub mod linear_attention;
pub mod loss;
pub mod lrn;
pub mod lrn_f32;
pub mod matmul;
pub mod ml;
pub mod non_max_suppression;
pub mod nonzero;
pub mod norm;
pub mod norm_f32;
pub mod num;
#[cfg(feature = "alloc")]
pub mod object;
pub mod pad;
mod parallel;
pub mod pool;
pub mod quantize;
pub mod random;
pub mod rearrange;
pub mod recurrent;
pub mod reduce;
pub mod reduce_axes;
pub mod reduce_f32;
#[cfg(feature = "alloc")]
pub mod regex;
pub mod region;
pub mod requantize;
pub mod rescale;
pub mod resize;
pub mod rotary;
pub mod scatter;
#[cfg(feature = "alloc")]
pub mod sequence;
pub mod shape;
pub mod signal;
pub mod slice;
pub mod softmax;
pub mod softmax_f32;
#[cfg(feature = "threads")]
mod team;
#[cfg(feature = "alloc")]
pub mod text;
mod thin;
pub mod tile;
#[cfg(feature = "alloc")]
pub mod tokenize;
pub mod top_k;
pub mod training;
pub mod transpose;
pub mod trees;
pub mod unique;
mod walk;
pub mod words;
