//! Slice with starts, ends and steps that only the run knows. Constant ones are plain views of the compiler's.

use super::copy::run;
use super::walk::{MAX_RANK, Walk, count, dense, promise};
use crate::error::Fault;

/// Resolves a Slice (opset 13 rules) of `shape`: writes `[start, step, length]` of every axis, in order, to `bind` (3 × rank numbers).
///
/// `axes` may be empty (the first ones) and count from the back; `steps` may be empty (all 1). Starts and ends are clamped; a step of 0 is a fault.
pub fn plan(bind: &mut [i64], shape: &[usize], starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]) -> Result<(), Fault> {
    promise(bind.len() == 3 * shape.len(), "slice plan: wrong number of results")?;
    for (rest, n) in [("ends", ends.len()), ("axes", axes.len()), ("steps", steps.len())] {
        if n != starts.len() && (rest == "ends" || n != 0) {
            return Err(Fault::Dim { expected: starts.len() as i64, got: n as i64 });
        }
    }
    for (out, &d) in bind.chunks_exact_mut(3).zip(shape) {
        out.copy_from_slice(&[0, 1, d as i64]);
    }
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let axis = axes.get(i).copied().unwrap_or(i as i64);
        let axis = super::walk::wrap(axis, shape.len())?;
        let step = steps.get(i).copied().unwrap_or(1);
        if step == 0 {
            return Err(Fault::Value { what: "the step of a slice must not be zero", got: 0 });
        }
        let (start, len) = resolve(shape[axis] as i64, start, end, step);
        bind[3 * axis..3 * axis + 3].copy_from_slice(&[start, step, len]);
    }
    Ok(())
}

/// First index and number of indices of one axis; the step is not zero.
fn resolve(dim: i64, start: i64, end: i64, step: i64) -> (i64, i64) {
    let from_back = |i: i64| if i < 0 { i + dim } else { i };
    let (start, end) = (from_back(start), from_back(end));
    let (start, end) = if step > 0 { (start.clamp(0, dim), end.clamp(0, dim)) } else { (start.clamp(-1, dim - 1), end.clamp(-1, dim - 1)) };
    let span = if step > 0 { end - start } else { start - end };
    if span <= 0 {
        return (0, 0);
    }
    (start, (span as u64).div_ceil(step.unsigned_abs()) as i64)
}

/// `out[i] = x[starts + i * steps]` for every index of `out_shape`; all axes are given (see [`plan`]).
pub fn slice<T: Clone>(
    out: &mut [T],
    x: &[T],
    in_shape: &[usize],
    starts: &[i64],
    steps: &[i64],
    out_shape: &[usize],
) -> Result<(), Fault> {
    let rank = in_shape.len();
    promise(starts.len() == rank && steps.len() == rank && out_shape.len() == rank, "slice: ranks differ")?;
    promise(out.len() == count(out_shape)? && x.len() == count(in_shape)?, "slice: lengths differ")?;
    if out.is_empty() {
        return Ok(());
    }
    let (x_dense, out_dense) = (dense(in_shape)?, dense(out_shape)?);
    let mut offset = 0usize;
    let mut strides = [0isize; MAX_RANK];
    for a in 0..rank {
        offset = offset.saturating_add(super::walk::wrap(starts[a], in_shape[a])?.saturating_mul(x_dense[a]));
        strides[a] = (steps[a] as isize).saturating_mul(x_dense[a] as isize);
    }
    let walk = Walk::new(out_shape, |axis, k| if k == 0 { out_dense[axis] as isize } else { strides[axis] })?;
    run(out, 0, x, offset, walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamping_follows_the_specification() {
        let one = |d: usize, start, end, step| {
            let mut bind = [0; 3];
            plan(&mut bind, &[d], &[start], &[end], &[], &[step]).unwrap();
            bind
        };
        assert_eq!(one(10, 2, 8, 3), [2, 3, 2]);
        assert_eq!(one(10, -3, i64::MAX, 1), [7, 1, 3]);
        assert_eq!(one(10, 100, -100, -1), [9, -1, 10]);
        assert_eq!(one(10, -1, i64::MIN, -3), [9, -3, 4]);
        assert_eq!(one(10, 20, 30, 1)[2], 0);
        assert_eq!(one(10, 0, 5, -1)[2], 0);
        assert_eq!(one(0, 0, i64::MAX, 1)[2], 0);
        assert_eq!(one(5, 4, 0, i64::MIN), [4, i64::MIN, 1]);
        let mut bind = [0; 6];
        plan(&mut bind, &[4, 5], &[1], &[3], &[-1], &[]).unwrap();
        assert_eq!(bind, [0, 1, 4, 1, 1, 2]);
        assert!(plan(&mut bind, &[4, 5], &[1], &[3], &[2], &[]).is_err());
        assert!(plan(&mut bind, &[4, 5], &[1], &[3], &[0], &[0]).is_err());
    }

    #[test]
    fn slices_backwards() {
        let x: std::vec::Vec<u8> = (0..20).collect();
        let mut out = [0; 4];
        slice(&mut out, &x, &[4, 5], &[3, 1], &[-2, 2], &[2, 2]).unwrap();
        assert_eq!(out, [16, 18, 6, 8]);
        let mut one = [0; 2];
        slice(&mut one, &x, &[4, 5], &[1, 4], &[1, i64::MIN], &[2, 1]).unwrap();
        assert_eq!(one, [9, 14]);
        assert!(slice(&mut out, &x, &[4, 5], &[3, 1], &[2, 2], &[2, 2]).is_err());
    }
}
