//! The language of the middle rooms: values with facts, nodes in order, symbolic dims.

pub mod arena;
pub mod dim;
pub mod tensor;
