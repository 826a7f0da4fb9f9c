//! Pad: constant, reflect, edge, wrap; negative pads crop (before the other side is padded, as ONNX Runtime does).

use super::walk::{MAX_RANK, count, dense, promise};
use crate::error::Fault;

/// What stands outside the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A given value.
    Constant,
    /// The mirror image, the border itself not repeated (period `2 * (n - 1)`).
    Reflect,
    /// The border's value.
    Edge,
    /// The other end (period `n`).
    Wrap,
}

/// One axis: where an output index comes from.
#[derive(Clone, Copy)]
struct Axis {
    out: usize,
    /// The first kept index of the input and how many are kept.
    first: usize,
    kept: usize,
    /// Output index of the first kept element.
    before: usize,
}

impl Axis {
    /// The input index of output index `i`; `None` is the constant.
    #[inline]
    fn source(&self, i: usize, mode: Mode) -> Option<usize> {
        let (at, n) = (i as i64 - self.before as i64, self.kept as i64);
        let inside = if (0..n).contains(&at) {
            at
        } else {
            match mode {
                Mode::Constant => return None,
                Mode::Edge => at.clamp(0, n - 1),
                Mode::Wrap => at.rem_euclid(n),
                Mode::Reflect if n == 1 => 0,
                Mode::Reflect => {
                    let folded = at.rem_euclid(2 * (n - 1));
                    folded.min(2 * (n - 1) - folded)
                }
            }
        };
        Some(self.first + inside as usize)
    }
}

/// Resolves the pads of a tensor of `shape` that only the data tells: writes `[pad at the beginning, dim of the result]` of every axis, in order,
/// to `bind`. `pads` has the ones at the beginnings of `axes` (all axes if absent; negative from the end), then those at the ends.
pub fn plan(bind: &mut [i64], shape: &[usize], pads: &[i64], axes: Option<&[i64]>) -> Result<(), Fault> {
    promise(bind.len() == 2 * shape.len(), "pad plan: wrong number of results")?;
    let named = axes.map_or(shape.len(), <[i64]>::len);
    if pads.len() != 2 * named {
        return Err(Fault::Dim { expected: 2 * named as i64, got: pads.len() as i64 });
    }
    for (pair, &d) in bind.chunks_exact_mut(2).zip(shape) {
        pair.copy_from_slice(&[0, d as i64]);
    }
    for i in 0..named {
        let axis = super::walk::wrap(axes.map_or(i as i64, |a| a[i]), shape.len())?;
        let (before, after) = (pads[i], pads[named + i]);
        let dim = (shape[axis] as i64).checked_add(before).and_then(|d| d.checked_add(after)).filter(|&d| d >= 0);
        let dim = dim.ok_or(Fault::Value { what: "the pads cut off more than there is", got: before })?;
        bind[2 * axis..2 * axis + 2].copy_from_slice(&[before, dim]);
    }
    Ok(())
}

/// `out[i] = x[i - pads_begin]`, or what `mode` says outside. `pads_begin` has one number an axis; the pads at the end follow from `out_shape`.
/// `value` has one element, used by the constant mode only.
pub fn pad<T: Clone>(
    out: &mut [T],
    x: &[T],
    value: &[T],
    in_shape: &[usize],
    pads_begin: &[i64],
    out_shape: &[usize],
    mode: Mode,
) -> Result<(), Fault> {
    let rank = in_shape.len();
    promise(pads_begin.len() == rank && out_shape.len() == rank && rank <= MAX_RANK, "pad: ranks differ")?;
    promise(out.len() == count(out_shape)? && x.len() == count(in_shape)?, "pad: lengths differ")?;
    if mode == Mode::Constant && value.len() != 1 {
        return Err(Fault::Dim { expected: 1, got: value.len() as i64 });
    }
    if out.is_empty() {
        return Ok(());
    }
    let mut axes = [Axis { out: 1, first: 0, kept: 1, before: 0 }; MAX_RANK];
    for a in 0..rank {
        axes[a] = axis(in_shape[a], pads_begin[a], out_shape[a])?;
        if axes[a].kept == 0 && mode != Mode::Constant {
            return Err(Fault::Value { what: "an empty axis can only be padded with a constant", got: 0 });
        }
    }
    // Inner axes that are not padded make up one group of elements, the last padded axis is the row.
    let untouched = |a: &Axis, d: usize| a.out == d && a.kept == d;
    let row = (0..rank).rev().find(|&a| !untouched(&axes[a], in_shape[a]));
    let Some(row) = row else {
        out.clone_from_slice(x);
        return Ok(());
    };
    let group = in_shape[row + 1..].iter().product::<usize>();
    rows(out, x, value.first(), &axes[..=row], &dense(in_shape)?, group, mode);
    Ok(())
}

fn axis(dim: usize, before: i64, out: usize) -> Result<Axis, Fault> {
    let after = (out as i64).checked_sub(dim as i64).and_then(|n| n.checked_sub(before));
    let after = after.ok_or(Fault::Value { what: "a pad is too large", got: before })?;
    let cropped = |pad: i64| usize::try_from(pad.saturating_neg()).unwrap_or(0).min(dim);
    let first = cropped(before);
    Ok(Axis { out, first, kept: dim.saturating_sub(first).saturating_sub(cropped(after)), before: before.max(0) as usize })
}

/// Walks the rows of `out` (groups of `group` elements along the last of `axes`).
fn rows<T: Clone>(out: &mut [T], x: &[T], value: Option<&T>, axes: &[Axis], strides: &[usize; MAX_RANK], group: usize, mode: Mode) {
    let Some((row, outer)) = axes.split_last() else { return };
    let mut index = [0usize; MAX_RANK];
    for to in out.chunks_exact_mut(row.out * group) {
        let base = outer.iter().zip(&index).zip(strides).try_fold(0, |at, ((a, i), s)| a.source(*i, mode).map(|j| at + j * s));
        match (base, value) {
            (Some(base), _) => fill_row(to, &x[base..], value, row, group, mode),
            (None, Some(value)) => to.fill(value.clone()),
            (None, None) => {}
        }
        for (i, a) in index[..outer.len()].iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < a.out {
                break;
            }
            *i = 0;
        }
    }
}

fn fill_row<T: Clone>(to: &mut [T], x: &[T], value: Option<&T>, row: &Axis, group: usize, mode: Mode) {
    let end = (row.before + row.kept).min(row.out);
    let start = row.before.min(end);
    let inside = &x[row.first * group..(row.first + end - start) * group];
    to[start * group..end * group].clone_from_slice(inside);
    if mode == Mode::Constant {
        if let Some(value) = value {
            to[..start * group].fill(value.clone());
            to[end * group..].fill(value.clone());
        }
        return;
    }
    for i in (0..start).chain(end..row.out) {
        if let Some(j) = row.source(i, mode) {
            to[i * group..(i + 1) * group].clone_from_slice(&x[j * group..(j + 1) * group]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(x: &[i32], shape: &[usize], begin: &[i64], out_shape: &[usize], mode: Mode) -> std::vec::Vec<i32> {
        let mut out = std::vec![-1; out_shape.iter().product()];
        pad(&mut out, x, &[7], shape, begin, out_shape, mode).unwrap();
        out
    }

    #[test]
    fn one_axis_in_all_modes() {
        let x = [1, 2, 3];
        assert_eq!(run(&x, &[3], &[2], &[7], Mode::Constant), [7, 7, 1, 2, 3, 7, 7]);
        assert_eq!(run(&x, &[3], &[2], &[7], Mode::Reflect), [3, 2, 1, 2, 3, 2, 1]);
        assert_eq!(run(&x, &[3], &[5], &[9], Mode::Reflect), [2, 1, 2, 3, 2, 1, 2, 3, 2]);
        assert_eq!(run(&x, &[3], &[2], &[7], Mode::Edge), [1, 1, 1, 2, 3, 3, 3]);
        assert_eq!(run(&x, &[3], &[4], &[9], Mode::Wrap), [3, 1, 2, 3, 1, 2, 3, 1, 2]);
        assert_eq!(run(&x, &[3], &[-1], &[4], Mode::Constant), [2, 3, 7, 7]);
        assert_eq!(run(&x, &[3], &[1], &[3], Mode::Edge), [1, 1, 2]);
        assert_eq!(run(&x, &[3], &[-2], &[1], Mode::Constant), [3]);
        assert_eq!(run(&[], &[0], &[1], &[2], Mode::Constant), [7, 7]);
        assert_eq!(run(&x, &[3], &[-5], &[2], Mode::Constant), [7, 7]);
    }

    #[test]
    fn plans() {
        let mut bind = [0; 4];
        plan(&mut bind, &[3, 4], &[1, -2], Some(&[-1])).unwrap();
        assert_eq!(bind, [0, 3, 1, 3]);
        plan(&mut bind, &[3, 4], &[1, 2, 0, 5], None).unwrap();
        assert_eq!(bind, [1, 4, 2, 11]);
        assert!(plan(&mut bind, &[3, 4], &[1, 2], None).is_err());
        assert!(plan(&mut bind, &[3, 4], &[0, -5], Some(&[1])).is_err());
        assert!(plan(&mut bind, &[3, 4], &[0, 0], Some(&[2])).is_err());
    }

    #[test]
    fn inner_groups_and_outer_axes() {
        let x = [1, 2, 3, 4];
        assert_eq!(run(&x, &[1, 2, 2], &[0, 1, 0], &[1, 4, 2], Mode::Constant), [7, 7, 1, 2, 3, 4, 7, 7]);
        assert_eq!(run(&x, &[2, 2], &[1, 0], &[4, 3], Mode::Edge), [1, 2, 2, 1, 2, 2, 3, 4, 4, 3, 4, 4]);
        assert_eq!(run(&x, &[2, 2], &[1, 1], &[3, 3], Mode::Constant), [7, 7, 7, 7, 1, 2, 7, 3, 4]);
        assert_eq!(run(&x, &[2, 2], &[0, 0], &[2, 2], Mode::Wrap), x);
    }
}
