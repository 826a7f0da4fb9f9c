//! Operators of training: losses and optimizers.

pub mod gradient;
pub mod loss;
pub mod optimizer;
