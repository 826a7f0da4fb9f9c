//! Quantised tensors: to and from integers and 8-bit floats, and products of quantised operands.

pub mod bnb4;
pub mod conv;
pub mod dynamic;
pub mod gather_blocks;
pub mod linear;
pub mod matmul;
pub mod nbits;
pub mod pairs;
pub mod products;
pub mod qlinear;
pub mod requantize;
pub mod rescale;
