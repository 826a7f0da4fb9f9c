//! Naive twins of the tuned kernels, one screen each: what they mean, in loops that can be checked by eye.
//! Tests hold the tuned kernels against them, and element types without a tuned kernel run on them.

pub mod gemm;
