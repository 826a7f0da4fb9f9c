//! Operators that work element by element, with broadcasting.

pub mod binary;
pub mod cast;
pub mod fused;
pub mod unary;
