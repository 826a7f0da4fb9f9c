//! NEON: four lanes, on every aarch64 that has an operating system. Masks are vectors of all ones or all zeros.
#![allow(unused_unsafe)] // Where NEON is in the baseline its arithmetic is safe.

use super::{Simd, WithSimd, memory_words, shift_words, words};
use crate::cx::Isa;
use crate::float::F16;
use core::arch::aarch64::*;

/// The token of aarch64 with NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The token, if this target has NEON.
    pub fn new() -> Option<Self> {
        Isa::Neon.available().then_some(Self(()))
    }

    /// The token.
    /// # Safety
    /// The CPU has NEON.
    #[inline(always)]
    pub const unsafe fn new_unchecked() -> Self {
        Self(())
    }

    /// Runs a kernel in a function that is compiled with NEON.
    #[inline(always)]
    pub fn enter<K: WithSimd>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn door<K: WithSimd>(s: Neon, kernel: K) -> K::Output {
            kernel.with_simd(s)
        }
        // SAFETY: the token proves that the CPU has NEON.
        unsafe { door(self, kernel) }
    }
}

type F = float32x4_t;
type I = int32x4_t;
type M = uint32x4_t;

/// Ones then zeros: a load at `4 - n` gives the mask of the first `n` lanes.
static HEADS: [u32; 8] = [!0, !0, !0, !0, 0, 0, 0, 0];

// SAFETY: made only by the token's constructors; float32x4_t has 4 lanes of f32.
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    const ISA: Isa = Isa::Neon;
    type F32 = F;
    type I32 = I;
    type Mask = M;

    memory_words! {
        load_ptr(p: *const f32) -> F = vld1q_f32(p);
        store_ptr(p: *mut f32, v: F) = vst1q_f32(p, v);
        load_head_ptr(p: *const f32, n: usize) -> F = {
            let mut lanes = [0.0; 4];
            core::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            vld1q_f32(lanes.as_ptr())
        };
        store_head_ptr(p: *mut f32, v: F, n: usize) = {
            let mut lanes = [0.0; 4];
            vst1q_f32(lanes.as_mut_ptr(), v);
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        };
        load_i32_ptr(p: *const i32) -> I = vld1q_s32(p);
        store_i32_ptr(p: *mut i32, v: I) = vst1q_s32(p, v);
        load_u8_ptr(p: *const u8) -> I = {
            let bytes = vreinterpret_u8_u32(vdup_n_u32(p.cast::<u32>().read_unaligned()));
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))))
        };
        load_i8_ptr(p: *const i8) -> I = {
            let bytes = vreinterpret_s8_u32(vdup_n_u32(p.cast::<u32>().read_unaligned()));
            vmovl_s16(vget_low_s16(vmovl_s8(bytes)))
        };
        load_bf16_ptr(p: *const u16) -> F = vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p)));
        load_f16_ptr(p: *const u16) -> F = {
            let halves = p.cast::<[u16; 4]>().read_unaligned();
            let lanes = [F16(halves[0]).to_f32(), F16(halves[1]).to_f32(), F16(halves[2]).to_f32(), F16(halves[3]).to_f32()];
            vld1q_f32(lanes.as_ptr())
        };
        store_f16_ptr(p: *mut u16, v: F) = {
            let mut lanes = [0.0; 4];
            vst1q_f32(lanes.as_mut_ptr(), v);
            p.cast::<[u16; 4]>().write_unaligned([
                F16::from_f32(lanes[0]).0, F16::from_f32(lanes[1]).0, F16::from_f32(lanes[2]).0, F16::from_f32(lanes[3]).0,
            ]);
        };
    }
    words! {
        splat(x: f32) -> F = vdupq_n_f32(x);
        add(a: F, b: F) -> F = vaddq_f32(a, b);
        sub(a: F, b: F) -> F = vsubq_f32(a, b);
        mul(a: F, b: F) -> F = vmulq_f32(a, b);
        div(a: F, b: F) -> F = vdivq_f32(a, b);
        mul_add(a: F, b: F, c: F) -> F = vfmaq_f32(c, a, b);
        neg_mul_add(a: F, b: F, c: F) -> F = vfmsq_f32(c, a, b);
        neg(a: F) -> F = vnegq_f32(a);
        abs(a: F) -> F = vabsq_f32(a);
        copysign(a: F, sign: F) -> F = {
            let bit = vdupq_n_u32(0x8000_0000);
            vreinterpretq_f32_u32(vorrq_u32(vbicq_u32(vreinterpretq_u32_f32(a), bit), vandq_u32(vreinterpretq_u32_f32(sign), bit)))
        };
        // FMIN and FMAX propagate NaN, which is not what these words mean.
        min(a: F, b: F) -> F = vbslq_f32(vcltq_f32(a, b), a, b);
        max(a: F, b: F) -> F = vbslq_f32(vcgtq_f32(a, b), a, b);
        min_nan(a: F, b: F) -> F = vminq_f32(a, b);
        max_nan(a: F, b: F) -> F = vmaxq_f32(a, b);
        sqrt(a: F) -> F = vsqrtq_f32(a);
        floor(a: F) -> F = vrndmq_f32(a);
        ceil(a: F) -> F = vrndpq_f32(a);
        trunc(a: F) -> F = vrndq_f32(a);
        round_even(a: F) -> F = vrndnq_f32(a);

        lt(a: F, b: F) -> M = vcltq_f32(a, b);
        le(a: F, b: F) -> M = vcleq_f32(a, b);
        eq(a: F, b: F) -> M = vceqq_f32(a, b);
        select(m: M, a: F, b: F) -> F = vbslq_f32(m, a, b);
        select_i32(m: M, a: I, b: I) -> I = vbslq_s32(m, a, b);
        mask_and(a: M, b: M) -> M = vandq_u32(a, b);
        mask_or(a: M, b: M) -> M = vorrq_u32(a, b);
        mask_not(a: M) -> M = vmvnq_u32(a);
        any(a: M) -> bool = vmaxvq_u32(a) != 0;
        all(a: M) -> bool = vminvq_u32(a) != 0;
        // 4 - n .. 8 - n lies in the table.
        head_mask(n: usize) -> M = vld1q_u32(HEADS.as_ptr().add(4 - n.min(4)));

        splat_i32(x: i32) -> I = vdupq_n_s32(x);
        to_i32_round(a: F) -> I = vcvtnq_s32_f32(a);
        to_i32_trunc(a: F) -> I = vcvtq_s32_f32(a);
        to_f32(a: I) -> F = vcvtq_f32_s32(a);
        bits(a: F) -> I = vreinterpretq_s32_f32(a);
        with_bits(a: I) -> F = vreinterpretq_f32_s32(a);
        add_i32(a: I, b: I) -> I = vaddq_s32(a, b);
        sub_i32(a: I, b: I) -> I = vsubq_s32(a, b);
        mul_i32(a: I, b: I) -> I = vmulq_s32(a, b);
        dot_i16(a: I, b: I) -> I = {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b))
        };
        min_i32(a: I, b: I) -> I = vminq_s32(a, b);
        max_i32(a: I, b: I) -> I = vmaxq_s32(a, b);
        and_i32(a: I, b: I) -> I = vandq_s32(a, b);
        or_i32(a: I, b: I) -> I = vorrq_s32(a, b);
        xor_i32(a: I, b: I) -> I = veorq_s32(a, b);
        eq_i32(a: I, b: I) -> M = vceqq_s32(a, b);
        gt_i32(a: I, b: I) -> M = vcgtq_s32(a, b);

        reduce_sum(a: F) -> f32 = vaddvq_f32(a);
        reduce_max(a: F) -> f32 = vmaxvq_f32(a);
        reduce_min(a: F) -> f32 = vminvq_f32(a);
        reduce_sum_i32(a: I) -> i32 = vaddvq_s32(a);
    }
    shift_words! { I, K,
        shl(a) = vshlq_n_s32::<K>(a);
        shr(a) = vreinterpretq_s32_u32(vshrq_n_u32::<K>(vreinterpretq_u32_s32(a)));
        sar(a) = vshrq_n_s32::<K>(a);
    }
}
