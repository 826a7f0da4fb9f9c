//! WebAssembly simd128: four lanes. A module either has the instructions or does not load, so there is nothing to detect.
#![allow(unused_unsafe)] // Where simd128 is in the baseline its arithmetic is safe.

use super::{Simd, WithSimd, memory_words, shift_words, words};
use crate::cx::Isa;
use crate::float::F16;
use core::arch::wasm32::*;

/// The token of WebAssembly with simd128.
#[derive(Clone, Copy, Debug)]
pub struct Simd128(());

impl Simd128 {
    /// The token.
    pub fn new() -> Option<Self> {
        Some(Self(()))
    }

    /// The token.
    /// # Safety
    /// None needed: this type exists only where the instructions do.
    #[inline(always)]
    pub const unsafe fn new_unchecked() -> Self {
        Self(())
    }

    /// Runs a kernel.
    #[inline(always)]
    pub fn enter<K: WithSimd>(self, kernel: K) -> K::Output {
        kernel.with_simd(self)
    }
}

/// Ones then zeros: a load at `4 - n` gives the mask of the first `n` lanes.
static HEADS: [u32; 8] = [!0, !0, !0, !0, 0, 0, 0, 0];

#[inline(always)]
fn lanes(a: v128) -> [f32; 4] {
    [f32x4_extract_lane::<0>(a), f32x4_extract_lane::<1>(a), f32x4_extract_lane::<2>(a), f32x4_extract_lane::<3>(a)]
}

// SAFETY: the module has simd128 (cfg); v128 has 4 lanes of f32.
unsafe impl Simd for Simd128 {
    const LANES: usize = 4;
    const ISA: Isa = Isa::Simd128;
    type F32 = v128;
    type I32 = v128;
    type Mask = v128;

    memory_words! {
        load_ptr(p: *const f32) -> v128 = v128_load(p.cast());
        store_ptr(p: *mut f32, v: v128) = v128_store(p.cast(), v);
        load_head_ptr(p: *const f32, n: usize) -> v128 = {
            let mut x = [0.0f32; 4];
            core::ptr::copy_nonoverlapping(p, x.as_mut_ptr(), n);
            f32x4(x[0], x[1], x[2], x[3])
        };
        store_head_ptr(p: *mut f32, v: v128, n: usize) = core::ptr::copy_nonoverlapping(lanes(v).as_ptr(), p, n);
        load_i32_ptr(p: *const i32) -> v128 = v128_load(p.cast());
        store_i32_ptr(p: *mut i32, v: v128) = v128_store(p.cast(), v);
        load_u8_ptr(p: *const u8) -> v128 = u32x4_extend_low_u16x8(u16x8_extend_low_u8x16(v128_load32_zero(p.cast())));
        load_i8_ptr(p: *const i8) -> v128 = i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(v128_load32_zero(p.cast())));
        load_bf16_ptr(p: *const u16) -> v128 = u32x4_shl(u32x4_load_extend_u16x4(p), 16);
        load_f16_ptr(p: *const u16) -> v128 = {
            let h = p.cast::<[u16; 4]>().read_unaligned();
            f32x4(F16(h[0]).to_f32(), F16(h[1]).to_f32(), F16(h[2]).to_f32(), F16(h[3]).to_f32())
        };
        store_f16_ptr(p: *mut u16, v: v128) = {
            let x = lanes(v);
            let h = [F16::from_f32(x[0]).0, F16::from_f32(x[1]).0, F16::from_f32(x[2]).0, F16::from_f32(x[3]).0];
            p.cast::<[u16; 4]>().write_unaligned(h);
        };
    }
    words! {
        splat(x: f32) -> v128 = f32x4_splat(x);
        add(a: v128, b: v128) -> v128 = f32x4_add(a, b);
        sub(a: v128, b: v128) -> v128 = f32x4_sub(a, b);
        mul(a: v128, b: v128) -> v128 = f32x4_mul(a, b);
        div(a: v128, b: v128) -> v128 = f32x4_div(a, b);
        mul_add(a: v128, b: v128, c: v128) -> v128 = f32x4_add(f32x4_mul(a, b), c);
        neg_mul_add(a: v128, b: v128, c: v128) -> v128 = f32x4_sub(c, f32x4_mul(a, b));
        neg(a: v128) -> v128 = f32x4_neg(a);
        abs(a: v128) -> v128 = f32x4_abs(a);
        copysign(a: v128, sign: v128) -> v128 = v128_bitselect(sign, a, u32x4_splat(0x8000_0000));
        // pmin(b, a) is `if a < b { a } else { b }`.
        min(a: v128, b: v128) -> v128 = f32x4_pmin(b, a);
        max(a: v128, b: v128) -> v128 = f32x4_pmax(b, a);
        min_nan(a: v128, b: v128) -> v128 = f32x4_min(a, b);
        max_nan(a: v128, b: v128) -> v128 = f32x4_max(a, b);
        sqrt(a: v128) -> v128 = f32x4_sqrt(a);
        floor(a: v128) -> v128 = f32x4_floor(a);
        ceil(a: v128) -> v128 = f32x4_ceil(a);
        trunc(a: v128) -> v128 = f32x4_trunc(a);
        round_even(a: v128) -> v128 = f32x4_nearest(a);

        lt(a: v128, b: v128) -> v128 = f32x4_lt(a, b);
        le(a: v128, b: v128) -> v128 = f32x4_le(a, b);
        eq(a: v128, b: v128) -> v128 = f32x4_eq(a, b);
        ne(a: v128, b: v128) -> v128 = f32x4_ne(a, b);
        select(m: v128, a: v128, b: v128) -> v128 = v128_bitselect(a, b, m);
        select_i32(m: v128, a: v128, b: v128) -> v128 = v128_bitselect(a, b, m);
        mask_and(a: v128, b: v128) -> v128 = v128_and(a, b);
        mask_or(a: v128, b: v128) -> v128 = v128_or(a, b);
        mask_not(a: v128) -> v128 = v128_not(a);
        any(a: v128) -> bool = v128_any_true(a);
        all(a: v128) -> bool = i32x4_all_true(a);
        // 4 - n .. 8 - n lies in the table.
        head_mask(n: usize) -> v128 = v128_load(HEADS.as_ptr().add(4 - n.min(4)).cast());

        splat_i32(x: i32) -> v128 = i32x4_splat(x);
        to_i32_round(a: v128) -> v128 = i32x4_trunc_sat_f32x4(f32x4_nearest(a));
        to_i32_trunc(a: v128) -> v128 = i32x4_trunc_sat_f32x4(a);
        to_f32(a: v128) -> v128 = f32x4_convert_i32x4(a);
        bits(a: v128) -> v128 = a;
        with_bits(a: v128) -> v128 = a;
        add_i32(a: v128, b: v128) -> v128 = i32x4_add(a, b);
        sub_i32(a: v128, b: v128) -> v128 = i32x4_sub(a, b);
        mul_i32(a: v128, b: v128) -> v128 = i32x4_mul(a, b);
        dot_i16(a: v128, b: v128) -> v128 = i32x4_dot_i16x8(a, b);
        min_i32(a: v128, b: v128) -> v128 = i32x4_min(a, b);
        max_i32(a: v128, b: v128) -> v128 = i32x4_max(a, b);
        and_i32(a: v128, b: v128) -> v128 = v128_and(a, b);
        or_i32(a: v128, b: v128) -> v128 = v128_or(a, b);
        xor_i32(a: v128, b: v128) -> v128 = v128_xor(a, b);
        eq_i32(a: v128, b: v128) -> v128 = i32x4_eq(a, b);
        gt_i32(a: v128, b: v128) -> v128 = i32x4_gt(a, b);

        reduce_sum(a: v128) -> f32 = {
            let x = lanes(a);
            (x[0] + x[2]) + (x[1] + x[3])
        };
        reduce_max(a: v128) -> f32 = {
            let x = lanes(f32x4_pmax(a, i32x4_shuffle::<2, 3, 0, 1>(a, a)));
            if x[0] > x[1] { x[0] } else { x[1] }
        };
        reduce_min(a: v128) -> f32 = {
            let x = lanes(f32x4_pmin(a, i32x4_shuffle::<2, 3, 0, 1>(a, a)));
            if x[0] < x[1] { x[0] } else { x[1] }
        };
        reduce_sum_i32(a: v128) -> i32 = {
            let x = i32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
            i32x4_extract_lane::<0>(x).wrapping_add(i32x4_extract_lane::<1>(x))
        };
    }
    shift_words! { v128, K,
        shl(a) = i32x4_shl(a, K as u32);
        shr(a) = u32x4_shr(a, K as u32);
        sar(a) = i32x4_shr(a, K as u32);
    }
}
