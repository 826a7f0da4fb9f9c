//! Thin products: a few rows times a matrix, added to what is there. The recurrent product, and both products of attention.

use crate::simd::Simd;

/// Columns of a panel.
pub(crate) const PANEL: usize = 32;

/// `rows` rows of `k` factors times a matrix of `k` rows and `columns` columns, added to `rows` rows of sums.
#[derive(Clone, Copy)]
pub(crate) struct Thin {
    pub a: *const f32,
    /// From one row of factors to the next.
    pub a_stride: usize,
    pub out: *mut f32,
    /// From one row of sums to the next.
    pub out_stride: usize,
    pub rows: usize,
    pub k: usize,
    pub columns: usize,
    pub b: *const f32,
    /// From one row of the matrix to the next, within a panel.
    pub b_row: usize,
    /// From one panel of 32 columns to the next: 32 for a matrix with contiguous rows.
    pub b_panel: usize,
}

impl Thin {
    #[inline(always)]
    const fn column(&self, c: usize) -> usize {
        c / PANEL * self.b_panel + c % PANEL
    }
}

/// Adds the product.
///
/// # Safety
/// All elements that the sizes and strides reach are valid: `a` and `b` for reading, `out` for reading and writing, and `out` overlaps neither.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd>(s: S, mut p: Thin) {
    while p.rows > 0 {
        let rows = if p.rows < 3 { 1 } else { 3 };
        // SAFETY: as the function's; the rows exist.
        unsafe {
            if rows == 1 {
                sweep::<S, 1, 8>(s, &p);
            } else {
                sweep::<S, 3, 4>(s, &p);
            }
            p.a = p.a.add(if p.rows > rows { rows * p.a_stride } else { 0 });
            p.out = p.out.add(if p.rows > rows { rows * p.out_stride } else { 0 });
        }
        p.rows -= rows;
    }
}

/// `R` rows; `V` vectors of columns at a time, then one by one. (Each variant is compiled for each instruction set: few are kept.)
/// # Safety
/// As [`accumulate`], for `R` rows.
#[inline(always)]
unsafe fn sweep<S: Simd, const R: usize, const V: usize>(s: S, p: &Thin) {
    let mut column = 0;
    // SAFETY: every group ends at `columns` or before.
    unsafe {
        while column + V * S::LANES <= p.columns {
            group::<S, R, V>(s, p, column);
            column += V * S::LANES;
        }
        while column < p.columns {
            single::<S, R>(s, p, column, S::LANES.min(p.columns - column));
            column += S::LANES;
        }
    }
}

/// # Safety
/// As [`accumulate`], for `R` rows and `V` vectors of columns from `column`, a multiple of LANES.
#[inline(always)]
unsafe fn group<S: Simd, const R: usize, const V: usize>(s: S, p: &Thin, column: usize) {
    let mut sums = [[s.zero(); V]; R];
    let mut from = [p.b; V];
    // SAFETY: a vector's columns are of one panel because LANES divides 32; everything else as promised.
    unsafe {
        for v in 0..V {
            let c = column + v * S::LANES;
            from[v] = p.b.add(p.column(c));
            for r in 0..R {
                sums[r][v] = s.load_ptr(p.out.add(r * p.out_stride + c));
            }
        }
        for k in 0..p.k {
            let mut factor = [s.zero(); R];
            for r in 0..R {
                factor[r] = s.splat(*p.a.add(r * p.a_stride + k));
            }
            for v in 0..V {
                let w = s.load_ptr(from[v].add(k * p.b_row));
                for r in 0..R {
                    sums[r][v] = s.mul_add(w, factor[r], sums[r][v]);
                }
            }
        }
        for v in 0..V {
            for r in 0..R {
                s.store_ptr(p.out.add(r * p.out_stride + column + v * S::LANES), sums[r][v]);
            }
        }
    }
}

/// `n` columns, at most a vector.
/// # Safety
/// As [`accumulate`], for `R` rows.
#[inline(always)]
unsafe fn single<S: Simd, const R: usize>(s: S, p: &Thin, column: usize, n: usize) {
    let mut sums = [s.zero(); R];
    // SAFETY: as the function's; `n` is at most LANES.
    unsafe {
        let from = p.b.add(p.column(column));
        for r in 0..R {
            sums[r] = s.load_head_ptr(p.out.add(r * p.out_stride + column), n);
        }
        for k in 0..p.k {
            let w = s.load_head_ptr(from.add(k * p.b_row), n);
            for r in 0..R {
                sums[r] = s.mul_add(w, s.splat(*p.a.add(r * p.a_stride + k)), sums[r]);
            }
        }
        for r in 0..R {
            s.store_head_ptr(p.out.add(r * p.out_stride + column), sums[r], n);
        }
    }
}
