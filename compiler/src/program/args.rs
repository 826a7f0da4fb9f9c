//! The evaluated arguments of an interpreted kernel call, and how a kernel's parameter types are read from them.

use super::kernel::CallError;
use onnxc_runtime::cx::Cx;
use onnxc_runtime::element::{Bool, Complex, DType, Element, I2, I4, U2, U4, from_bytes, from_bytes_mut};
use onnxc_runtime::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};
use onnxc_runtime::value::Value;

/// An argument value that is not a view of a buffer.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // One for each kind of `Arg`.
pub enum Owned {
    Cx,
    Usize(usize),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Usizes(Vec<usize>),
    I64s(Vec<i64>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    Str(String),
    Variant(&'static str),
    Struct(Vec<(&'static str, Owned)>),
    Array(Vec<Owned>),
    DType(DType),
    Some(Box<Owned>),
    None,
}

/// An argument ready to be passed.
#[allow(missing_docs)]
pub enum Evaluated<'a> {
    Bytes(DType, &'a [u8]),
    BytesMut(DType, &'a mut [u8]),
    Strings(&'a [String]),
    StringsMut(&'a mut [String]),
    Object(&'a Value),
    ObjectMut(&'a mut Value),
    Bind(&'a mut [i64]),
    Owned(&'a Owned),
    Strs(&'a [&'a str]),
    Present(Box<Evaluated<'a>>),
}

/// The arguments of a call, taken in order.
pub struct Args<'a> {
    kernel: &'static str,
    taken: usize,
    rest: std::vec::IntoIter<Evaluated<'a>>,
}

impl<'a> Args<'a> {
    /// The arguments for a kernel.
    pub fn new(kernel: &'static str, args: Vec<Evaluated<'a>>) -> Self {
        Self { kernel, taken: 0, rest: args.into_iter() }
    }

    /// The next argument.
    pub fn take<T: FromArg<'a>>(&mut self) -> Result<T, CallError> {
        let place = self.taken;
        self.taken += 1;
        let wrong = || CallError::Argument(format!("{}: argument {place} is not {}", self.kernel, std::any::type_name::<T>()));
        self.rest.next().and_then(T::from_arg).ok_or_else(wrong)
    }
}

/// A type that a kernel can take as an argument.
pub trait FromArg<'a>: Sized {
    /// Reads it; `None` if the argument is of another kind.
    fn from_arg(arg: Evaluated<'a>) -> Option<Self>;
}

/// A type that is copied out of an argument value; also usable as a field of a struct.
pub trait FromOwned: Sized {
    /// Reads it; `None` if the value is of another kind.
    fn from_owned(owned: &Owned) -> Option<Self>;
}

fn read<T: Element>(arg: Evaluated<'_>) -> Option<&[T]> {
    match arg {
        // Data movement kernels see elements by width only.
        Evaluated::Bytes(dtype, bytes) if dtype.size() == T::DTYPE.size() => from_bytes(bytes),
        _ => None,
    }
}

macro_rules! element_slices {
    ($($ty:ty),*) => {$(
        impl<'a> FromArg<'a> for &'a [$ty] {
            fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
                read(arg)
            }
        }
        element_slices!(@mut $ty);
    )*};
    (@mut $ty:ty) => {
        impl<'a> FromArg<'a> for &'a mut [$ty] {
            fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
                match arg {
                    Evaluated::BytesMut(dtype, bytes) if dtype.size() == <$ty>::DTYPE.size() => from_bytes_mut(bytes),
                    _ => None,
                }
            }
        }
    };
}
element_slices!(
    f64,
    F16,
    BF16,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0,
    F4E2M1,
    i8,
    i16,
    i32,
    u8,
    u16,
    u32,
    u64,
    I4,
    U4,
    I2,
    U2,
    Bool,
    Complex<f32>,
    Complex<f64>
);
element_slices!(@mut f32);

/// `&mut [i64]` is a tensor's elements or the symbols that a kernel binds.
impl<'a> FromArg<'a> for &'a mut [i64] {
    fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
        match arg {
            Evaluated::BytesMut(DType::I64, bytes) => from_bytes_mut(bytes),
            Evaluated::Bind(values) => Some(values),
            _ => None,
        }
    }
}

/// `&[i64]` and `&[f32]` are a tensor's elements or a literal list.
impl<'a> FromArg<'a> for &'a [i64] {
    fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
        match arg {
            Evaluated::Owned(Owned::I64s(values)) => Some(values),
            other => read(other),
        }
    }
}
impl<'a> FromArg<'a> for &'a [f32] {
    fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
        match arg {
            Evaluated::Owned(Owned::F32s(values)) => Some(values),
            other => read(other),
        }
    }
}

macro_rules! from_arg {
    ($($ty:ty: $pattern:pat => $value:expr;)*) => {$(
        impl<'a> FromArg<'a> for $ty {
            fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
                match arg {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        }
    )*};
}
from_arg! {
    &'a [String]: Evaluated::Strings(s) => s;
    &'a mut [String]: Evaluated::StringsMut(s) => s;
    &'a Value: Evaluated::Object(v) => v;
    &'a mut Value: Evaluated::ObjectMut(v) => v;
    &'a [usize]: Evaluated::Owned(Owned::Usizes(v)) => v;
    &'a [bool]: Evaluated::Owned(Owned::Bools(v)) => v;
    &'a str: Evaluated::Owned(Owned::Str(v)) => v;
    &'a [&'a str]: Evaluated::Strs(v) => v;
}

impl<'a, T: FromArg<'a>> FromArg<'a> for Option<T> {
    fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
        match arg {
            Evaluated::Owned(Owned::None) => Some(None),
            Evaluated::Owned(Owned::Some(inner)) => T::from_arg(Evaluated::Owned(inner)).map(Some),
            Evaluated::Present(inner) => T::from_arg(*inner).map(Some),
            _ => None,
        }
    }
}

/// Copied types: `type: pattern of Owned => value`.
macro_rules! from_owned {
    ($($ty:ty: $pattern:pat => $value:expr;)*) => {$(
        impl FromOwned for $ty {
            fn from_owned(owned: &Owned) -> Option<Self> {
                match owned {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        }
        impl<'a> FromArg<'a> for $ty {
            fn from_arg(arg: Evaluated<'a>) -> Option<Self> {
                match arg {
                    Evaluated::Owned(owned) => <$ty>::from_owned(owned),
                    _ => None,
                }
            }
        }
    )*};
}
from_owned! {
    Cx: Owned::Cx => Cx::REFERENCE;
    usize: Owned::Usize(x) => *x;
    i64: Owned::I64(x) => *x;
    f32: Owned::F32(x) => *x;
    f64: Owned::F64(x) => *x;
    bool: Owned::Bool(x) => *x;
    DType: Owned::DType(x) => *x;
}

impl<T: FromOwned, const N: usize> FromOwned for [T; N] {
    fn from_owned(owned: &Owned) -> Option<Self> {
        match owned {
            Owned::Array(items) => items.iter().map(T::from_owned).collect::<Option<Vec<T>>>()?.try_into().ok(),
            Owned::Usizes(items) => items.iter().map(|&i| T::from_owned(&Owned::Usize(i))).collect::<Option<Vec<T>>>()?.try_into().ok(),
            Owned::I64s(items) => items.iter().map(|&i| T::from_owned(&Owned::I64(i))).collect::<Option<Vec<T>>>()?.try_into().ok(),
            _ => None,
        }
    }
}

/// The field of a struct argument.
pub fn field<T: FromOwned>(fields: &[(&'static str, Owned)], name: &str) -> Option<T> {
    fields.iter().find(|f| f.0 == name).and_then(|f| T::from_owned(&f.1))
}

/// `param_enum!(resize::Mode { Linear, Cubic })`: makes an enum of unit variants of the runtime's kernels readable as an argument.
#[macro_export]
macro_rules! param_enum {
    ($($path:ident)::+ { $($variant:ident),* $(,)? }) => {
        impl $crate::program::args::FromOwned for onnxc_runtime::kernels::$($path)::+ {
            fn from_owned(owned: &$crate::program::args::Owned) -> Option<Self> {
                match owned {
                    $($crate::program::args::Owned::Variant(stringify!($variant)) => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
        $crate::param_arg!(onnxc_runtime::kernels::$($path)::+);
    };
}

/// `param_struct!(conv::Geometry { batch, kernel })`: makes a plain struct of the runtime's kernels readable as an argument.
#[macro_export]
macro_rules! param_struct {
    ($($path:ident)::+ { $($field:ident),* $(,)? }) => {
        impl $crate::program::args::FromOwned for onnxc_runtime::kernels::$($path)::+ {
            fn from_owned(owned: &$crate::program::args::Owned) -> Option<Self> {
                match owned {
                    $crate::program::args::Owned::Struct(fields) => Some(Self { $($field: $crate::program::args::field(fields, stringify!($field))?,)* }),
                    _ => None,
                }
            }
        }
        $crate::param_arg!(onnxc_runtime::kernels::$($path)::+);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! param_arg {
    ($ty:ty) => {
        impl<'a> $crate::program::args::FromArg<'a> for $ty {
            fn from_arg(arg: $crate::program::args::Evaluated<'a>) -> Option<Self> {
                match arg {
                    $crate::program::args::Evaluated::Owned(owned) => $crate::program::args::FromOwned::from_owned(owned),
                    _ => None,
                }
            }
        }
    };
}
