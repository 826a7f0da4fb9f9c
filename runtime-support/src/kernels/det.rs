//! Determinants.

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

fn eliminate(a: &mut [f64], n: usize) -> f64 {
    let mut det = 1.0;
    let magnitude = |v: f64| if v < 0.0 { -v } else { v };
    for k in 0..n {
        let pivot = (k + 1..n).fold(k, |best, r| if magnitude(a[r * n + k]) > magnitude(a[best * n + k]) { r } else { best });
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
