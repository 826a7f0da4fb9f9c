//! Operators that make tensors from little or nothing.

pub mod constant;
pub mod constant_of_shape;
pub mod one_hot;
pub mod random;
pub mod range;
