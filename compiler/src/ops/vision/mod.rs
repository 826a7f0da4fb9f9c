//! Operators that read images at places that data says.

pub mod deform;
pub mod grid;
pub mod image;
pub mod regions;
