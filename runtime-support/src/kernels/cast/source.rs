//! What a cast asks of its source type.

use crate::element::{Bool, Element, I2, I4, U2, U4};
use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16, round_to_odd};

/// Any number, float or integer of any width, or bool.
pub trait Source: Element {
    /// The nearest f32.
    fn to_f32(self) -> f32;
    /// The nearest f64.
    fn to_f64(self) -> f64;
    /// An f32 that rounds to any narrower type as the value itself would: the value, or its neighbour with an odd pattern.
    fn to_odd_f32(self) -> f32;
    /// The low bits of an integer; a float truncated, the least i32 if it is out of range.
    fn to_i32(self) -> i32;
    /// The low bits of an integer; a float truncated, the least i64 if it is out of range.
    fn to_i64(self) -> i64;
    /// The same value, wrapping; a float truncated, negative ones wrapping.
    fn to_u64(self) -> u64;
    /// Whether it is not zero.
    fn is_true(self) -> bool;
}

/// Integers: `$value` gives the number as a primitive one; `$odd` the odd f32 from it.
macro_rules! integers {
    ($($t:ty: $value:expr, $odd:expr;)*) => {$(
        impl Source for $t {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $value(self) as f32
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                $value(self) as f64
            }
            #[inline(always)]
            fn to_odd_f32(self) -> f32 {
                $odd($value(self))
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                $value(self) as i32
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                $value(self) as i64
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                $value(self) as u64
            }
            #[inline(always)]
            fn is_true(self) -> bool {
                $value(self) != 0
            }
        }
    )*};
}
integers! {
    i8: |x| x, |x| x as f32;
    i16: |x| x, |x| x as f32;
    u8: |x| x, |x| x as f32;
    u16: |x| x, |x| x as f32;
    i32: |x| x, |x| round_to_odd(x as f64);
    u32: |x| x, |x| round_to_odd(x as f64);
    // Beyond 2^53 no narrow type has bits left that the first rounding could move.
    i64: |x| x, |x| round_to_odd(x as f64);
    u64: |x| x, |x| round_to_odd(x as f64);
    I4: |x: I4| x.0, |x| x as f32;
    U4: |x: U4| x.0, |x| x as f32;
    I2: |x: I2| x.0, |x| x as f32;
    U2: |x: U2| x.0, |x| x as f32;
    Bool: |x: Bool| x.get() as u8, |x| x as f32;
}

/// Floats: `$value` gives the number as f32 or f64, `$odd` the odd f32 from it.
macro_rules! floats {
    ($($t:ty: $value:expr, $odd:expr;)*) => {$(
        impl Source for $t {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                $value(self) as f32
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                $value(self) as f64
            }
            #[inline(always)]
            fn to_odd_f32(self) -> f32 {
                $odd($value(self))
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                let x = $value(self);
                // Truncation brings what lies above -2^31 - 1 into range, which only f64 can tell from -2^31.
                if x as f64 > -2147483649.0 && x < 2147483648.0 { x as i32 } else { i32::MIN }
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                let x = $value(self);
                if (-9223372036854775808.0..9223372036854775808.0).contains(&x) { x as i64 } else { i64::MIN }
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                let x = $value(self);
                if x >= 9223372036854775808.0 {
                    // Above the range nothing is left.
                    if x < 18446744073709551616.0 { x as u64 } else { 0 }
                } else {
                    self.to_i64() as u64
                }
            }
            #[inline(always)]
            fn is_true(self) -> bool {
                $value(self) != 0.0
            }
        }
    )*};
}
floats! {
    f32: |x| x, |x| x;
    f64: |x| x, round_to_odd;
    F16: F16::to_f32, |x| x;
    BF16: BF16::to_f32, |x| x;
    F8E4M3FN: F8E4M3FN::to_f32, |x| x;
    F8E4M3FNUZ: F8E4M3FNUZ::to_f32, |x| x;
    F8E5M2: F8E5M2::to_f32, |x| x;
    F8E5M2FNUZ: F8E5M2FNUZ::to_f32, |x| x;
    F8E8M0: F8E8M0::to_f32, |x| x;
    F4E2M1: F4E2M1::to_f32, |x| x;
}
