//! The negative log-likelihood loss.

use super::num::Float;
use crate::error::Fault;

/// What becomes of the losses of all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// They are the output.
    None,
    /// Their sum.
    Sum,
    /// Their sum over the sum of their weights (NaN if that is 0).
    Mean,
}

/// `-x[target] * weight[target]` for `x` of `samples, classes, inner`; `target` is `samples, inner`. Without `weight` (of `classes`) all weights
/// are 1. If `ignores`, targets equal to `ignored` count neither as loss nor as weight; others outside the classes are a fault.
pub fn negative_log_likelihood<T: Float>(
    out: &mut [T],
    x: &[T],
    target: &[i64],
    weight: Option<&[T]>,
    samples: usize,
    classes: usize,
    inner: usize,
    ignores: bool,
    ignored: i64,
    reduction: Reduction,
) -> Result<(), Fault> {
    let wanted = if reduction == Reduction::None { target.len() } else { 1 };
    let fits = x.len() == samples * classes * inner && target.len() == samples * inner && out.len() == wanted;
    if !fits || weight.is_some_and(|w| w.len() != classes) {
        return Err(Fault::Internal { what: "negative log-likelihood: lengths" });
    }
    let (mut total, mut weights) = (0.0, 0.0);
    for (at, &class) in target.iter().enumerate() {
        let mut loss = 0.0;
        if !(ignores && class == ignored) {
            let index = usize::try_from(class).ok().filter(|&c| c < classes).ok_or(Fault::Index { index: class, len: classes })?;
            let factor = weight.map_or(1.0, |w| w[index].widen());
            loss = -x[(at / inner * classes + index) * inner + at % inner].widen() * factor;
            weights += factor;
        }
        total += loss;
        if reduction == Reduction::None {
            out[at] = T::narrow(loss);
        }
    }
    match reduction {
        Reduction::None => {}
        Reduction::Sum => out[0] = T::narrow(total),
        Reduction::Mean => out[0] = T::narrow(total / weights),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_ignored_targets() {
        // Two samples, three classes, two positions.
        let x: [f64; 12] = core::array::from_fn(|i| i as f64);
        let (target, weight) = ([0, 2, -1, 1], [1.0, 10.0, 100.0]);
        let run = |out: &mut [f64], target: &[i64], ignores, reduction| {
            negative_log_likelihood(out, &x, target, Some(&weight), 2, 3, 2, ignores, -1, reduction)
        };
        let mut losses = [9.0; 4];
        run(&mut losses, &target, true, Reduction::None).unwrap();
        assert_eq!(losses, [0.0, -500.0, 0.0, -90.0]);
        let mut one = [0.0];
        run(&mut one, &target, true, Reduction::Sum).unwrap();
        assert_eq!(one, [-590.0]);
        run(&mut one, &target, true, Reduction::Mean).unwrap();
        assert_eq!(one, [-590.0 / 111.0]);
        assert!(matches!(run(&mut one, &target, false, Reduction::Sum), Err(Fault::Index { index: -1, len: 3 })));
    }
}
