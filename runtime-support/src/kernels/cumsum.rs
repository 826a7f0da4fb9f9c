//! `CumSum` and `CumProd`: running sums and products along an axis. Halves are accumulated in f32.

use super::arith::Arith;
use super::walk::{count, promise};
use crate::error::Fault;

/// `out[o, a, i] = sum of x[o, b, i] for b <= a` (`exclusive`: `b < a`; `reverse`: from the end), tensors seen as `outer × axis_len × inner`.
pub fn cumsum<T: Arith>(
    out: &mut [T],
    x: &[T],
    outer: usize,
    axis_len: usize,
    inner: usize,
    exclusive: bool,
    reverse: bool,
) -> Result<(), Fault> {
    cumulate(out, x, [outer, axis_len, inner], exclusive, reverse, T::Wide::ZERO, <T::Wide as Arith>::plus)
}

/// As [`cumsum`], with products.
pub fn cumprod<T: Arith>(
    out: &mut [T],
    x: &[T],
    outer: usize,
    axis_len: usize,
    inner: usize,
    exclusive: bool,
    reverse: bool,
) -> Result<(), Fault> {
    cumulate(out, x, [outer, axis_len, inner], exclusive, reverse, T::Wide::ONE, <T::Wide as Arith>::times)
}

/// Columns that are accumulated at once: the accumulators stay in registers or the first-level cache.
const COLUMNS: usize = 32;

fn cumulate<T: Arith>(
    out: &mut [T],
    x: &[T],
    [outer, axis_len, inner]: [usize; 3],
    exclusive: bool,
    reverse: bool,
    start: T::Wide,
    combine: impl Fn(T::Wide, T::Wide) -> T::Wide,
) -> Result<(), Fault> {
    promise(out.len() == x.len() && x.len() == count(&[outer, axis_len, inner])?, "cumulate: lengths differ")?;
    if x.is_empty() {
        return Ok(());
    }
    let block = axis_len * inner;
    for (to, from) in out.chunks_exact_mut(block).zip(x.chunks_exact(block)) {
        for column in (0..inner).step_by(COLUMNS) {
            let width = COLUMNS.min(inner - column);
            let mut sums = [start; COLUMNS];
            for a in 0..axis_len {
                let at = (if reverse { axis_len - 1 - a } else { a }) * inner + column;
                let row = to[at..at + width].iter_mut().zip(&from[at..at + width]);
                for ((v, &x), sum) in row.zip(&mut sums) {
                    let before = *sum;
                    *sum = combine(before, x.widen());
                    *v = T::narrow(if exclusive { before } else { *sum });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds() {
        let run = |exclusive, reverse| {
            let mut out = [0; 3];
            cumsum(&mut out, &[1, 2, 3], 1, 3, 1, exclusive, reverse).unwrap();
            out
        };
        assert_eq!(run(false, false), [1, 3, 6]);
        assert_eq!(run(true, false), [0, 1, 3]);
        assert_eq!(run(false, true), [6, 5, 3]);
        assert_eq!(run(true, true), [5, 3, 0]);
    }

    #[test]
    fn along_the_outer_axis() {
        let x: std::vec::Vec<f32> = (0..80).map(|i| i as f32).collect();
        let mut out = [0.0; 80];
        cumsum(&mut out, &x, 1, 2, 40, false, false).unwrap();
        assert!((0..40).all(|i| out[i] == i as f32 && out[40 + i] == (2 * i + 40) as f32));
        let mut products = [0i8; 4];
        cumprod(&mut products, &[2, 3, 5, 7], 1, 2, 2, false, false).unwrap();
        assert_eq!(products, [2, 3, 10, 21]);
    }
}
