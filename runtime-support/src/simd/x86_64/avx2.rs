//! AVX2, FMA and F16C: eight lanes. Masks are vectors of all ones or all zeros.

use crate::cx::Isa;
use crate::simd::{Simd, TESTS, memory_words, shift_words, words};
use core::arch::x86_64::*;

/// The token of x86-64-v3: AVX2, FMA, F16C, and what counts and finds bits.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

super::door! { Avx2, if Isa::Avx2.available() => "avx2", "fma", "f16c", "popcnt", "bmi1", "bmi2" }

type F = __m256;
type I = __m256i;

/// Ones then zeros: a load at `8 - n` gives the mask of the first `n` lanes.
static HEADS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// # Safety
/// AVX2, `n <= 8`.
#[inline(always)]
unsafe fn head(n: usize) -> I {
    // SAFETY: 8 - n .. 16 - n lies in the table.
    unsafe { _mm256_loadu_si256(HEADS.as_ptr().add(8 - n).cast()) }
}

/// Lane `i` combined with lane `i + 4`.
/// # Safety
/// AVX2.
#[inline(always)]
unsafe fn halves(a: F) -> (__m128, __m128) {
    // SAFETY: as the function's.
    unsafe { (_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a)) }
}

/// Folds four lanes to one with a two-operand instruction: lanes 0 and 2, 1 and 3, then both.
macro_rules! fold4 {
    ($op:ident, $x:expr) => {{
        let x = $x;
        let x = $op(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32($op(x, _mm_shuffle_ps::<1>(x, x)))
    }};
}

// SAFETY: made only by the token's constructors; __m256 has 8 lanes of f32.
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const ISA: Isa = Isa::Avx2;
    type F32 = F;
    type I32 = I;
    type Mask = F;

    memory_words! {
        load_ptr(p: *const f32) -> F = _mm256_loadu_ps(p);
        store_ptr(p: *mut f32, v: F) = _mm256_storeu_ps(p, v);
        load_head_ptr(p: *const f32, n: usize) -> F = _mm256_maskload_ps(p, head(n));
        load_i32_ptr(p: *const i32) -> I = _mm256_loadu_si256(p.cast());
        store_i32_ptr(p: *mut i32, v: I) = _mm256_storeu_si256(p.cast(), v);
        load_u8_ptr(p: *const u8) -> I = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()));
        load_i8_ptr(p: *const i8) -> I = _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast()));
        load_bf16_ptr(p: *const u16) -> F = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()))));
        load_f16_ptr(p: *const u16) -> F = _mm256_cvtph_ps(_mm_loadu_si128(p.cast()));
        store_f16_ptr(p: *mut u16, v: F) = _mm_storeu_si128(p.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v));
    }
    #[inline(always)]
    fn tests<const N: usize>(self, table: &[[u8; 16]; N], which: &[u8; TESTS], least: &[u8; TESTS]) -> u32 {
        // SAFETY: the token proves that the CPU has the instructions; the loads are of arrays of that length.
        unsafe { super::tests(table, which, least) }
    }
    #[inline(always)]
    fn gather(self, table: &[u32], places: I) -> I {
        // What follows the last place that a signed word can name is not reached.
        let Some(last) = table.len().min(1 << 31).checked_sub(1) else { return self.splat_i32(0) };
        // SAFETY: the token proves that the CPU has the instructions; no place is greater than the last.
        unsafe {
            let places = _mm256_min_epu32(places, _mm256_set1_epi32(last as i32));
            _mm256_i32gather_epi32::<4>(table.as_ptr().cast(), places)
        }
    }
    #[inline(always)]
    fn shr_by(self, a: I, k: u32) -> I {
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(k as i32)) }
    }
    #[inline(always)]
    fn count_less(self, numbers: &[f32; TESTS], x: f32) -> u32 {
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { super::count_less(numbers, x) }
    }
    #[inline(always)]
    unsafe fn store_head_ptr(self, mut p: *mut f32, v: F, n: usize) {
        // A masked store takes a dozen cycles on AMD's cores (and never forwards): halves, quarters, eighths.
        // SAFETY: the token proves that the CPU has the instructions; 8, or 4 + 2 + 1 elements as the bits of n say, are the caller's.
        unsafe {
            if n >= 8 {
                return _mm256_storeu_ps(p, v);
            }
            let mut rest = _mm256_castps256_ps128(v);
            if n & 4 != 0 {
                _mm_storeu_ps(p, rest);
                rest = _mm256_extractf128_ps::<1>(v);
                p = p.add(4);
            }
            if n & 2 != 0 {
                _mm_storel_epi64(p.cast(), _mm_castps_si128(rest));
                rest = _mm_movehl_ps(rest, rest);
                p = p.add(2);
            }
            if n & 1 != 0 {
                _mm_store_ss(p, rest);
            }
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: every x86-64 CPU has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    words! {
        splat(x: f32) -> F = _mm256_set1_ps(x);
        add(a: F, b: F) -> F = _mm256_add_ps(a, b);
        sub(a: F, b: F) -> F = _mm256_sub_ps(a, b);
        mul(a: F, b: F) -> F = _mm256_mul_ps(a, b);
        div(a: F, b: F) -> F = _mm256_div_ps(a, b);
        mul_add(a: F, b: F, c: F) -> F = _mm256_fmadd_ps(a, b, c);
        neg_mul_add(a: F, b: F, c: F) -> F = _mm256_fnmadd_ps(a, b, c);
        neg(a: F) -> F = _mm256_xor_ps(_mm256_set1_ps(-0.0), a);
        abs(a: F) -> F = _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
        copysign(a: F, sign: F) -> F = {
            let bit = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(bit, a), _mm256_and_ps(bit, sign))
        };
        min(a: F, b: F) -> F = _mm256_min_ps(a, b);
        max(a: F, b: F) -> F = _mm256_max_ps(a, b);
        sqrt(a: F) -> F = _mm256_sqrt_ps(a);
        floor(a: F) -> F = _mm256_round_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a);
        ceil(a: F) -> F = _mm256_round_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a);
        trunc(a: F) -> F = _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a);
        round_even(a: F) -> F = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);

        lt(a: F, b: F) -> F = _mm256_cmp_ps::<_CMP_LT_OQ>(a, b);
        le(a: F, b: F) -> F = _mm256_cmp_ps::<_CMP_LE_OQ>(a, b);
        eq(a: F, b: F) -> F = _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b);
        ne(a: F, b: F) -> F = _mm256_cmp_ps::<_CMP_NEQ_UQ>(a, b);
        select(m: F, a: F, b: F) -> F = _mm256_blendv_ps(b, a, m);
        select_i32(m: F, a: I, b: I) -> I = _mm256_blendv_epi8(b, a, _mm256_castps_si256(m));
        mask_and(a: F, b: F) -> F = _mm256_and_ps(a, b);
        mask_or(a: F, b: F) -> F = _mm256_or_ps(a, b);
        mask_not(a: F) -> F = _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
        any(a: F) -> bool = _mm256_movemask_ps(a) != 0;
        all(a: F) -> bool = _mm256_movemask_ps(a) == 0xff;
        head_mask(n: usize) -> F = _mm256_castsi256_ps(head(n.min(8)));

        splat_i32(x: i32) -> I = _mm256_set1_epi32(x);
        to_i32_round(a: F) -> I = _mm256_cvtps_epi32(a);
        to_i32_trunc(a: F) -> I = _mm256_cvttps_epi32(a);
        to_f32(a: I) -> F = _mm256_cvtepi32_ps(a);
        bits(a: F) -> I = _mm256_castps_si256(a);
        with_bits(a: I) -> F = _mm256_castsi256_ps(a);
        add_i32(a: I, b: I) -> I = _mm256_add_epi32(a, b);
        sub_i32(a: I, b: I) -> I = _mm256_sub_epi32(a, b);
        mul_i32(a: I, b: I) -> I = _mm256_mullo_epi32(a, b);
        dot_i16(a: I, b: I) -> I = _mm256_madd_epi16(a, b);
        min_i32(a: I, b: I) -> I = _mm256_min_epi32(a, b);
        max_i32(a: I, b: I) -> I = _mm256_max_epi32(a, b);
        and_i32(a: I, b: I) -> I = _mm256_and_si256(a, b);
        or_i32(a: I, b: I) -> I = _mm256_or_si256(a, b);
        xor_i32(a: I, b: I) -> I = _mm256_xor_si256(a, b);
        eq_i32(a: I, b: I) -> F = _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
        gt_i32(a: I, b: I) -> F = _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b));

        reduce_sum(a: F) -> f32 = {
            let (low, high) = halves(a);
            fold4!(_mm_add_ps, _mm_add_ps(low, high))
        };
        reduce_max(a: F) -> f32 = {
            let (low, high) = halves(a);
            fold4!(_mm_max_ps, _mm_max_ps(low, high))
        };
        reduce_min(a: F) -> f32 = {
            let (low, high) = halves(a);
            fold4!(_mm_min_ps, _mm_min_ps(low, high))
        };
        reduce_sum_i32(a: I) -> i32 = {
            let x = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
            _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x)))
        };
    }
    shift_words! { I, K,
        shl(a) = _mm256_slli_epi32::<K>(a);
        shr(a) = _mm256_srli_epi32::<K>(a);
        sar(a) = _mm256_srai_epi32::<K>(a);
    }
}
