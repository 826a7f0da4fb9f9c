//! The tuned reductions of f32.

use super::fold::{self, Fold, Max, Min, Prod, Sum, SumAbs, SumSquare};
use super::reduce::{self, Op, Plan};
use super::{fmath, softmax_f32};
use crate::cx::Cx;
use crate::error::Fault;
use crate::simd::{Simd, WithSimd, dispatch};

/// As [`reduce::reduce`], in f32 with several accumulators in two levels.
pub fn reduce(cx: Cx, out: &mut [f32], x: &[f32], shape: &[usize], reduced: &[bool], op: Op) -> Result<(), Fault> {
    let Some([outer, n, inner]) = Plan::new(shape, reduced)?.simple() else {
        return reduce::reduce(out, x, shape, reduced, op);
    };
    if x.len() != outer * n * inner || out.len() != outer * inner {
        return Err(Fault::Internal { what: "a reduction's lengths do not fit its shape" });
    }
    if x.is_empty() {
        return reduce::reduce(out, x, shape, reduced, op);
    }
    if op == Op::LogSumExp {
        return softmax_f32::log_sum_exp(cx, out, x, outer, n, inner);
    }
    fold::by_rows(cx, outer, out, x, |_, out, x| match op {
        Op::Sum | Op::Mean | Op::LogSum => dispatch(cx, Reduce { out, x, n, inner, f: Sum }),
        Op::L1 => dispatch(cx, Reduce { out, x, n, inner, f: SumAbs }),
        Op::L2 | Op::SumSquare => dispatch(cx, Reduce { out, x, n, inner, f: SumSquare }),
        Op::Prod => dispatch(cx, Reduce { out, x, n, inner, f: Prod }),
        Op::Max | Op::LogSumExp => dispatch(cx, Reduce { out, x, n, inner, f: Max }),
        Op::Min => dispatch(cx, Reduce { out, x, n, inner, f: Min }),
    });
    match op {
        Op::Mean => out.iter_mut().for_each(|y| *y /= n as f32),
        Op::L2 => out.iter_mut().for_each(|y| *y = fmath::sqrt(*y as f64) as f32),
        Op::LogSum => out.iter_mut().for_each(|y| *y = fmath::ln(*y as f64) as f32),
        _ => {}
    }
    Ok(())
}

/// `x` is `outer, n, inner`; `out` is `outer, inner`; nothing is empty.
struct Reduce<'a, F> {
    out: &'a mut [f32],
    x: &'a [f32],
    n: usize,
    inner: usize,
    f: F,
}

impl<F: Fold> WithSimd for Reduce<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { out, x, n, inner, f } = self;
        if inner == 1 {
            for (y, row) in out.iter_mut().zip(x.chunks_exact(n)) {
                *y = fold::run(s, f, row);
            }
            return;
        }
        for (y, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
            let mut first = 0;
            let mut wide = y.chunks_exact_mut(2 * S::LANES);
            for y in &mut wide {
                two_columns(s, f, y, &x[first..], inner);
                first += 2 * S::LANES;
            }
            for y in wide.into_remainder().chunks_mut(S::LANES) {
                column(s, f, y, &x[first..], inner);
                first += S::LANES;
            }
        }
    }
}

/// How many rows the first level of a column's sum has.
const BLOCK: usize = 32;

/// Two vectors of columns, whole.
#[inline(always)]
fn two_columns<S: Simd, F: Fold>(s: S, f: F, y: &mut [f32], x: &[f32], inner: usize) {
    let (mut left, mut right) = (f.start(s), f.start(s));
    for block in x.chunks(BLOCK * inner) {
        let (mut a, mut b) = (f.start(s), f.start(s));
        for row in block.chunks(inner) {
            // The last chunk is cut short by where x starts, but it holds these columns.
            a = f.step(s, a, s.load(row));
            b = f.step(s, b, s.load(&row[S::LANES..]));
        }
        (left, right) = (f.join(s, left, a), f.join(s, right, b));
    }
    s.store(y, left);
    s.store(&mut y[S::LANES..], right);
}

/// At most one vector of columns.
#[inline(always)]
fn column<S: Simd, F: Fold>(s: S, f: F, y: &mut [f32], x: &[f32], inner: usize) {
    let mut total = f.start(s);
    for block in x.chunks(BLOCK * inner) {
        let mut a = f.start(s);
        for row in block.chunks(inner) {
            a = f.step(s, a, s.load_head(&row[..y.len()]));
        }
        total = f.join(s, total, a);
    }
    s.store_head(y, total);
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use crate::cx::Isa;
    use std::vec::Vec;

    #[test]
    fn agrees_with_the_generic_one_on_every_isa() {
        let contexts: Vec<Cx> = Isa::ALL.iter().filter_map(|&i| Cx::REFERENCE.with_isa(i)).map(|c| c.with_threads(2)).collect();
        for (outer, n, inner) in [(3, 1, 1), (2, 5, 3), (1, 70, 37), (3, 1000, 1), (2, 33, 64), (300, 517, 1), (4, 1, 9)] {
            let x: Vec<f32> = (0..outer * n * inner).map(|i| ((i * 7919 % 1013) as f32 - 300.0) / 501.0).collect();
            for op in [Op::Sum, Op::Mean, Op::Max, Op::Min, Op::Prod, Op::L1, Op::L2, Op::LogSum, Op::LogSumExp, Op::SumSquare] {
                let (mut got, mut want) = (std::vec![0f32; outer * inner], std::vec![0f32; outer * inner]);
                reduce::reduce(&mut want, &x, &[outer, n, inner], &[false, true, false], op).unwrap();
                for cx in &contexts {
                    reduce(*cx, &mut got, &x, &[outer, n, inner], &[false, true, false], op).unwrap();
                    for (a, b) in got.iter().zip(&want) {
                        let close = a == b || (a - b).abs() <= 3e-5 * b.abs().max(0.1) || (a.is_nan() && b.is_nan());
                        assert!(close, "{op:?} {outer} {n} {inner} {cx:?}: {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn long_sums_stay_exact_and_nan_wins() {
        let x = std::vec![0.1f32; 1 << 20];
        let mut y = [0f32];
        reduce(Cx::detect(), &mut y, &x, &[1 << 20], &[true], Op::Mean).unwrap();
        assert!((y[0] - 0.1).abs() < 1e-7, "{}", y[0]);
        for at in [0, 9, 30, 36] {
            let mut x = [1f32; 37];
            x[at] = f32::NAN;
            reduce(Cx::detect(), &mut y, &x, &[37], &[true], Op::Max).unwrap();
            assert!(y[0].is_nan());
        }
    }
}
