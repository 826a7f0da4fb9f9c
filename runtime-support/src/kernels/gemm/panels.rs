//! Packed panels as they are stored: as they are computed with, or in 16 bits that are widened panel by panel when they are used.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::block::PATCHES;
use super::pack::PANEL;
use crate::float::{BF16, F16};
use crate::simd::Simd;

/// How packed weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As computed with.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
}

/// An element that packed weights can be stored as. Products are of f32 whatever it is.
pub trait Stored: Copy + Send + Sync + 'static {
    /// Which storage this is.
    const STORAGE: Storage;
}

impl Stored for f32 {
    const STORAGE: Storage = Storage::F32;
}

impl Stored for F16 {
    const STORAGE: Storage = Storage::F16;
}

impl Stored for BF16 {
    const STORAGE: Storage = Storage::Bf16;
}

/// The rows of a panel that can be widened at a time.
pub(crate) const WIDE_ROWS: usize = PATCHES / PANEL;

/// Room for rows of a panel that were widened.
#[repr(align(64))]
pub(crate) struct Wide(MaybeUninit<[f32; PATCHES]>);

impl Wide {
    /// Room with nothing in it.
    #[inline(always)]
    pub const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }
}

/// A slice of packed weights, whatever its elements.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    start: Start,
    len: usize,
    lifetime: PhantomData<&'a f32>,
}

/// The first element.
#[derive(Clone, Copy)]
enum Start {
    F32(*const f32),
    F16(*const u16),
    Bf16(*const u16),
    /// Two rows at a time, as [`pack_bf16`](super::pack_bf16) makes them.
    Pairs(*const u32),
}

// SAFETY: this is a shared slice of plain numbers.
unsafe impl Send for Panels<'_> {}
// SAFETY: as above.
unsafe impl Sync for Panels<'_> {}

impl<'a> Panels<'a> {
    /// The slice.
    #[inline(always)]
    pub fn of<W: Stored>(weights: &'a [W]) -> Self {
        let start = match W::STORAGE {
            Storage::F32 => Start::F32(weights.as_ptr().cast()),
            Storage::F16 => Start::F16(weights.as_ptr().cast()),
            Storage::Bf16 => Start::Bf16(weights.as_ptr().cast()),
        };
        Self { start, len: weights.len(), lifetime: PhantomData }
    }

    /// The slice of panels whose rows are paired; it counts single elements.
    #[inline(always)]
    pub fn of_pairs(weights: &'a [u32]) -> Self {
        Self { start: Start::Pairs(weights.as_ptr()), len: weights.len().saturating_mul(2), lifetime: PhantomData }
    }

    /// The number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.len
    }

    /// The elements from `first` on: none, if there are fewer. Where rows are paired, `first` is at a whole pair, as every panel is.
    #[inline(always)]
    pub fn from(self, first: usize) -> Self {
        let first = first.min(self.len);
        let start = match self.start {
            Start::F32(p) => Start::F32(p.wrapping_add(first)),
            Start::F16(p) => Start::F16(p.wrapping_add(first)),
            Start::Bf16(p) => Start::Bf16(p.wrapping_add(first)),
            Start::Pairs(p) => Start::Pairs(p.wrapping_add(first / 2)),
        };
        Self { start, len: self.len - first, ..self }
    }

    /// Whether elements have to be widened.
    #[inline(always)]
    pub fn is_narrow(self) -> bool {
        !matches!(self.start, Start::F32(_))
    }

    /// The slice, if nothing has to be widened.
    #[inline(always)]
    pub fn as_f32(self) -> Option<&'a [f32]> {
        let Start::F32(start) = self.start else { return None };
        // SAFETY: `of` took the pointer and the length from a slice that is borrowed for 'a, and `from` kept them together.
        Some(unsafe { core::slice::from_raw_parts(start, self.len) })
    }

    /// Where element `at` is, for a prefetch: only panels that are not narrow are worth one.
    #[inline(always)]
    pub fn place(self, at: usize) -> *const f32 {
        match self.start {
            Start::F32(p) => p.wrapping_add(at),
            Start::F16(_) | Start::Bf16(_) | Start::Pairs(_) => core::ptr::null(),
        }
    }

    /// Rows of a panel from element `at` on, as f32: where they are, or widened into `wide`.
    ///
    /// # Safety
    /// There are that many rows, and no more than [`WIDE_ROWS`] if the panels are narrow.
    #[inline(always)]
    pub unsafe fn rows<S: Simd>(self, s: S, at: usize, rows: usize, wide: &mut Wide) -> *const f32 {
        if let Start::F32(p) = self.start {
            return p.wrapping_add(at);
        }
        let to = wide.0.as_mut_ptr().cast::<f32>();
        for i in (0..rows * PANEL).step_by(S::LANES) {
            // SAFETY: the lanes of a vector divide a row, `rows` rows are in the panel, and they fit the room.
            unsafe {
                let x = match self.start {
                    Start::F32(p) => s.load_ptr(p.add(at + i)),
                    Start::F16(p) => s.load_f16_ptr(p.add(at + i)),
                    Start::Bf16(p) => s.load_bf16_ptr(p.add(at + i)),
                    Start::Pairs(p) => {
                        let row = (at + i) / PANEL;
                        s.bf16_of(s.load_ptr(p.add(row / 2 * PANEL + i % PANEL).cast()), row % 2 == 1)
                    }
                };
                s.store_ptr(to.add(i), x);
            }
        }
        to
    }
}
