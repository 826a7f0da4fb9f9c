//! A few rows times packed panels, added to what is there: the recurrent product.
//!
//! A gate's matrix (`hidden` columns, padded with zeros to whole panels of 32) is `panel, k, 32 columns`, gates one after the other, so that
//! every instruction set reads whole vectors and a gate starts on a panel.

use crate::error::Fault;
use crate::simd::Simd;

/// Columns of a panel.
pub(super) const PANEL: usize = 32;

/// `hidden` rounded up to whole panels.
pub(super) const fn padded(hidden: usize) -> usize {
    hidden.div_ceil(PANEL) * PANEL
}

/// The length of `gates` (times directions) packed matrices.
pub const fn packed_len(gates: usize, hidden: usize) -> usize {
    gates * padded(hidden) * hidden
}

/// Packs ONNX's R (`directions, gates * hidden, hidden`) into panels; `gates` counts those of all directions.
pub fn pack(out: &mut [f32], r: &[f32], gates: usize, hidden: usize) -> Result<(), Fault> {
    if out.len() != packed_len(gates, hidden) || r.len() != gates * hidden * hidden {
        return Err(Fault::Internal { what: "recurrent weights: lengths" });
    }
    out.fill(0.0);
    if hidden == 0 {
        return Ok(());
    }
    for (out, r) in out.chunks_exact_mut(padded(hidden) * hidden).zip(r.chunks_exact(hidden * hidden)) {
        for (column, row) in r.chunks_exact(hidden).enumerate() {
            let panel = &mut out[column / PANEL * hidden * PANEL..];
            for (k, &v) in row.iter().enumerate() {
                panel[k * PANEL + column % PANEL] = v;
            }
        }
    }
    Ok(())
}

/// Rows that lie `stride` apart in one memory: `k` factors at `a`, sums of as many columns as the panels have at `out`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub base: *mut f32,
    pub stride: usize,
    pub count: usize,
    pub a: usize,
    pub out: usize,
}

/// Adds `a · panels` to `out` for each row.
///
/// # Safety
/// For each row `r` below `count`, `base + r * stride + a` is valid for reading `k` elements and `base + r * stride + out` for reading and writing
/// `panels.len() / k` elements, which do not overlap the former; `panels.len()` is a multiple of `32 * k`.
#[inline(always)]
pub(super) unsafe fn accumulate<S: Simd>(s: S, rows: Rows, panels: &[f32], k: usize) {
    if k == 0 {
        return;
    }
    let columns = panels.len() / k;
    let mut done = 0;
    while done < rows.count {
        let left = rows.count - done;
        // SAFETY: the row exists, so its start is within the memory.
        let part = Rows { base: unsafe { rows.base.add(done * rows.stride) }, ..rows };
        // SAFETY: as the function's, for rows `done` and after.
        unsafe {
            match left {
                1 => sweep::<S, 1, 8>(s, part, panels, k, columns),
                2 | 4 => sweep::<S, 2, 4>(s, part, panels, k, columns),
                _ => sweep::<S, 3, 4>(s, part, panels, k, columns),
            }
        }
        done += match left {
            1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
    }
}

/// `R` rows, `V` vectors of columns at a time, then one at a time.
/// # Safety
/// As [`accumulate`], for `R` rows.
#[inline(always)]
unsafe fn sweep<S: Simd, const R: usize, const V: usize>(s: S, rows: Rows, panels: &[f32], k: usize, columns: usize) {
    let mut column = 0;
    // SAFETY: groups end at `columns`, a multiple of 32 and so of LANES.
    unsafe {
        while column + V * S::LANES <= columns {
            group::<S, R, V>(s, rows, panels, k, column);
            column += V * S::LANES;
        }
        while column + 4 * S::LANES <= columns {
            group::<S, R, 4>(s, rows, panels, k, column);
            column += 4 * S::LANES;
        }
        while column < columns {
            group::<S, R, 1>(s, rows, panels, k, column);
            column += S::LANES;
        }
    }
}

/// # Safety
/// As [`accumulate`], for `R` rows and `V` vectors of columns from `column`.
#[inline(always)]
unsafe fn group<S: Simd, const R: usize, const V: usize>(s: S, rows: Rows, panels: &[f32], k: usize, column: usize) {
    let mut sums = [[s.zero(); V]; R];
    let mut from = [panels.as_ptr(); V];
    // SAFETY: vector v has columns column + v * LANES .., all of one panel because LANES divides 32; rows as promised.
    unsafe {
        for v in 0..V {
            let c = column + v * S::LANES;
            from[v] = panels.as_ptr().add(c / PANEL * k * PANEL + c % PANEL);
            for r in 0..R {
                sums[r][v] = s.load_ptr(rows.base.add(r * rows.stride + rows.out + c));
            }
        }
        for p in 0..k {
            let mut factor = [s.zero(); R];
            for r in 0..R {
                factor[r] = s.splat(*rows.base.add(r * rows.stride + rows.a + p));
            }
            for v in 0..V {
                let w = s.load_ptr(from[v].add(p * PANEL));
                for r in 0..R {
                    sums[r][v] = s.mul_add(w, factor[r], sums[r][v]);
                }
            }
        }
        for v in 0..V {
            for r in 0..R {
                s.store_ptr(rows.base.add(r * rows.stride + rows.out + column + v * S::LANES), sums[r][v]);
            }
        }
    }
}
