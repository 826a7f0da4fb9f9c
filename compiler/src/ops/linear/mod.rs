//! Matrix products.

pub mod einsum;
pub mod matmul;
