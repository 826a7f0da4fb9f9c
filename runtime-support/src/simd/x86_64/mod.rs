//! x86-64: the levels v3 (AVX2, FMA, F16C) and v4 (AVX-512 F, BW, DQ, VL), and the latter with AVX512-BF16. The baseline is [`Scalar`](super::Scalar).

mod avx2;
mod avx512;

pub use avx2::Avx2;
pub use avx512::Avx512;

use super::TESTS;
use core::arch::x86_64::*;

/// The constructors of a token type and its door.
macro_rules! door {
    ($name:ty, if $available:expr => $($feature:literal),*) => {
        impl $name {
            /// The token, if this machine has the instructions.
            pub fn new() -> Option<Self> {
                $available.then_some(Self(()))
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
use door;

/// [`Simd::count_less`](super::Simd::count_less): which number is less does not matter, so the packs may mix them.
/// # Safety
/// AVX2 and POPCNT.
#[inline(always)]
unsafe fn count_less(numbers: &[f32; TESTS], x: f32) -> u32 {
    // SAFETY: AVX2 is the caller's word; what is loaded are chunks of 8 of the array.
    unsafe {
        let x = _mm256_set1_ps(x);
        let mut less = [_mm256_setzero_si256(); 4];
        for (less, numbers) in less.iter_mut().zip(numbers.as_chunks::<8>().0) {
            *less = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_loadu_ps(numbers.as_ptr()), x));
        }
        let halves = [_mm256_packs_epi32(less[0], less[1]), _mm256_packs_epi32(less[2], less[3])];
        _mm256_movemask_epi8(_mm256_packs_epi16(halves[0], halves[1])).count_ones()
    }
}

/// [`Simd::tests`](super::Simd::tests): a shuffle finds a byte among 16, bits 4 and 5 of its place say among which.
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn tests<const N: usize>(table: &[[u8; 16]; N], which: &[u8; TESTS], least: &[u8; TESTS]) -> u32 {
    // SAFETY: AVX2 is the caller's word; what is loaded are arrays of 16 and 32 bytes.
    unsafe {
        let (place, least) = (_mm256_loadu_si256(which.as_ptr().cast()), _mm256_loadu_si256(least.as_ptr().cast()));
        // A place is less than 64, so nothing is shifted from one byte to the next but zeros.
        let (bit4, bit5) = (_mm256_slli_epi16::<3>(place), _mm256_slli_epi16::<2>(place));
        let mut halves = [_mm256_setzero_si256(); 2];
        for (half, table) in halves.iter_mut().zip(table.chunks(2)) {
            let mut found = [_mm256_setzero_si256(); 2];
            for (found, table) in found.iter_mut().zip(table) {
                *found = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), place);
            }
            *half = _mm256_blendv_epi8(found[0], found[1], bit4);
        }
        let byte = if N > 2 { _mm256_blendv_epi8(halves[0], halves[1], bit5) } else { halves[0] };
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(byte, least), byte)) as u32
    }
}
