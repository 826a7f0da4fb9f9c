//! Products with matrices of 2, 4 or 8 bits an element, as they are stored: blocks along k with a scale and a zero point each.
//!
//! A byte holds several elements, the low bits first. Taking one of them out of a vector of bytes is a mask, and no shift: the left operand comes
//! in *phases* (`phases`), first the elements that meet the lowest bits of the bytes, then those that meet the next ones, and so on, each divided
//! by the power of two that its bits stand at.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::gemm::{Activation, PANEL, Product, Shared, gemm_packed, promise};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// The bytes that have to follow a packed matrix, so that its last ones can be read as a vector.
pub const PADDING: usize = 16;

/// From how many rows on it pays to make columns real, once for all rows.
const MANY: usize = 16;
/// How many columns are real at a time.
const COLUMNS: usize = 4 * PANEL;

/// The scratch of [`product`] for so many rows: the left operand in phases, or some columns. `padded` is k with its last block full.
pub const fn scratch_len(rows: usize, columns: usize, padded: usize) -> usize {
    let lines = if rows < MANY { rows } else { columns_at_once(columns) };
    lines.saturating_mul(padded)
}

const fn columns_at_once(columns: usize) -> usize {
    let all = columns.div_ceil(PANEL).saturating_mul(PANEL);
    if all < COLUMNS { all } else { COLUMNS }
}

/// `out[row][j] = sum over k of x[row][k] * (q[j][k] - zero[j][block of k]) * scale[j][block of k]`, where q is `packed`: `[columns][blocks][run]`
/// bytes of elements of `bits` bits, followed by [`PADDING`] more.
///
/// `scales` and `zeros` are `[columns][blocks]`; without `zeros` the zero point is the middle. Scratch: [`scratch_len`].
pub fn product(
    cx: Cx,
    out: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    packed: &[u8],
    scales: &[f32],
    zeros: Option<&[f32]>,
    rows: usize,
    columns: usize,
    k: usize,
    blocks: usize,
    run: usize,
    bits: usize,
) -> Result<(), Fault> {
    promise(matches!(bits, 2 | 4 | 8), "product of packed bits: bits an element")?;
    let count = columns.saturating_mul(blocks);
    let (bytes, block) = (count.saturating_mul(run), run.saturating_mul(8 / bits));
    let padded = blocks.saturating_mul(block);
    promise(rows.checked_mul(columns) == Some(out.len()) && rows.checked_mul(k) == Some(x.len()), "product of packed bits: operands")?;
    promise(k <= padded && padded < k.saturating_add(block.max(1)), "product of packed bits: blocks")?;
    promise(scales.len() == count && zeros.is_none_or(|z| z.len() == count), "product of packed bits: scales and zero points")?;
    promise(packed.len() >= bytes.saturating_add(PADDING), "product of packed bits: the matrix is too short")?;
    if out.is_empty() || padded == 0 {
        out.fill(0.0);
        return Ok(());
    }
    promise(scratch.len() >= scratch_len(rows, columns, padded), "product of packed bits: too little scratch")?;
    let matrix = Packed { bytes: packed, scales, zeros, blocks, run };
    if rows >= MANY {
        return by_panels(cx, out, scratch, x, &matrix, Product { c_row: columns, ..Product::dense(rows, columns, k) }, bits);
    }
    let phased = &mut scratch[..rows * padded];
    phases(phased, x, k, padded, bits);
    let work = rows.saturating_mul(columns).saturating_mul(padded);
    let tasks = parallel::tasks(cx, work).min(columns.max(1));
    let job = Job { out: Shared(out.as_mut_ptr()), x: phased, matrix, rows, columns };
    parallel::each(cx, work, tasks, |task| {
        let part = parallel::part(columns, 1, task, tasks);
        match bits {
            2 => dispatch(cx, Part::<4>(&job, part)),
            4 => dispatch(cx, Part::<2>(&job, part)),
            _ => dispatch(cx, Part::<1>(&job, part)),
        }
    });
    Ok(())
}

/// The left operand in phases: `out[row][phase][j] = x[row][j * phases + phase] / 2^(phase * bits)`, with zeros from `k` up to `padded`.
fn phases(out: &mut [f32], x: &[f32], k: usize, padded: usize, bits: usize) {
    let each = 8 / bits;
    for (i, run) in out.chunks_exact_mut(padded / each).enumerate() {
        let (row, phase) = (i / each, i % each);
        let share = 1.0 / (1u32 << (phase * bits)) as f32;
        let x = x.get(row * k..(row + 1) * k).unwrap_or_default();
        for (j, y) in run.iter_mut().enumerate() {
            *y = x.get(j * each + phase).map_or(0.0, |&v| v * share);
        }
    }
}

/// The product of many rows: of a few columns at a time, which are made real in the panels of the f32 product.
fn by_panels(
    cx: Cx,
    out: &mut [f32],
    panels: &mut [f32],
    x: &[f32],
    matrix: &Packed<'_>,
    whole: Product,
    bits: usize,
) -> Result<(), Fault> {
    let (k, columns) = (whole.k, whole.n);
    for first in (0..columns).step_by(COLUMNS) {
        let n = COLUMNS.min(columns - first);
        let panels = &mut panels[..n.div_ceil(PANEL) * PANEL * k];
        let count = n.div_ceil(PANEL);
        let target = Shared(panels.as_mut_ptr());
        let work = n.saturating_mul(k);
        let tasks = parallel::tasks(cx, work).min(count);
        parallel::each(cx, work, tasks, |task| {
            for panel in parallel::part(count, 1, task, tasks) {
                // SAFETY: the panels follow each other in the slice, `k · PANEL` elements each, and one is one task's.
                let out = unsafe { core::slice::from_raw_parts_mut(target.at(panel * k * PANEL), k * PANEL) };
                let at = first + panel * PANEL..(first + (panel + 1) * PANEL).min(columns);
                match bits {
                    2 => dispatch(cx, Unpack::<4> { out, matrix, columns: at }),
                    4 => dispatch(cx, Unpack::<2> { out, matrix, columns: at }),
                    _ => dispatch(cx, Unpack::<1> { out, matrix, columns: at }),
                }
            }
        });
        let part = Product { n, ..whole };
        gemm_packed(cx, &mut out[first..], x, panels, None, None, None, part, 1.0, Activation::NONE)?;
    }
    Ok(())
}

/// A packed matrix: `[columns][blocks][run]` bytes, and a scale and a zero point (or none) for each block.
#[derive(Clone, Copy)]
struct Packed<'a> {
    bytes: &'a [u8],
    scales: &'a [f32],
    zeros: Option<&'a [f32]>,
    blocks: usize,
    run: usize,
}

/// One panel `[k][PANEL]` of real numbers; `PHASES` elements a byte.
struct Unpack<'a, const PHASES: usize> {
    out: &'a mut [f32],
    matrix: &'a Packed<'a>,
    columns: Range<usize>,
}

impl<const PHASES: usize> WithSimd for Unpack<'_, PHASES> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Packed { bytes, scales, zeros, blocks, run } = *self.matrix;
        let (bits, width) = (8 / PHASES, self.columns.len());
        let mask = ((1u32 << bits) - 1) as u8;
        let mut lines = self.out.chunks_exact_mut(PANEL);
        for block in 0..blocks {
            // Of columns that are not there all is zero.
            let (mut scale, mut zero) = ([0.0; PANEL], [(1u32 << (bits - 1)) as f32; PANEL]);
            for c in 0..width {
                let at = (self.columns.start + c) * blocks + block;
                scale[c] = scales[at];
                zero[c] = zeros.map_or(zero[c], |z| z[at]);
            }
            for i in 0..run {
                let mut column = [0u8; PANEL];
                for (c, byte) in column[..width].iter_mut().enumerate() {
                    *byte = bytes[((self.columns.start + c) * blocks + block) * run + i];
                }
                for phase in 0..PHASES {
                    // The last block may be longer than k.
                    let Some(line) = lines.next() else { return };
                    for c in 0..PANEL {
                        line[c] = (f32::from((column[c] >> (phase * bits)) & mask) - zero[c]) * scale[c];
                    }
                }
            }
        }
    }
}

/// The operands, whose lengths fit the sizes. A column of the result belongs to one task.
struct Job<'a> {
    out: Shared,
    /// In phases.
    x: &'a [f32],
    matrix: Packed<'a>,
    rows: usize,
    columns: usize,
}

/// Some columns; `PHASES` elements a byte.
struct Part<'j, 'a, const PHASES: usize>(&'j Job<'a>, Range<usize>);

/// Rows that are computed together, for each vector of elements that was taken out.
const ROWS: usize = 4;

impl<const PHASES: usize> WithSimd for Part<'_, '_, PHASES> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self(job, columns) = self;
        let mut row = 0;
        while row < job.rows {
            let several = job.rows - row >= ROWS;
            for column in columns.clone() {
                if several {
                    job.column::<S, PHASES, ROWS>(s, row, column);
                } else {
                    job.column::<S, PHASES, 1>(s, row, column);
                }
            }
            row += if several { ROWS } else { 1 };
        }
    }
}

impl Job<'_> {
    /// `R` elements of one column.
    #[inline(always)]
    fn column<S: Simd, const PHASES: usize, const R: usize>(&self, s: S, row: usize, column: usize) {
        let Packed { bytes, scales, zeros, blocks, run } = self.matrix;
        let bits = 8 / PHASES;
        let phase = blocks * run;
        let (x, packed) = (self.x[row * phase * PHASES..][..R * phase * PHASES].as_ptr(), bytes.as_ptr());
        let mut sums = [s.zero(); R];
        for block in 0..blocks {
            let at = column * blocks + block;
            let zero = zeros.map_or((1u32 << (bits - 1)) as f32, |z| z[at]);
            let mut part = [s.zero(); R];
            let mut i = 0;
            while i < run {
                let lanes = (run - i).min(S::LANES);
                // SAFETY: the bytes are in the matrix or in the padding behind it, and the elements are in the run of their phase.
                unsafe {
                    let bytes = s.load_u8_ptr(packed.add(at * run + i));
                    for p in 0..PHASES {
                        let mask = ((1u32 << bits) - 1) << (p * bits);
                        let element = s.to_f32(s.and_i32(bytes, s.splat_i32(mask as i32)));
                        let factor = s.sub(element, s.splat(zero * (1u32 << (p * bits)) as f32));
                        for r in 0..R {
                            let x = x.add((r * PHASES + p) * phase + block * run + i);
                            let x = if lanes == S::LANES { s.load_ptr(x) } else { s.load_head_ptr(x, lanes) };
                            part[r] = s.mul_add(x, factor, part[r]);
                        }
                    }
                }
                i += S::LANES;
            }
            let scale = s.splat(scales[at]);
            for r in 0..R {
                sums[r] = s.mul_add(part[r], scale, sums[r]);
            }
        }
        for (r, &sum) in sums.iter().enumerate() {
            // SAFETY: the row and the column exist, and the column is this task's.
            unsafe { *self.out.at((row + r) * self.columns + column) = s.reduce_sum(sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::tests::{Noise, contexts};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn matches_the_definition() {
        let mut noise = Noise(11);
        for round in 0..60 {
            let bits = [2, 4, 8][round % 3];
            // Few rows, or so many that columns are made real: of one panel, of several, of more than are real at a time.
            let few = round % 4 > 0;
            let (rows, columns) = if few { (noise.below(10), noise.below(20)) } else { (MANY + noise.below(10), noise.below(200)) };
            let (k, block) = (noise.below(200), 16 << noise.below(3));
            let (blocks, run) = (k.div_ceil(block), block * bits / 8);
            let real = |noise: &mut Noise| noise.below(2001) as f32 / 1000.0 - 1.0;
            let x: Vec<f32> = (0..rows * k).map(|_| real(&mut noise)).collect();
            let packed: Vec<u8> = (0..columns * blocks * run + PADDING).map(|_| noise.next() as u8).collect();
            let scales: Vec<f32> = (0..columns * blocks).map(|_| real(&mut noise)).collect();
            let zeros: Vec<f32> = (0..columns * blocks).map(|_| real(&mut noise) * 8.0).collect();
            let zeros = (round % 2 == 0).then_some(&zeros[..]);
            let mut expected = vec![0f64; rows * columns];
            for (at, y) in expected.iter_mut().enumerate() {
                let (row, column) = (at / columns, at % columns);
                for i in 0..k {
                    let of = column * blocks + i / block;
                    let byte = packed[of * run + i % block * bits / 8];
                    let q = u32::from(byte) >> (i % block * bits % 8) & ((1 << bits) - 1);
                    let zero = zeros.map_or(f64::from(1 << (bits - 1)), |z| f64::from(z[of]));
                    *y += f64::from(x[row * k + i]) * (f64::from(q) - zero) * f64::from(scales[of]);
                }
            }
            let mut scratch = vec![9.0; scratch_len(rows, columns, blocks * block)];
            for cx in contexts() {
                let mut out = vec![9.0; rows * columns];
                product(cx, &mut out, &mut scratch, &x, &packed, &scales, zeros, rows, columns, k, blocks, run, bits).unwrap();
                for (got, want) in out.iter().zip(&expected) {
                    let tolerance = 1e-4 * (1 << bits) as f64;
                    assert!((f64::from(*got) - want).abs() < tolerance, "{bits} bits, {rows} × {k} × {columns}: {got}, expected {want}");
                }
            }
        }
    }

    #[test]
    fn short_matrices_are_refused() {
        let mut out = [0.0];
        let x = [0.0; 32];
        let got = product(Cx::REFERENCE, &mut out, &mut [0.0; 32], &x, &[0; 16], &[1.0, 1.0], None, 1, 1, 32, 2, 8, 4);
        assert!(got.is_err());
    }
}
