//! Elements of any plain dtype as `f64` and back: what comparison, literals and generated inputs need.

use onnxc_runtime::element::{Bool, Complex, DType, Element, I2, I4, U2, U4};
use onnxc_runtime::error::Fault;
use onnxc_runtime::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};
use onnxc_runtime::value::Tensor;

/// An element type that converts from and to `f64`.
trait Number: Element {
    fn to_f64(self) -> f64;
    /// The nearest value; integers saturate.
    fn from_f64(x: f64) -> Self;
}

macro_rules! numbers {
    ($($ty:ty: |$x:ident| $to:expr, |$y:ident| $from:expr;)*) => {$(
        impl Number for $ty {
            fn to_f64(self) -> f64 {
                let $x = self;
                $to
            }
            fn from_f64($y: f64) -> Self {
                $from
            }
        }
    )*};
}
macro_rules! plain {
    ($($ty:ty)*) => { numbers! { $($ty: |x| x as f64, |y| y as $ty;)* } };
}
macro_rules! narrow {
    ($($ty:ident)*) => { numbers! { $($ty: |x| f64::from(x.to_f32()), |y| $ty::from_f32(y as f32);)* } };
}
macro_rules! small {
    ($($ty:ident)*) => { numbers! { $($ty: |x| x.0 as f64, |y| $ty::saturating(y as i64);)* } };
}
plain! { f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 }
narrow! { F8E4M3FN F8E4M3FNUZ F8E5M2 F8E5M2FNUZ F8E8M0 F4E2M1 }
small! { I4 U4 I2 U2 }
numbers! {
    F16: |x| f64::from(x.to_f32()), |y| F16::from_f64(y);
    BF16: |x| f64::from(x.to_f32()), |y| BF16::from_f64(y);
    Bool: |x| f64::from(u8::from(x.get())), |y| Bool::from(y != 0.0);
}

/// Runs an expression with `$t` as the real element type of a dtype; `$other` for complex ones and strings.
macro_rules! with_real {
    ($dtype:expr, $t:ident => $body:expr, else $other:expr) => {
        with_real!(@rows $dtype, $t, $body, $other; F32 f32, F64 f64, F16 F16, BF16 BF16, F8E4M3FN F8E4M3FN, F8E4M3FNUZ F8E4M3FNUZ,
            F8E5M2 F8E5M2, F8E5M2FNUZ F8E5M2FNUZ, F8E8M0 F8E8M0, F4E2M1 F4E2M1, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32,
            U64 u64, I4 I4, U4 U4, I2 I2, U2 U2, Bool Bool)
    };
    (@rows $dtype:expr, $t:ident, $body:expr, $other:expr; $($variant:ident $ty:ty),*) => {
        match $dtype {
            $(DType::$variant => { type $t = $ty; $body })*
            DType::C64 | DType::C128 | DType::String => $other,
        }
    };
}

/// The elements as `f64`, a complex one as its two parts; `None` for strings.
pub fn to_f64s(tensor: &Tensor) -> Option<Vec<f64>> {
    fn real<T: Number>(tensor: &Tensor) -> Option<Vec<f64>> {
        Some(tensor.as_slice::<T>()?.iter().map(|&x| x.to_f64()).collect())
    }
    with_real!(tensor.dtype(), T => real::<T>(tensor), else match tensor.dtype() {
        DType::C64 => Some(tensor.as_slice::<Complex<f32>>()?.iter().flat_map(|c| [f64::from(c.re), f64::from(c.im)]).collect()),
        DType::C128 => Some(tensor.as_slice::<Complex<f64>>()?.iter().flat_map(|c| [c.re, c.im]).collect()),
        _ => None,
    })
}

/// A tensor of the nearest elements; `None` for strings. A complex element takes two numbers.
pub fn from_f64s(dtype: DType, shape: &[usize], numbers: &[f64]) -> Option<Result<Tensor, Fault>> {
    fn real<T: Number>(shape: &[usize], numbers: &[f64]) -> Result<Tensor, Fault> {
        Tensor::from_slice(shape, &numbers.iter().map(|&x| T::from_f64(x)).collect::<Vec<_>>())
    }
    Some(with_real!(dtype, T => real::<T>(shape, numbers), else match dtype {
        DType::C64 => Tensor::from_slice(shape, &numbers.chunks(2).map(|c| Complex { re: c[0] as f32, im: *c.get(1).unwrap_or(&0.0) as f32 }).collect::<Vec<_>>()),
        DType::C128 => Tensor::from_slice(shape, &numbers.chunks(2).map(|c| Complex { re: c[0], im: *c.get(1).unwrap_or(&0.0) }).collect::<Vec<_>>()),
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_way_there_and_back() {
        for dtype in DType::all().filter(|&d| d != DType::String) {
            // Values that every type but the unsigned, boolean and power-of-two ones can hold.
            let numbers: &[f64] = if dtype == DType::F8E8M0 { &[1.0, 0.5] } else { &[1.0, 0.0] };
            let shape: &[usize] = if dtype.is_complex() { &[1] } else { &[2] };
            let tensor = from_f64s(dtype, shape, numbers).unwrap().unwrap();
            assert_eq!(to_f64s(&tensor).unwrap(), numbers, "{dtype}");
        }
        assert!(from_f64s(DType::String, &[1], &[1.0]).is_none());
        assert_eq!(to_f64s(&from_f64s(DType::I4, &[2], &[100.0, -100.0]).unwrap().unwrap()).unwrap(), [7.0, -8.0]);
    }
}
