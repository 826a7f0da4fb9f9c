//! AVX-512 F, BW, DQ, VL: sixteen lanes. Masks are the mask registers.
#![allow(unused_unsafe)] // A few of these intrinsics are plain functions.

use crate::cx::{Isa, has_avx512_bf16};
use crate::simd::{Simd, TESTS, memory_words, shift_words, words};
use core::arch::x86_64::*;
use core::mem::transmute;

/// The token of x86-64-v4: AVX-512 F, BW, DQ, VL, and with `BF16` its products of that type.
#[derive(Clone, Copy, Debug)]
pub struct Avx512<const BF16: bool = false>(());

super::door! {
    Avx512<false>, if Isa::Avx512.available() =>
    "avx2", "fma", "f16c", "popcnt", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl"
}
super::door! {
    Avx512<true>, if Isa::Avx512.available() && has_avx512_bf16() =>
    "avx2", "fma", "f16c", "popcnt", "bmi1", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16"
}

type F = __m512;
type I = __m512i;
type M = __mmask16;

/// The mask of the first `n` lanes.
#[inline(always)]
fn head(n: usize) -> M {
    if n >= 16 { 0xffff } else { (1 << n) - 1 }
}

// SAFETY: made only by the token's constructors; __m512 has 16 lanes of f32.
unsafe impl<const BF16: bool> Simd for Avx512<BF16> {
    const LANES: usize = 16;
    const ISA: Isa = Isa::Avx512;
    type F32 = F;
    type I32 = I;
    type Mask = M;

    memory_words! {
        load_ptr(p: *const f32) -> F = _mm512_loadu_ps(p);
        store_ptr(p: *mut f32, v: F) = _mm512_storeu_ps(p, v);
        load_head_ptr(p: *const f32, n: usize) -> F = _mm512_maskz_loadu_ps(head(n), p);
        store_head_ptr(p: *mut f32, v: F, n: usize) = _mm512_mask_storeu_ps(p, head(n), v);
        load_i32_ptr(p: *const i32) -> I = _mm512_loadu_si512(p.cast());
        store_i32_ptr(p: *mut i32, v: I) = _mm512_storeu_si512(p.cast(), v);
        load_u8_ptr(p: *const u8) -> I = _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()));
        load_i8_ptr(p: *const i8) -> I = _mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()));
        load_bf16_ptr(p: *const u16) -> F = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()))));
        load_f16_ptr(p: *const u16) -> F = _mm512_cvtph_ps(_mm256_loadu_si256(p.cast()));
        store_f16_ptr(p: *mut u16, v: F) = _mm256_storeu_si256(p.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v));
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
            let places = _mm512_min_epu32(places, _mm512_set1_epi32(last as i32));
            _mm512_i32gather_epi32::<4>(places, table.as_ptr().cast())
        }
    }
    #[inline(always)]
    fn shr_by(self, a: I, k: u32) -> I {
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { _mm512_srl_epi32(a, _mm_cvtsi32_si128(k as i32)) }
    }
    #[inline(always)]
    fn count_less(self, numbers: &[f32; TESTS], x: f32) -> u32 {
        // SAFETY: the token proves that the CPU has the instructions.
        unsafe { super::count_less(numbers, x) }
    }
    #[inline(always)]
    fn dot_bf16(self, a: F, b: F, c: F) -> F {
        if BF16 {
            // SAFETY: the token proves that the CPU has the instruction; the types are all 64 bytes of any bits.
            unsafe { _mm512_dpbf16_ps(c, transmute::<F, __m512bh>(a), transmute::<F, __m512bh>(b)) }
        } else {
            crate::simd::dot_bf16(self, a, b, c)
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: every x86-64 CPU has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    words! {
        splat(x: f32) -> F = _mm512_set1_ps(x);
        add(a: F, b: F) -> F = _mm512_add_ps(a, b);
        sub(a: F, b: F) -> F = _mm512_sub_ps(a, b);
        mul(a: F, b: F) -> F = _mm512_mul_ps(a, b);
        div(a: F, b: F) -> F = _mm512_div_ps(a, b);
        mul_add(a: F, b: F, c: F) -> F = _mm512_fmadd_ps(a, b, c);
        neg_mul_add(a: F, b: F, c: F) -> F = _mm512_fnmadd_ps(a, b, c);
        neg(a: F) -> F = _mm512_xor_ps(_mm512_set1_ps(-0.0), a);
        abs(a: F) -> F = _mm512_andnot_ps(_mm512_set1_ps(-0.0), a);
        copysign(a: F, sign: F) -> F = {
            let bit = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(bit, a), _mm512_and_ps(bit, sign))
        };
        min(a: F, b: F) -> F = _mm512_min_ps(a, b);
        max(a: F, b: F) -> F = _mm512_max_ps(a, b);
        sqrt(a: F) -> F = _mm512_sqrt_ps(a);
        floor(a: F) -> F = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a);
        ceil(a: F) -> F = _mm512_roundscale_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a);
        trunc(a: F) -> F = _mm512_roundscale_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(a);
        round_even(a: F) -> F = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);

        lt(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b);
        le(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b);
        eq(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b);
        ne(a: F, b: F) -> M = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, b);
        select(m: M, a: F, b: F) -> F = _mm512_mask_blend_ps(m, b, a);
        select_i32(m: M, a: I, b: I) -> I = _mm512_mask_blend_epi32(m, b, a);
        mask_and(a: M, b: M) -> M = a & b;
        mask_or(a: M, b: M) -> M = a | b;
        mask_not(a: M) -> M = !a;
        any(a: M) -> bool = a != 0;
        all(a: M) -> bool = a == 0xffff;
        head_mask(n: usize) -> M = head(n);

        splat_i32(x: i32) -> I = _mm512_set1_epi32(x);
        to_i32_round(a: F) -> I = _mm512_cvtps_epi32(a);
        to_i32_trunc(a: F) -> I = _mm512_cvttps_epi32(a);
        to_f32(a: I) -> F = _mm512_cvtepi32_ps(a);
        bits(a: F) -> I = _mm512_castps_si512(a);
        with_bits(a: I) -> F = _mm512_castsi512_ps(a);
        add_i32(a: I, b: I) -> I = _mm512_add_epi32(a, b);
        sub_i32(a: I, b: I) -> I = _mm512_sub_epi32(a, b);
        mul_i32(a: I, b: I) -> I = _mm512_mullo_epi32(a, b);
        dot_i16(a: I, b: I) -> I = _mm512_madd_epi16(a, b);
        min_i32(a: I, b: I) -> I = _mm512_min_epi32(a, b);
        max_i32(a: I, b: I) -> I = _mm512_max_epi32(a, b);
        and_i32(a: I, b: I) -> I = _mm512_and_si512(a, b);
        or_i32(a: I, b: I) -> I = _mm512_or_si512(a, b);
        xor_i32(a: I, b: I) -> I = _mm512_xor_si512(a, b);
        eq_i32(a: I, b: I) -> M = _mm512_cmpeq_epi32_mask(a, b);
        gt_i32(a: I, b: I) -> M = _mm512_cmpgt_epi32_mask(a, b);

        reduce_sum(a: F) -> f32 = _mm512_reduce_add_ps(a);
        reduce_max(a: F) -> f32 = _mm512_reduce_max_ps(a);
        reduce_min(a: F) -> f32 = _mm512_reduce_min_ps(a);
        reduce_sum_i32(a: I) -> i32 = _mm512_reduce_add_epi32(a);
    }
    // The immediate forms take another const type; with a constant count these compile to the same instruction.
    shift_words! { I, K,
        shl(a) = _mm512_sllv_epi32(a, _mm512_set1_epi32(K));
        shr(a) = _mm512_srlv_epi32(a, _mm512_set1_epi32(K));
        sar(a) = _mm512_srav_epi32(a, _mm512_set1_epi32(K));
    }
}
