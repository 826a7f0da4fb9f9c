//! Fusions: several operators become one.

pub mod activation;
pub mod chain;
pub mod epilogue;
pub mod norm;
