//! From the scores of machines for pairs of classes to classes and probabilities.

use crate::error::Fault;
use crate::kernels::fmath;
use crate::kernels::walk::promise;

const PAIRS: &str = "svm: the scores are not those of all pairs";

/// For each row of `scores` (pairs in the order 0-1, 0-2, … 1-2, …) the first class with most votes: a score above zero is a vote for the first
/// of the pair. `votes` is scratch, one element a class.
pub fn vote(out: &mut [i64], votes: &mut [i64], scores: &[f32]) -> Result<(), Fault> {
    let classes = votes.len();
    let pairs = classes * classes.saturating_sub(1) / 2;
    promise(pairs > 0 && scores.len() == out.len() * pairs, PAIRS)?;
    for (to, row) in out.iter_mut().zip(scores.chunks_exact(pairs)) {
        votes.fill(0);
        let mut row = row.iter();
        for i in 0..classes {
            for (j, score) in (i + 1..classes).zip(row.by_ref()) {
                votes[if *score > 0.0 { i } else { j }] += 1;
            }
        }
        *to = (1..classes).fold(0, |best, c| if votes[c] > votes[best] { c } else { best }) as i64;
    }
    Ok(())
}

/// The scratch that [`probabilities`] needs for that many classes.
pub const fn scratch_len(classes: usize) -> usize {
    2 * classes * classes + classes
}

/// The probability of each class from each row of pairwise scores: logistic functions with factors `a` and terms `b`, coupled by the second
/// method of Wu, Lin and Weng as libsvm has it (in f32, as ONNX Runtime does, so that the iteration ends where it does there).
pub fn probabilities(out: &mut [f32], scratch: &mut [f32], scores: &[f32], a: &[f32], b: &[f32], classes: usize) -> Result<(), Fault> {
    let pairs = classes * classes.saturating_sub(1) / 2;
    promise(pairs > 0 && a.len() == pairs && b.len() == pairs && scratch.len() == scratch_len(classes), PAIRS)?;
    promise(out.len() / classes == scores.len() / pairs, PAIRS)?;
    let (between, rest) = scratch.split_at_mut(classes * classes);
    let (q, qp) = rest.split_at_mut(classes * classes);
    for (p, row) in out.chunks_exact_mut(classes).zip(scores.chunks_exact(pairs)) {
        let mut k = 0;
        for i in 0..classes {
            for j in i + 1..classes {
                let x = row[k] * a[k] + b[k];
                let likely = (1.0 - fmath::sigmoid(f64::from(x)) as f32).clamp(1e-7, 1.0 - 1e-7);
                between[i * classes + j] = likely;
                between[j * classes + i] = 1.0 - likely;
                k += 1;
            }
        }
        couple(p, between, q, qp);
    }
    Ok(())
}

/// Probabilities `p` of classes from those of the first of each pair, `r`.
fn couple(p: &mut [f32], r: &[f32], q: &mut [f32], qp: &mut [f32]) {
    let n = p.len();
    for i in 0..n {
        p[i] = 1.0 / n as f32;
        q[i * n + i] = 0.0;
        for j in (0..n).filter(|&j| j != i) {
            q[i * n + i] += r[j * n + i] * r[j * n + i];
            q[i * n + j] = -r[j * n + i] * r[i * n + j];
        }
    }
    let enough = 0.005 / n as f32;
    for _ in 0..100 {
        let mut pqp = 0.0;
        for i in 0..n {
            qp[i] = (0..n).fold(0.0, |sum, j| sum + q[i * n + j] * p[j]);
            pqp += p[i] * qp[i];
        }
        if qp.iter().all(|v| (v - pqp).abs() < enough) {
            break;
        }
        for i in 0..n {
            let diff = (pqp - qp[i]) / q[i * n + i];
            p[i] += diff;
            pqp = (pqp + diff * (diff * q[i * n + i] + 2.0 * qp[i])) / (1.0 + diff) / (1.0 + diff);
            for j in 0..n {
                qp[j] = (qp[j] + diff * q[i * n + j]) / (1.0 + diff);
                p[j] /= 1.0 + diff;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes() {
        let (mut out, mut scratch) = ([9; 2], [0; 3]);
        // 0 beats 1, 2 beats 0, 2 beats 1; then a tie that the first wins.
        vote(&mut out, &mut scratch, &[1.0, -1.0, -1.0, 1.0, -1.0, 1.0]).unwrap();
        assert_eq!(out, [2, 0]);
        assert!(vote(&mut out, &mut scratch, &[1.0]).is_err());
    }

    #[test]
    fn of_two_classes_the_logistic_function() {
        let (mut out, mut scratch) = ([0.0; 2], [0.0; scratch_len(2)]);
        probabilities(&mut out, &mut scratch, &[0.5], &[-2.0], &[0.0], 2).unwrap();
        let expected = 1.0 / (1.0 + (-1.0f32).exp());
        assert!((out[0] - expected).abs() < 0.01 && (out[0] + out[1] - 1.0).abs() < 1e-6, "{out:?}");
    }
}
