//! x86-64: the levels v3 (AVX2, FMA, F16C) and v4 (AVX-512 F, BW, DQ, VL). The baseline is [`Scalar`](super::Scalar).

mod avx2;
mod avx512;

pub use avx2::Avx2;
pub use avx512::Avx512;

/// A token type: its constructors and its door.
macro_rules! token {
    ($(#[$doc:meta])* $name:ident = $($feature:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl $name {
            /// The token, if this machine has the instructions.
            pub fn new() -> Option<Self> {
                <Self as Simd>::ISA.available().then_some(Self(()))
            }

            /// The token.
            /// # Safety
            /// The CPU has the instructions.
            #[inline(always)]
            pub const unsafe fn new_unchecked() -> Self {
                Self(())
            }

            /// Runs a kernel in a function that is compiled with the instructions.
            #[inline(always)]
            pub fn enter<K: $crate::simd::WithSimd>(self, kernel: K) -> K::Output {
                $(#[target_feature(enable = $feature)])*
                fn door<K: $crate::simd::WithSimd>(s: $name, kernel: K) -> K::Output {
                    kernel.with_simd(s)
                }
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { door(self, kernel) }
            }
        }
    };
}
use token;
