//! Walking several operands over one shape: dims of size one dropped, mergeable neighbours merged, offsets kept by an odometer.
//!
//! Shared by the data-movement kernels. All positions are checked once, before the walk, so that no data can lead outside an operand.

use crate::error::Fault;

/// The most dims that are left after merging. Models in the field stay below 10.
pub(crate) const MAX_RANK: usize = 16;

/// A walk over `dims` with `N` operands, each with its own strides (in elements, any sign).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<const N: usize> {
    rank: usize,
    dims: [usize; MAX_RANK],
    strides: [[isize; N]; MAX_RANK],
}

/// The product of dims, or a fault if it does not fit.
pub(crate) fn count(shape: &[usize]) -> Result<usize, Fault> {
    if shape.contains(&0) {
        return Ok(0);
    }
    let product = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    product.filter(|&n| isize::try_from(n).is_ok()).ok_or(Fault::Memory { bytes: usize::MAX })
}

/// `Ok` if the promise holds: for what the compiler guarantees.
#[inline]
pub(crate) fn promise(holds: bool, what: &'static str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Internal { what }) }
}

/// An index as ONNX counts: negative from the end; outside the axis a fault.
#[inline(always)]
pub(crate) fn wrap(index: i64, len: usize) -> Result<usize, Fault> {
    let i = if index < 0 { index.wrapping_add(len as i64) } else { index };
    if i >= 0 && (i as u64) < len as u64 { Ok(i as usize) } else { Err(Fault::Index { index, len }) }
}

/// The row-major strides of a dense tensor.
pub(crate) fn dense(shape: &[usize]) -> Result<[usize; MAX_RANK], Fault> {
    promise(shape.len() <= MAX_RANK, "rank above 16")?;
    let mut strides = [0; MAX_RANK];
    let mut n = 1usize;
    for (s, &d) in strides[..shape.len()].iter_mut().zip(shape).rev() {
        *s = n;
        n = n.saturating_mul(d);
    }
    Ok(strides)
}

impl<const N: usize> Walk<N> {
    /// The walk over `shape` where operand `k` moves by `stride(axis, k)`.
    pub(crate) fn new(shape: &[usize], stride: impl Fn(usize, usize) -> isize) -> Result<Self, Fault> {
        let mut walk = Self { rank: 0, dims: [1; MAX_RANK], strides: [[0; N]; MAX_RANK] };
        if shape.contains(&0) {
            walk.rank = 1;
            walk.dims[0] = 0;
            return Ok(walk);
        }
        for (axis, &dim) in shape.iter().enumerate() {
            if dim == 1 {
                continue;
            }
            let strides = core::array::from_fn(|k| stride(axis, k));
            if walk.rank > 0 && walk.merges(dim, &strides) {
                walk.dims[walk.rank - 1] *= dim;
                walk.strides[walk.rank - 1] = strides;
                continue;
            }
            promise(walk.rank < MAX_RANK, "rank above 16")?;
            walk.dims[walk.rank] = dim;
            walk.strides[walk.rank] = strides;
            walk.rank += 1;
        }
        Ok(walk)
    }

    fn merges(&self, dim: usize, strides: &[isize; N]) -> bool {
        let last = &self.strides[self.rank - 1];
        last.iter().zip(strides).all(|(l, s)| s.checked_mul(dim as isize) == Some(*l))
            && self.dims[self.rank - 1].checked_mul(dim).is_some()
    }

    /// The merged dims.
    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The strides of one merged axis.
    pub(crate) fn strides(&self, axis: usize) -> [isize; N] {
        self.strides[axis]
    }

    /// The innermost axis: its length and strides; a scalar is a row of one.
    pub(crate) fn inner(&self) -> (usize, [isize; N]) {
        if self.rank == 0 { (1, [1; N]) } else { (self.dims[self.rank - 1], self.strides[self.rank - 1]) }
    }

    /// Moves one axis to the inside, the others keep their order.
    pub(crate) fn move_inside(&mut self, axis: usize) {
        self.dims[axis..self.rank].rotate_left(1);
        self.strides[axis..self.rank].rotate_left(1);
    }

    /// Checks that operand `k`, starting at `offset`, stays inside `len` elements on the whole walk.
    pub(crate) fn check(&self, k: usize, offset: usize, len: usize) -> Result<(), Fault> {
        if self.dims().contains(&0) {
            return Ok(());
        }
        let (mut low, mut high) = (offset as i128, offset as i128);
        for (d, s) in self.dims().iter().zip(&self.strides) {
            let reach = (*d as i128 - 1) * s[k] as i128;
            if reach < 0 {
                low += reach;
            } else {
                high += reach;
            }
        }
        promise(low >= 0 && high < len as i128, "a strided view leaves its buffer")
    }

    /// Calls `f` with the offsets of the operands at each position of the axes outside the innermost `inside` ones.
    #[inline(always)]
    pub(crate) fn outer(&self, inside: usize, start: [usize; N], mut f: impl FnMut([usize; N])) {
        let rank = self.rank.saturating_sub(inside);
        if self.dims().contains(&0) {
            return;
        }
        let mut at = start;
        let mut index = [0usize; MAX_RANK];
        loop {
            f(at);
            let mut axis = rank;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                let strides = &self.strides[axis];
                if index[axis] < self.dims[axis] {
                    for (a, s) in at.iter_mut().zip(strides) {
                        *a = a.wrapping_add_signed(*s);
                    }
                    break;
                }
                index[axis] = 0;
                let back = self.dims[axis] as isize - 1;
                for (a, s) in at.iter_mut().zip(strides) {
                    *a = a.wrapping_add_signed(s.wrapping_mul(-back));
                }
            }
        }
    }

    /// Calls `f` with the offsets of the operands at the start of each innermost row.
    #[inline(always)]
    pub(crate) fn rows(&self, start: [usize; N], f: impl FnMut([usize; N])) {
        self.outer(1, start, f);
    }
}
