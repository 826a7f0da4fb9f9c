//! The loops around the micro-kernel: blocks of rows, blocks of k, panels of columns, tiles.
//!
//! A matrix product and a convolution differ only in where a row's elements of A are: for a product, in the row of a matrix; for a convolution,
//! in the window of an output pixel, one run of channels for each tap. A [`Source`] says where, as a table of pointers for a block of rows.
//! Nothing is copied unless the elements are not contiguous.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;

use super::epilogue::{Finish, activate};
use super::pack::PANEL;
use super::panels::{Panels, WIDE_ROWS, Wide};
use super::tile::{Arithmetic, Place, Sums, store, tile};
use crate::cx::{Cx, Isa};
use crate::simd::{Simd, WithSimd};

/// Pointers in a table: rows of a block times segments of a block of k.
const TABLE: usize = if cfg!(feature = "std") { 1024 } else { 256 };
/// Elements that a source may gather for one block of rows and k.
pub(crate) const PATCHES: usize = if cfg!(feature = "std") { 4096 } else { 1024 };
/// The most segments in a block of k.
const SEGMENTS: usize = 32;
/// The most k in a block, so that a panel's part of it stays near while the rows go by.
const K_BLOCK: usize = 384;
/// The same where rows are gathered: the more k, the fewer rows there is room for.
const K_GATHERED: usize = 256;
/// The most elements of A, and the most rows, in a block, so that it stays in the L2 cache while the panels go by.
const A_BLOCK: usize = 96 * K_BLOCK;
const M_BLOCK: usize = 144;
/// The panels that go by before the next block of k, so that their part of C stays in the L2 cache too. As many as there are, if the rows of A
/// would have to be gathered again for each group.
const PANELS: usize = 8;

/// As many zeros as a segment can be long: the elements of A under padding.
pub(crate) static ZEROS: [f32; K_BLOCK] = [0.0; K_BLOCK];

/// A run of k: `len` elements from `start` of one unit (one tap, or one row of taps, of a convolution; the only unit of a product).
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Which unit.
    pub unit: usize,
    /// The first element in the unit.
    pub start: usize,
    /// The number of elements.
    pub len: usize,
}

/// Where the rows of A are.
pub(crate) trait Source: Sync {
    /// The units of k, and the length of each.
    fn units(&self) -> (usize, usize);
    /// Whether `locate` never gathers, so that a block of k may have any length.
    fn in_place(&self) -> bool;
    /// How many of the rows from `row` can be one block, at most `limit`, if a block of k has up to `k` elements. At least 1.
    fn block_rows(&self, row: usize, limit: usize, k: usize) -> usize;
    /// Calls `set(i, pointer)` for each row `rows.start + i`, where `pointer` has the segment's elements.
    /// What is not contiguous is gathered to `patches` from `*used` on, which has room if the block is no larger than `block_rows` said.
    fn locate(&self, rows: Range<usize>, segment: Segment, patches: &mut Patches, set: &mut Column<'_>);
}

/// Room for gathered elements.
pub(crate) struct Patches {
    room: [MaybeUninit<f32>; PATCHES],
    used: usize,
}

impl Patches {
    /// Takes `len` elements; they must be written before they are read. `None` if there is no room.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Option<&mut [MaybeUninit<f32>]> {
        let taken = self.room.get_mut(self.used..self.used.checked_add(len)?)?;
        self.used += len;
        Some(taken)
    }
}

/// One column of the table of pointers: those of one segment.
pub(crate) struct Column<'t> {
    table: &'t mut [*const f32],
    segment: usize,
    segments: usize,
}

impl Column<'_> {
    /// Sets the pointer of row `i` of the block.
    #[inline(always)]
    pub fn set(&mut self, i: usize, pointer: *const f32) {
        if let Some(entry) = self.table.get_mut(i * self.segments + self.segment) {
            *entry = pointer;
        }
    }
}

/// How k is cut into blocks.
#[derive(Clone, Copy)]
struct Cut {
    units: usize,
    unit: usize,
    /// Units in a block, if whole ones; else 1.
    whole: usize,
    /// Elements in a segment.
    len: usize,
}

impl Cut {
    fn new((units, unit): (usize, usize), limit: usize) -> Self {
        let chunks = unit.div_ceil(limit).max(1);
        let most = (limit / unit.max(1)).clamp(1, SEGMENTS);
        let blocks = units.div_ceil(most).max(1);
        Self { units, unit, whole: units.div_ceil(blocks).max(1), len: unit.div_ceil(chunks) }
    }

    /// Fills in the segments of the block from position `at`; gives their number and the position after them.
    #[inline(always)]
    fn block(&self, at: usize, segments: &mut [Segment; SEGMENTS]) -> (usize, usize) {
        let (mut count, mut position) = (0, at);
        while count < self.whole && position < self.units * self.unit {
            let (unit, start) = (position / self.unit, position % self.unit);
            let len = self.len.min(self.unit - start);
            segments[count] = Segment { unit, start, len };
            count += 1;
            position += len;
        }
        (count, position)
    }
}

/// One right-hand side and one output, whichever rows are computed.
#[derive(Clone, Copy)]
pub(crate) struct Target<'f> {
    /// The packed panels.
    pub b: Panels<'f>,
    /// The first element of C.
    pub c: *mut f32,
    /// From a row of C to the next.
    pub c_row: usize,
    /// The columns of C.
    pub n: usize,
    /// What is done with the sums.
    pub finish: &'f Finish<'f>,
}

// SAFETY: the pointers are those of slices that the kernel's entry point borrows while threads run; tasks write disjoint tiles of C.
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
unsafe impl Sync for Target<'_> {}

/// A pointer that tasks share; they keep to disjoint parts.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub *mut f32);

impl Shared {
    /// The element at an offset.
    /// # Safety
    /// The offset lies within the slice that the pointer was taken from.
    #[inline(always)]
    pub unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: as the function's.
        unsafe { self.0.add(offset) }
    }
}

// SAFETY: dereferenced only in unsafe code that says why tasks do not meet.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// The heights that rows are best cut at between tasks: a multiple of most tile heights.
pub(crate) const ROWS: usize = 24;

/// Computes the given rows and panels with the instruction set of the context.
///
/// # Safety
/// `t.b` has the panels, each with a row for each element of the units; C, the residual and the biases cover the rows and columns;
/// nobody else touches that part of C.
pub(crate) unsafe fn compute<A: Arithmetic>(cx: Cx, a: &dyn Source, t: &Target<'_>, rows: Range<usize>, panels: Range<usize>) {
    A::dispatch(cx, Run(a, t, rows, panels, PhantomData::<A>));
}

struct Run<'r, A>(&'r dyn Source, &'r Target<'r>, Range<usize>, Range<usize>, PhantomData<A>);

impl<A: Arithmetic> WithSimd for Run<'_, A> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self(a, t, rows, panels, _) = self;
        // Each condition is a constant block, so that the other branches are not even compiled.
        // SAFETY: `compute` was promised what `run` asks for.
        unsafe {
            if const { matches!(S::ISA, Isa::Avx512) } {
                run::<S, A, 8, 2>(s, a, t, rows, panels);
            } else if const { matches!(S::ISA, Isa::Avx2) } {
                if rows.len() <= 3 { run::<S, A, 3, 4>(s, a, t, rows, panels) } else { run::<S, A, 6, 2>(s, a, t, rows, panels) }
            } else if const { matches!(S::ISA, Isa::Neon) } {
                run::<S, A, 6, 4>(s, a, t, rows, panels);
            } else if const { matches!(S::ISA, Isa::Simd128) } {
                run::<S, A, 4, 2>(s, a, t, rows, panels);
            } else {
                run::<S, A, 4, 1>(s, a, t, rows, panels);
            }
        }
    }
}

/// Computes the given rows and panels in tiles of `MR × NV`.
///
/// # Safety
/// As for [`compute`].
#[inline(always)]
unsafe fn run<S: Simd, A: Arithmetic, const MR: usize, const NV: usize>(
    s: S,
    a: &dyn Source,
    t: &Target<'_>,
    rows: Range<usize>,
    panels: Range<usize>,
) {
    let (units, unit) = a.units();
    // A single tile of rows reads each panel once: then there is nothing to keep in cache, and k is not cut unless pointers run out.
    let limit = if t.b.is_narrow() {
        WIDE_ROWS.min(K_BLOCK)
    } else if rows.len() <= MR && units == 1 && a.in_place() {
        usize::MAX
    } else if a.in_place() {
        K_BLOCK
    } else {
        K_GATHERED
    };
    let cut = Cut::new((units, unit), limit);
    let depth = units * unit;
    // Not filled here: that takes longer than a small product.
    let mut table = [const { MaybeUninit::<*const f32>::uninit() }; TABLE];
    let mut patches = Patches { room: [const { MaybeUninit::uninit() }; PATCHES], used: 0 };
    let mut wide = Wide::new();
    let mut segments = [Segment { unit: 0, start: 0, len: 0 }; SEGMENTS];
    let most = (A_BLOCK / (cut.whole * cut.len).max(1)).clamp(MR, M_BLOCK).min(TABLE / cut.whole);
    let blocks = rows.len().div_ceil(most).max(1);
    // Blocks of nearly equal height: a low one at the end would read all panels for little.
    let height = rows.len().div_ceil(blocks).next_multiple_of(MR);
    let group = if a.in_place() && depth > cut.whole * cut.len { PANELS } else { usize::MAX };
    let mut row = rows.start;
    while row < rows.end {
        let limit = (rows.end - row).min(height).min(TABLE / cut.whole);
        let count = a.block_rows(row, limit, cut.whole * cut.len).clamp(1, limit);
        let (mut at, mut first) = (0, panels.start);
        while first < panels.end {
            let last = first.saturating_add(group).min(panels.end);
            let (segment_count, end) = cut.block(at, &mut segments);
            let segments = &segments[..segment_count];
            patches.used = 0;
            let table = empty(&mut table[..count * segment_count]);
            for (i, &segment) in segments.iter().enumerate() {
                a.locate(row..row + count, segment, &mut patches, &mut Column { table, segment: i, segments: segment_count });
            }
            let mut lengths = [0; SEGMENTS];
            for (length, segment) in lengths.iter_mut().zip(segments) {
                *length = segment.len;
            }
            let finish = (end == depth).then_some(t.finish);
            let after = if end == depth { (last, 0) } else { (first, end) };
            for panel in first..last {
                let (next_panel, next_at) = if panel + 1 < last { (panel + 1, at) } else { after };
                let next = t.b.place((next_panel * depth + next_at) * PANEL);
                // SAFETY: the panel has these rows, and a block of narrow panels is no longer than what can be widened.
                let rows_of_b = unsafe { t.b.rows(s, (panel * depth + at) * PANEL, end - at, &mut wide) };
                let end_column = t.n.min((panel + 1) * PANEL);
                for column in (panel * PANEL..end_column).step_by(NV * S::LANES) {
                    // SAFETY: the table holds the block's rows; panel and column exist.
                    unsafe {
                        let b = rows_of_b.add(column % PANEL);
                        let place = Place {
                            rows: table.as_ptr(),
                            segments: &lengths[..segment_count],
                            b,
                            next: if column + NV * S::LANES < end_column { b.wrapping_add(NV * S::LANES) } else { next },
                            next_every: usize::MAX,
                            c: t.c.add(row * t.c_row + column),
                            c_row: t.c_row,
                            at: (row, column),
                            cols: (t.n - column).min(NV * S::LANES),
                            resume: at > 0,
                            finish,
                        };
                        if const { NV > 1 } && (place.cols <= S::LANES || const { NV == 2 } && place.cols < NV * S::LANES) {
                            // Columns that do not fill a tile go by single vectors. More rows, since a sum of few vectors waits for itself.
                            for v in (0..place.cols).step_by(S::LANES) {
                                let mut one = Place { b: place.b.add(v), c: place.c.add(v), cols: (place.cols - v).min(S::LANES), ..place };
                                one.at.1 += v;
                                tiles::<S, A, 8, 1>(s, one, count);
                            }
                        } else {
                            tiles::<S, A, MR, NV>(s, place, count);
                        }
                        if A::REAL && end == depth && t.finish.activation.is_costly() {
                            activate(s, t.finish.activation, place.c, place.c_row, count, place.cols);
                        }
                    }
                }
            }
            (first, at) = after;
        }
        row += count;
    }
}

/// The table with no pointers in it.
#[inline(always)]
fn empty(table: &mut [MaybeUninit<*const f32>]) -> &mut [*const f32] {
    for entry in table.iter_mut() {
        entry.write(core::ptr::null());
    }
    // SAFETY: every entry was written.
    unsafe { &mut *(core::ptr::from_mut(table) as *mut [*const f32]) }
}

/// Cuts a block's rows into tiles of nearly equal height, at most `MR`.
///
/// # Safety
/// As for [`tile`], for `count` rows.
#[inline(always)]
unsafe fn tiles<S: Simd, A: Arithmetic, const MR: usize, const NV: usize>(s: S, mut place: Place<'_, '_>, count: usize) {
    let number = count.div_ceil(MR);
    let (height, taller) = (count / number, count % number);
    let depth: usize = place.segments.iter().sum();
    if number > 1 {
        // A single tile reads the panel in one stream, which the hardware sees coming.
        place.next_every = number;
    }
    let mut sums = MaybeUninit::<Sums>::uninit();
    let sums = sums.as_mut_ptr().cast::<f32>();
    let mut done = 0;
    while done < count {
        let height = if const { matches!(S::ISA, Isa::Scalar) } {
            // Portable code is compiled for two heights only.
            if count - done >= MR { MR } else { 1 }
        } else {
            height + usize::from(done < taller * (height + 1))
        };
        // SAFETY: heights add up to `count`, so the tile's rows exist.
        unsafe {
            let stored = match height {
                1 => tile::<S, A, 1, NV>(s, &place, sums),
                2 if const { MR >= 2 && !matches!(S::ISA, Isa::Scalar) } => tile::<S, A, 2, NV>(s, &place, sums),
                3 if const { MR >= 3 && !matches!(S::ISA, Isa::Scalar) } => tile::<S, A, 3, NV>(s, &place, sums),
                4 if const { MR >= 4 } => tile::<S, A, 4, NV>(s, &place, sums),
                5 if const { MR >= 5 } => tile::<S, A, 5, NV>(s, &place, sums),
                6 if const { MR >= 6 } => tile::<S, A, 6, NV>(s, &place, sums),
                7 if const { MR >= 7 } => tile::<S, A, 7, NV>(s, &place, sums),
                8 if const { MR >= 8 } => tile::<S, A, 8, NV>(s, &place, sums),
                _ => true,
            };
            if !stored {
                store::<S, A>(s, &place, sums, height, NV);
            }
            place.rows = place.rows.add(height * place.segments.len());
            place.c = place.c.add(height * place.c_row);
            place.next = place.next.wrapping_add(depth / number * PANEL);
        }
        place.at.0 += height;
        done += height;
    }
}
