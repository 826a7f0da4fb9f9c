//! Element types of tensors: the plain-old-data types behind every ONNX dtype, and the dtype itself.
//!
//! Sub-byte types (`int4`, `uint4`, `int2`, `uint2`, `float4e2m1`) take one byte an element at run time. Every bit pattern of an element type
//! is valid, so that scratch memory may be seen as any of them; that is why booleans in memory are [`Bool`], not `bool`.

use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};

/// The dtype of a tensor's elements (ONNX `TensorProto.DataType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names are the documentation: the lower-case ones of the textual IR.
pub enum DType {
    F32,
    F64,
    F16,
    BF16,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0,
    F4E2M1,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    I4,
    U4,
    I2,
    U2,
    Bool,
    C64,
    C128,
    String,
}

/// One row a dtype: variant, name in texts, bytes an element in memory.
const TABLE: [(DType, &str, usize); 26] = [
    (DType::F32, "f32", 4),
    (DType::F64, "f64", 8),
    (DType::F16, "f16", 2),
    (DType::BF16, "bf16", 2),
    (DType::F8E4M3FN, "f8e4m3fn", 1),
    (DType::F8E4M3FNUZ, "f8e4m3fnuz", 1),
    (DType::F8E5M2, "f8e5m2", 1),
    (DType::F8E5M2FNUZ, "f8e5m2fnuz", 1),
    (DType::F8E8M0, "f8e8m0", 1),
    (DType::F4E2M1, "f4e2m1", 1),
    (DType::I8, "i8", 1),
    (DType::I16, "i16", 2),
    (DType::I32, "i32", 4),
    (DType::I64, "i64", 8),
    (DType::U8, "u8", 1),
    (DType::U16, "u16", 2),
    (DType::U32, "u32", 4),
    (DType::U64, "u64", 8),
    (DType::I4, "i4", 1),
    (DType::U4, "u4", 1),
    (DType::I2, "i2", 1),
    (DType::U2, "u2", 1),
    (DType::Bool, "bool", 1),
    (DType::C64, "c64", 8),
    (DType::C128, "c128", 16),
    (DType::String, "string", 0),
];

impl DType {
    /// Every dtype.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The name in texts, such as `f32`.
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The dtype of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Bytes an element takes in memory; 0 for strings, which live on the heap.
    pub const fn size(self) -> usize {
        TABLE[self as usize].2
    }

    /// f32, f64 or a narrower floating-point type.
    pub const fn is_float(self) -> bool {
        (self as u8) <= (Self::F4E2M1 as u8)
    }

    /// A signed or unsigned integer type (not bool).
    pub const fn is_int(self) -> bool {
        (self as u8) >= (Self::I8 as u8) && (self as u8) <= (Self::U2 as u8)
    }

    /// c64 or c128.
    pub const fn is_complex(self) -> bool {
        matches!(self, Self::C64 | Self::C128)
    }
}

impl core::fmt::Display for DType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// A type that a tensor's elements can have in plain memory.
///
/// # Safety
/// Every bit pattern is a valid value, there is no padding, the alignment is at most 16 and `size_of::<Self>() == DTYPE.size()`.
pub unsafe trait Element: Copy + Default + PartialEq + Send + Sync + core::fmt::Debug + 'static {
    /// The dtype.
    const DTYPE: DType;
}

/// A boolean in memory: zero is false, anything else true; kernels write 0 or 1.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub struct Bool(pub u8);

impl Bool {
    /// The truth value.
    #[inline(always)]
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}
impl From<bool> for Bool {
    #[inline(always)]
    fn from(b: bool) -> Self {
        Self(b as u8)
    }
}
impl PartialEq for Bool {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
impl core::fmt::Debug for Bool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.get().fmt(f)
    }
}

macro_rules! small_int {
    ($($(#[$doc:meta])* $name:ident($store:ident) $min:literal ..= $max:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(transparent)]
        pub struct $name(pub $store);
        impl $name {
            /// The least value.
            pub const MIN: i64 = $min;
            /// The greatest value.
            pub const MAX: i64 = $max;
            /// The low bits of `x`, as integer casts do.
            #[inline(always)]
            pub const fn wrapping(x: i64) -> Self {
                let span = Self::MAX - Self::MIN + 1;
                let low = x.rem_euclid(span);
                Self((if low > Self::MAX { low - span } else { low }) as $store)
            }
            /// The nearest representable value.
            #[inline(always)]
            pub const fn saturating(x: i64) -> Self {
                Self((if x < Self::MIN { Self::MIN } else if x > Self::MAX { Self::MAX } else { x }) as $store)
            }
        }
    )*};
}
small_int! {
    /// A signed 4-bit integer, one byte in memory.
    I4(i8) -8 ..= 7;
    /// An unsigned 4-bit integer, one byte in memory.
    U4(u8) 0 ..= 15;
    /// A signed 2-bit integer, one byte in memory.
    I2(i8) -2 ..= 1;
    /// An unsigned 2-bit integer, one byte in memory.
    U2(u8) 0 ..= 3;
}

/// A complex number: real part, imaginary part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub struct Complex<T> {
    /// The real part.
    pub re: T,
    /// The imaginary part.
    pub im: T,
}

macro_rules! elements {
    ($($ty:ty = $dtype:ident,)*) => {$(
        const _: () = assert!(size_of::<$ty>() == DType::$dtype.size() && align_of::<$ty>() <= 16);
        // SAFETY: a primitive number or a transparent or `repr(C)` pair of them: no padding, no invalid pattern; the size is asserted above.
        unsafe impl Element for $ty {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}
elements! {
    f32 = F32, f64 = F64, F16 = F16, BF16 = BF16,
    F8E4M3FN = F8E4M3FN, F8E4M3FNUZ = F8E4M3FNUZ, F8E5M2 = F8E5M2, F8E5M2FNUZ = F8E5M2FNUZ, F8E8M0 = F8E8M0, F4E2M1 = F4E2M1,
    i8 = I8, i16 = I16, i32 = I32, i64 = I64, u8 = U8, u16 = U16, u32 = U32, u64 = U64,
    I4 = I4, U4 = U4, I2 = I2, U2 = U2, Bool = Bool,
    Complex<f32> = C64, Complex<f64> = C128,
}

/// The bytes of a slice of elements.
pub fn as_bytes<T: Element>(x: &[T]) -> &[u8] {
    // SAFETY: elements have no padding, and any byte is a valid u8.
    unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) }
}

/// The bytes of a slice of elements, mutable.
pub fn as_bytes_mut<T: Element>(x: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and every bit pattern written is a valid element.
    unsafe { core::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), size_of_val(x)) }
}

/// Bytes seen as elements; `None` if the alignment or the length does not fit.
pub fn from_bytes<T: Element>(x: &[u8]) -> Option<&[T]> {
    let fits = x.as_ptr().addr().is_multiple_of(align_of::<T>()) && x.len().is_multiple_of(size_of::<T>());
    // SAFETY: aligned and whole (checked), and every bit pattern is a valid element.
    fits.then(|| unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), x.len() / size_of::<T>()) })
}

/// Bytes seen as elements, mutable; `None` if the alignment or the length does not fit.
pub fn from_bytes_mut<T: Element>(x: &mut [u8]) -> Option<&mut [T]> {
    let fits = x.as_ptr().addr().is_multiple_of(align_of::<T>()) && x.len().is_multiple_of(size_of::<T>());
    // SAFETY: aligned and whole (checked), every bit pattern is valid both ways, and the borrow is passed on.
    fits.then(|| unsafe { core::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len() / size_of::<T>()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (i, dtype) in DType::all().enumerate() {
            assert_eq!(dtype as usize, i);
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
        }
    }

    #[test]
    fn small_integers_wrap_and_saturate() {
        assert_eq!(I4::wrapping(8), I4(-8));
        assert_eq!(I4::wrapping(-9), I4(7));
        assert_eq!(U2::wrapping(-1), U2(3));
        assert_eq!(I2::saturating(9), I2(1));
    }
}
