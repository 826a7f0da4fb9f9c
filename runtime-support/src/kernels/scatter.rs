//! `ScatterElements`, `ScatterND`, `TensorScatter`. `out` holds the data before (the compiler copies it there, or lets it be in place).
//!
//! Updates are applied in the order of the indices, so with repeated indices the last one stays. Reductions take each in turn.

use super::arith::Arith;
use super::gather::{elements, position};
use super::walk::{count, promise, wrap};
use crate::error::Fault;

/// How an update meets what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// `old + update`.
    Add,
    /// `old * update`.
    Mul,
    /// The smaller one; NaN if either is.
    Min,
    /// The greater one; NaN if either is.
    Max,
}

impl Reduction {
    #[inline(always)]
    fn apply<T: Arith>(self, old: T, update: T) -> T {
        match self {
            Self::Add => old.plus(update),
            Self::Mul => old.times(update),
            Self::Min => old.least(update),
            Self::Max => old.greatest(update),
        }
    }
}

/// `out[i with its axis-th component replaced by indices[i]] = updates[i]`; `updates` is shaped as `indices`.
pub fn scatter_elements<T: Clone>(
    out: &mut [T],
    indices: &[i64],
    updates: &[T],
    data_shape: &[usize],
    indices_shape: &[usize],
    axis: usize,
) -> Result<(), Fault> {
    promise(updates.len() == indices.len(), "scatter_elements: lengths differ")?;
    elements(indices, out.len(), data_shape, indices_shape, axis, |position, flat| out[position] = updates[flat].clone())
}

/// [`scatter_elements`] with a reduction.
pub fn scatter_elements_reduce<T: Arith>(
    out: &mut [T],
    indices: &[i64],
    updates: &[T],
    data_shape: &[usize],
    indices_shape: &[usize],
    axis: usize,
    reduction: Reduction,
) -> Result<(), Fault> {
    promise(updates.len() == indices.len(), "scatter_elements: lengths differ")?;
    elements(indices, out.len(), data_shape, indices_shape, axis, |position, flat| {
        out[position] = reduction.apply(out[position], updates[flat]);
    })
}

/// `out[indices[i, 0], indices[i, 1], …, :] = updates[i, :]`; each place is told by `index_len` components.
pub fn scatter_nd<T: Clone>(out: &mut [T], indices: &[i64], updates: &[T], data_shape: &[usize], index_len: usize) -> Result<(), Fault> {
    tuples(out, indices, updates, data_shape, index_len, |to, from| to.clone_from_slice(from))
}

/// [`scatter_nd`] with a reduction.
pub fn scatter_nd_reduce<T: Arith>(
    out: &mut [T],
    indices: &[i64],
    updates: &[T],
    data_shape: &[usize],
    index_len: usize,
    reduction: Reduction,
) -> Result<(), Fault> {
    tuples(out, indices, updates, data_shape, index_len, |to, from| {
        for (old, &update) in to.iter_mut().zip(from) {
            *old = reduction.apply(*old, update);
        }
    })
}

/// The walk of `ScatterND`: calls `f(run of out, run of updates)` for each index tuple in order.
fn tuples<T>(
    out: &mut [T],
    indices: &[i64],
    updates: &[T],
    data_shape: &[usize],
    index_len: usize,
    mut f: impl FnMut(&mut [T], &[T]),
) -> Result<(), Fault> {
    promise(index_len > 0 && index_len <= data_shape.len() && out.len() == count(data_shape)?, "scatter_nd: shapes differ")?;
    let (axes, inner) = data_shape.split_at(index_len);
    let inner = count(inner)?;
    promise(updates.len() == count(&[indices.len() / index_len, inner])?, "scatter_nd: wrong length of updates")?;
    for (i, index) in indices.chunks_exact(index_len).enumerate() {
        let at = position(index, axes)? * inner;
        f(&mut out[at..at + inner], &updates[i * inner..(i + 1) * inner]);
    }
    Ok(())
}

/// `TensorScatter`: writes `update` (`batch × prefix × len × inner`) into the cache `out` (`batch × prefix × max_len × inner`), for batch `b` from
/// position `write_indices[b]` (0 if absent) of the sequence axis on; circular ones go on at the start.
pub fn tensor_scatter<T: Clone>(
    out: &mut [T],
    update: &[T],
    write_indices: Option<&[i64]>,
    batch: usize,
    prefix: usize,
    max_len: usize,
    len: usize,
    inner: usize,
    circular: bool,
) -> Result<(), Fault> {
    promise(out.len() == count(&[batch, prefix, max_len, inner])?, "tensor_scatter: wrong length of the cache")?;
    promise(update.len() == count(&[batch, prefix, len, inner])?, "tensor_scatter: wrong length of the update")?;
    promise(write_indices.is_none_or(|w| w.len() == batch), "tensor_scatter: wrong number of write indices")?;
    if update.is_empty() {
        return Ok(());
    }
    if len > max_len {
        return Err(Fault::Dim { expected: max_len as i64, got: len as i64 });
    }
    let rows = update.chunks_exact(len * inner).zip(out.chunks_exact_mut(max_len * inner));
    for (i, (from, to)) in rows.enumerate() {
        let start = write_indices.map_or(0, |w| w[i / prefix]);
        let start = if circular { start.rem_euclid(max_len as i64) as usize } else { wrap(start, max_len)? };
        let first = len.min(max_len - start);
        if first < len && !circular {
            return Err(Fault::Index { index: (start + len - 1) as i64, len: max_len });
        }
        let (head, tail) = from.split_at(first * inner);
        to[start * inner..(start + first) * inner].clone_from_slice(head);
        to[..tail.len()].clone_from_slice(tail);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_as_in_the_specification() {
        let mut out = [0.0f32; 9];
        scatter_elements(&mut out, &[1, 0, 2, 0, 2, 1], &[1.0, 1.1, 1.2, 2.0, 2.1, 2.2], &[3, 3], &[2, 3], 0).unwrap();
        assert_eq!(out, [2.0, 1.1, 0.0, 1.0, 0.0, 2.2, 0.0, 2.1, 1.2]);
        let mut row = [1, 2, 3, 4, 5];
        scatter_elements_reduce(&mut row, &[1, -4, 3], &[10, 100, 3], &[1, 5], &[1, 3], 1, Reduction::Add).unwrap();
        assert_eq!(row, [1, 112, 3, 7, 5]);
        scatter_elements_reduce(&mut row, &[1, 0, 3], &[10, 100, 9], &[1, 5], &[1, 3], 1, Reduction::Min).unwrap();
        assert_eq!(row, [1, 10, 3, 7, 5]);
        assert!(scatter_elements(&mut row, &[5], &[0], &[1, 5], &[1, 1], 1).is_err());
    }

    #[test]
    fn tuples_address_rows() {
        let mut out = [0; 6];
        scatter_nd(&mut out, &[2, 0], &[1, 2, 3, 4], &[3, 2], 1).unwrap();
        assert_eq!(out, [3, 4, 0, 0, 1, 2]);
        scatter_nd_reduce(&mut out, &[2, 1, -3, 0], &[10, 20], &[3, 2], 2, Reduction::Mul).unwrap();
        assert_eq!(out, [60, 4, 0, 0, 1, 20]);
        assert!(scatter_nd(&mut out, &[3], &[1, 2], &[3, 2], 1).is_err());
    }

    #[test]
    fn caches_wrap_when_circular() {
        let mut cache = [0; 8];
        tensor_scatter(&mut cache, &[1, 2, 3, 4], Some(&[3, 1]), 2, 1, 4, 2, 1, true).unwrap();
        assert_eq!(cache, [2, 0, 0, 1, 0, 3, 4, 0]);
        assert!(tensor_scatter(&mut cache, &[1, 2, 3, 4], Some(&[3, 1]), 2, 1, 4, 2, 1, false).is_err());
        tensor_scatter(&mut cache, &[7, 8], None, 1, 2, 4, 1, 1, false).unwrap();
        assert_eq!(cache, [7, 0, 0, 1, 8, 3, 4, 0]);
    }
}
