//! BitCast: the bits of each element as an element of another dtype of the same width.

use crate::element::{Bool, Complex, Element, I4, U4, as_bytes, as_bytes_mut};
use crate::error::Fault;
use crate::float::{BF16, F4E2M1, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F16};

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
    to_f8e8m0 F8E8M0, to_i8 i8, to_i16 i16, to_i32 i32, to_i64 i64, to_u8 u8, to_u16 u16, to_u32 u32, to_u64 u64, to_bool Bool, to_c64 Complex<f32>
}

macro_rules! nibbles {
    ($($name:ident $ty:ident, $byte:expr;)*) => {$(
        #[doc = concat!("To `", stringify!($ty), "` from elements of four bits, each at the low end of a byte.")]
        pub fn $name<T: Element>(out: &mut [$ty], x: &[T]) -> Result<(), Fault> {
            let x = as_bytes(x);
            if out.len() != x.len() {
                return Err(Fault::Internal { what: "bit cast: the widths differ" });
            }
            let byte = $byte;
            out.iter_mut().zip(x).for_each(|(out, x)| *out = $ty(byte(x & 0xf)));
            Ok(())
        }
    )*};
}
nibbles! {
    to_f4e2m1 F4E2M1, |x: u8| x;
    to_u4 U4, |x: u8| x;
    // The sign goes through the whole byte.
    to_i4 I4, |x: u8| (x << 4) as i8 >> 4;
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
        let mut c = [Complex { re: 0.0, im: 0.0 }; 1];
        to_c64(&mut c, &[0x4000_0000_3f80_0000u64]).unwrap();
        assert_eq!((c[0].re, c[0].im), (1.0, 2.0));
    }

    #[test]
    fn nibbles_there_and_back() {
        let signed: [I4; 16] = core::array::from_fn(|i| I4(i as i8 - 8));
        let (mut floats, mut again, mut unsigned) = ([F4E2M1(0); 16], [I4(0); 16], [U4(0); 16]);
        to_f4e2m1(&mut floats, &signed).unwrap();
        // -8 is 1000 in bits, the negative zero; 7 is 0111.
        assert_eq!((floats[0].to_f32().to_bits(), floats[15].to_f32()), ((-0.0f32).to_bits(), 6.0));
        to_i4(&mut again, &floats).unwrap();
        to_u4(&mut unsigned, &floats).unwrap();
        assert_eq!(again.map(|x| x.0), signed.map(|x| x.0));
        assert_eq!(unsigned.map(|x| x.0), signed.map(|x| x.0 as u8 & 0xf));
    }
}
