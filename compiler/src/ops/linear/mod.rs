//! Matrix products.

pub mod bf16;
pub mod det;
pub mod einsum;
pub mod few_columns;
pub mod inverse;
pub mod matmul;
