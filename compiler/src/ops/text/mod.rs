//! Operators on strings.

pub mod strings;
pub mod tf_idf;
