//! Transpose: `out[i[perm[0]], i[perm[1]], …] = x[i]`.
//!
//! Axes that stay neighbours are merged. If the innermost axis stays, rows are copied; otherwise the two axes that are dense on either side are
//! transposed in blocks that fit the first-level cache, by tiles that fit registers.

use super::copy::run;
use super::parallel::{self, Parts};
use super::walk::{MAX_RANK, Walk, count, dense, promise};
use crate::cx::Cx;
use crate::error::Fault;
use core::sync::atomic::{AtomicBool, Ordering};

/// `out` has the shape `[in_shape[perm[0]], in_shape[perm[1]], …]`; `perm` is a permutation of the axes. Threads share the first axis of `out` that has
/// a length.
pub fn transpose<T: Clone + Send + Sync>(cx: Cx, out: &mut [T], x: &[T], in_shape: &[usize], perm: &[usize]) -> Result<(), Fault> {
    let rank = in_shape.len();
    promise(perm.len() == rank && (0..rank).all(|a| perm.contains(&a)), "transpose: not a permutation")?;
    promise(out.len() == count(in_shape)? && x.len() == out.len(), "transpose: lengths differ")?;
    let x_strides = dense(in_shape)?;
    let mut shape = [1; MAX_RANK];
    for (d, &p) in shape.iter_mut().zip(perm) {
        *d = in_shape[p];
    }
    let out_strides = dense(&shape[..rank])?;
    let rows_of = |out: &mut [T], start: usize, shape: &[usize]| {
        let walk = Walk::new(shape, |axis, k| if k == 0 { out_strides[axis] } else { x_strides[perm[axis]] } as isize)?;
        run(out, 0, x, start, walk)
    };
    let axis = shape.iter().position(|&d| d != 1).unwrap_or(0);
    let length = shape[axis];
    // Moving an element costs about as much as sixteen multiply-adds.
    let work = out.len().saturating_mul(16);
    let tasks = parallel::tasks(cx, work).min(length);
    if tasks <= 1 {
        return rows_of(out, 0, &shape[..rank]);
    }
    let (parts, failed) = (Parts::new(out), AtomicBool::new(false));
    parallel::each(cx, work, tasks, |task| {
        let range = parallel::part(length, 1, task, tasks);
        let mut shape = shape;
        shape[axis] = range.len();
        // SAFETY: the ranges of different tasks are different.
        let out = unsafe { parts.part(range.start * out_strides[axis]..range.end * out_strides[axis]) };
        if rows_of(out, range.start * x_strides[perm[axis]], &shape[..rank]).is_err() {
            failed.store(true, Ordering::Relaxed);
        }
    });
    promise(!failed.into_inner(), "transpose: a part does not fit")
}

/// Elements along either side of a block: 64 rows of 64 elements of either operand stay in the first-level cache.
const BLOCK: usize = 64;

/// The walk's two innermost axes are `c` (dense in `x`, positive stride in `out`) and `r` (dense in `out`). All positions have been checked.
pub(super) fn blocked<T: Clone>(out: &mut [T], x: &[T], start: [usize; 2], walk: &Walk<2>) {
    let last = walk.dims().len() - 1;
    let (rows, columns) = (walk.dims()[last], walk.dims()[last - 1]);
    let (x_stride, out_stride) = (walk.strides(last)[1], walk.strides(last - 1)[0]);
    let (out, x) = (out.as_mut_ptr(), x.as_ptr());
    walk.outer(2, start, |[o, i]| {
        for c in (0..columns).step_by(BLOCK) {
            for r in (0..rows).step_by(BLOCK) {
                let size = [BLOCK.min(rows - r), BLOCK.min(columns - c)];
                // SAFETY: `Walk::check` proved that `start + r * stride + c * stride` is inside each operand for every index of the walk.
                unsafe {
                    let x = x.add(i + c).offset(r as isize * x_stride);
                    let out = out.add(o + r).offset(c as isize * out_stride);
                    block(out, out_stride, x, x_stride, size);
                }
            }
        }
    });
}

/// `out[c * out_stride + r] = x[r * x_stride + c]` for all r, c below `size`.
///
/// # Safety
/// All these positions must be inside the operands, which must not overlap.
unsafe fn block<T: Clone>(out: *mut T, out_stride: isize, x: *const T, x_stride: isize, [rows, columns]: [usize; 2]) {
    const TILE: usize = 8;
    let (whole_rows, whole_columns) = (rows / TILE * TILE, columns / TILE * TILE);
    // SAFETY: every offset below is that of an `r < rows, c < columns`, which the caller vouches for.
    unsafe {
        for r in (0..whole_rows).step_by(TILE) {
            for c in (0..whole_columns).step_by(TILE) {
                let out = out.offset(c as isize * out_stride + r as isize);
                tile::<T, TILE>(out, out_stride, x.offset(r as isize * x_stride + c as isize), x_stride);
            }
        }
        let one = |r: usize, c: usize| {
            *out.offset(c as isize * out_stride + r as isize) = (*x.offset(r as isize * x_stride + c as isize)).clone();
        };
        // What is left on the right: few columns, whole rows of `out`.
        for c in whole_columns..columns {
            for r in 0..rows {
                one(r, c);
            }
        }
        // What is left below: few rows of `x`.
        for r in whole_rows..rows {
            for c in 0..whole_columns {
                one(r, c);
            }
        }
    }
}

/// One N by N tile, through registers: N rows are read, N rows are written.
///
/// # Safety
/// As for [`block`], with N rows and columns.
#[inline(always)]
unsafe fn tile<T: Clone, const N: usize>(out: *mut T, out_stride: isize, x: *const T, x_stride: isize) {
    // SAFETY: the caller vouches for every `r < N, c < N`.
    unsafe {
        let tile: [[T; N]; N] = core::array::from_fn(|c| core::array::from_fn(|r| (*x.offset(r as isize * x_stride + c as isize)).clone()));
        for (c, row) in tile.into_iter().enumerate() {
            *out.offset(c as isize * out_stride).cast::<[T; N]>() = row;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &[usize], perm: &[usize]) {
        let n = shape.iter().product::<usize>();
        let x: std::vec::Vec<u32> = (0..n as u32).collect();
        let mut out = std::vec![u32::MAX; n];
        transpose(Cx::REFERENCE, &mut out, &x, shape, perm).unwrap();
        let mut shared = std::vec![u32::MAX; n];
        transpose(Cx::REFERENCE.with_threads(3), &mut shared, &x, shape, perm).unwrap();
        assert_eq!(out, shared);
        for (flat, v) in x.iter().enumerate() {
            let mut index = std::vec![0; shape.len()];
            let mut rest = flat;
            for a in (0..shape.len()).rev() {
                index[a] = rest % shape[a];
                rest /= shape[a];
            }
            let to = perm.iter().fold(0, |at, &p| at * shape[p] + index[p]);
            assert_eq!(out[to], *v, "{shape:?} {perm:?} at {index:?}");
        }
    }

    #[test]
    fn all_kinds_of_permutations() {
        check(&[], &[]);
        check(&[5], &[0]);
        check(&[67, 130], &[1, 0]);
        check(&[2, 3, 9, 11], &[0, 2, 3, 1]);
        check(&[2, 70, 5, 3], &[0, 3, 1, 2]);
        check(&[2, 7, 3, 8], &[0, 2, 1, 3]);
        check(&[2, 7, 3, 9], &[0, 2, 3, 1]);
        check(&[4, 3, 2, 5, 6], &[4, 2, 3, 0, 1]);
        check(&[3, 1, 0, 2], &[3, 0, 1, 2]);
        check(&[1, 5, 4, 28], &[0, 1, 3, 2]);
        check(&[1, 28, 13, 15], &[0, 3, 2, 1]);
        check(&[1, 1, 300, 200], &[0, 3, 1, 2]);
        let mut out = std::vec![std::string::String::new(); 4];
        transpose(Cx::REFERENCE, &mut out, &["a", "b", "c", "d"].map(std::string::String::from), &[2, 2], &[1, 0]).unwrap();
        assert_eq!(out, ["a", "c", "b", "d"]);
    }

    /// `cargo test -p onnxc-runtime --release transpose::tests::speed -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let cases: [(&[usize], &[usize]); 10] = [
            (&[56 * 56, 4, 28], &[0, 2, 1]),
            (&[56 * 56, 28, 4], &[0, 2, 1]),
            (&[1, 64, 56 * 56], &[0, 2, 1]),
            (&[1, 56 * 56, 64], &[0, 2, 1]),
            (&[1, 64, 64 * 64], &[0, 2, 1]),
            (&[1, 64 * 64, 64], &[0, 2, 1]),
            (&[1, 3, 224 * 224], &[0, 2, 1]),
            (&[1, 224 * 224, 3], &[0, 2, 1]),
            (&[1, 128, 12, 64], &[0, 2, 1, 3]),
            (&[1, 128, 12, 64], &[0, 2, 3, 1]),
        ];
        for (shape, perm) in cases {
            let n = shape.iter().product::<usize>();
            let x = std::vec![1f32; n];
            let mut out = std::vec![0f32; n];
            let mut best = f64::INFINITY;
            for _ in 0..50 {
                let t = std::time::Instant::now();
                transpose(Cx::detect(), &mut out, &x, shape, perm).unwrap();
                best = best.min(t.elapsed().as_secs_f64());
            }
            std::println!("{shape:?} {perm:?}: {:.1} us, {:.1} GB/s", best * 1e6, n as f64 * 8.0 / best / 1e9);
        }
    }
}
