//! Matrix products.

pub mod det;
pub mod einsum;
pub mod matmul;
