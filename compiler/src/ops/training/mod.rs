//! Operators of training: losses, optimizers, Dropout.

pub mod dropout;
pub mod loss;
pub mod optimizer;
