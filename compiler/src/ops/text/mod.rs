//! Operators on strings.

pub mod hash;
pub mod regex;
pub mod regex_match;
pub mod strings;
pub mod tf_idf;
pub mod tokenizer;
