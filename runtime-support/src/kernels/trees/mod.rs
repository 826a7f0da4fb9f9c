//! Ensembles of decision trees: TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor of ai.onnx.ml.
//!
//! The work is in two steps. The first walks the trees and adds up, for each row and each target, what the leaves say: `scores`, and `voted`,
//! which says for which targets any leaf spoke. [`general`] does that for every ensemble, by the
//! definition. Quicker, each for what the compiler finds it best for, are [`outcomes`](outcomes()) (small trees, not too many
//! features), [`sums`](sums()) (many rows, small trees), [`bits`](bits()) (few rows, small trees), [`descend`](descend()) (large trees) and
//! [`walk`](walk()) (a few small trees). The second, [`finish`], adds the base
//! values, applies the post-transform and chooses labels. Where the standard is silent, both do what ONNX Runtime does.

pub mod bits;
pub mod descend;
mod finish;
mod general;
pub mod outcomes;
mod ranks;
mod rows;
mod select;
pub mod sums;
mod tally;
pub mod walk;

pub use bits::bits;
pub use descend::{Packing, descend};
pub use finish::{Transform, Votes, classify, regress};
pub use general::{Aggregate, general};
pub use outcomes::{Form, outcomes};
use ranks::WINDOW;
pub use rows::Share;
pub use sums::sums;
pub use walk::walk;

use super::num::Float;
use crate::simd::Simd;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// What scores are computed in: f32, or f64 where the inputs or the ensemble are of f64.
pub trait Score:
    Float + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> + Default
{
    /// Whether it is NaN.
    #[inline(always)]
    #[allow(clippy::eq_op)] // What NaN is.
    fn is_missing(self) -> bool {
        self != self
    }
    /// How many cuts of a window are less.
    #[inline(always)]
    fn count_less<S: Simd>(self, s: S, window: &[Self; WINDOW]) -> u32 {
        let _ = s;
        window.iter().map(|&cut| u32::from(cut < self)).sum()
    }
}
impl Score for f32 {
    #[inline(always)]
    fn count_less<S: Simd>(self, s: S, window: &[Self; WINDOW]) -> u32 {
        s.count_less(window, self)
    }
}
impl Score for f64 {}

/// The bit of a link that says that it names a leaf.
pub const LEAF: u32 = 1 << 31;

/// The bit of a general node's second word that sends missing values (NaN) to the true branch.
pub const MISSING_TRUE: u32 = 1 << 3;

/// How far the number of a member set is shifted in a general node's second word.
pub const SET_SHIFT: u32 = 4;

/// The tests of nodes, as the three low bits of a general node's second word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// `x <= threshold`.
    Leq,
    /// `x < threshold`.
    Lt,
    /// `x >= threshold`.
    Gte,
    /// `x > threshold`.
    Gt,
    /// `x == threshold`.
    Eq,
    /// `x != threshold`; true for NaN.
    Neq,
    /// `x` is in the node's set.
    Member,
}

impl Mode {
    /// All modes, in the order of their numbers.
    pub const ALL: [Self; 7] = [Self::Leq, Self::Lt, Self::Gte, Self::Gt, Self::Eq, Self::Neq, Self::Member];

    /// The mode with that number (of the three low bits; 7 is taken for `Member`).
    #[inline(always)]
    pub const fn of(word: u32) -> Self {
        match word & 7 {
            0 => Self::Leq,
            1 => Self::Lt,
            2 => Self::Gte,
            3 => Self::Gt,
            4 => Self::Eq,
            5 => Self::Neq,
            _ => Self::Member,
        }
    }
}
