//! Tensors made from a few numbers: `OneHot`, `EyeLike`, Range; and Trilu, which keeps a triangle.

use super::arith::Arith;
use super::walk::{count, promise};
use crate::error::Fault;

/// `out[o, d, i] = values[1]` where `indices[o, i]` is `d`, else `values[0]`; `indices` is seen as `outer × inner`, `out` as `outer × depth × inner`.
/// Negative indices count from the end; indices outside the axis give no one.
pub fn one_hot<T: Clone>(out: &mut [T], indices: &[i64], values: &[T], outer: usize, depth: usize, inner: usize) -> Result<(), Fault> {
    promise(out.len() == count(&[outer, depth, inner])? && indices.len() == count(&[outer, inner])?, "one_hot: lengths differ")?;
    let [off, on] = values else { return Err(Fault::Dim { expected: 2, got: values.len() as i64 }) };
    out.fill(off.clone());
    if out.is_empty() {
        return Ok(());
    }
    for (block, indices) in out.chunks_exact_mut(depth * inner).zip(indices.chunks_exact(inner)) {
        for (i, &index) in indices.iter().enumerate() {
            if let Ok(d) = super::walk::wrap(index, depth) {
                block[d * inner + i] = on.clone();
            }
        }
    }
    Ok(())
}

/// `out`, `rows × columns`, is `values[1]` on the k-th diagonal (positive: above the main one), else `values[0]`.
pub fn eye_like<T: Clone>(out: &mut [T], values: &[T], rows: usize, columns: usize, k: i64) -> Result<(), Fault> {
    promise(out.len() == count(&[rows, columns])?, "eye_like: wrong length")?;
    let [zero, one] = values else { return Err(Fault::Dim { expected: 2, got: values.len() as i64 }) };
    out.fill(zero.clone());
    for row in 0..rows {
        let column = (row as i64).saturating_add(k);
        if (0..columns as i64).contains(&column) {
            out[row * columns + column as usize] = one.clone();
        }
    }
    Ok(())
}

/// Keeps the elements on and above (`upper`) or on and below the k-th diagonal of each `rows × columns` matrix; the others become zero.
pub fn trilu<T: Clone + Default>(out: &mut [T], x: &[T], rows: usize, columns: usize, k: i64, upper: bool) -> Result<(), Fault> {
    promise(out.len() == x.len(), "trilu: lengths differ")?;
    if x.is_empty() {
        return Ok(());
    }
    for (i, (to, from)) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).enumerate() {
        let row = (i % rows) as i64;
        // The first column above the kept diagonal (lower), or the first kept one (upper).
        let edge = row.saturating_add(k).saturating_add(i64::from(!upper)).clamp(0, columns as i64) as usize;
        let (kept, zeroed) = if upper { (edge..columns, 0..edge) } else { (0..edge, edge..columns) };
        to[kept.clone()].clone_from_slice(&from[kept]);
        to[zeroed].fill(T::default());
    }
    Ok(())
}

fn scalar<T: Copy>(x: &[T]) -> Result<T, Fault> {
    match x {
        [x] => Ok(*x),
        _ => Err(Fault::Dim { expected: 1, got: x.len() as i64 }),
    }
}

/// Writes the number of elements of a Range to `bind[0]`: `max(ceil((limit - start) / delta), 0)`.
pub fn range_count<T: Arith>(bind: &mut [i64], start: &[T], limit: &[T], delta: &[T]) -> Result<(), Fault> {
    promise(bind.len() == 1, "range: one result")?;
    let (start, limit, delta) = (scalar(start)?, scalar(limit)?, scalar(delta)?);
    if delta == T::ZERO || delta.is_nan() {
        return Err(Fault::Value { what: "the step of a range must be a number that is not zero", got: 0 });
    }
    bind[0] = if let (Some(start), Some(limit), Some(delta)) = (start.to_i128(), limit.to_i128(), delta.to_i128()) {
        let (span, step) = if delta > 0 { (limit - start, delta) } else { (start - limit, -delta) };
        if span <= 0 { 0 } else { i64::try_from((span + step - 1) / step).unwrap_or(i64::MAX) }
    } else {
        ceil((limit.to_f64() - start.to_f64()) / delta.to_f64())
    };
    if bind[0] >= 1 << 48 {
        return Err(Fault::Memory { bytes: usize::MAX });
    }
    Ok(())
}

/// The least integer not below `x`, at least 0; NaN gives 0. (`f64::ceil` is not in `core`.)
fn ceil(x: f64) -> i64 {
    let truncated = x as i64;
    truncated.saturating_add(i64::from((truncated as f64) < x)).max(0)
}

/// `out[i] = start + i * delta`; floats are computed in f64 and rounded once.
pub fn range<T: Arith>(out: &mut [T], start: &[T], delta: &[T]) -> Result<(), Fault> {
    let (start, delta) = (scalar(start)?, scalar(delta)?);
    if let (Some(start), Some(delta)) = (start.to_i128(), delta.to_i128()) {
        for (i, v) in out.iter_mut().enumerate() {
            *v = T::wrap_i128(start + i as i128 * delta);
        }
    } else {
        let (start, delta) = (start.to_f64(), delta.to_f64());
        for (i, v) in out.iter_mut().enumerate() {
            *v = T::from_f64(start + i as f64 * delta);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_ignores_indices_outside() {
        let mut out = [0; 12];
        one_hot(&mut out, &[0, -1, 5, -4], &[2, 7], 2, 3, 2).unwrap();
        assert_eq!(out, [7, 2, 2, 2, 2, 7, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn diagonals() {
        let mut out = [9; 6];
        eye_like(&mut out, &[0, 1], 2, 3, 1).unwrap();
        assert_eq!(out, [0, 1, 0, 0, 0, 1]);
        eye_like(&mut out, &[0, 1], 3, 2, -1).unwrap();
        assert_eq!(out, [0, 0, 1, 0, 0, 1]);
        eye_like(&mut out, &[0, 1], 3, 2, i64::MIN).unwrap();
        assert_eq!(out, [0; 6]);
    }

    #[test]
    fn triangles() {
        let x = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let run = |k, upper| {
            let mut out = [-1; 9];
            trilu(&mut out, &x, 3, 3, k, upper).unwrap();
            out
        };
        assert_eq!(run(0, true), [1, 2, 3, 0, 5, 6, 0, 0, 9]);
        assert_eq!(run(1, true), [0, 2, 3, 0, 0, 6, 0, 0, 0]);
        assert_eq!(run(0, false), [1, 0, 0, 4, 5, 0, 7, 8, 9]);
        assert_eq!(run(-1, false), [0, 0, 0, 4, 0, 0, 7, 8, 0]);
        assert_eq!(run(i64::MAX, false), x);
        assert_eq!(run(i64::MAX, true), [0; 9]);
    }

    #[test]
    fn ranges_count_and_fill() {
        fn all<T: Arith>(start: T, limit: T, delta: T) -> std::vec::Vec<T> {
            let mut n = [0];
            range_count(&mut n, &[start], &[limit], &[delta]).unwrap();
            let mut out = std::vec![T::ZERO; n[0] as usize];
            range(&mut out, &[start], &[delta]).unwrap();
            out
        }
        assert_eq!(all(3, 9, 3), [3, 6]);
        assert_eq!(all(10, 4, -2), [10, 8, 6]);
        assert_eq!(all(10, 10, 1), []);
        assert_eq!(all(1.0f32, 2.0, 0.25), [1.0, 1.25, 1.5, 1.75]);
        assert_eq!(all(0.0f64, -0.5, -0.2), [0.0, -0.2, -0.4]);
        let mut n = [0];
        assert!(range_count(&mut n, &[0], &[1], &[0]).is_err());
        assert!(range_count(&mut n, &[0.0f32], &[f32::INFINITY], &[1.0]).is_err());
    }
}
