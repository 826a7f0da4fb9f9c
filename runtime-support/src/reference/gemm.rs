//! The matrix product, three loops.

use crate::error::Fault;
use crate::kernels::gemm::{Product, extent};

/// A number that products can be summed in. Integers wrap.
pub trait Ring: Copy {
    /// Zero.
    const ZERO: Self;
    /// `self + a * b`.
    fn plus_product(self, a: Self, b: Self) -> Self;
    /// `self + a`.
    fn plus(self, a: Self) -> Self;
}
macro_rules! rings {
    ($($int:ident)*; $($float:ident)*) => {
        $(impl Ring for $int {
            const ZERO: Self = 0;
            #[inline(always)]
            fn plus_product(self, a: Self, b: Self) -> Self { self.wrapping_add(a.wrapping_mul(b)) }
            #[inline(always)]
            fn plus(self, a: Self) -> Self { self.wrapping_add(a) }
        })*
        $(impl Ring for $float {
            const ZERO: Self = 0.0;
            #[inline(always)]
            fn plus_product(self, a: Self, b: Self) -> Self { self + a * b }
            #[inline(always)]
            fn plus(self, a: Self) -> Self { self + a }
        })*
    };
}
rings!(i8 i16 i32 i64 u8 u16 u32 u64; f32 f64);

/// `c[i, j] = Σ a[i, l] · b[l, j]` over all batches, with the strides of `p`; B is not packed.
///
/// The loop over `l` is outside the one over `j`, so that rows of B and C are walked in order.
pub fn gemm<T: Ring>(c: &mut [T], a: &[T], b: &[T], p: Product) -> Result<(), Fault> {
    let fits = p.a_extent().is_some_and(|e| e <= a.len())
        && p.c_extent().is_some_and(|e| e <= c.len())
        && extent(&[(p.batch[0], p.b_batch[0]), (p.batch[1], p.b_batch[1]), (p.k, p.b_row), (p.n, p.b_col)]).is_some_and(|e| e <= b.len());
    if !fits {
        return Err(Fault::Internal { what: "gemm: a slice is shorter than its strides need" });
    }
    for b0 in 0..p.batch[0] {
        for b1 in 0..p.batch[1] {
            let at = |s: [usize; 2]| b0 * s[0] + b1 * s[1];
            let (a0, b0, c0) = (at(p.a_batch), at(p.b_batch), at(p.c_batch));
            for i in 0..p.m {
                for j in 0..p.n {
                    c[c0 + i * p.c_row + j] = T::ZERO;
                }
                for l in 0..p.k {
                    let x = a[a0 + i * p.a_row + l * p.a_col];
                    for j in 0..p.n {
                        let y = &mut c[c0 + i * p.c_row + j];
                        *y = y.plus_product(x, b[b0 + l * p.b_row + j * p.b_col]);
                    }
                }
            }
        }
    }
    Ok(())
}
