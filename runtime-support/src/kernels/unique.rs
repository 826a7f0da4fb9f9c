//! Unique: the different entries of a tensor or along an axis, where each is first, which one each entry is, and how often.
//!
//! Entries are compared along the remaining axes in row-major order. NaN equals NaN and comes last (as numpy does for flat tensors).

use super::arith::Order;
use super::walk::{count, promise};
use crate::error::Fault;
use core::cmp::Ordering;

/// `x` seen as `outer × axis_len × inner`; an entry is `x[.., a, ..]`.
struct Entries<'a, T> {
    x: &'a [T],
    outer: usize,
    axis_len: usize,
    inner: usize,
}

impl<T: Order> Entries<'_, T> {
    fn run(&self, o: usize, a: i64) -> &[T] {
        let at = (o * self.axis_len + a as usize) * self.inner;
        &self.x[at..at + self.inner]
    }

    fn compare(&self, a: i64, b: i64) -> Ordering {
        for o in 0..self.outer {
            for (x, y) in self.run(o, a).iter().zip(self.run(o, b)) {
                let order = x.order(y);
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
        Ordering::Equal
    }
}

/// Writes the number of different entries to `bind[0]`, and the sorted order of the entries to `order` (`axis_len` long) for [`unique`].
/// For a flat tensor `outer` and `inner` are 1.
pub fn unique_count<T: Order>(
    bind: &mut [i64],
    order: &mut [i64],
    x: &[T],
    outer: usize,
    axis_len: usize,
    inner: usize,
) -> Result<(), Fault> {
    promise(x.len() == count(&[outer, axis_len, inner])? && order.len() == axis_len, "unique: lengths differ")?;
    promise(bind.len() == 1, "unique: one result")?;
    let entries = Entries { x, outer, axis_len, inner };
    for (i, s) in order.iter_mut().enumerate() {
        *s = i as i64;
    }
    order.sort_unstable_by(|&a, &b| entries.compare(a, b).then(a.cmp(&b)));
    let changes = order.windows(2).filter(|w| entries.compare(w[0], w[1]) != Ordering::Equal).count();
    bind[0] = if order.is_empty() { 0 } else { changes as i64 + 1 };
    Ok(())
}

/// Fills `y` (`outer × n × inner`), `indices` and `counts` (`n` long) and `inverse` (`axis_len` long), with `n` and `order` from [`unique_count`].
/// `sorted`: ascending, else in the order of first appearance.
pub fn unique<T: Order + Clone>(
    y: &mut [T],
    indices: &mut [i64],
    inverse: &mut [i64],
    counts: &mut [i64],
    x: &[T],
    order: &[i64],
    outer: usize,
    axis_len: usize,
    inner: usize,
    sorted: bool,
) -> Result<(), Fault> {
    let n = indices.len();
    promise(x.len() == count(&[outer, axis_len, inner])? && y.len() == count(&[outer, n, inner])?, "unique: lengths differ")?;
    promise(order.len() == axis_len && inverse.len() == axis_len && counts.len() == n, "unique: lengths differ")?;
    promise(order.iter().all(|&i| (0..axis_len as i64).contains(&i)), "unique: not an order")?;
    let entries = Entries { x, outer, axis_len, inner };
    let wrong = Fault::Internal { what: "unique: the data changed" };
    // First pass, in sorted order: the number of each group (sorted), or the index of its first entry (unsorted).
    let (mut group, mut first) = (0usize, 0);
    for (i, &a) in order.iter().enumerate() {
        let new = i == 0 || entries.compare(order[i - 1], a) != Ordering::Equal;
        if new {
            (group, first) = (group + usize::from(i > 0), a);
            *indices.get_mut(group).ok_or(wrong)? = a;
            counts[group] = 0;
        }
        counts[group] += 1;
        inverse[a as usize] = if sorted { group as i64 } else { first };
    }
    if !sorted {
        // Second pass, in the order of the entries: groups are numbered as they appear.
        let mut groups = 0;
        for a in 0..axis_len {
            let first = inverse[a] as usize;
            if first == a {
                promise(groups < n, "unique: the data changed")?;
                (indices[groups], counts[groups], inverse[a]) = (a as i64, 1, groups as i64);
                groups += 1;
            } else {
                // The first entry comes before this one, so it holds its group's number already.
                inverse[a] = inverse[first];
                counts[inverse[a] as usize] += 1;
            }
        }
    }
    if inner > 0 {
        for (row, to) in y.chunks_exact_mut(inner).enumerate() {
            to.clone_from_slice(entries.run(row / n, indices[row % n]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Four<T> = (std::vec::Vec<T>, std::vec::Vec<i64>, std::vec::Vec<i64>, std::vec::Vec<i64>);

    fn all<T: Order + Clone + Default>(x: &[T], dims: [usize; 3], sorted: bool) -> Four<T> {
        let (mut n, mut order) = ([0], std::vec![0; dims[1]]);
        unique_count(&mut n, &mut order, x, dims[0], dims[1], dims[2]).unwrap();
        let n = n[0] as usize;
        let (mut y, mut indices) = (std::vec![T::default(); dims[0] * n * dims[2]], std::vec![0; n]);
        let (mut inverse, mut counts) = (std::vec![0; dims[1]], std::vec![0; n]);
        unique(&mut y, &mut indices, &mut inverse, &mut counts, x, &order, dims[0], dims[1], dims[2], sorted).unwrap();
        (y, indices, inverse, counts)
    }

    #[test]
    fn flat_as_in_the_specification() {
        let x = [2.0f32, 1.0, 1.0, 3.0, 4.0, 3.0];
        let (y, indices, inverse, counts) = all(&x, [1, 6, 1], false);
        assert_eq!((&y[..], &indices[..]), (&[2.0, 1.0, 3.0, 4.0][..], &[0, 1, 3, 4][..]));
        assert_eq!((&inverse[..], &counts[..]), (&[0, 1, 1, 2, 3, 2][..], &[1, 2, 2, 1][..]));
        let (y, indices, inverse, counts) = all(&x, [1, 6, 1], true);
        assert_eq!((&y[..], &indices[..]), (&[1.0, 2.0, 3.0, 4.0][..], &[1, 0, 3, 4][..]));
        assert_eq!((&inverse[..], &counts[..]), (&[1, 0, 0, 2, 3, 2][..], &[2, 1, 2, 1][..]));
        assert_eq!(all::<f32>(&[], [1, 0, 1], false).0.len(), 0);
    }

    #[test]
    fn along_an_axis() {
        // Columns (1, 4), (0, 5), (1, 4).
        let (y, indices, inverse, counts) = all(&[1, 0, 1, 4, 5, 4], [2, 3, 1], true);
        assert_eq!((&y[..], &indices[..]), (&[0, 1, 5, 4][..], &[1, 0][..]));
        assert_eq!((&inverse[..], &counts[..]), (&[1, 0, 1][..], &[1, 2][..]));
    }
}
