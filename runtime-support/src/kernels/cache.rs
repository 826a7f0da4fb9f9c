//! The cache of keys or values that attention goes on with.

use super::walk::promise;
use crate::error::Fault;

/// Puts the rows of `new` into a copy of the cache `past`: for each of `rows` heads of all samples (`heads` a sample) `step` positions of `size`
/// elements after the first `lens[sample]` of the old ones. Old heads have `old` positions and those of `out` `len`; what lies after the new ones is
/// the default.
pub fn append<T: Clone + Default>(
    out: &mut [T],
    new: &[T],
    past: Option<&[T]>,
    lens: &[i64],
    rows: usize,
    heads: usize,
    old: usize,
    step: usize,
    len: usize,
    size: usize,
) -> Result<(), Fault> {
    let past = past.unwrap_or_default();
    promise(out.len() == rows * len * size && new.len() == rows * step * size && past.len() == rows * old * size, "cache: lengths")?;
    promise(heads == 0 || lens.len() * heads == rows, "cache: samples")?;
    let kept = old.min(len);
    for row in 0..rows {
        let got = lens.get(row / heads).copied().unwrap_or(0);
        let at = usize::try_from(got).ok().filter(|&at| at <= kept && at <= len.saturating_sub(step) && step <= len);
        let at = at.ok_or(Fault::Value { what: "the filled positions do not fit the cache", got })?;
        let (before, rest) = out[row * len * size..(row + 1) * len * size].split_at_mut(at * size);
        let (now, after) = rest.split_at_mut(step * size);
        before.clone_from_slice(&past[row * old * size..][..at * size]);
        now.clone_from_slice(&new[row * step * size..(row + 1) * step * size]);
        after.fill(T::default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_what_is_filled() {
        let mut out = [9; 8];
        // Two samples of one head, two old positions, room for four; the second sample has one filled.
        append(&mut out, &[7, 8], Some(&[1, 2, 3, 4]), &[2, 1], 2, 1, 2, 1, 4, 1).unwrap();
        assert_eq!(out, [1, 2, 7, 0, 3, 8, 0, 0]);
        append(&mut out[..2], &[5, 6], None, &[0], 1, 1, 0, 2, 2, 1).unwrap();
        assert_eq!(out[..2], [5, 6]);
        assert!(append(&mut out[..2], &[5, 6], None, &[1], 1, 1, 0, 2, 2, 1).is_err());
        assert!(append(&mut out[..4], &[5], Some(&[1, 2]), &[3], 1, 1, 2, 1, 4, 1).is_err());
    }
}
