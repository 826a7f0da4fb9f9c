//! Control flow: operators with bodies.

pub mod if_;
pub mod loop_;
