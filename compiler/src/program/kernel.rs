//! References to kernels of `onnxc-runtime`: a path to print and a function to call, made together so that neither can be wrong.
//!
//! `kernel!(gather::gather(_, _, _, _) for any(dtype))` names `onnxc_runtime::kernels::gather::gather`, generic over one element type taken
//! from `dtype`, with as many arguments as there are underscores. The path is checked by the compiler because the thunk calls it.

use super::interpret::Args;
use onnxc_runtime::error::Fault;

/// Why an interpreted call failed.
#[derive(Debug)]
pub enum CallError {
    /// The kernel's own error: the model's data is at fault.
    Fault(Fault),
    /// The arguments do not fit the kernel: a bug of ours.
    Argument(String),
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A kernel of the runtime.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// The path below `onnxc_runtime::kernels`, such as `gather::gather`.
    pub path: &'static str,
    /// Runs it with interpreted arguments.
    pub run: fn(&mut Args<'_>) -> Result<(), CallError>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.path)
    }
}

/// See the module's documentation. Dtype sets: `any` (strings too; plain types by width), `num` (ints and f32/f64 and halves), `ordered` (`num` and
/// bool), `linear` (those and complex numbers), `order` (those and strings), `quantized` (what QuantizeLinear makes), `bytes` (i8 and u8), `int`, `source` (everything but strings and complex numbers), `extended` (`float` and the 8-bit floats), `float` (f32, f64, f16, bf16),
/// `real` (f32, f64), `stored` (what packed weights are stored as). `Option<Kernel>`: `None` if the dtype is not in the set.
#[macro_export]
macro_rules! kernel {
    ($($path:ident)::+ ($($arg:tt),*)) => {
        $crate::program::kernel::Kernel {
            path: $crate::kernel!(@path $($path)::+),
            run: |args| Ok(onnxc_runtime::kernels::$($path)::+($($crate::kernel!(@take args $arg)),*)?),
        }
    };
    ($($path:ident)::+ ($($arg:tt),*) for $set:ident($dtype:expr)) => {
        $crate::kernel!(@set $set $dtype, T => $crate::program::kernel::Kernel {
            path: $crate::kernel!(@path $($path)::+),
            run: |args| Ok(onnxc_runtime::kernels::$($path)::+::<T>($($crate::kernel!(@take args $arg)),*)?),
        })
    };
    (@path $first:ident $(:: $rest:ident)*) => { concat!(stringify!($first) $(, "::", stringify!($rest))*) };
    (@take $args:ident $arg:tt) => { $args.take()? };
    (@set any $dtype:expr, $t:ident => $body:expr) => {
        match ($dtype, ($dtype).size()) {
            (onnxc_runtime::element::DType::String, _) => { type $t = String; Some($body) }
            (_, 1) => { type $t = u8; Some($body) }
            (_, 2) => { type $t = u16; Some($body) }
            (_, 4) => { type $t = u32; Some($body) }
            (_, 8) => { type $t = u64; Some($body) }
            _ => { type $t = onnxc_runtime::element::Complex<f64>; Some($body) }
        }
    };
    (@set num $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (@set ordered $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, Bool onnxc_runtime::element::Bool)
    };
    (@set quantized $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; I8 i8, U8 u8, I16 i16, U16 u16, I32 i32, I4 onnxc_runtime::element::I4,
            U4 onnxc_runtime::element::U4, I2 onnxc_runtime::element::I2, U2 onnxc_runtime::element::U2,
            F8E4M3FN onnxc_runtime::float::F8E4M3FN, F8E4M3FNUZ onnxc_runtime::float::F8E4M3FNUZ, F8E5M2 onnxc_runtime::float::F8E5M2,
            F8E5M2FNUZ onnxc_runtime::float::F8E5M2FNUZ, F4E2M1 onnxc_runtime::float::F4E2M1)
    };
    (@set linear $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, Bool onnxc_runtime::element::Bool,
            C64 onnxc_runtime::element::Complex<f32>, C128 onnxc_runtime::element::Complex<f64>)
    };
    (@set bytes $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; I8 i8, U8 u8)
    };
    (@set order $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, Bool onnxc_runtime::element::Bool, String String,
            C64 onnxc_runtime::element::Complex<f32>, C128 onnxc_runtime::element::Complex<f64>)
    };
    (@set extended $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            F8E4M3FN onnxc_runtime::float::F8E4M3FN, F8E4M3FNUZ onnxc_runtime::float::F8E4M3FNUZ, F8E5M2 onnxc_runtime::float::F8E5M2,
            F8E5M2FNUZ onnxc_runtime::float::F8E5M2FNUZ)
    };
    (@set source $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            F8E4M3FN onnxc_runtime::float::F8E4M3FN, F8E4M3FNUZ onnxc_runtime::float::F8E4M3FNUZ, F8E5M2 onnxc_runtime::float::F8E5M2,
            F8E5M2FNUZ onnxc_runtime::float::F8E5M2FNUZ, F8E8M0 onnxc_runtime::float::F8E8M0, F4E2M1 onnxc_runtime::float::F4E2M1,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, I4 onnxc_runtime::element::I4, U4 onnxc_runtime::element::U4,
            I2 onnxc_runtime::element::I2, U2 onnxc_runtime::element::U2, Bool onnxc_runtime::element::Bool)
    };
    (@set bits $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16,
            F8E4M3FN onnxc_runtime::float::F8E4M3FN, F8E4M3FNUZ onnxc_runtime::float::F8E4M3FNUZ, F8E5M2 onnxc_runtime::float::F8E5M2,
            F8E5M2FNUZ onnxc_runtime::float::F8E5M2FNUZ, F8E8M0 onnxc_runtime::float::F8E8M0, F4E2M1 onnxc_runtime::float::F4E2M1,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, I4 onnxc_runtime::element::I4, U4 onnxc_runtime::element::U4,
            Bool onnxc_runtime::element::Bool, C64 onnxc_runtime::element::Complex<f32>)
    };
    (@set int $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (@set float $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16)
    };
    (@set stored $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F16 onnxc_runtime::float::F16, BF16 onnxc_runtime::float::BF16)
    };
    (@set real $dtype:expr, $t:ident => $body:expr) => {
        $crate::kernel!(@rows $dtype, $t => $body; F32 f32, F64 f64)
    };
    (@rows $dtype:expr, $t:ident => $body:expr; $($variant:ident $ty:ty),*) => {
        match $dtype {
            $(onnxc_runtime::element::DType::$variant => { type $t = $ty; Some($body) })*
            _ => None,
        }
    };
}
