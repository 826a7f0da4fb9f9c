//! The micro-kernel: a tile of `MR` rows and `NV` vectors of columns, accumulated in registers over one block of k.

use super::epilogue::Finish;
use super::pack::PANEL;
use crate::cx::Cx;
use crate::simd::{MAX_LANES, Simd, WithSimd, dispatch, dispatch_bf16};

/// What the 32 bits of an element mean, and so what multiplying and adding is. The loops only move bits.
pub(crate) trait Arithmetic: 'static {
    /// Whether sums are f32, which can be scaled, biased and activated.
    const REAL: bool;
    /// Whether elements are f32 too.
    const SINGLE: bool;
    /// Runs a kernel of this arithmetic.
    #[inline(always)]
    fn dispatch<K: WithSimd>(cx: Cx, kernel: K) -> K::Output {
        dispatch(cx, kernel)
    }
    /// `a * b + c`.
    fn mul_add<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32;
    /// `a + b`, both sums.
    fn add<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32;
}

/// Elements are f32.
pub(crate) struct Real;

impl Arithmetic for Real {
    const REAL: bool = true;
    const SINGLE: bool = true;
    #[inline(always)]
    fn mul_add<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
        s.mul_add(a, b, c)
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.add(a, b)
    }
}

/// Elements are pairs of i16, sums are i32.
pub(crate) struct Pairs;

impl Arithmetic for Pairs {
    const REAL: bool = false;
    const SINGLE: bool = false;
    #[inline(always)]
    fn mul_add<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
        s.with_bits(s.add_i32(s.dot_i16(s.bits(a), s.bits(b)), s.bits(c)))
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.with_bits(s.add_i32(s.bits(a), s.bits(b)))
    }
}

/// Elements are pairs of bf16, sums are f32.
pub(crate) struct Bf16Pairs;

impl Arithmetic for Bf16Pairs {
    const REAL: bool = true;
    const SINGLE: bool = false;
    #[inline(always)]
    fn dispatch<K: WithSimd>(cx: Cx, kernel: K) -> K::Output {
        let _ = cx;
        dispatch_bf16(kernel)
    }
    #[inline(always)]
    fn mul_add<S: Simd>(s: S, a: S::F32, b: S::F32, c: S::F32) -> S::F32 {
        s.dot_bf16(a, b, c)
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.add(a, b)
    }
}

/// Where a tile is: everything that depends on its place, not on its kind.
#[derive(Clone, Copy)]
pub(crate) struct Place<'t, 'f> {
    /// For each row, for each segment: where the row's elements of A are.
    pub rows: *const *const f32,
    /// The lengths of the segments of this block of k.
    pub segments: &'t [usize],
    /// The first row of the panel in this block, at the tile's first column.
    pub b: *const f32,
    /// Where the panel rows are that the tiles after these will need: brought near while these are computed. May be any address.
    pub next: *const f32,
    /// After how many elements of k to ask for the next of those rows: as many as there are tiles, so that they share the work.
    pub next_every: usize,
    /// The tile's first element of C.
    pub c: *mut f32,
    /// From a row of C to the next.
    pub c_row: usize,
    /// The tile's first row and column in C.
    pub at: (usize, usize),
    /// How many of the tile's columns exist.
    pub cols: usize,
    /// C already holds the sum of earlier blocks of k.
    pub resume: bool,
    /// Set in the last block of k.
    pub finish: Option<&'f Finish<'f>>,
}

impl Place<'_, '_> {
    /// Whether a tile of so many vectors can be finished in registers: all its columns exist (but in a single vector, which is cut to them),
    /// and sums are neither scaled nor given something by row.
    #[inline(always)]
    fn is_plain<S: Simd>(&self, vectors: usize) -> bool {
        (vectors == 1 || self.cols == vectors * S::LANES) && self.finish.is_none_or(|f| f.alpha == 1.0 && f.row_bias.is_none())
    }
}

/// Loads a vector of a plain tile.
///
/// # Safety
/// `from` has the `cols` elements of a single vector's tile, `LANES` in others.
#[inline(always)]
unsafe fn load_plain<S: Simd, const NV: usize>(s: S, from: *const f32, cols: usize) -> S::F32 {
    // SAFETY: as the function's.
    unsafe { if const { NV == 1 } { load_up_to(s, from, cols) } else { s.load_ptr(from) } }
}

/// Sums one tile of exactly `MR` rows. Stores it and gives true if it is plain; else the sums are to be passed to [`store`].
///
/// # Safety
/// `MR * NV` is at most `MAX_VECTORS`; `rows` holds `MR * segments.len()` pointers, each to as many elements as its segment is long; `b` has a panel row for each of them.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, A: Arithmetic, const MR: usize, const NV: usize>(s: S, p: &Place<'_, '_>, sums: *mut f32) -> bool {
    let mut acc = [[s.zero(); NV]; MR];
    let plain = p.is_plain::<S>(NV);
    let bias = p.finish.and_then(|f| f.bias);
    if plain && p.resume {
        for r in 0..MR {
            for v in 0..NV {
                // SAFETY: the tile lies inside C.
                acc[r][v] = unsafe { load_plain::<S, NV>(s, p.c.add(r * p.c_row + v * S::LANES), p.cols) };
            }
        }
    } else if A::REAL
        && plain
        && let Some(bias) = bias
    {
        for v in 0..NV {
            // SAFETY: there is a bias for each column.
            let b = unsafe { load_plain::<S, NV>(s, bias.as_ptr().add(p.at.1 + v * S::LANES), p.cols) };
            for r in 0..MR {
                acc[r][v] = b;
            }
        }
    }
    let mut b = p.b;
    let (mut next, mut wait) = (p.next, p.next_every);
    let count = p.segments.len();
    for i in 0..count {
        // SAFETY: the table has a pointer for each row and segment, each pointer `len` elements, and the panel that many rows.
        unsafe {
            let len = *p.segments.get_unchecked(i);
            let mut rows = [core::ptr::null::<f32>(); MR];
            for r in 0..MR {
                rows[r] = *p.rows.add(r * count + i);
            }
            for l in 0..len {
                wait -= 1;
                if wait == 0 {
                    s.prefetch(next);
                    (next, wait) = (next.wrapping_add(PANEL), p.next_every);
                }
                let mut columns = [s.zero(); NV];
                for v in 0..NV {
                    columns[v] = s.load_ptr(b.add(v * S::LANES));
                }
                for r in 0..MR {
                    let x = s.splat(*rows[r].add(l));
                    for v in 0..NV {
                        acc[r][v] = A::mul_add(s, x, columns[v], acc[r][v]);
                    }
                }
                b = b.add(PANEL);
            }
        }
    }
    if plain {
        let late_bias = if p.resume { bias } else { None };
        // SAFETY: the tile lies inside C and the residual, and there is a bias for each column.
        unsafe { store_plain::<S, A, MR, NV>(s, p, acc, late_bias) };
        return true;
    }
    // Through memory, so that what follows is one compact loop for all sizes of tiles and the accumulators are only indexed by constants.
    for r in 0..MR {
        for v in 0..NV {
            // SAFETY: a vector has at most MAX_LANES lanes.
            unsafe { s.store_ptr(sums.add((r * NV + v) * MAX_LANES), acc[r][v]) };
        }
    }
    false
}

/// Finishes a plain tile, if this is the last block of k, and stores it.
///
/// # Safety
/// The tile lies inside C and the residual; the bias has an element for each column.
#[inline(always)]
unsafe fn store_plain<S: Simd, A: Arithmetic, const MR: usize, const NV: usize>(
    s: S,
    p: &Place<'_, '_>,
    mut acc: [[S::F32; NV]; MR],
    late_bias: Option<&[f32]>,
) {
    // SAFETY: as the function's.
    unsafe {
        if A::REAL
            && let Some(bias) = late_bias
        {
            for v in 0..NV {
                let b = load_plain::<S, NV>(s, bias.as_ptr().add(p.at.1 + v * S::LANES), p.cols);
                for r in 0..MR {
                    acc[r][v] = s.add(acc[r][v], b);
                }
            }
        }
        if A::REAL
            && let Some((residual, row)) = p.finish.and_then(|f| f.residual)
        {
            for r in 0..MR {
                let line = residual.add((p.at.0 + r) * row + p.at.1);
                for v in 0..NV {
                    acc[r][v] = s.add(acc[r][v], load_plain::<S, NV>(s, line.add(v * S::LANES), p.cols));
                }
            }
        }
        if A::REAL
            && let Some((low, high)) = p.finish.and_then(|f| f.activation.as_clamp())
        {
            let (low, high) = (s.splat(low), s.splat(high));
            for r in 0..MR {
                for v in 0..NV {
                    // In this order of arguments NaN stays NaN.
                    acc[r][v] = s.min(high, s.max(low, acc[r][v]));
                }
            }
        }
        for r in 0..MR {
            for v in 0..NV {
                let c = p.c.add(r * p.c_row + v * S::LANES);
                if const { NV == 1 } {
                    store_up_to(s, c, p.cols, acc[r][v]);
                } else {
                    s.store_ptr(c, acc[r][v]);
                }
            }
        }
    }
}

/// The most vectors in a tile.
const MAX_VECTORS: usize = 24;

/// Room for the sums of a tile: `[row][vector][MAX_LANES]`.
#[repr(align(64))]
pub(crate) struct Sums(#[allow(dead_code)] [f32; MAX_LANES * MAX_VECTORS]);

/// Adds the earlier sum, finishes if this is the last block, and stores the tile.
///
/// # Safety
/// `sums` has the sums of so many rows and vectors; `c` (and the residual) may be written (read) at that many rows of
/// `cols <= vectors * S::LANES` columns; biases cover the rows and columns.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, A: Arithmetic>(s: S, p: &Place<'_, '_>, sums: *const f32, rows: usize, vectors: usize) {
    for v in 0..vectors {
        let at = v * S::LANES;
        let width = p.cols.saturating_sub(at).min(S::LANES);
        // SAFETY: only existing rows and columns of C, residual and biases are touched, as the caller promises.
        unsafe {
            let mut bias = s.zero();
            if let Some(all) = p.finish.and_then(|f| f.bias) {
                bias = load_up_to(s, all.as_ptr().add(p.at.1 + at), width);
            }
            for r in 0..rows {
                let mut x = s.load_ptr(sums.add((r * vectors + v) * MAX_LANES));
                let c = p.c.add(r * p.c_row + at);
                if p.resume {
                    x = A::add(s, x, load_up_to(s, c, width));
                }
                if A::REAL
                    && let Some(f) = p.finish
                {
                    x = s.mul_add(x, s.splat(f.alpha), bias);
                    if let Some(row_bias) = f.row_bias {
                        x = s.add(x, s.splat(*row_bias.get_unchecked(p.at.0 + r)));
                    }
                    if let Some((residual, row)) = f.residual {
                        x = s.add(x, load_up_to(s, residual.add((p.at.0 + r) * row + p.at.1 + at), width));
                    }
                    if let Some((low, high)) = f.activation.as_clamp() {
                        // In this order of arguments NaN stays NaN.
                        x = s.min(s.splat(high), s.max(s.splat(low), x));
                    }
                }
                store_up_to(s, c, width, x);
            }
        }
    }
}

/// Loads the first `count <= LANES` lanes, zeros in the others.
///
/// # Safety
/// `from` has `count` elements.
#[inline(always)]
pub(crate) unsafe fn load_up_to<S: Simd>(s: S, from: *const f32, count: usize) -> S::F32 {
    // SAFETY: as the function's.
    unsafe { if count == S::LANES { s.load_ptr(from) } else { s.load_head_ptr(from, count) } }
}

/// Stores the first `count <= LANES` lanes.
///
/// # Safety
/// `to` has `count` elements.
#[inline(always)]
pub(crate) unsafe fn store_up_to<S: Simd>(s: S, to: *mut f32, count: usize, x: S::F32) {
    // SAFETY: as the function's.
    unsafe { if count == S::LANES { s.store_ptr(to, x) } else { s.store_head_ptr(to, x, count) } }
}
