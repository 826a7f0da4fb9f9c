//! Matrix products.

pub mod det;
pub mod einsum;
pub mod inverse;
pub mod matmul;
