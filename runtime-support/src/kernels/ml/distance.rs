//! Squared Euclidean distances between the rows of two tables.

use crate::cx::Cx;
use crate::element::Element;
use crate::error::Fault;
use crate::kernels::fold::by_rows_of;
use crate::kernels::walk::promise;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::{AddAssign, Mul, Sub};

/// f32 or f64.
pub trait Real: Element + Default + Sub<Output = Self> + Mul<Output = Self> + AddAssign + Send + Sync {
    /// The kernel: plain loops over a fixed number of lanes, of which the compiler makes vectors.
    #[inline(always)]
    fn table<S: Simd>(s: S, table: Table<'_, Self>) {
        let _ = s;
        let Table { out, a, b, k, n } = table;
        for (out, a) in out.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
            for (block, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [Self::default(); LANES];
                for (&x, b) in a.iter().zip(b.chunks_exact(n)) {
                    for (sum, &y) in sums.iter_mut().zip(&b[block * LANES..]) {
                        let d = x - y;
                        *sum += d * d;
                    }
                }
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
    }
}
impl Real for f64 {}
impl Real for f32 {
    /// Vectors of columns for several rows at a time, so that each is loaded once for them.
    #[inline(always)]
    fn table<S: Simd>(s: S, table: Table<'_, f32>) {
        let Table { out, a, b, k, n } = table;
        let (mut out, mut a) = (out.chunks_exact_mut(ROWS * n), a.chunks_exact(ROWS * k));
        for (out, a) in out.by_ref().zip(a.by_ref()) {
            rows::<S, ROWS, 2>(s, Table { out, a, b, k, n });
        }
        for (out, a) in out.into_remainder().chunks_exact_mut(n).zip(a.remainder().chunks_exact(k)) {
            rows::<S, 1, 4>(s, Table { out, a, b, k, n });
        }
    }
}

/// Sums that are kept at once.
const LANES: usize = 16;
/// Rows of f32 that are taken at once.
const ROWS: usize = 4;

/// `R` rows: `V` vectors of columns at a time, then what is left by single ones.
#[inline(always)]
fn rows<S: Simd, const R: usize, const V: usize>(s: S, mut table: Table<'_, f32>) {
    let whole = table.n / (V * S::LANES) * (V * S::LANES);
    for at in (0..whole).step_by(V * S::LANES) {
        columns::<S, R, V>(s, &mut table, at, V * S::LANES);
    }
    for at in (whole..table.n).step_by(S::LANES) {
        let width = S::LANES.min(table.n - at);
        columns::<S, R, 1>(s, &mut table, at, width);
    }
}

/// `width` columns from `at` on, in `V` vectors that are whole unless it is one.
#[inline(always)]
fn columns<S: Simd, const R: usize, const V: usize>(s: S, table: &mut Table<'_, f32>, at: usize, width: usize) {
    let (a, k, n) = (&table.a[..R * table.k], table.k, table.n);
    let mut sums = [[s.zero(); V]; R];
    for (p, b) in table.b.chunks_exact(n).take(k).enumerate() {
        let b = &b[at..at + width];
        let mut y = [s.zero(); V];
        for (v, y) in y.iter_mut().enumerate() {
            *y = if V == 1 { s.load_head(b) } else { s.load(&b[v * S::LANES..]) };
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `a` has `R * k` elements, `r < R` and `p < k`.
            let x = s.splat(unsafe { *a.get_unchecked(r * k + p) });
            for (sum, &y) in sums.iter_mut().zip(&y) {
                let d = s.sub(x, y);
                *sum = s.mul_add(d, d, *sum);
            }
        }
    }
    for (out, sums) in table.out.chunks_exact_mut(n).zip(&sums) {
        for (out, &sum) in out[at..at + width].chunks_mut(S::LANES).zip(sums) {
            s.store_head(out, sum);
        }
    }
}

/// `out[i][j]` is the sum over `p` of `(a[i][p] - b[p][j])²`: `a` is `m × k`, `b` (the other table transposed) `k × n`.
pub fn squared<T: Real>(cx: Cx, out: &mut [T], a: &[T], b: &[T], m: usize, k: usize, n: usize) -> Result<(), Fault> {
    promise(out.len() == m * n && a.len() == m * k && b.len() == k * n, "distance: lengths")?;
    if k == 0 {
        out.fill(T::default());
    } else if m > 0 && n > 0 {
        by_rows_of(cx, m, m * n * k, out, a, |_, out, a| dispatch(cx, Table { out, a, b, k, n }));
    }
    Ok(())
}

/// What [`squared`] is called with.
pub struct Table<'a, T> {
    out: &'a mut [T],
    a: &'a [T],
    b: &'a [T],
    k: usize,
    n: usize,
}

impl<T: Real> WithSimd for Table<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        T::table(s, self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::Isa;
    use std::vec;
    use std::vec::Vec;

    /// Every loop: four rows, those left, whole vectors of columns, and those left.
    fn all_pairs<T: Real + From<f32> + PartialEq + core::fmt::Debug>() {
        let number = |i: usize| ((i * 7 % 11) as f32 - 3.0).into();
        for cx in Isa::ALL.iter().filter_map(|&isa| Cx::REFERENCE.with_isa(isa)) {
            for (m, k, n) in [(1, 3, 1), (2, 3, 35), (6, 5, 70), (9, 1, 16), (4, 2, 129)] {
                let (a, b): (Vec<T>, Vec<T>) = ((0..m * k).map(number).collect(), (0..k * n).map(|i| number(i + 5)).collect());
                let mut out = vec![number(0); m * n];
                squared(cx, &mut out, &a, &b, m, k, n).unwrap();
                for (at, &found) in out.iter().enumerate() {
                    let mut expected = T::default();
                    for p in 0..k {
                        let d = a[at / n * k + p] - b[p * n + at % n];
                        expected += d * d;
                    }
                    assert_eq!(found, expected, "{m} x {k} x {n}, {at}");
                }
                assert!(squared(cx, &mut out, &a, &b, m, k, n + 1).is_err());
            }
        }
    }

    #[test]
    fn both_types() {
        all_pairs::<f32>();
        all_pairs::<f64>();
    }
}
