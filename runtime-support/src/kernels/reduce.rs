//! The twelve reductions of ONNX over any set of axes.
//!
//! [`reduce`] is for every number type and any set of axes; [`reduce_f32`](super::reduce_f32) is the tuned one.
//! Of an empty set: the sum is 0, the product 1, the maximum the least value of the type, the minimum the greatest, the mean NaN (0 for integers).

use super::fmath;
use super::num::{Acc, Num};
use crate::error::Fault;

/// What a set of elements is reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// The sum.
    Sum,
    /// The sum divided by the count.
    Mean,
    /// The greatest; NaN if there is one.
    Max,
    /// The least; NaN if there is one.
    Min,
    /// The product.
    Prod,
    /// The sum of magnitudes.
    L1,
    /// The square root of the sum of squares.
    L2,
    /// The logarithm of the sum.
    LogSum,
    /// The logarithm of the sum of exponentials.
    LogSumExp,
    /// The sum of squares.
    SumSquare,
}

/// The most groups of neighbouring axes (all kept or all reduced) that a tensor may have after merging.
const MAX_GROUPS: usize = 32;

/// A walk over some axes of a tensor, in row-major order.
#[derive(Clone, Copy)]
struct Walk {
    rank: usize,
    len: [usize; MAX_GROUPS],
    stride: [usize; MAX_GROUPS],
    index: [usize; MAX_GROUPS],
    offset: usize,
}

impl Walk {
    const EMPTY: Self = Self { rank: 0, len: [0; MAX_GROUPS], stride: [0; MAX_GROUPS], index: [0; MAX_GROUPS], offset: 0 };

    /// Adds an axis outside the ones there are.
    fn push(&mut self, len: usize, stride: usize) -> Result<(), Fault> {
        let slot = self.rank;
        if slot == MAX_GROUPS {
            return Err(Fault::Internal { what: "a reduction over more alternating axes than supported" });
        }
        (self.len[slot], self.stride[slot]) = (len, stride);
        self.rank += 1;
        Ok(())
    }

    /// Takes away the innermost axis: its length and stride (1 and 0 if there is none).
    fn pop_inner(&mut self) -> (usize, usize) {
        if self.rank == 0 {
            return (1, 0);
        }
        let inner = (self.len[0], self.stride[0]);
        self.len.copy_within(1.., 0);
        self.stride.copy_within(1.., 0);
        self.rank -= 1;
        inner
    }

    /// How many positions it visits.
    fn count(&self) -> usize {
        self.len[..self.rank].iter().product()
    }

    /// Moves to the next position; after the last one comes the first.
    fn advance(&mut self) {
        for slot in 0..self.rank {
            self.index[slot] += 1;
            self.offset += self.stride[slot];
            if self.index[slot] < self.len[slot] {
                return;
            }
            self.offset -= self.stride[slot] * self.len[slot];
            self.index[slot] = 0;
        }
    }
}

/// A reduction's geometry: which positions start an output, and which positions each output gathers.
pub(super) struct Plan {
    kept: Walk,
    reduced: Walk,
    /// Neighbouring outputs whose elements are neighbours too, and done together.
    inner_kept: usize,
    /// The innermost run of one output's elements, and its stride.
    inner_reduced: (usize, usize),
}

impl Plan {
    pub(super) fn new(shape: &[usize], reduced: &[bool]) -> Result<Self, Fault> {
        if shape.len() != reduced.len() {
            return Err(Fault::Internal { what: "a reduction's mask has another rank" });
        }
        let mut walks = [Walk::EMPTY; 2];
        let mut stride = 1;
        let mut last = None;
        for (&len, &is_reduced) in shape.iter().zip(reduced).rev() {
            if len == 1 {
                continue;
            }
            let walk = &mut walks[is_reduced as usize];
            if last == Some(is_reduced) {
                walk.len[walk.rank - 1] *= len;
            } else {
                walk.push(len, stride)?;
                last = Some(is_reduced);
            }
            stride *= len;
        }
        let [mut kept, mut reduced] = walks;
        let columns = kept.rank > 0 && kept.stride[0] == 1;
        let inner_kept = if columns { kept.pop_inner().0 } else { 1 };
        let inner_reduced = reduced.pop_inner();
        Ok(Self { kept, reduced, inner_kept, inner_reduced })
    }

    /// As `outer, reduced, inner`, if the reduced axes are neighbours.
    pub(super) fn simple(&self) -> Option<[usize; 3]> {
        let whole = self.reduced.rank == 0 && self.kept.rank <= 1;
        whole.then(|| [self.kept.count(), self.inner_reduced.0, self.inner_kept])
    }

    /// How many elements make one output.
    fn set(&self) -> usize {
        self.reduced.count() * self.inner_reduced.0
    }
}

/// How many neighbouring outputs are accumulated together.
const STRIP: usize = 32;

/// For each output: `start`, then `step` over its elements, then `finish`.
fn each<T: Num, A: Copy>(out: &mut [T], x: &[T], plan: &Plan, start: A, step: impl Fn(A, T) -> A, finish: impl Fn(A, usize) -> T) {
    let (mut kept, set) = (plan.kept, plan.set());
    let (run, stride) = plan.inner_reduced;
    for row in out.chunks_mut(plan.inner_kept.max(1)) {
        for (nth, strip) in row.chunks_mut(STRIP).enumerate() {
            let base = kept.offset + nth * STRIP;
            let mut state = [start; STRIP];
            let state = &mut state[..strip.len()];
            let mut reduced = plan.reduced;
            for _ in 0..if set == 0 { 0 } else { reduced.count() } {
                gather(state, x, base + reduced.offset, run, stride, &step);
                reduced.advance();
            }
            for (y, s) in strip.iter_mut().zip(state) {
                *y = finish(*s, set);
            }
        }
        kept.advance();
    }
}

#[inline(always)]
fn gather<T: Num, A: Copy>(state: &mut [A], x: &[T], base: usize, run: usize, stride: usize, step: &impl Fn(A, T) -> A) {
    if let ([one], 1) = (&mut *state, stride) {
        *one = x[base..base + run].iter().fold(*one, |a, &v| step(a, v));
        return;
    }
    for r in 0..run {
        let from = base + r * stride;
        for (s, &v) in state.iter_mut().zip(&x[from..]) {
            *s = step(*s, v);
        }
    }
}

/// Reduces the axes of `x` (of `shape`) that `reduced` marks; `out` holds the kept axes in order.
pub fn reduce<T: Num>(out: &mut [T], x: &[T], shape: &[usize], reduced: &[bool], op: Op) -> Result<(), Fault> {
    let plan = Plan::new(shape, reduced)?;
    let kept = plan.kept.count() * plan.inner_kept;
    if x.len() != shape.iter().product::<usize>() || out.len() != kept {
        return Err(Fault::Internal { what: "a reduction's lengths do not fit its shape" });
    }
    let zero = T::Acc::ZERO;
    let sum = |a: T::Acc, v: T| a.add(v.widen());
    let square = |a: T::Acc, v: T| a.add(v.widen().mul(v.widen()));
    let (larger, smaller) = (
        |a: T, v: T| if v > a || v.widen().is_nan() { v } else { a },
        |a: T, v: T| {
            if v < a || v.widen().is_nan() { v } else { a }
        },
    );
    let through = |f: fn(f64) -> f64| move |a: T::Acc, _| T::narrow(T::Acc::from_f64(f(a.to_f64())));
    match op {
        Op::Sum => each(out, x, &plan, zero, sum, |a, _| T::narrow(a)),
        Op::Mean => each(out, x, &plan, zero, sum, |a, n| T::narrow(a.over(n))),
        Op::Prod => each(out, x, &plan, T::Acc::ONE, |a, v: T| a.mul(v.widen()), |a, _| T::narrow(a)),
        Op::L1 => each(out, x, &plan, zero, |a, v: T| a.add(v.widen().abs()), |a, _| T::narrow(a)),
        Op::SumSquare => each(out, x, &plan, zero, square, |a, _| T::narrow(a)),
        Op::L2 => each(out, x, &plan, zero, square, through(fmath::sqrt)),
        Op::LogSum => each(out, x, &plan, zero, sum, through(fmath::ln)),
        Op::Max => each(out, x, &plan, T::LOWEST, larger, |a, _| a),
        Op::Min => each(out, x, &plan, T::HIGHEST, smaller, |a, _| a),
        Op::LogSumExp => {
            let finish = |(top, sum), _| T::narrow(T::Acc::from_f64(top + fmath::ln(sum)));
            each(out, x, &plan, (f64::NEG_INFINITY, 0.0), log_sum_exp, finish);
        }
    }
    Ok(())
}

/// One step of the running maximum and the sum of exponentials below it.
fn log_sum_exp<T: Num>((top, sum): (f64, f64), v: T) -> (f64, f64) {
    let v = v.widen().to_f64();
    if v == f64::NEG_INFINITY || top == f64::INFINITY {
        return (if v.is_nan() { v } else { top }, sum);
    }
    if v > top { (v, if v == f64::INFINITY { 1.0 } else { sum * fmath::exp(top - v) + 1.0 }) } else { (top, sum + fmath::exp(v - top)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bool;
    extern crate std;
    use std::vec::Vec;

    /// The elements of each output, by decoding every flat index.
    fn sets(shape: &[usize], mask: &[bool]) -> Vec<Vec<usize>> {
        let kept: usize = shape.iter().zip(mask).map(|(&d, &m)| if m { 1 } else { d }).product();
        let mut sets = std::vec![Vec::new(); kept];
        for flat in 0..shape.iter().product() {
            let (mut rest, mut to, mut scale) = (flat, 0, 1);
            for (&d, &m) in shape.iter().zip(mask).rev() {
                if !m {
                    to += rest % d * scale;
                    scale *= d;
                }
                rest /= d;
            }
            sets[to].push(flat);
        }
        sets
    }

    #[test]
    fn any_axes_any_op() {
        let shape = [2, 3, 1, 4, 35];
        let x: Vec<f32> = (0..840).map(|i| ((i * 37 % 101) as f32 - 40.0) / 17.0).collect();
        for bits in 0..32 {
            let mask: Vec<bool> = (0..5).map(|a| bits >> a & 1 == 1).collect();
            let sets = sets(&shape, &mask);
            let check = |op, f: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| {
                let mut out = std::vec![0f32; sets.len()];
                reduce(&mut out, &x, &shape, &mask, op).unwrap();
                for (y, set) in out.iter().zip(&sets) {
                    let want = f(&mut set.iter().map(|&i| x[i] as f64)) as f32;
                    assert!(
                        *y == want || (y - want).abs() <= 1e-6 * want.abs() || (y.is_nan() && want.is_nan()),
                        "{op:?} {mask:?} {y} {want}"
                    );
                }
            };
            check(Op::Sum, &|v| v.sum());
            check(Op::Max, &|v| v.fold(f64::MIN, f64::max));
            check(Op::Min, &|v| v.fold(f64::MAX, f64::min));
            check(Op::L2, &|v| v.map(|v| v * v).sum::<f64>().sqrt());
            check(Op::LogSumExp, &|v| v.map(f64::exp).sum::<f64>().ln());
            check(Op::LogSum, &|v| v.sum::<f64>().ln());
            check(Op::L1, &|v| v.map(f64::abs).sum::<f64>());
        }
    }

    #[test]
    fn empty_sets_and_types() {
        let run = |op| {
            let mut out = [9f32; 2];
            reduce(&mut out, &[], &[2, 0], &[false, true], op).unwrap();
            out[1]
        };
        assert_eq!((run(Op::Sum), run(Op::Prod), run(Op::LogSumExp)), (0.0, 1.0, f32::NEG_INFINITY));
        assert_eq!((run(Op::Max), run(Op::Min)), (f32::NEG_INFINITY, f32::INFINITY));
        let mut out = [0i8];
        reduce(&mut out, &[100, 100], &[2], &[true], Op::Sum).unwrap();
        assert_eq!(out, [-56]);
        reduce(&mut out, &[-3, -4], &[2], &[true], Op::Mean).unwrap();
        assert_eq!(out, [-3]);
        let mut all = [Bool(0)];
        reduce(&mut all, &[], &[0], &[true], Op::Min).unwrap();
        assert!(all[0].get());
        reduce(&mut all, &[Bool(1), Bool(0)], &[2], &[true], Op::Min).unwrap();
        assert!(!all[0].get());
        let mut nan = [0f64];
        reduce(&mut nan, &[1.0, f64::NAN, 2.0], &[3], &[true], Op::Max).unwrap();
        assert!(nan[0].is_nan());
        reduce(&mut nan, &[f64::INFINITY, 3.0, f64::INFINITY], &[3], &[true], Op::LogSumExp).unwrap();
        assert_eq!(nan[0], f64::INFINITY);
        assert!(reduce(&mut nan, &[1.0], &[2], &[true], Op::Max).is_err());
    }
}
