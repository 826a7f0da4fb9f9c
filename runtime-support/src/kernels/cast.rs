//! Casts between dtypes: one kernel for each target, generic over the source.
//!
//! As ONNX's Cast says, and where that leaves it open as numpy and ONNX Runtime do on x86: floats are truncated to integers; out of range they
//! become the least i32 (i64 for 64-bit targets), of which narrower types take the low bits; integers wrap; floats round to nearest even.

mod source;
#[cfg(feature = "alloc")]
mod text;

pub use crate::float::Round;
pub use source::Source;
#[cfg(feature = "alloc")]
pub use text::{FromText, ToText, from_strings, to_strings};

use crate::cx::Cx;
use crate::element::{Bool, Element, I2, I4, U2, U4, as_bytes, from_bytes};
use crate::error::Fault;
use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};
use crate::kernels::walk::promise;
use crate::simd::{Simd, WithSimd, dispatch};

#[inline(always)]
fn each<T: Source, O>(out: &mut [O], x: &[T], f: impl Fn(T) -> O) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Cast: the lengths differ")?;
    out.iter_mut().zip(x).for_each(|(o, &x)| *o = f(x));
    Ok(())
}

macro_rules! casts {
    ($($(#[$doc:meta])* $name:ident -> $out:ident = |$x:ident $(, $arg:ident: $ty:ty)*| $body:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name<T: Source>(out: &mut [$out], x: &[T] $(, $arg: $ty)*) -> Result<(), Fault> {
            each(out, x, |$x| $body)
        }
    )*};
}
casts! {
    /// To f64.
    to_f64 -> f64 = |x| x.to_f64();
    /// To bfloat16; too large becomes infinite.
    to_bf16 -> BF16 = |x| BF16::from_f32(x.to_odd_f32());
    /// To float8e4m3fn; what is too large becomes the largest value if `saturate`, else NaN.
    to_f8e4m3fn -> F8E4M3FN = |x, saturate: bool| F8E4M3FN::from_f32_as(x.to_odd_f32(), saturate);
    /// To float8e4m3fnuz; what is too large becomes the largest value if `saturate`, else NaN.
    to_f8e4m3fnuz -> F8E4M3FNUZ = |x, saturate: bool| F8E4M3FNUZ::from_f32_as(x.to_odd_f32(), saturate);
    /// To float8e5m2; what is too large becomes the largest value if `saturate`, else infinite.
    to_f8e5m2 -> F8E5M2 = |x, saturate: bool| F8E5M2::from_f32_as(x.to_odd_f32(), saturate);
    /// To float8e5m2fnuz; what is too large becomes the largest value if `saturate`, else NaN.
    to_f8e5m2fnuz -> F8E5M2FNUZ = |x, saturate: bool| F8E5M2FNUZ::from_f32_as(x.to_odd_f32(), saturate);
    /// To float8e8m0, a power of two: the sign is lost, `round` says which neighbour.
    to_f8e8m0 -> F8E8M0 = |x, saturate: bool, round: Round| F8E8M0::from_f32_as(x.to_f32(), saturate, round);
    /// To float4e2m1, saturating.
    to_f4e2m1 -> F4E2M1 = |x| F4E2M1::from_f32(x.to_odd_f32());
    /// To i8.
    to_i8 -> i8 = |x| x.to_i32() as i8;
    /// To i16.
    to_i16 -> i16 = |x| x.to_i32() as i16;
    /// To i32.
    to_i32 -> i32 = |x| x.to_i32();
    /// To i64.
    to_i64 -> i64 = |x| x.to_i64();
    /// To u8.
    to_u8 -> u8 = |x| x.to_i32() as u8;
    /// To u16.
    to_u16 -> u16 = |x| x.to_i32() as u16;
    /// To u32.
    to_u32 -> u32 = |x| x.to_i64() as u32;
    /// To u64.
    to_u64 -> u64 = |x| x.to_u64();
    /// To int4.
    to_i4 -> I4 = |x| I4::wrapping(x.to_i32() as i64);
    /// To uint4.
    to_u4 -> U4 = |x| U4::wrapping(x.to_i32() as i64);
    /// To int2.
    to_i2 -> I2 = |x| I2::wrapping(x.to_i32() as i64);
    /// To uint2.
    to_u2 -> U2 = |x| U2::wrapping(x.to_i32() as i64);
    /// To bool: whether it is not zero (NaN is not).
    to_bool -> Bool = |x| x.is_true().into();
}

/// A slice seen as another element type, if it is that type.
fn same<T: Element, U: Element>(x: &[T]) -> Option<&[U]> {
    if T::DTYPE == U::DTYPE { from_bytes(as_bytes(x)) } else { None }
}

/// To f32; too large becomes infinite. Halves go through the machine's instructions, which are exact.
pub fn to_f32<T: Source>(out: &mut [f32], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Cast: the lengths differ")?;
    if let Some(x) = same::<T, F16>(x) {
        dispatch(Cx::detect(), Widen { out, x });
        return Ok(());
    }
    each(out, x, T::to_f32)
}

/// To f16; too large becomes infinite. From f32 it goes through the machine's instructions, which round as we do.
pub fn to_f16<T: Source>(out: &mut [F16], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Cast: the lengths differ")?;
    if let Some(x) = same::<T, f32>(x) {
        dispatch(Cx::detect(), Narrow { out, x });
        return Ok(());
    }
    each(out, x, |x| F16::from_f32(x.to_odd_f32()))
}

/// Halves to f32.
struct Widen<'a> {
    out: &'a mut [f32],
    x: &'a [F16],
}

impl WithSimd for Widen<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (mut out, mut x) = (self.out.chunks_exact_mut(S::LANES), self.x.chunks_exact(S::LANES));
        for (o, x) in (&mut out).zip(&mut x) {
            // SAFETY: a chunk has LANES elements, and an F16 is a u16.
            s.store(o, unsafe { s.load_f16_ptr(x.as_ptr().cast()) });
        }
        for (o, x) in out.into_remainder().iter_mut().zip(x.remainder()) {
            *o = x.to_f32();
        }
    }
}

/// f32 to halves.
struct Narrow<'a> {
    out: &'a mut [F16],
    x: &'a [f32],
}

impl WithSimd for Narrow<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let (mut out, mut x) = (self.out.chunks_exact_mut(S::LANES), self.x.chunks_exact(S::LANES));
        for (o, x) in (&mut out).zip(&mut x) {
            // SAFETY: a chunk has LANES elements, and an F16 is a u16.
            unsafe { s.store_f16_ptr(o.as_mut_ptr().cast(), s.load(x)) };
        }
        for (o, x) in out.into_remainder().iter_mut().zip(x.remainder()) {
            *o = F16::from_f32(*x);
        }
    }
}

#[cfg(test)]
mod tests;
