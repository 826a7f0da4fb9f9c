//! ArgMax and ArgMin.

use super::num::{Acc, Num};
use crate::error::Fault;

/// The index of the greatest element along the middle axis of `x` (`outer, axis, inner`); `out` is `outer, inner`.
///
/// Of equal ones the first, or the last if `select_last`. The first NaN counts as greatest (as in numpy). 0 for an empty axis.
pub fn argmax<T: Num>(out: &mut [i64], x: &[T], outer: usize, axis: usize, inner: usize, select_last: bool) -> Result<(), Fault> {
    arg(out, x, [outer, axis, inner], select_last, |v, best| v > best)
}

/// The index of the least element along the middle axis; otherwise as [`argmax`].
pub fn argmin<T: Num>(out: &mut [i64], x: &[T], outer: usize, axis: usize, inner: usize, select_last: bool) -> Result<(), Fault> {
    arg(out, x, [outer, axis, inner], select_last, |v, best| v < best)
}

fn arg<T: Num>(
    out: &mut [i64],
    x: &[T],
    [outer, axis, inner]: [usize; 3],
    select_last: bool,
    wins: impl Fn(T, T) -> bool,
) -> Result<(), Fault> {
    if x.len() != outer * axis * inner || out.len() != outer * inner {
        return Err(Fault::Internal { what: "arg reduction: lengths" });
    }
    if out.is_empty() {
        return Ok(());
    }
    out.fill(0);
    if axis == 0 {
        return Ok(());
    }
    for (row, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(axis * inner)) {
        for a in 1..axis {
            let line = &x[a * inner..(a + 1) * inner];
            for (i, (y, &v)) in row.iter_mut().zip(line).enumerate() {
                let best = x[*y as usize * inner + i];
                let takes = !best.widen().is_nan() && (wins(v, best) || v.widen().is_nan() || (select_last && v == best));
                *y = if takes { a as i64 } else { *y };
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_layout() {
        // Two rows of three, two columns wide.
        let x = [1, 9, 5, 2, 5, 9, 0, 0, 0, 0, -1, 3];
        let run = |last, max: bool| {
            let mut out = [7i64; 4];
            if max { argmax(&mut out, &x, 2, 3, 2, last) } else { argmin(&mut out, &x, 2, 3, 2, last) }.unwrap();
            out
        };
        assert_eq!(run(false, true), [1, 0, 0, 2]);
        assert_eq!(run(true, true), [2, 2, 1, 2]);
        assert_eq!(run(false, false), [0, 1, 2, 0]);
        assert_eq!(run(true, false), [0, 1, 2, 1]);
        let mut out = [0];
        argmax(&mut out, &[1.0, f32::NAN, 7.0], 1, 3, 1, false).unwrap();
        assert_eq!(out, [1]);
    }
}
