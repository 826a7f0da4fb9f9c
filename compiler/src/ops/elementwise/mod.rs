//! Operators that work element by element, with broadcasting.

pub mod binary;
pub mod cast;
pub mod compose;
pub mod fused;
pub mod parametric;
pub mod predicate;
pub mod unary;
pub mod where_;
