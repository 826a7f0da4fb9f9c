//! Squared Euclidean distances between the rows of two tables.

use crate::cx::Cx;
use crate::element::Element;
use crate::error::Fault;
use crate::kernels::fold::by_rows_of;
use crate::kernels::walk::promise;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::{AddAssign, Mul, Sub};

/// f32 or f64.
pub trait Real: Element + Default + Sub<Output = Self> + Mul<Output = Self> + AddAssign + Send + Sync {}
impl Real for f32 {}
impl Real for f64 {}

/// Sums that are kept at once: four vectors of eight f32.
const LANES: usize = 32;

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

struct Table<'a, T> {
    out: &'a mut [T],
    a: &'a [T],
    b: &'a [T],
    k: usize,
    n: usize,
}

impl<T: Real> WithSimd for Table<'_, T> {
    type Output = ();
    // Plain loops over a fixed number of lanes: the compiler makes vectors of them for the instruction set that this is inlined into.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, a) in self.out.chunks_exact_mut(self.n).zip(self.a.chunks_exact(self.k)) {
            let mut blocks = out.chunks_exact_mut(LANES);
            let mut at = 0;
            for block in blocks.by_ref() {
                let mut sums = [T::default(); LANES];
                for (&x, b) in a.iter().zip(self.b.chunks_exact(self.n)) {
                    for (sum, &y) in sums.iter_mut().zip(&b[at..at + LANES]) {
                        let d = x - y;
                        *sum += d * d;
                    }
                }
                block.copy_from_slice(&sums);
                at += LANES;
            }
            let rest = blocks.into_remainder();
            rest.fill(T::default());
            for (&x, b) in a.iter().zip(self.b.chunks_exact(self.n)) {
                for (sum, &y) in rest.iter_mut().zip(&b[at..]) {
                    let d = x - y;
                    *sum += d * d;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pairs() {
        // 2 rows of 3 features against 35 rows, so that both loops run.
        let a = [0.0f32, 1.0, 2.0, 5.0, -1.0, 0.5];
        let b: [f32; 105] = core::array::from_fn(|i| (i * 7 % 11) as f32 - 3.0);
        let mut out = [9.0; 70];
        squared(Cx::REFERENCE, &mut out, &a, &b, 2, 3, 35).unwrap();
        for i in 0..2 {
            for j in 0..35 {
                let expected: f32 = (0..3).map(|p| (a[i * 3 + p] - b[p * 35 + j]).powi(2)).sum();
                assert_eq!(out[i * 35 + j], expected);
            }
        }
        assert!(squared(Cx::REFERENCE, &mut out, &a, &b, 2, 3, 34).is_err());
    }
}
