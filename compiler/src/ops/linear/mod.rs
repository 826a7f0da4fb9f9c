//! Matrix products.

pub mod matmul;
