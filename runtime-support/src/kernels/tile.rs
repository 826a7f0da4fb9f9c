//! Tile: the tensor repeated along each axis.

use super::copy::run;
use super::walk::{MAX_RANK, Walk, count, dense, promise};
use crate::error::Fault;

/// `out` has the shape `in_shape[d] * repeats[d]`; `out[i] = x[i mod in_shape]`.
pub fn tile<T: Clone>(out: &mut [T], x: &[T], in_shape: &[usize], repeats: &[usize]) -> Result<(), Fault> {
    let rank = in_shape.len();
    promise(repeats.len() == rank && rank <= MAX_RANK, "tile: ranks differ")?;
    let total = count(in_shape)?.checked_mul(count(repeats)?);
    promise(total == Some(out.len()) && x.len() == count(in_shape)?, "tile: lengths differ")?;
    // Each axis is two: the repeats (which do not move in `x`) and the axis itself.
    let strides = dense(in_shape)?;
    let mut shape = [1; 2 * MAX_RANK];
    for (pair, (r, d)) in shape.chunks_exact_mut(2).zip(repeats.iter().zip(in_shape)) {
        pair.copy_from_slice(&[*r, *d]);
    }
    let mut out_strides = [0; 2 * MAX_RANK];
    let mut n = 1usize;
    for (s, d) in out_strides[..2 * rank].iter_mut().zip(&shape[..2 * rank]).rev() {
        *s = n;
        n = n.saturating_mul(*d);
    }
    let walk = Walk::new(&shape[..2 * rank], |axis, k| match k {
        0 => out_strides[axis] as isize,
        _ if axis % 2 == 0 => 0,
        _ => strides[axis / 2] as isize,
    })?;
    run(out, 0, x, 0, walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_both_axes() {
        let mut out = [0; 24];
        tile(&mut out, &[1, 2, 3, 4], &[2, 2], &[2, 3]).unwrap();
        assert_eq!(out, [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
        let mut column = [0; 6];
        tile(&mut column, &[5, 6], &[2, 1], &[1, 3]).unwrap();
        assert_eq!(column, [5, 5, 5, 6, 6, 6]);
        tile::<u8>(&mut [], &[1, 2], &[2], &[0]).unwrap();
    }
}
