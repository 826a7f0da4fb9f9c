//! The little arithmetic and ordering that data movement needs: sums, products, extremes, weighted sums, order with NaN last.

use crate::element::{Bool, Complex, Element};
use crate::float::{BF16, F16};
use core::cmp::Ordering;

/// A total order in which NaN is the greatest value and equals itself (as numpy sorts); -0 equals 0.
pub trait Order {
    /// Compares two values.
    fn order(&self, other: &Self) -> Ordering;
    /// Whether the order is not `Greater`, without a branch for numbers.
    #[inline(always)]
    fn is_at_most(&self, other: &Self) -> bool {
        self.order(other) != Ordering::Greater
    }
}

/// A number: integers wrap, halves are computed in f32 and rounded.
pub trait Arith: Element + Order {
    /// What sums and products of many values are kept in: f32 for halves, else the type itself.
    type Wide: Arith;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The value in the wide type.
    fn widen(self) -> Self::Wide;
    /// The nearest value of a wide one.
    fn narrow(wide: Self::Wide) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self * other`.
    fn times(self, other: Self) -> Self;
    /// The value as f64 (rounded for large 64-bit integers).
    fn to_f64(self) -> f64;
    /// The nearest value: floats by IEEE rounding, integers truncated and saturated.
    fn from_f64(x: f64) -> Self;
    /// The integer value, for integers.
    fn to_i128(self) -> Option<i128>;
    /// The low bits of an integer, for integers; floats are rounded.
    fn wrap_i128(x: i128) -> Self;
    /// Whether it is not a number.
    #[inline(always)]
    fn is_nan(self) -> bool {
        self.to_f64().is_nan()
    }
    /// The smaller value; NaN if either is.
    #[inline(always)]
    fn least(self, other: Self) -> Self {
        // The order alone would drop NaN, its greatest value.
        if self.is_nan() || (self.order(&other) == Ordering::Less && !other.is_nan()) { self } else { other }
    }
    /// The greater value; NaN if either is (NaN is the greatest of the order).
    #[inline(always)]
    fn greatest(self, other: Self) -> Self {
        if self.order(&other) == Ordering::Less { other } else { self }
    }
}

macro_rules! ints {
    ($($t:ty)*) => {$(
        impl Order for $t {
            #[inline(always)]
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
        impl Arith for $t {
            type Wide = Self;
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline(always)]
            fn widen(self) -> Self { self }
            #[inline(always)]
            fn narrow(wide: Self) -> Self { wide }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { x as Self }
            #[inline(always)]
            fn to_i128(self) -> Option<i128> { Some(self as i128) }
            #[inline(always)]
            fn wrap_i128(x: i128) -> Self { x as Self }
        }
    )*};
}
ints! { i8 i16 i32 i64 u8 u16 u32 u64 }

/// The order of floats: `partial_cmp`, and NaN last.
macro_rules! float_order {
    ($($t:ty, $nan:ident;)*) => {$(
        impl Order for $t {
            #[inline(always)]
            fn order(&self, other: &Self) -> Ordering {
                let (a, b) = ($nan(*self), $nan(*other));
                a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
            #[inline(always)]
            fn is_at_most(&self, other: &Self) -> bool {
                let (a, b) = ($nan(*self), $nan(*other));
                (a <= b) | b.is_nan()
            }
        }
    )*};
}
fn same<T>(x: T) -> T {
    x
}
fn half(x: F16) -> f32 {
    x.to_f32()
}
fn brain(x: BF16) -> f32 {
    x.to_f32()
}
float_order! { f32, same; f64, same; F16, half; BF16, brain; }

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Arith for $t {
            type Wide = Self;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn widen(self) -> Self { self }
            #[inline(always)]
            fn narrow(wide: Self) -> Self { wide }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { x as Self }
            #[inline(always)]
            fn to_i128(self) -> Option<i128> { None }
            #[inline(always)]
            fn wrap_i128(x: i128) -> Self { x as Self }
        }
    )*};
}
floats! { f32 f64 }

macro_rules! halves {
    ($($t:ty, $one:literal;)*) => {$(
        impl Arith for $t {
            type Wide = f32;
            const ZERO: Self = Self(0);
            const ONE: Self = Self($one);
            #[inline(always)]
            fn widen(self) -> f32 { self.to_f32() }
            #[inline(always)]
            fn narrow(wide: f32) -> Self { Self::from_f32(wide) }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { Self::from_f32(self.to_f32() + other.to_f32()) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { Self::from_f32(self.to_f32() * other.to_f32()) }
            #[inline(always)]
            fn to_f64(self) -> f64 { self.to_f32() as f64 }
            #[inline(always)]
            fn from_f64(x: f64) -> Self { Self::from_f64(x) }
            #[inline(always)]
            fn to_i128(self) -> Option<i128> { None }
            #[inline(always)]
            fn wrap_i128(x: i128) -> Self { Self::from_f64(x as f64) }
        }
    )*};
}
halves! { F16, 0x3c00; BF16, 0x3f80; }

impl Order for Bool {
    fn order(&self, other: &Self) -> Ordering {
        self.get().cmp(&other.get())
    }
}

#[cfg(feature = "alloc")]
impl Order for alloc::string::String {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// The real parts decide, then the imaginary ones (as numpy sorts).
impl<T: Order> Order for Complex<T> {
    fn order(&self, other: &Self) -> Ordering {
        self.re.order(&other.re).then_with(|| self.im.order(&other.im))
    }
}

/// What can be added and weighted: numbers, complex numbers part by part, truth values (any of them).
pub trait Linear: Copy + Default {
    /// `self + other`.
    fn sum(self, other: Self) -> Self;
    /// The sum of values with weights, computed in f64 and rounded once.
    fn weighted(terms: impl Iterator<Item = (f64, Self)> + Clone) -> Self;
}

impl<T: Arith> Linear for T {
    #[inline(always)]
    fn sum(self, other: Self) -> Self {
        self.plus(other)
    }
    #[inline(always)]
    fn weighted(terms: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
        Self::from_f64(terms.map(|(w, x)| w * x.to_f64()).sum())
    }
}

impl<T: Arith> Linear for Complex<T> {
    fn sum(self, other: Self) -> Self {
        Self { re: self.re.plus(other.re), im: self.im.plus(other.im) }
    }
    fn weighted(terms: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
        Self { re: T::weighted(terms.clone().map(|(w, x)| (w, x.re))), im: T::weighted(terms.map(|(w, x)| (w, x.im))) }
    }
}

impl Linear for Bool {
    fn sum(self, other: Self) -> Self {
        (self.get() || other.get()).into()
    }
    fn weighted(terms: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
        (terms.map(|(w, x)| if x.get() { w } else { 0.0 }).sum::<f64>() != 0.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_is_not_greater() {
        let numbers = [f32::NEG_INFINITY, -1.0, -0.0, 0.0, 2.0, f32::INFINITY, f32::NAN, -f32::NAN];
        for (a, b) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (a, b))) {
            assert_eq!(a.is_at_most(b), a.order(b) != Ordering::Greater, "{a} {b}");
            let (a, b) = (F16::from_f32(*a), F16::from_f32(*b));
            assert_eq!(a.is_at_most(&b), a.order(&b) != Ordering::Greater);
        }
    }

    #[test]
    fn nan_is_last_and_contagious() {
        assert_eq!(f32::NAN.order(&f32::INFINITY), Ordering::Greater);
        assert_eq!(1f32.order(&f32::NAN), Ordering::Less);
        assert_eq!((-0f32).order(&0.0), Ordering::Equal);
        assert!(
            f32::NAN.least(1.0).is_nan()
                && 1f32.least(f32::NAN).is_nan()
                && f32::NAN.greatest(1.0).is_nan()
                && 1f32.greatest(f32::NAN).is_nan()
        );
        assert_eq!((2f32.least(3.0), 3f32.least(2.0), 2f32.greatest(3.0), 3f32.greatest(2.0)), (2.0, 2.0, 3.0, 3.0));
        assert_eq!((F16::ONE.to_f32(), BF16::ONE.to_f32()), (1.0, 1.0));
    }
}
