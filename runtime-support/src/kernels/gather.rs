//! Gather, `GatherElements`, `GatherND`. Negative indices count from the end; an index outside its axis is a fault.

use super::walk::{Walk, count, dense, promise, wrap};
use crate::error::Fault;

/// `out[o, i, :] = data[o, indices[i], :]` with `data` seen as `outer × axis_len × inner`.
pub fn gather<T: Clone>(out: &mut [T], data: &[T], indices: &[i64], outer: usize, axis_len: usize, inner: usize) -> Result<(), Fault> {
    promise(data.len() == count(&[outer, axis_len, inner])?, "gather: wrong length of data")?;
    promise(out.len() == count(&[outer, indices.len(), inner])?, "gather: wrong length of out")?;
    if out.is_empty() {
        return Ok(());
    }
    for (to, from) in out.chunks_exact_mut(indices.len() * inner).zip(data.chunks_exact((axis_len * inner).max(1))) {
        if inner == 1 {
            for (v, &i) in to.iter_mut().zip(indices) {
                *v = from[wrap(i, axis_len)?].clone();
            }
        } else {
            for (row, &i) in to.chunks_exact_mut(inner).zip(indices) {
                let i = wrap(i, axis_len)?;
                row.clone_from_slice(&from[i * inner..(i + 1) * inner]);
            }
        }
    }
    // Without data no chunk was visited; then every index is outside.
    indices.iter().try_for_each(|&i| wrap(i, axis_len).map(|_| ()))
}

/// `out[i] = data[i with its axis-th component replaced by indices[i]]`, shaped as `indices`, which is nowhere longer than `data` but on the axis.
pub fn gather_elements<T: Clone>(
    out: &mut [T],
    data: &[T],
    indices: &[i64],
    data_shape: &[usize],
    indices_shape: &[usize],
    axis: usize,
) -> Result<(), Fault> {
    promise(out.len() == indices.len(), "gather_elements: lengths differ")?;
    elements(indices, data.len(), data_shape, indices_shape, axis, |position, flat| out[flat] = data[position].clone())
}

/// The common walk of `GatherElements` and `ScatterElements`: calls `f(position in data, position in indices)` for each index in order.
pub(super) fn elements(
    indices: &[i64],
    data_len: usize,
    data_shape: &[usize],
    indices_shape: &[usize],
    axis: usize,
    mut f: impl FnMut(usize, usize),
) -> Result<(), Fault> {
    let fits = |(a, (i, d)): (usize, (&usize, &usize))| a == axis || i <= d;
    promise(data_shape.len() == indices_shape.len() && axis < data_shape.len(), "elements: ranks differ")?;
    promise(count(data_shape)? == data_len && count(indices_shape)? == indices.len(), "elements: lengths differ")?;
    if indices.is_empty() {
        return Ok(());
    }
    promise(indices_shape.iter().zip(data_shape).enumerate().all(fits), "elements: indices exceed the data")?;
    let (len, data_strides, index_strides) = (data_shape[axis], dense(data_shape)?, dense(indices_shape)?);
    let along = data_strides[axis];
    let walk = Walk::new(indices_shape, |a, k| match k {
        0 => index_strides[a] as isize,
        _ if a == axis => 0,
        _ => data_strides[a] as isize,
    })?;
    let (n, [_, step]) = walk.inner();
    let step = step as usize;
    let mut result = Ok(());
    walk.rows([0, 0], |[flat, base]| {
        if result.is_err() {
            return;
        }
        for (k, &i) in indices[flat..flat + n].iter().enumerate() {
            match wrap(i, len) {
                Ok(i) => f(base + k * step + i * along, flat + k),
                Err(fault) => {
                    result = Err(fault);
                    return;
                }
            }
        }
    });
    result
}

/// `out[b, i, :] = data[b, indices[b, i, 0], indices[b, i, 1], …, :]`; `indices` has `index_len` components a place, after `batch_dims` common axes.
pub fn gather_nd<T: Clone>(
    out: &mut [T],
    data: &[T],
    indices: &[i64],
    data_shape: &[usize],
    index_len: usize,
    batch_dims: usize,
) -> Result<(), Fault> {
    promise(index_len > 0 && batch_dims + index_len <= data_shape.len(), "gather_nd: ranks differ")?;
    promise(count(data_shape)? == data.len(), "gather_nd: wrong length of data")?;
    let batch = count(&data_shape[..batch_dims])?;
    let per_batch = count(&data_shape[batch_dims..])?;
    let (axes, inner) = data_shape[batch_dims..].split_at(index_len);
    let inner = count(inner)?;
    let places = indices.len() / index_len;
    promise(out.len() == count(&[places, inner])? && places.is_multiple_of(batch), "gather_nd: lengths differ")?;
    let per_place = places.checked_div(batch).unwrap_or(0);
    for (place, at) in indices.chunks_exact(index_len).enumerate() {
        let from = (place / per_place.max(1)) * per_batch + position(at, axes)? * inner;
        out[place * inner..(place + 1) * inner].clone_from_slice(&data[from..from + inner]);
    }
    Ok(())
}

/// The flat position of an index tuple in `axes`, in units of what lies inside them.
#[inline]
pub(super) fn position(index: &[i64], axes: &[usize]) -> Result<usize, Fault> {
    index.iter().zip(axes).try_fold(0, |at, (&i, &d)| Ok(at * d + wrap(i, d)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_rows_and_columns() {
        let x = [1, 2, 3, 4, 5, 6];
        let mut out = [0; 4];
        gather(&mut out, &x, &[2, -3], 1, 3, 2).unwrap();
        assert_eq!(out, [5, 6, 1, 2]);
        gather(&mut out, &x, &[-1, 0], 2, 3, 1).unwrap();
        assert_eq!(out, [3, 1, 6, 4]);
        assert_eq!(gather(&mut out, &x, &[3, 0], 2, 3, 1), Err(Fault::Index { index: 3, len: 3 }));
        assert_eq!(gather(&mut out, &[], &[0, 0], 2, 0, 1), Err(Fault::Index { index: 0, len: 0 }));
    }

    #[test]
    fn gathers_elements() {
        let x = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let mut out = [0; 6];
        gather_elements(&mut out, &x, &[1, 2, 0, 2, 0, 0], &[3, 3], &[2, 3], 0).unwrap();
        assert_eq!(out, [4, 8, 3, 7, 2, 3]);
        gather_elements(&mut out, &x, &[1, -1, 0, 2, 0, 0], &[3, 3], &[3, 2], 1).unwrap();
        assert_eq!(out, [2, 3, 4, 6, 7, 7]);
        assert!(gather_elements(&mut out, &x, &[1, -4, 0, 2, 0, 0], &[3, 3], &[3, 2], 1).is_err());
    }

    #[test]
    fn gathers_tuples() {
        let x = [0, 1, 2, 3, 4, 5, 6, 7];
        let mut out = [0; 4];
        gather_nd(&mut out, &x, &[0, 1, 1, 0], &[2, 2, 2], 2, 0).unwrap();
        assert_eq!(out, [2, 3, 4, 5]);
        gather_nd(&mut out, &x, &[1, 0], &[2, 2, 2], 1, 1).unwrap();
        assert_eq!(out, [2, 3, 4, 5]);
        assert!(gather_nd(&mut out, &x, &[2, 0], &[2, 2, 2], 1, 1).is_err());
    }
}
