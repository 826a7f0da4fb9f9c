//! Operators that choose, count or accumulate along an axis.

pub mod compress;
pub mod cum_sum;
pub mod ngram;
pub mod nonzero;
pub mod suppress;
pub mod top_k;
pub mod unique;
