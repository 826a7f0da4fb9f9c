//! Operators that change or read shapes and leave elements as they are.

pub mod bit_cast;
pub mod diagonal;
pub mod dims_of;
pub mod expand;
pub mod identity;
pub mod rank;
pub mod reshape;
pub mod shape_of;
pub mod transpose;
