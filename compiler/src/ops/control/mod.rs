//! Control flow: operators with bodies.

pub mod if_;
pub mod loop_;
pub mod scan;
pub mod sequence_map;
pub mod trap;
