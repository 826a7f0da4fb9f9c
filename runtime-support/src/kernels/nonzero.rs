//! `NonZero` and Compress: what is kept depends on the data, so each has a kernel that counts and one that fills.

use super::walk::{MAX_RANK, count, promise};
use crate::element::Bool;
use crate::error::Fault;

/// Writes the number of elements of `x` that are not zero (false, empty) to `bind[0]`. Needs the true type: -0.0 is zero.
pub fn nonzero_count<T: Default + PartialEq>(bind: &mut [i64], x: &[T]) -> Result<(), Fault> {
    let zero = T::default();
    promise(bind.len() == 1, "nonzero: one result")?;
    bind[0] = x.iter().filter(|&v| *v != zero).count() as i64;
    Ok(())
}

/// The indices of the elements of `x` that are not zero, in order: `out` is `rank × count`, one row an axis.
pub fn nonzero<T: Default + PartialEq>(out: &mut [i64], x: &[T], shape: &[usize]) -> Result<(), Fault> {
    let rank = shape.len();
    promise(rank <= MAX_RANK && x.len() == count(shape)?, "nonzero: wrong shape")?;
    if rank == 0 {
        return promise(out.is_empty(), "nonzero: wrong length of out");
    }
    promise(out.len().is_multiple_of(rank), "nonzero: wrong length of out")?;
    let found = out.len() / rank;
    let zero = T::default();
    let mut index = [0usize; MAX_RANK];
    let mut k = 0;
    for v in x {
        if *v != zero {
            promise(k < found, "nonzero: the data changed")?;
            for (axis, i) in index[..rank].iter().enumerate() {
                out[axis * found + k] = *i as i64;
            }
            k += 1;
        }
        for (i, &d) in index[..rank].iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    promise(k == found, "nonzero: the data changed")
}

/// Writes to `bind[0]` how many entries of an axis of that length `condition` keeps; entries it does not reach are dropped.
pub fn compress_count(bind: &mut [i64], condition: &[Bool], axis_len: usize) -> Result<(), Fault> {
    promise(bind.len() == 1, "compress: one result")?;
    if let Some(extra) = condition.iter().skip(axis_len).position(|c| c.get()) {
        return Err(Fault::Index { index: (axis_len + extra) as i64, len: axis_len });
    }
    bind[0] = condition.iter().filter(|c| c.get()).count() as i64;
    Ok(())
}

/// `out[o, k, :]` are the `x[o, i, :]` for which `condition[i]` holds, with `x` seen as `outer × axis_len × inner` (no axis: `1 × len × 1`).
pub fn compress<T: Clone>(out: &mut [T], x: &[T], condition: &[Bool], outer: usize, axis_len: usize, inner: usize) -> Result<(), Fault> {
    promise(x.len() == count(&[outer, axis_len, inner])?, "compress: wrong length of x")?;
    if x.is_empty() {
        return promise(out.is_empty(), "compress: wrong length of out");
    }
    let mut to = out.chunks_exact_mut(inner);
    for block in x.chunks_exact(axis_len * inner) {
        for (row, _) in block.chunks_exact(inner).zip(condition).filter(|(_, c)| c.get()) {
            let to = to.next().ok_or(Fault::Internal { what: "compress: wrong length of out" })?;
            to.clone_from_slice(row);
        }
    }
    promise(to.next().is_none(), "compress: wrong length of out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_not_zero() {
        let x = [1.0f32, -0.0, f32::NAN, 0.0, 0.0, 2.0];
        let mut n = [0];
        nonzero_count(&mut n, &x).unwrap();
        assert_eq!(n, [3]);
        let mut out = [9; 6];
        nonzero(&mut out, &x, &[2, 3]).unwrap();
        assert_eq!(out, [0, 0, 1, 0, 2, 2]);
        nonzero(&mut [], &[1u8], &[]).unwrap();
    }

    #[test]
    fn compresses_an_axis() {
        let x = [1, 2, 3, 4, 5, 6];
        let condition = [false, true, true].map(Bool::from);
        let mut n = [0];
        compress_count(&mut n, &condition, 3).unwrap();
        assert_eq!(n, [2]);
        let mut out = [0; 4];
        compress(&mut out, &x, &condition, 1, 3, 2).unwrap();
        assert_eq!(out, [3, 4, 5, 6]);
        compress(&mut out, &x, &condition, 2, 3, 1).unwrap();
        assert_eq!(out, [2, 3, 5, 6]);
        compress(&mut out[..2], &x, &condition, 1, 6, 1).unwrap();
        assert_eq!(out[..2], [2, 3]);
        assert!(compress_count(&mut n, &condition, 2).is_err());
    }
}
