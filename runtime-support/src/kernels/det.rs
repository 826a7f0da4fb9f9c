//! Determinants and inverses of matrices.

use super::num::Float;
use crate::error::Fault;

/// The determinant of each of `out.len()` matrices of `n × n`, by elimination with partial pivoting in f64; `scratch` holds one matrix.
pub fn det<T: Float>(out: &mut [T], scratch: &mut [f64], x: &[T], n: usize) -> Result<(), Fault> {
    if x.len() != out.len() * n * n || scratch.len() != n * n {
        return Err(Fault::Internal { what: "det: lengths" });
    }
    for (i, y) in out.iter_mut().enumerate() {
        scratch.iter_mut().zip(&x[i * n * n..]).for_each(|(a, v)| *a = v.widen());
        *y = T::narrow(eliminate(scratch, n));
    }
    Ok(())
}

/// The inverse of each matrix of `n × n`, by elimination with partial pivoting in f64; `scratch` holds two matrices. A matrix that has none gives
/// infinities or NaN.
pub fn inverse<T: Float>(out: &mut [T], scratch: &mut [f64], x: &[T], n: usize) -> Result<(), Fault> {
    let size = n * n;
    if x.len() != out.len() || scratch.len() != 2 * size || (size > 0 && !x.len().is_multiple_of(size)) {
        return Err(Fault::Internal { what: "inverse: lengths" });
    }
    if size == 0 {
        return Ok(());
    }
    let (left, right) = scratch.split_at_mut(size);
    for (y, x) in out.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
        left.iter_mut().zip(x).for_each(|(a, v)| *a = v.widen());
        right.iter_mut().enumerate().for_each(|(i, b)| *b = if i % (n + 1) == 0 { 1.0 } else { 0.0 });
        reduce(left, right, n);
        y.iter_mut().zip(right.iter()).for_each(|(y, &b)| *y = T::narrow(b));
    }
    Ok(())
}

fn magnitude(v: f64) -> f64 {
    if v < 0.0 { -v } else { v }
}

/// The row from `k` on with the greatest element in column `k`.
fn pivot_row(a: &[f64], n: usize, k: usize) -> usize {
    (k + 1..n).fold(k, |best, r| if magnitude(a[r * n + k]) > magnitude(a[best * n + k]) { r } else { best })
}

/// Makes `a` the unit matrix by steps on rows, which are done to `b` too.
fn reduce(a: &mut [f64], b: &mut [f64], n: usize) {
    for k in 0..n {
        let pivot = pivot_row(a, n, k);
        for m in [&mut *a, &mut *b] {
            (0..n).filter(|_| pivot != k).for_each(|c| m.swap(k * n + c, pivot * n + c));
        }
        let diagonal = a[k * n + k];
        for m in [&mut *a, &mut *b] {
            m[k * n..][..n].iter_mut().for_each(|v| *v /= diagonal);
        }
        for r in (0..n).filter(|&r| r != k) {
            let factor = a[r * n + k];
            for m in [&mut *a, &mut *b] {
                (0..n).for_each(|c| m[r * n + c] -= factor * m[k * n + c]);
            }
        }
    }
}

fn eliminate(a: &mut [f64], n: usize) -> f64 {
    let mut det = 1.0;
    for k in 0..n {
        let pivot = pivot_row(a, n, k);
        if pivot != k {
            (0..n).for_each(|c| a.swap(k * n + c, pivot * n + c));
            det = -det;
        }
        let diagonal = a[k * n + k];
        det *= diagonal;
        if diagonal == 0.0 {
            return det;
        }
        for r in k + 1..n {
            let factor = a[r * n + k] / diagonal;
            for c in k + 1..n {
                a[r * n + c] -= factor * a[k * n + c];
            }
        }
    }
    det
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses() {
        let mut y = [0f64; 8];
        // The first needs its rows swapped, the second is singular.
        inverse(&mut y, &mut [0.0; 8], &[0.0, 2.0, 4.0, 0.0, 1.0, 2.0, 2.0, 4.0], 2).unwrap();
        assert_eq!(y[..4], [0.0, 0.25, 0.5, 0.0]);
        assert!(y[4..].iter().all(|v| !v.is_finite()), "{y:?}");
        let mut y = [0f32; 9];
        inverse(&mut y, &mut [0.0; 18], &[2.0, 0.0, 1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 4.0], 3).unwrap();
        let expected = [10.0, 1.0, -3.0, -2.0, 7.0, -3.0, -2.0, -2.0, 6.0].map(|v| v / 18.0);
        assert!(y.iter().zip(expected).all(|(y, e): (&f32, f32)| (y - e).abs() < 1e-6), "{y:?}");
    }

    #[test]
    fn determinants() {
        let mut y = [0f64; 2];
        det(&mut y, &mut [0.0; 4], &[0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 2.0, 4.0], 2).unwrap();
        assert_eq!(y, [-2.0, 0.0]);
        let mut y = [0f32];
        det(&mut y, &mut [0.0; 9], &[2.0, 0.0, 1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 4.0], 3).unwrap();
        assert!((y[0] - 18.0).abs() < 1e-5, "{}", y[0]);
        let mut y = [0f64];
        det(&mut y, &mut [], &[], 0).unwrap();
        assert_eq!(y, [1.0], "of the empty matrix");
    }
}
