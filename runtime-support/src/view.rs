//! Tensors at the door of a model: borrowed elements with a shape whose rank is in the type.

use crate::element::Bool;
use crate::error::Fault;

/// Elements and their shape; the number of elements is the product of the shape.
#[derive(Debug, PartialEq)]
pub struct View<'a, T, const RANK: usize> {
    data: &'a [T],
    shape: [usize; RANK],
}

// Not derived: a view of strings is copied without copying strings.
impl<T, const RANK: usize> Clone for View<'_, T, RANK> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, const RANK: usize> Copy for View<'_, T, RANK> {}

impl<'a, T, const RANK: usize> View<'a, T, RANK> {
    /// Elements in row-major order; [`Fault::Dim`] if their number is not the product of `shape`.
    #[inline]
    pub fn new(data: &'a [T], shape: [usize; RANK]) -> Result<Self, Fault> {
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count == Some(data.len()) {
            return Ok(Self { data, shape });
        }
        let expected = count.map_or(i64::MAX, |n| i64::try_from(n).unwrap_or(i64::MAX));
        Err(Fault::Dim { expected, got: i64::try_from(data.len()).unwrap_or(i64::MAX) })
    }

    /// The elements, in row-major order.
    #[inline]
    pub const fn data(&self) -> &'a [T] {
        self.data
    }

    /// The shape.
    #[inline]
    pub const fn shape(&self) -> [usize; RANK] {
        self.shape
    }

    /// The elements whose first index is `i`; none if it is out of range, or there is no first index.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [T] {
        let Some(&rows) = self.shape.first() else { return &[] };
        let len = self.data.len().checked_div(rows).unwrap_or(0);
        if i < rows { self.data.get(i * len..(i + 1) * len).unwrap_or_default() } else { &[] }
    }

    /// The element at an index, unless it is out of range.
    #[inline]
    pub fn get(&self, index: [usize; RANK]) -> Option<&'a T> {
        let mut at = 0;
        for (&i, &d) in index.iter().zip(&self.shape) {
            if i >= d {
                return None;
            }
            at = at * d + i;
        }
        self.data.get(at)
    }
}

/// Booleans as the kernels see them.
#[inline]
pub const fn bools_in(x: &[bool]) -> &[Bool] {
    // SAFETY: `Bool` is a transparent u8, `bool` has its size and alignment and is 0 or 1, and both are only read.
    unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// Booleans as callers see them; [`Fault::Internal`] if a byte is neither 0 nor 1.
#[inline]
pub fn bools_out(x: &[Bool]) -> Result<&[bool], Fault> {
    if x.iter().fold(0, |all, b| all | b.0) > 1 {
        return Err(Fault::Internal { what: "a boolean is neither 0 nor 1" });
    }
    // SAFETY: every byte is 0 or 1 (checked: no bit above the lowest is set in any), which are the valid values of `bool`.
    Ok(unsafe { core::slice::from_raw_parts(x.as_ptr().cast(), x.len()) })
}

/// A run of elements; [`Fault::Internal`] if it is not inside.
#[inline]
pub fn part<T>(x: &[T], offset: usize, len: usize) -> Result<&[T], Fault> {
    let end = offset.checked_add(len);
    end.and_then(|end| x.get(offset..end)).ok_or(Fault::Internal { what: "a view outside its buffer" })
}

/// Elements as an array; [`Fault::Internal`] if there are more or fewer.
#[inline]
pub fn array<T, const N: usize>(x: &[T]) -> Result<&[T; N], Fault> {
    x.try_into().map_err(|_| Fault::Internal { what: "a view of another length than its array" })
}

/// The only element, as a condition; [`Fault::Internal`] if there are more or fewer.
#[inline]
pub fn truth(x: &[Bool]) -> Result<bool, Fault> {
    array::<_, 1>(x).map(|[b]| b.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_check_their_shape() {
        let data = [1, 2, 3, 4, 5, 6];
        let v = View::new(&data, [2, 3]).unwrap();
        assert_eq!(v.get([1, 2]), Some(&6));
        assert_eq!(v.get([2, 0]), None);
        assert_eq!((v.row(1), v.row(2)), (&[4, 5, 6][..], &[][..]));
        assert!(View::new(&data[..0], [0, 3]).unwrap().row(0).is_empty());
        assert!(View::new(&data[..1], []).unwrap().row(0).is_empty());
        assert_eq!(View::new(&data, [2, 2]), Err(Fault::Dim { expected: 4, got: 6 }));
        assert!(View::new(&data, [usize::MAX, 2]).is_err());
        assert_eq!(View::new(&data[..1], []).unwrap().get([]), Some(&1));
    }

    #[test]
    fn booleans_go_in_and_out() {
        let b = [true, false, true];
        assert_eq!(bools_out(bools_in(&b)), Ok(&b[..]));
        assert!(bools_out(&[Bool(1), Bool(2)]).is_err());
        assert_eq!(truth(bools_in(&b[1..2])), Ok(false));
        assert!(truth(&[]).is_err());
        assert_eq!(part(&b, 1, 2), Ok(&b[1..]));
        assert!(part(&b, usize::MAX, 2).is_err());
    }
}
