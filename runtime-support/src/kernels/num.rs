//! The arithmetic that the generic kernels need of an element type, beyond being plain memory.
//!
//! Generic kernels compute in a wide type: f64 for every float (so that one rounding at the end is all the narrow types ever see), i64 and u64
//! for the integers (which wrap, and wrapping commutes with narrowing). Speed for f32 comes from the `_f32` kernels.

use crate::element::{Bool, Element};
use crate::float::{BF16, F16};

/// A number type that generic kernels accept: f32, f64, f16, bf16, all whole integers, and bool as 0 and 1.
pub trait Num: Element + PartialOrd {
    /// What sums and products are kept in.
    type Acc: Acc;
    /// Minus infinity, or the least integer: the maximum of nothing.
    const LOWEST: Self;
    /// Infinity, or the greatest integer: the minimum of nothing.
    const HIGHEST: Self;
    /// The same value in the accumulator's type.
    fn widen(self) -> Self::Acc;
    /// The nearest value (floats) or the low bits (integers).
    fn narrow(acc: Self::Acc) -> Self;
}

/// A floating-point type: computed in f64, rounded once.
pub trait Float: Num<Acc = f64> {}

/// An integer type of a whole number of bytes.
pub trait Int: Num {}

/// The wide types: f64, i64, u64. Integer arithmetic wraps.
pub trait Acc: Copy + PartialOrd + PartialEq + Default + core::fmt::Debug {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The sum.
    fn add(self, other: Self) -> Self;
    /// The difference.
    fn sub(self, other: Self) -> Self;
    /// The product.
    fn mul(self, other: Self) -> Self;
    /// The value as f64, rounded.
    fn to_f64(self) -> f64;
    /// From f64: truncated and saturated for integers.
    fn from_f64(x: f64) -> Self;
    /// The magnitude (wraps for the least i64).
    fn abs(self) -> Self;
    /// Divided by a count, towards zero for integers; of nothing: NaN, or 0.
    fn over(self, count: usize) -> Self;
    /// Whether it is NaN; never for integers.
    fn is_nan(self) -> bool;
}

impl Acc for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Self::from_bits(self.to_bits() & !(1 << 63))
    }
    #[inline(always)]
    fn over(self, count: usize) -> Self {
        self / count as Self
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        Self::is_nan(self)
    }
}

macro_rules! wide_ints {
    ($($ty:ident $abs:ident)*) => {$(
        impl Acc for $ty {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $abs(self)
            }
            #[inline(always)]
            fn over(self, count: usize) -> Self {
                self.checked_div(count as Self).unwrap_or(0)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }
    )*};
}
#[inline(always)]
fn signed_abs(x: i64) -> i64 {
    x.wrapping_abs()
}
#[inline(always)]
fn unsigned_abs(x: u64) -> u64 {
    x
}
wide_ints! { i64 signed_abs u64 unsigned_abs }

macro_rules! ints {
    ($($acc:ident: $($ty:ident)*;)*) => {$($(
        impl Num for $ty {
            type Acc = $acc;
            const LOWEST: Self = $ty::MIN;
            const HIGHEST: Self = $ty::MAX;
            #[inline(always)]
            fn widen(self) -> $acc {
                self as $acc
            }
            #[inline(always)]
            fn narrow(acc: $acc) -> Self {
                acc as $ty
            }
        }
        impl Int for $ty {}
    )*)*};
}
ints! { i64: i8 i16 i32 i64; u64: u8 u16 u32 u64; }

impl PartialOrd for Bool {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        self.get().partial_cmp(&other.get())
    }
}

impl Num for Bool {
    type Acc = u64;
    const LOWEST: Self = Self(0);
    const HIGHEST: Self = Self(1);
    #[inline(always)]
    fn widen(self) -> u64 {
        self.get() as u64
    }
    #[inline(always)]
    fn narrow(acc: u64) -> Self {
        Self::from(acc != 0)
    }
}

impl Num for f32 {
    type Acc = f64;
    const LOWEST: Self = Self::NEG_INFINITY;
    const HIGHEST: Self = Self::INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        self as f64
    }
    #[inline(always)]
    fn narrow(acc: f64) -> Self {
        acc as Self
    }
}

impl Num for f64 {
    type Acc = f64;
    const LOWEST: Self = Self::NEG_INFINITY;
    const HIGHEST: Self = Self::INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(acc: f64) -> Self {
        acc
    }
}

macro_rules! halves {
    ($($ty:ident $lowest:literal $highest:literal;)*) => {$(
        impl Num for $ty {
            type Acc = f64;
            const LOWEST: Self = Self($lowest);
            const HIGHEST: Self = Self($highest);
            #[inline(always)]
            fn widen(self) -> f64 {
                self.to_f32() as f64
            }
            #[inline(always)]
            fn narrow(acc: f64) -> Self {
                Self::from_f64(acc)
            }
        }
    )*};
}
halves! { F16 0xfc00 0x7c00; BF16 0xff80 0x7f80; }

impl Float for f32 {}
impl Float for f64 {}
impl Float for F16 {}
impl Float for BF16 {}
