//! From scores to results: base values, post-transforms, labels.
//!
//! The standard leaves most of this open; it is done as ONNX Runtime does it. Among that: a single target knows no transform but PROBIT; a target
//! that no leaf voted for is 0 whatever its base value; the two scores of a binary classifier depend on which classes the weights name.

use super::{Aggregate, Score};
use crate::error::Fault;
use crate::kernels::fmath;

/// The post-transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// The scores as they are.
    None,
    /// The logistic function of each.
    Logistic,
    /// e^x over the sum of all.
    Softmax,
    /// The same, but a score of zero stays zero and is not in the sum.
    SoftmaxZero,
    /// The inverse of the normal distribution's cumulative function.
    Probit,
}

/// Which classes the weights of a classifier name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Votes {
    /// More than one, or there are not two classes.
    Several,
    /// One of two, and no weight is negative: a score above 1/2 is the second class.
    OnePositive,
    /// One of two: a score above 0 is the second class.
    OneMixed,
}

/// The results of a regressor: `y` and `scores` are rows × `targets`, `voted` is that or one row for all. `base` has `targets` values or none.
pub fn regress<T: Score>(
    y: &mut [T],
    scores: &[T],
    voted: &[u8],
    base: &[T],
    targets: usize,
    trees: usize,
    aggregate: Aggregate,
    transform: Transform,
) -> Result<(), Fault> {
    check(y.len(), scores.len(), voted.len(), targets)?;
    let averaged = aggregate == Aggregate::Average;
    for (i, (y, scores)) in y.chunks_exact_mut(targets).zip(scores.chunks_exact(targets)).enumerate() {
        let voted = row(voted, i, targets);
        for (k, (y, &score)) in y.iter_mut().zip(scores).enumerate() {
            let score = if averaged { score / T::narrow(trees as f64) } else { score };
            let score = score + base.get(k).copied().unwrap_or_default();
            *y = if voted[k] != 0 || targets == 1 { score } else { T::default() };
        }
        match (y, transform) {
            ([y], Transform::Probit) => *y = probit(*y),
            ([_], _) => {}
            (y, _) => apply(y, transform),
        }
    }
    Ok(())
}

/// The results of a classifier: `z` and `scores` are rows × `classes`, `labels` one a row: the number of the class. Where there is one class, or
/// two and votes for both, it is 1 if the score is above zero, whatever the classes are called.
pub fn classify<T: Score>(
    z: &mut [T],
    labels: &mut [i64],
    scores: &[T],
    voted: &[u8],
    base: &[T],
    classes: usize,
    votes: Votes,
    transform: Transform,
) -> Result<(), Fault> {
    check(z.len(), scores.len(), voted.len(), classes)?;
    if labels.len() != z.len() / classes {
        return Err(Fault::Internal { what: "trees: lengths" });
    }
    for (i, ((z, scores), label)) in z.chunks_exact_mut(classes).zip(scores.chunks_exact(classes)).zip(labels).enumerate() {
        let voted = row(voted, i, classes);
        *label = match (z, scores, voted) {
            ([z], &[score], _) => one(z, score + base.first().copied().unwrap_or_default(), transform),
            ([z0, z1], &[s0, s1], &[v0, v1]) => {
                let (pair, label) = two([s0, s1], [v0 != 0, v1 != 0], base, votes, transform);
                [*z0, *z1] = pair;
                label
            }
            (z, scores, voted) => many(z, scores, voted, base, transform),
        };
    }
    Ok(())
}

fn check(out: usize, scores: usize, voted: usize, width: usize) -> Result<(), Fault> {
    if out != scores || width == 0 || !out.is_multiple_of(width) || (voted != scores && voted != width) {
        return Err(Fault::Internal { what: "trees: lengths" });
    }
    Ok(())
}

/// The votes of row `i`, which may be those of all rows.
fn row(voted: &[u8], i: usize, width: usize) -> &[u8] {
    if voted.len() == width { voted } else { &voted[i * width..(i + 1) * width] }
}

fn one<T: Score>(z: &mut T, score: T, transform: Transform) -> i64 {
    *z = if transform == Transform::Probit { probit(score) } else { score };
    i64::from(score > T::default())
}

fn many<T: Score>(z: &mut [T], scores: &[T], voted: &[u8], base: &[T], transform: Transform) -> i64 {
    let mut best: Option<(usize, T)> = None;
    for (k, (z, &score)) in z.iter_mut().zip(scores).enumerate() {
        let (score, counts) = match base.get(k) {
            Some(&base) => (score + base, true),
            None => (score, voted[k] != 0),
        };
        *z = if counts { score } else { T::default() };
        if counts && best.is_none_or(|(_, top)| score > top) {
            best = Some((k, score));
        }
    }
    apply(z, transform);
    best.map_or(0, |(k, _)| k as i64)
}

/// Two classes. If only the first has a score, that score makes both results.
fn two<T: Score>([mut s0, mut s1]: [T; 2], [v0, mut v1]: [bool; 2], base: &[T], votes: Votes, transform: Transform) -> ([T; 2], i64) {
    let zero = T::default();
    match *base {
        [_, b1] if v1 => {
            s1 = b1 + s0;
            s0 = -s1;
        }
        [b0, b1] => (s0, s1) = (s0 + b0, s1 + b1),
        [b0] => s0 = s0 + b0,
        _ => {}
    }
    let single = base.len() < 2 && !v1;
    v1 &= !single;
    let (s0, s1) = (if v0 { s0 } else { zero }, if v1 { s1 } else { zero });
    let chosen = if v1 { s1 } else { s0 };
    let bound = if votes == Votes::OnePositive { T::narrow(0.5) } else { zero };
    let label = i64::from(chosen > bound);
    if !single {
        let mut pair = [s0, s1];
        apply(&mut pair, transform);
        return (pair, label);
    }
    let pair = match transform {
        // The second is not specified.
        Transform::Probit => [probit(s0), zero],
        _ if votes == Votes::Several && base.len() == 1 => [s0, zero],
        Transform::Logistic => logistic_pair(s0),
        _ if votes == Votes::OnePositive => [T::narrow(1.0) - s0, s0],
        _ => [-s0, s0],
    };
    (pair, label)
}

fn apply<T: Score>(z: &mut [T], transform: Transform) {
    match transform {
        Transform::None => {}
        Transform::Logistic => z.iter_mut().for_each(|z| *z = logistic(*z)),
        Transform::Probit => z.iter_mut().for_each(|z| *z = probit(*z)),
        Transform::Softmax => softmax(z, false),
        Transform::SoftmaxZero => softmax(z, true),
    }
}

fn softmax<T: Score>(z: &mut [T], keep_zeros: bool) {
    let top = z.iter().copied().fold(T::LOWEST, |top, z| if z > top { z } else { top });
    let exp = |x: T| T::narrow(fmath::exp(x.widen()));
    let mut sum = T::default();
    for z in z.iter_mut() {
        if keep_zeros && !(z.widen() > 1e-7 || z.widen() < -1e-7) {
            *z = *z * exp(-top);
        } else {
            *z = exp(*z - top);
            sum = sum + *z;
        }
    }
    z.iter_mut().for_each(|z| *z = *z / sum);
}

/// The logistic function.
fn logistic<T: Score>(x: T) -> T {
    logistic_pair(x)[1]
}

/// The logistic functions of -x and of x, in f32: 1 - v loses digits there, and whoever compares has lost them too.
fn logistic_pair<T: Score>(x: T) -> [T; 2] {
    let x = x.widen() as f32;
    let v = 1.0 / (1.0 + fmath::exp(-f64::from(x.abs())) as f32);
    // -0.0 is not less than zero either way.
    [-x, x].map(|x| T::narrow(f64::from(if x < 0.0 { 1.0 - v } else { v })))
}

/// √2 · erf⁻¹(2x - 1), in f32, with Winitzki's approximation of erf⁻¹ (a = 0.147).
fn probit<T: Score>(x: T) -> T {
    const A: f32 = 0.147;
    let x = 2.0 * x.widen() as f32 - 1.0;
    let log = fmath::ln(f64::from((1.0 - x) * (1.0 + x))) as f32;
    let v = 2.0 / (core::f32::consts::PI * A) + 0.5 * log;
    let root = |x: f32| fmath::sqrt(f64::from(x)) as f32;
    let y = root(-v + root(v * v - 1.0 / A * log));
    T::narrow(f64::from(core::f32::consts::SQRT_2 * if x < 0.0 { -y } else { y }))
}
