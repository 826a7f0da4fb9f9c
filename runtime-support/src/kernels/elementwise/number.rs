//! The arithmetic of one element: what the loops of this folder are made of.

use crate::float::{BF16, F16};
use crate::kernels::num::Num;
use crate::math::double;

/// A number that elementwise kernels accept: f32, f64, f16, bf16 and the whole integers. Methods have the meaning of the
/// [`BinaryOp`](super::BinaryOp) of their name.
#[allow(missing_docs)]
pub trait Number: Num {
    /// Whether it is an integer, and so has bits to operate on.
    const INTEGER: bool;
    /// The nearest value of an f64; integers truncate and saturate.
    fn from_f64(x: f64) -> Self;
    /// The value, rounded.
    fn to_f64(self) -> f64;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
    fn plus(self, b: Self) -> Self;
    fn minus(self, b: Self) -> Self;
    fn times(self, b: Self) -> Self;
    fn over(self, b: Self) -> Self;
    fn power(self, b: Self) -> Self;
    fn modulo(self, b: Self) -> Self;
    fn remainder(self, b: Self) -> Self;
    fn bit_and(self, b: Self) -> Self;
    fn bit_or(self, b: Self) -> Self;
    fn bit_xor(self, b: Self) -> Self;
    fn shift_left(self, b: Self) -> Self;
    fn shift_right(self, b: Self) -> Self;
    #[inline(always)]
    fn least(self, b: Self) -> Self {
        if self < b || self.is_nan() { self } else { b }
    }
    #[inline(always)]
    fn greatest(self, b: Self) -> Self {
        if self > b || self.is_nan() { self } else { b }
    }
    #[inline(always)]
    fn prelu(self, b: Self) -> Self {
        if self < Self::default() { self.times(b) } else { self }
    }
}

macro_rules! integers {
    ($($t:ident)*) => {$(
        impl Number for $t {
            const INTEGER: bool = true;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn plus(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            #[inline(always)]
            fn minus(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            #[inline(always)]
            fn times(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            #[inline(always)]
            fn over(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_div(b) }
            }
            fn power(self, b: Self) -> Self {
                #[allow(unused_comparisons)] // The unsigned types have no negative powers.
                if b < 0 {
                    // The truncation of 1 / self^-b: only 1 and -1 keep something, and there the parity counts.
                    return if self.wrapping_mul(self) == 1 && (self == 1 || b & 1 == 1) { self } else { (self.wrapping_add(1) == 0) as Self };
                }
                let (mut base, mut rest, mut product) = (self, b as u64, 1 as Self);
                while rest > 0 {
                    if rest & 1 == 1 {
                        product = product.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    rest >>= 1;
                }
                product
            }
            #[inline(always)]
            fn modulo(self, b: Self) -> Self {
                let r = self.remainder(b);
                // A remainder of the other sign is one divisor away.
                #[allow(unused_comparisons)]
                if r != 0 && (r < 0) != (b < 0) { r.wrapping_add(b) } else { r }
            }
            #[inline(always)]
            fn remainder(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_rem(b) }
            }
            #[inline(always)]
            fn bit_and(self, b: Self) -> Self {
                self & b
            }
            #[inline(always)]
            fn bit_or(self, b: Self) -> Self {
                self | b
            }
            #[inline(always)]
            fn bit_xor(self, b: Self) -> Self {
                self ^ b
            }
            #[inline(always)]
            fn shift_left(self, b: Self) -> Self {
                // A negative amount is a large one as u64.
                if (b as u64) < Self::BITS as u64 { self << b } else { 0 }
            }
            #[inline(always)]
            fn shift_right(self, b: Self) -> Self {
                if (b as u64) < Self::BITS as u64 { self >> b } else { self >> (Self::BITS - 1) >> 1 }
            }
        }
    )*};
}
integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

/// Floats, computed in `$wide` by way of `$to` and `$from`.
macro_rules! floats {
    ($($t:ident: $wide:ident $to:expr, $from:expr;)*) => {$(
        impl Number for $t {
            const INTEGER: bool = false;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                Self::narrow(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.widen()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
            #[inline(always)]
            fn plus(self, b: Self) -> Self {
                $from($to(self) + $to(b))
            }
            #[inline(always)]
            fn minus(self, b: Self) -> Self {
                $from($to(self) - $to(b))
            }
            #[inline(always)]
            fn times(self, b: Self) -> Self {
                $from($to(self) * $to(b))
            }
            #[inline(always)]
            fn over(self, b: Self) -> Self {
                $from($to(self) / $to(b))
            }
            fn power(self, b: Self) -> Self {
                Self::narrow(double::pow(self.widen(), b.widen()))
            }
            fn modulo(self, b: Self) -> Self {
                let (r, b) = ($to(self) % $to(b), $to(b));
                let sign = |x: $wide| if b.is_sign_negative() { -x } else { x };
                // A remainder of the other sign is one divisor away; a zero takes the divisor's sign.
                $from(if r == 0.0 { sign(0.0) } else if (r < 0.0) != (b < 0.0) { r + b } else { r })
            }
            fn remainder(self, b: Self) -> Self {
                $from($to(self) % $to(b))
            }
            // The kernels refuse bit operations on floats at their door.
            #[inline(always)]
            fn bit_and(self, _: Self) -> Self {
                self
            }
            #[inline(always)]
            fn bit_or(self, _: Self) -> Self {
                self
            }
            #[inline(always)]
            fn bit_xor(self, _: Self) -> Self {
                self
            }
            #[inline(always)]
            fn shift_left(self, _: Self) -> Self {
                self
            }
            #[inline(always)]
            fn shift_right(self, _: Self) -> Self {
                self
            }
        }
    )*};
}
floats! {
    f32: f32 (|x| x), (|x| x);
    f64: f64 (|x| x), (|x| x);
    F16: f32 F16::to_f32, F16::from_f32;
    BF16: f32 BF16::to_f32, BF16::from_f32;
}
