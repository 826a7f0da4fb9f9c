//! Copies: dense, filled, strided. Serves Slice, Expand, Split, Concat, Identity, `ConstantOfShape` and whatever is a view of other memory.

use super::transpose::blocked;
use super::walk::{Walk, count, dense, promise};
use crate::error::Fault;

/// `out = x`, equally long.
pub fn copy<T: Clone>(out: &mut [T], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "copy: lengths differ")?;
    out.clone_from_slice(x);
    Ok(())
}

/// Every element of `out` becomes the one element of `value` (`ConstantOfShape`).
pub fn fill<T: Clone>(out: &mut [T], value: &[T]) -> Result<(), Fault> {
    let [value] = value else { return Err(Fault::Dim { expected: 1, got: value.len() as i64 }) };
    out.fill(value.clone());
    Ok(())
}

/// `out`, dense with `shape`, takes `x[x_offset + sum(index[d] * x_strides[d])]`. Strides of any sign; 0 repeats (Expand, Slice, views).
pub fn strided<T: Clone>(out: &mut [T], x: &[T], shape: &[usize], x_offset: usize, x_strides: &[i64]) -> Result<(), Fault> {
    promise(shape.len() == x_strides.len() && out.len() == count(shape)?, "strided: sizes differ")?;
    let strides = dense(shape)?;
    let walk = Walk::new(shape, |axis, k| if k == 0 { strides[axis] as isize } else { x_strides[axis] as isize })?;
    run(out, 0, x, x_offset, walk)
}

/// Writes `x[x_offset + sum(index[d] * x_strides[d])]` to `out[out_offset + sum(index[d] * out_strides[d])]` for every index of `shape`; the rest
/// of `out` keeps its contents (Concat on inner axes, the interior of Pad).
pub fn strided_into<T: Clone>(
    out: &mut [T],
    x: &[T],
    shape: &[usize],
    out_offset: usize,
    out_strides: &[usize],
    x_offset: usize,
    x_strides: &[i64],
) -> Result<(), Fault> {
    promise(shape.len() == x_strides.len() && shape.len() == out_strides.len(), "strided_into: ranks differ")?;
    let walk = Walk::new(shape, |axis, k| if k == 0 { out_strides[axis] as isize } else { x_strides[axis] as isize })?;
    run(out, out_offset, x, x_offset, walk)
}

/// The engine: operand 0 is `out`, operand 1 is `x`.
pub(super) fn run<T: Clone>(out: &mut [T], out_offset: usize, x: &[T], x_offset: usize, mut walk: Walk<2>) -> Result<(), Fault> {
    walk.check(0, out_offset, out.len())?;
    walk.check(1, x_offset, x.len())?;
    let start = [out_offset, x_offset];
    let (n, [out_step, x_step]) = walk.inner();
    match (out_step, x_step) {
        (1, 1) => match n {
            1 => walk.rows(start, |[o, i]| out[o] = x[i].clone()),
            2 => short_rows::<T, 2>(out, x, start, &walk),
            3 => short_rows::<T, 3>(out, x, start, &walk),
            4 => short_rows::<T, 4>(out, x, start, &walk),
            8 => short_rows::<T, 8>(out, x, start, &walk),
            16 => short_rows::<T, 16>(out, x, start, &walk),
            _ => walk.rows(start, |[o, i]| out[o..o + n].clone_from_slice(&x[i..i + n])),
        },
        (1, 0) => walk.rows(start, |[o, i]| out[o..o + n].fill(x[i].clone())),
        (1, _) => match (0..walk.dims().len() - 1).rev().find(|&a| walk.strides(a)[1] == 1 && walk.strides(a)[0] > 0) {
            Some(axis) => {
                walk.move_inside(axis);
                let last = walk.dims().len() - 1;
                // The former innermost axis (rows of `out`) goes inside the one that is dense in `x`.
                walk.move_inside(last - 1);
                blocked(out, x, start, &walk);
            }
            None => walk.rows(start, |[o, i]| {
                let mut at = i;
                for v in &mut out[o..o + n] {
                    *v = x[at].clone();
                    at = at.wrapping_add_signed(x_step);
                }
            }),
        },
        _ => walk.rows(start, |[o, i]| {
            let (mut to, mut from) = (o, i);
            for _ in 0..n {
                out[to] = x[from].clone();
                (to, from) = (to.wrapping_add_signed(out_step), from.wrapping_add_signed(x_step));
            }
        }),
    }
    Ok(())
}

/// Rows of a few elements: a call of memcpy each would cost more than the copy.
fn short_rows<T: Clone, const N: usize>(out: &mut [T], x: &[T], start: [usize; 2], walk: &Walk<2>) {
    walk.rows(start, |[o, i]| {
        if let (Some(to), Some(from)) = (out[o..].first_chunk_mut::<N>(), x[i..].first_chunk::<N>()) {
            to.clone_from(from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(x: &[u32], shape: &[usize], offset: i64, strides: &[i64]) -> std::vec::Vec<u32> {
        let mut out = std::vec![];
        for flat in 0..shape.iter().product::<usize>() {
            let (mut rest, mut at) = (flat, offset);
            for (d, s) in shape.iter().zip(strides).rev() {
                at += (rest % d) as i64 * s;
                rest /= d;
            }
            out.push(x[at as usize]);
        }
        out
    }

    #[test]
    fn strided_agrees_with_index_arithmetic() {
        let x: std::vec::Vec<u32> = (0..4000).collect();
        let cases: [(&[usize], usize, &[i64]); 9] = [
            (&[], 7, &[]),
            (&[3, 4, 5], 0, &[20, 5, 1]),
            (&[3, 4, 5], 59, &[-20, -5, -1]),
            (&[2, 3, 7], 5, &[0, 1, 0]),
            (&[2, 17, 33], 100, &[700, 1, 20]),
            (&[33, 2, 1, 17], 0, &[1, 1500, 5, 40]),
            (&[4, 3, 2], 11, &[1, 6, 3]),
            (&[5, 3], 400, &[-7, 2]),
            (&[0, 3], 0, &[1, 1]),
        ];
        for (shape, offset, strides) in cases {
            let mut out = std::vec![u32::MAX; shape.iter().product()];
            strided(&mut out, &x, shape, offset, strides).unwrap();
            assert_eq!(out, naive(&x, shape, offset as i64, strides), "{shape:?} {strides:?}");
        }
        let mut out = [0; 4];
        assert!(strided(&mut out, &x[..3], &[4], 0, &[1]).is_err());
        assert!(strided(&mut out, &x[..4], &[4], 2, &[-1]).is_err());
    }

    #[test]
    fn strided_into_keeps_the_rest() {
        let mut out = [0u8; 12];
        strided_into(&mut out, &[1, 2, 3, 4], &[2, 2], 5, &[4, 1], 0, &[2, 1]).unwrap();
        assert_eq!(out, [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0]);
        strided_into(&mut out, &[9, 8], &[2], 0, &[3], 1, &[-1]).unwrap();
        assert_eq!(out[..4], [8, 0, 0, 9]);
    }
}
