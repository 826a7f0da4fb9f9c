//! BitCast: the bits of each element as an element of another dtype of the same width.

use crate::element::{Bool, Element, as_bytes, as_bytes_mut};
use crate::error::Fault;
use crate::float::{BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};

macro_rules! targets {
    ($($name:ident $ty:ty),*) => {$(
        #[doc = concat!("To `", stringify!($ty), "`.")]
        pub fn $name<T: Element>(out: &mut [$ty], x: &[T]) -> Result<(), Fault> {
            let (out, x) = (as_bytes_mut(out), as_bytes(x));
            if out.len() != x.len() {
                return Err(Fault::Internal { what: "bit cast: the widths differ" });
            }
            out.copy_from_slice(x);
            Ok(())
        }
    )*};
}
targets! {
    to_f32 f32, to_f64 f64, to_f16 F16, to_bf16 BF16, to_f8e4m3fn F8E4M3FN, to_f8e4m3fnuz F8E4M3FNUZ, to_f8e5m2 F8E5M2, to_f8e5m2fnuz F8E5M2FNUZ,
    to_f8e8m0 F8E8M0, to_i8 i8, to_i16 i16, to_i32 i32, to_i64 i64, to_u8 u8, to_u16 u16, to_u32 u32, to_u64 u64, to_bool Bool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stay() {
        let mut y = [0u32; 2];
        to_u32(&mut y, &[1.0f32, -0.0]).unwrap();
        assert_eq!(y, [0x3f80_0000, 0x8000_0000]);
        let mut z = [0i8; 1];
        to_i8(&mut z, &[Bool::from(true)]).unwrap();
        assert_eq!(z, [1]);
        assert!(to_u32(&mut y, &[1.0f64, 2.0]).is_err());
    }
}
