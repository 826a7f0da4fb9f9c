//! Runners of the tests that cross rooms and crates.
//!
//! [`text`] reads models in ONNX's own textual syntax, so that a test is a page one can read. [`pages`] runs files of such models with the texts
//! that are expected of each room, and rewrites them when `ONNXC_BLESS=1`. [`mutate`] makes broken files of good ones.
#![forbid(unsafe_code)]

pub mod models;
pub mod mutate;
pub mod native;
pub mod pages;
pub mod text;
