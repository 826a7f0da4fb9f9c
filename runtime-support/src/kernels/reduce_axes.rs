//! Reductions over axes that only the data tells.

use super::num::Num;
use super::reduce::{Op, reduce};
use crate::error::Fault;

/// The most axes a tensor may have here.
const MAX_RANK: usize = 32;

/// Marks the axes; without any, all of them, or none if `noop`.
fn mask(axes: &[i64], rank: usize, noop: bool) -> Result<[bool; MAX_RANK], Fault> {
    if rank > MAX_RANK {
        return Err(Fault::Value { what: "a reduction over more axes than supported", got: rank as i64 });
    }
    let mut mask = [axes.is_empty() && !noop; MAX_RANK];
    for &axis in axes {
        let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let at = usize::try_from(from_start).ok().filter(|&a| a < rank).ok_or(Fault::Index { index: axis, len: rank })?;
        mask[at] = true;
    }
    Ok(mask)
}

/// The dims of the result: the reduced ones are 1 if `keep_dims`, else left out.
pub fn reduced_shape(bind: &mut [i64], shape: &[usize], axes: &[i64], keep_dims: bool, noop: bool) -> Result<(), Fault> {
    let mask = mask(axes, shape.len(), noop)?;
    let kept = shape.iter().zip(mask).filter(|(_, reduced)| keep_dims || !reduced);
    if kept.clone().count() != bind.len() {
        return Err(Fault::Value { what: "an axis of a reduction is named twice", got: axes.len() as i64 });
    }
    for (dim, (&len, reduced)) in bind.iter_mut().zip(kept) {
        *dim = if reduced { 1 } else { len as i64 };
    }
    Ok(())
}

/// As [`reduce`], over `axes` (counted from the end if negative).
pub fn reduce_axes<T: Num>(out: &mut [T], x: &[T], axes: &[i64], shape: &[usize], noop: bool, op: Op) -> Result<(), Fault> {
    let mask = mask(axes, shape.len(), noop)?;
    reduce(out, x, shape, &mask[..shape.len()], op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_from_data() {
        let mut dims = [0; 3];
        reduced_shape(&mut dims, &[2, 3, 4], &[-1, 0], true, false).unwrap();
        assert_eq!(dims, [1, 3, 1]);
        reduced_shape(&mut dims[..1], &[2, 3, 4], &[-1, 0], false, false).unwrap();
        assert_eq!(dims[0], 3);
        reduced_shape(&mut dims, &[2, 3, 4], &[], true, true).unwrap();
        assert_eq!(dims, [2, 3, 4]);
        assert!(reduced_shape(&mut dims[..1], &[2, 3, 4], &[1, 1], false, false).is_err());
        assert!(reduced_shape(&mut dims, &[2, 3, 4], &[3], true, false).is_err());
        let mut out = [0i32; 2];
        reduce_axes(&mut out, &[1, 2, 3, 4, 5, 6], &[-1], &[2, 3], false, Op::Sum).unwrap();
        assert_eq!(out, [6, 15]);
    }
}
