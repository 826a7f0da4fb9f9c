//! Fusions: several operators become one.

pub mod activation;
pub mod attention;
pub mod chain;
pub mod epilogue;
pub mod integer;
pub mod norm;
pub mod scaler;
pub mod siblings;
#[cfg(test)]
mod tests;
