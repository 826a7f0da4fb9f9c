//! The vector vocabulary: what kernels are written in, once, for every instruction set.
//!
//! A value of a type that implements [`Simd`] (a *token*) is the proof that the CPU has the instructions. Kernels are structs that implement
//! [`WithSimd`]; [`dispatch`] calls them with the token of the instruction set that the [`Cx`] names:
//!
//! ```
//! use onnxc_runtime::{cx::Cx, simd::{dispatch, Simd, WithSimd}};
//! struct Scale<'a> { x: &'a mut [f32], by: f32 }
//! impl WithSimd for Scale<'_> {
//!     type Output = ();
//!     #[inline(always)]
//!     fn with_simd<S: Simd>(self, s: S) {
//!         let by = s.splat(self.by);
//!         let mut vectors = self.x.chunks_exact_mut(S::LANES);
//!         for x in &mut vectors {
//!             s.store(x, s.mul(s.load(x), by));
//!         }
//!         let tail = vectors.into_remainder();
//!         s.store_head(tail, s.mul(s.load_head(tail), by));
//!     }
//! }
//! let mut x = [1.0, 2.0, 3.0];
//! dispatch(Cx::detect(), Scale { x: &mut x, by: 2.0 });
//! assert_eq!(x, [2.0, 4.0, 6.0]);
//! ```
//!
//! Three rules make it fast: everything between [`dispatch`] and a word of the vocabulary is `#[inline(always)]`; no closures there (they cannot
//! be marked so, and what is not inlined is compiled without the instructions); a kernel's loop lives inside `with_simd`, not around it.
//!
//! Words give the same bits on every instruction set, except [`Simd::mul_add`] (rounded once where the hardware can), the reductions (the order
//! of sums depends on [`Simd::LANES`]), [`Simd::dot_bf16`], the sign of zero in `min`/`max`, and conversions to integers out of range.

mod scalar;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::Neon;
pub use scalar::Scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm32::Simd128;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{Avx2, Avx512};

use crate::cx::{Cx, Isa};

/// A kernel: state in, result out, written over the vocabulary. Mark `with_simd` `#[inline(always)]`.
pub trait WithSimd {
    /// What the kernel gives.
    type Output;
    /// Runs with the instructions that `s` stands for.
    fn with_simd<S: Simd>(self, s: S) -> Self::Output;
}

/// Runs a kernel with the instruction set of `cx`.
#[inline(always)]
pub fn dispatch<K: WithSimd>(cx: Cx, kernel: K) -> K::Output {
    // A Cx only holds instruction sets that this machine has.
    match cx.isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: see above.
        Isa::Avx2 => unsafe { Avx2::new_unchecked() }.enter(kernel),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: see above.
        Isa::Avx512 => unsafe { Avx512::<false>::new_unchecked() }.enter(kernel),
        #[cfg(target_arch = "aarch64")]
        // SAFETY: see above.
        Isa::Neon => unsafe { Neon::new_unchecked() }.enter(kernel),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        // SAFETY: see above.
        Isa::Simd128 => unsafe { Simd128::new_unchecked() }.enter(kernel),
        _ => kernel.with_simd(Scalar),
    }
}

/// Whether the instruction set of `cx` comes with an instruction for [`Simd::dot_bf16`] on this machine: AVX512-BF16.
pub(crate) fn has_dot_bf16(cx: Cx) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = Avx512::<true>::new().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has && cx.isa() == Isa::Avx512
}

/// [`dispatch`] for kernels of [`Simd::dot_bf16`], which are for machines that [have it](has_dot_bf16). Elsewhere portable code, for tests.
#[inline(always)]
pub(crate) fn dispatch_bf16<K: WithSimd>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = Avx512::<true>::new() {
        return token.enter(kernel);
    }
    kernel.with_simd(Scalar)
}

/// The most lanes that any instruction set has: the length of buffers that hold any vector.
pub const MAX_LANES: usize = 16;

/// Tests that [`Simd::tests`] makes at once.
pub const TESTS: usize = 32;

/// The words. `F32` and `I32` have [`LANES`](Simd::LANES) lanes of 32 bits; `Mask` has a truth value for each.
///
/// # Safety
/// A value of the type exists only where the CPU has the instructions, and `LANES` is the number of lanes, at most [`MAX_LANES`].
pub unsafe trait Simd: Copy + Send + Sync + 'static {
    /// Lanes in a vector: a power of two.
    const LANES: usize;
    /// The instruction set.
    const ISA: Isa;
    /// A vector of f32.
    type F32: Copy;
    /// A vector of i32.
    type I32: Copy;
    /// A vector of truth values.
    type Mask: Copy;

    // --- memory ---

    /// Reads `LANES` elements, unaligned.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_ptr(self, p: *const f32) -> Self::F32;
    /// Writes `LANES` elements, unaligned.
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store_ptr(self, p: *mut f32, v: Self::F32);
    /// Asks for the cache line at `p`, which may be any address, to be brought near; does nothing where there is no such instruction.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }
    /// For each of [`TESTS`] tests a bit: whether the byte of `table` (16 `N` bytes; `N` is 2 or 4) at its place in `which` is at least that in `least`.
    #[inline(always)]
    fn tests<const N: usize>(self, table: &[[u8; 16]; N], which: &[u8; TESTS], least: &[u8; TESTS]) -> u32 {
        let mut word = 0;
        for i in 0..TESTS {
            let byte = table[which[i] as usize / 16 % N][which[i] as usize % 16];
            word |= u32::from(byte >= least[i]) << i;
        }
        word
    }
    /// The words of `table` at some places; a place past its end, as an unsigned number, is the last, and an empty table is of zeros.
    #[inline(always)]
    fn gather(self, table: &[u32], places: Self::I32) -> Self::I32 {
        let mut lanes = [0; MAX_LANES];
        // SAFETY: there are MAX_LANES elements, and LANES is no more.
        unsafe { self.store_i32_ptr(lanes.as_mut_ptr(), places) };
        for lane in lanes.iter_mut().take(Self::LANES) {
            *lane = table.get((*lane as u32 as usize).min(table.len().wrapping_sub(1))).map_or(0, |&word| word as i32);
        }
        // SAFETY: as above.
        unsafe { self.load_i32_ptr(lanes.as_ptr()) }
    }
    /// How many of [`TESTS`] numbers are less than `x`.
    #[inline(always)]
    fn count_less(self, numbers: &[f32; TESTS], x: f32) -> u32 {
        numbers.iter().map(|&number| u32::from(number < x)).sum()
    }
    /// Reads `n` (at most `LANES`) elements; the other lanes are 0.
    /// # Safety
    /// `p` is valid for reading `n` elements, `n <= LANES`.
    unsafe fn load_head_ptr(self, p: *const f32, n: usize) -> Self::F32;
    /// Writes the first `n` (at most `LANES`) lanes.
    /// # Safety
    /// `p` is valid for writing `n` elements, `n <= LANES`.
    unsafe fn store_head_ptr(self, p: *mut f32, v: Self::F32, n: usize);
    /// Reads `LANES` i32, unaligned.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_i32_ptr(self, p: *const i32) -> Self::I32;
    /// Writes `LANES` i32, unaligned.
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store_i32_ptr(self, p: *mut i32, v: Self::I32);
    /// Reads `LANES` bytes, zero-extended.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_u8_ptr(self, p: *const u8) -> Self::I32;
    /// Reads `LANES` bytes, sign-extended.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_i8_ptr(self, p: *const i8) -> Self::I32;
    /// Reads `LANES` bfloat16 (their bits).
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_bf16_ptr(self, p: *const u16) -> Self::F32;
    /// Reads `LANES` halves (their bits).
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_f16_ptr(self, p: *const u16) -> Self::F32;
    /// Writes `LANES` halves (their bits), rounded to nearest even.
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store_f16_ptr(self, p: *mut u16, v: Self::F32);

    /// Reads the first `LANES` elements; panics if there are fewer (the check goes away after `chunks_exact`).
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::F32 {
        assert!(x.len() >= Self::LANES);
        // SAFETY: long enough.
        unsafe { self.load_ptr(x.as_ptr()) }
    }
    /// Writes the first `LANES` elements; panics if there are fewer (the check goes away after `chunks_exact_mut`).
    #[inline(always)]
    fn store(self, x: &mut [f32], v: Self::F32) {
        assert!(x.len() >= Self::LANES);
        // SAFETY: long enough.
        unsafe { self.store_ptr(x.as_mut_ptr(), v) }
    }
    /// Reads as many elements as there are, at most `LANES`; the other lanes are 0.
    #[inline(always)]
    fn load_head(self, x: &[f32]) -> Self::F32 {
        // SAFETY: the number of elements is cut to what there is and to LANES.
        unsafe { self.load_head_ptr(x.as_ptr(), x.len().min(Self::LANES)) }
    }
    /// Reads as many elements as there are, at most `LANES`; the other lanes are `fill`.
    #[inline(always)]
    fn load_head_or(self, x: &[f32], fill: f32) -> Self::F32 {
        self.select(self.head_mask(x.len()), self.load_head(x), self.splat(fill))
    }
    /// Writes as many lanes as `x` has room for, at most `LANES`.
    #[inline(always)]
    fn store_head(self, x: &mut [f32], v: Self::F32) {
        // SAFETY: the number of elements is cut to what there is and to LANES.
        unsafe { self.store_head_ptr(x.as_mut_ptr(), v, x.len().min(Self::LANES)) }
    }

    // --- arithmetic ---

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F32;
    /// 0 in every lane.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }
    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once where the hardware has it, else twice.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `c - a * b`, rounded once where the hardware has it, else twice.
    fn neg_mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `a[0] * b[0] + a[1] * b[1] + c` of lanes that are pairs of bf16, the first in the low half; `c` and the result are f32. In which order the
    /// three are added, whether products are rounded, and whether subnormal numbers are taken for zeros depends on the instruction set.
    #[inline(always)]
    fn dot_bf16(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        dot_bf16(self, a, b, c)
    }
    /// One of each pair of bf16, as f32: the first, or the second.
    #[inline(always)]
    fn bf16_of(self, a: Self::F32, second: bool) -> Self::F32 {
        let bits = self.bits(a);
        // A bf16 is the upper half of an f32.
        self.with_bits(if second { self.and_i32(bits, self.splat_i32(!0xffff)) } else { self.shl::<16>(bits) })
    }
    /// The sign flipped, of NaN too.
    fn neg(self, a: Self::F32) -> Self::F32;
    /// The sign cleared, of NaN too.
    fn abs(self, a: Self::F32) -> Self::F32;
    /// The magnitude of `a` with the sign of `sign`.
    fn copysign(self, a: Self::F32, sign: Self::F32) -> Self::F32;
    /// `if a < b { a } else { b }`: `b` if either is NaN. The sign of a zero result is unspecified.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a > b { a } else { b }`: `b` if either is NaN. The sign of a zero result is unspecified.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The lesser, NaN if either is NaN (ONNX Min).
    #[inline(always)]
    fn min_nan(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        self.select(self.is_nan(a), a, self.min(a, b))
    }
    /// The greater, NaN if either is NaN (ONNX Max).
    #[inline(always)]
    fn max_nan(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        self.select(self.is_nan(a), a, self.max(a, b))
    }
    /// The square root, correctly rounded.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// Rounded down.
    fn floor(self, a: Self::F32) -> Self::F32;
    /// Rounded up.
    fn ceil(self, a: Self::F32) -> Self::F32;
    /// Rounded towards zero.
    fn trunc(self, a: Self::F32) -> Self::F32;
    /// Rounded to the nearest integer, ties to even.
    fn round_even(self, a: Self::F32) -> Self::F32;

    // --- truth ---

    /// `a < b`.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a <= b`.
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a == b`.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a > b`.
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.lt(b, a)
    }
    /// `a >= b`.
    #[inline(always)]
    fn ge(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.le(b, a)
    }
    /// `a != b`, true if either is NaN.
    #[inline(always)]
    fn ne(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.mask_not(self.eq(a, b))
    }
    /// Whether NaN.
    #[inline(always)]
    fn is_nan(self, a: Self::F32) -> Self::Mask {
        self.ne(a, a)
    }
    /// `if m { a } else { b }`.
    fn select(self, m: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if m { a } else { b }`.
    fn select_i32(self, m: Self::Mask, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Both.
    fn mask_and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either or both.
    fn mask_or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Not.
    fn mask_not(self, a: Self::Mask) -> Self::Mask;
    /// Whether any lane is true.
    fn any(self, a: Self::Mask) -> bool;
    /// Whether all lanes are true.
    #[inline(always)]
    fn all(self, a: Self::Mask) -> bool {
        !self.any(self.mask_not(a))
    }
    /// True in the first `n` lanes (all if `n` is larger).
    fn head_mask(self, n: usize) -> Self::Mask;

    // --- integers ---

    /// `x` in every lane.
    fn splat_i32(self, x: i32) -> Self::I32;
    /// The nearest integer, ties to even. Unspecified if it is not an i32.
    fn to_i32_round(self, a: Self::F32) -> Self::I32;
    /// Rounded towards zero. Unspecified if it is not an i32.
    fn to_i32_trunc(self, a: Self::F32) -> Self::I32;
    /// The nearest f32.
    fn to_f32(self, a: Self::I32) -> Self::F32;
    /// The bits of an f32.
    fn bits(self, a: Self::F32) -> Self::I32;
    /// The f32 with these bits.
    fn with_bits(self, a: Self::I32) -> Self::F32;
    /// `a + b`, wrapping.
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a - b`, wrapping.
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a * b`, the low 32 bits.
    fn mul_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Each lane seen as two i16: the sum of the two products, wrapping.
    fn dot_i16(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The lesser.
    fn min_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The greater.
    fn max_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bitwise and.
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bitwise or.
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bitwise exclusive or.
    fn xor_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Shifted left by `K` (1 to 31).
    fn shl<const K: i32>(self, a: Self::I32) -> Self::I32;
    /// Shifted right by `K` (1 to 31), zeros coming in.
    fn shr<const K: i32>(self, a: Self::I32) -> Self::I32;
    /// Shifted right by `K` (1 to 31), the sign coming in.
    fn sar<const K: i32>(self, a: Self::I32) -> Self::I32;
    /// `a == b`.
    fn eq_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;
    /// `a > b`, signed.
    fn gt_i32(self, a: Self::I32, b: Self::I32) -> Self::Mask;

    // --- across lanes ---

    /// The sum of all lanes, as a balanced tree.
    fn reduce_sum(self, a: Self::F32) -> f32;
    /// The greatest lane; unspecified if any is NaN.
    fn reduce_max(self, a: Self::F32) -> f32;
    /// The least lane; unspecified if any is NaN.
    fn reduce_min(self, a: Self::F32) -> f32;
    /// Each lane's bits moved down by `k` < 32, which zeros follow: [`shr`](Self::shr) by a number that the compiler does not know.
    #[inline(always)]
    fn shr_by(self, a: Self::I32, k: u32) -> Self::I32 {
        let mut lanes = [0; MAX_LANES];
        // SAFETY: there are MAX_LANES elements, and LANES is no more.
        unsafe { self.store_i32_ptr(lanes.as_mut_ptr(), a) };
        for lane in &mut lanes {
            *lane = (*lane as u32).wrapping_shr(k) as i32;
        }
        // SAFETY: as above.
        unsafe { self.load_i32_ptr(lanes.as_ptr()) }
    }
    /// The sum of all lanes, wrapping.
    fn reduce_sum_i32(self, a: Self::I32) -> i32;
}

/// Methods of a [`Simd`] token in one line each: `name(args) -> result = intrinsics;`.
/// [`Simd::dot_bf16`] where there is no instruction for it.
#[inline(always)]
fn dot_bf16<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
    let first = s.mul_add(s.bf16_of(a, false), s.bf16_of(b, false), c);
    s.mul_add(s.bf16_of(a, true), s.bf16_of(b, true), first)
}

#[allow(unused_macros)] // Unused on targets with no vector instructions.
macro_rules! words {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $ty),*) -> $ret {
            // SAFETY: the token proves that the CPU has the instructions; they touch no memory.
            unsafe { $body }
        }
    )*};
}
/// The same for the words that read or write memory.
#[allow(unused_macros)]
macro_rules! memory_words {
    ($($name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = $body:expr;)*) => {$(
        #[inline(always)]
        unsafe fn $name(self, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the token proves that the CPU has the instructions; the caller vouches for the memory.
            unsafe { $body }
        }
    )*};
}
/// The shifts, whose amounts are const generics.
#[allow(unused_macros)]
macro_rules! shift_words {
    ($v:ty, $k:ident, $($name:ident($arg:ident) = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name<const $k: i32>(self, $arg: $v) -> $v {
            // SAFETY: the token proves that the CPU has the instructions; they touch no memory.
            unsafe { $body }
        }
    )*};
}
#[allow(unused_imports)]
use {memory_words, shift_words, words};
