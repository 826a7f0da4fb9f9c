//! Trying models: compile, build natively, run on data, compare. `onnxc verify` and `cargo xtask conformance` are this.
//!
//! The way of a case: [`cases`] finds its folder and reads its data ([`values`]); [`modes`] rewrites the model for the way it is tried;
//! [`compile`] makes Rust of it; [`batch`] builds many modules as few crates; [`worker`] runs them in processes that may crash;
//! [`compare`] judges; [`verify`] goes that way with all cases and two threads; [`summary`] tells people and machines.
//! [`npy`] and [`literal`] are the other forms that people have values in.

pub mod batch;
pub mod cargo;
pub mod cases;
pub mod compare;
pub mod compile;
pub mod literal;
pub mod modes;
pub mod npy;
pub mod numbers;
pub mod random;
pub mod summary;
pub mod values;
pub mod verify;
pub mod worker;
