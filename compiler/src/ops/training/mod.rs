//! Operators of training: losses and optimizers.

pub mod loss;
pub mod optimizer;
