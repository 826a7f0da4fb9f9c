//! Dims at run time: integers whose arithmetic saturates, so that no size that a caller or a model's data makes up can overflow or panic.

use crate::error::Fault;
use core::ops::{Add, Mul, Neg, Sub};

/// A dim, or an element of an integer tensor made of dims.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dim(pub i64);

#[allow(clippy::len_without_is_empty)] // A dim is a number; `len` converts it.
impl Dim {
    /// The dim of an axis of that length; saturates.
    #[inline]
    pub fn of(len: usize) -> Self {
        Self(i64::try_from(len).unwrap_or(i64::MAX))
    }

    /// `floor(self / by)`; zero where `by` is zero.
    #[inline]
    pub fn floor_div(self, by: impl Number) -> Self {
        let (a, b) = (self.0, by.dim().0);
        let quotient = a.checked_div(b).unwrap_or(if b == 0 { 0 } else { i64::MAX });
        let inexact = quotient.wrapping_mul(b) != a;
        Self(if b != 0 && inexact && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
    }

    /// The lesser.
    #[inline]
    pub fn min(self, other: impl Number) -> Self {
        Ord::min(self, other.dim())
    }

    /// The greater.
    #[inline]
    pub fn max(self, other: impl Number) -> Self {
        Ord::max(self, other.dim())
    }

    /// The common dim of two that are equal or of which one is 1.
    #[inline]
    pub fn broadcast(self, other: impl Number) -> Self {
        if self.0 == 1 { other.dim() } else { self }
    }

    /// As a length; a negative one is a [`Fault::Value`].
    #[inline]
    pub fn len(self) -> Result<usize, Fault> {
        usize::try_from(self.0).map_err(|_| Fault::Value { what: "a dimension is negative", got: self.0 })
    }

    /// Whether both are the same.
    #[inline]
    pub fn equals(self, other: impl Number) -> bool {
        self == other.dim()
    }

    /// Whether both are the same or one is 1.
    #[inline]
    pub fn broadcasts(self, other: impl Number) -> bool {
        let other = other.dim();
        self == other || self.0 == 1 || other.0 == 1
    }

    /// Whether this is not greater.
    #[inline]
    pub fn at_most(self, other: impl Number) -> bool {
        self <= other.dim()
    }

    /// As a number.
    #[inline]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A condition that a step needs; [`Fault::Dim`] if it does not hold.
#[inline]
pub fn require(holds: bool, expected: Dim, got: Dim) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Dim { expected: expected.0, got: got.0 }) }
}

/// What dims are computed with: dims and literals.
pub trait Number {
    /// The value as a dim.
    fn dim(self) -> Dim;
}
impl Number for Dim {
    #[inline]
    fn dim(self) -> Dim {
        self
    }
}
impl Number for i64 {
    #[inline]
    fn dim(self) -> Dim {
        Dim(self)
    }
}

impl PartialEq<i64> for Dim {
    #[inline]
    fn eq(&self, other: &i64) -> bool {
        self.0 == *other
    }
}

impl<T: Number> Add<T> for Dim {
    type Output = Self;
    #[inline]
    fn add(self, other: T) -> Self {
        Self(self.0.saturating_add(other.dim().0))
    }
}
impl<T: Number> Sub<T> for Dim {
    type Output = Self;
    #[inline]
    fn sub(self, other: T) -> Self {
        Self(self.0.saturating_sub(other.dim().0))
    }
}
impl<T: Number> Mul<T> for Dim {
    type Output = Self;
    #[inline]
    fn mul(self, other: T) -> Self {
        Self(self.0.saturating_mul(other.dim().0))
    }
}
impl Neg for Dim {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_and_division_floors() {
        let big = Dim(i64::MAX);
        assert_eq!(big + 1, big);
        assert_eq!(big * big, big);
        assert_eq!(-Dim(i64::MIN) - -1, big);
        assert_eq!(Dim(-7).floor_div(2), Dim(-4));
        assert_eq!(Dim(7).floor_div(-2), Dim(-4));
        assert_eq!(Dim(7).floor_div(0), Dim(0));
        assert_eq!(Dim(i64::MIN).floor_div(-1), big);
        assert_eq!(Dim(1).broadcast(5), Dim(5));
        assert_eq!(Dim(3).broadcast(1), Dim(3));
        assert!(Dim(3).broadcasts(1) && Dim(1).broadcasts(3) && !Dim(2).broadcasts(3));
        assert!(Dim(3).equals(3) && Dim(3).at_most(3) && !Dim(4).at_most(Dim(3)));
        assert_eq!(require(false, Dim(1), Dim(2)), Err(Fault::Dim { expected: 1, got: 2 }));
        assert_eq!(Dim(3).len(), Ok(3));
        assert!(Dim(-3).len().is_err());
    }
}
