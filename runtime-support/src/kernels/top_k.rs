//! `TopK`: the k greatest or least entries along an axis and where they were. Equal values: the lower index first. NaN counts as the greatest.

use super::arith::Arith;
use super::walk::{count, promise};
use crate::error::Fault;
use core::cmp::Ordering;

/// Entries that are compared at once.
const BLOCK: usize = 16;

/// Elements of scratch that [`top_k`] needs.
pub const fn top_k_scratch_len(axis_len: usize) -> usize {
    axis_len
}

/// `values` and `indices` are `outer × k × inner`, `x` is `outer × axis_len × inner`. The result is always sorted, which unsorted ones may be.
pub fn top_k<T: Arith>(
    values: &mut [T],
    indices: &mut [i64],
    scratch: &mut [i64],
    x: &[T],
    outer: usize,
    axis_len: usize,
    inner: usize,
    k: usize,
    largest: bool,
) -> Result<(), Fault> {
    if k > axis_len {
        return Err(Fault::Value { what: "k is greater than the length of the axis", got: k as i64 });
    }
    let len = count(&[outer, k, inner])?;
    promise(values.len() == len && indices.len() == len && x.len() == count(&[outer, axis_len, inner])?, "top_k: lengths differ")?;
    promise(scratch.len() >= axis_len, "top_k: too little scratch")?;
    if len == 0 {
        return Ok(());
    }
    for o in 0..outer {
        for i in 0..inner {
            let lane = Lane { x: &x[o * axis_len * inner + i..], step: inner, largest };
            let best = lane.select(&mut scratch[..axis_len], k);
            for (rank, &index) in best.iter().enumerate() {
                let at = (o * k + rank) * inner + i;
                values[at] = lane.at(index);
                indices[at] = index;
            }
        }
    }
    Ok(())
}

/// One run of elements along the axis.
struct Lane<'a, T> {
    x: &'a [T],
    step: usize,
    largest: bool,
}

impl<T: Arith> Lane<'_, T> {
    #[inline(always)]
    fn at(&self, index: i64) -> T {
        self.x[index as usize * self.step]
    }

    /// `Less` if the entry at `a` comes before that at `b`.
    #[inline(always)]
    fn compare(&self, a: i64, b: i64) -> Ordering {
        let (x, y) = (self.at(a), self.at(b));
        let order = if self.largest { y.order(&x) } else { x.order(&y) };
        order.then(a.cmp(&b))
    }

    /// The indices of the first k entries in order, in the front of `scratch` (as long as the lane).
    fn select<'s>(&self, scratch: &'s mut [i64], k: usize) -> &'s [i64] {
        let n = scratch.len();
        if k <= n / 8 {
            self.scan(scratch, k);
        } else {
            for (i, s) in scratch.iter_mut().enumerate() {
                *s = i as i64;
            }
            if k < n {
                scratch.select_nth_unstable_by(k - 1, |&a, &b| self.compare(a, b));
            }
        }
        let best = &mut scratch[..k];
        best.sort_unstable_by(|&a, &b| self.compare(a, b));
        best
    }

    /// Few of many: a heap of the best k so far with the worst of them at the root; most entries lose against the root at once.
    fn scan(&self, scratch: &mut [i64], k: usize) {
        let n = scratch.len();
        let heap = &mut scratch[..k];
        for (i, s) in heap.iter_mut().enumerate() {
            *s = i as i64;
        }
        for root in (0..k / 2).rev() {
            self.sink(heap, root);
        }
        let mut worst = self.at(heap[0]);
        for start in (k..n).step_by(BLOCK) {
            let block = start..n.min(start + BLOCK);
            if self.step == 1 && self.x[block.clone()].first_chunk().is_some_and(|x| self.all_lose(x, worst)) {
                continue;
            }
            for i in block {
                let x = self.x[i * self.step];
                // An equal value loses: its index is higher.
                let order = x.order(&worst);
                if order == (if self.largest { Ordering::Greater } else { Ordering::Less }) {
                    heap[0] = i as i64;
                    self.sink(heap, 0);
                    worst = self.at(heap[0]);
                }
            }
        }
    }

    /// Whether no entry of a block comes before `worst`.
    #[inline(always)]
    fn all_lose(&self, block: &[T; BLOCK], worst: T) -> bool {
        if self.largest {
            block.iter().fold(true, |all, x| all & x.is_at_most(&worst))
        } else {
            block.iter().fold(true, |all, x| all & worst.is_at_most(x))
        }
    }

    fn sink(&self, heap: &mut [i64], mut root: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= heap.len() {
                return;
            }
            if child + 1 < heap.len() && self.compare(heap[child + 1], heap[child]) == Ordering::Greater {
                child += 1;
            }
            if self.compare(heap[child], heap[root]) != Ordering::Greater {
                return;
            }
            heap.swap(root, child);
            root = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_sort() {
        let x: std::vec::Vec<f32> = (0..600u64).map(|i| ((i * 2654435761) % 97) as f32).collect();
        for (outer, n, inner) in [(2, 100, 3), (1, 600, 1), (60, 5, 2)] {
            for (k, largest) in [(1, true), (5, false), (n / 9, true), (n - 1, false), (n, true)] {
                let mut values = std::vec![0.0; outer * k * inner];
                let (mut indices, mut scratch) = (std::vec![0; outer * k * inner], std::vec![0; n]);
                top_k(&mut values, &mut indices, &mut scratch, &x, outer, n, inner, k, largest).unwrap();
                for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
                    let mut lane: std::vec::Vec<_> = (0..n).map(|a| (x[(o * n + a) * inner + i], a as i64)).collect();
                    // A stable sort keeps the lower index first.
                    lane.sort_by(|a, b| if largest { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
                    for r in 0..k {
                        let at = (o * k + r) * inner + i;
                        assert_eq!((values[at], indices[at]), lane[r], "k {k} of {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn nan_is_the_greatest() {
        let (mut v, mut i, mut s) = ([0.0; 2], [0; 2], [0; 3]);
        top_k(&mut v, &mut i, &mut s, &[1.0, f32::NAN, 2.0], 1, 3, 1, 2, true).unwrap();
        assert_eq!(i, [1, 2]);
        top_k(&mut v, &mut i, &mut s, &[1.0, f32::NAN, 2.0], 1, 3, 1, 2, false).unwrap();
        assert_eq!(i, [0, 2]);
        assert!(top_k(&mut v, &mut i, &mut s, &[1.0], 1, 1, 1, 2, false).is_err());
    }
}
