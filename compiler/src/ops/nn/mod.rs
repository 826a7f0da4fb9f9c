//! Operators of neural networks.

pub mod conv;
pub mod epilogue;
pub mod window;
