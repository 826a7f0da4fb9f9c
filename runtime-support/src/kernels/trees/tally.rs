//! What the leaves that a row has come to add to its scores.

use super::Score;
use super::rows::Share;

/// Adds votes to the scores of a row, in their order: each is the target (asked if the width is 1) and the place of its first value. `None` for what
/// is not there.
#[inline(always)]
pub(super) fn tally<T: Score>(
    share: Share,
    scores: &mut [T],
    values: &[T],
    votes: impl Iterator<Item = Option<(u32, usize)>>,
) -> Option<()> {
    match (share.width, scores) {
        (1, scores) => {
            // The score of the target that trees vote for at present is kept in a register.
            let mut target = 0;
            let mut sum = *scores.first()?;
            for vote in votes {
                let (wanted, first) = vote?;
                if wanted != target {
                    *scores.get_mut(target as usize)? = sum;
                    target = wanted;
                    sum = *scores.get(target as usize)?;
                }
                sum = sum + *values.get(first)?;
            }
            *scores.get_mut(target as usize)? = sum;
        }
        (2, [one, two]) => {
            let mut sums = [*one, *two];
            for vote in votes {
                let [a, b] = *values.get(vote?.1..)?.first_chunk()?;
                sums = [sums[0] + a, sums[1] + b];
            }
            [*one, *two] = sums;
        }
        (width, scores) => {
            for vote in votes {
                let first = vote?.1;
                let values = values.get(first..first.checked_add(width)?)?;
                scores.iter_mut().zip(values).for_each(|(score, &value)| *score = *score + value);
            }
        }
    }
    Some(())
}
