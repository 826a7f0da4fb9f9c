//! Nearest: every output element is one input element. Rows that repeat are copied from the row before.

use super::axis::{Axis, axes as resized};
use super::{Coordinates, Policy, Rounding};
use crate::error::Fault;
use crate::kernels::walk::{count, promise};

/// Resizes `x` to `out_shape` by the nearest element.
///
/// `axes` are the axes that may change; `scales` has one number for each or is empty, then the scale is `out / in` (`Stretch`) or follows from
/// `sizes`, one for each of `axes`. `roi` (starts, then ends) is used by `TfCropAndResize` only, as is `outside`, which defaults to zero.
/// `table` is scratch: the sum of the output lengths of `axes`.
pub fn nearest<T: Clone + Default>(
    out: &mut [T],
    table: &mut [i64],
    x: &[T],
    outside: Option<&[T]>,
    in_shape: &[usize],
    out_shape: &[usize],
    axes: &[usize],
    scales: &[f32],
    sizes: &[i64],
    roi: &[f32],
    coordinates: Coordinates,
    rounding: Rounding,
    policy: Policy,
) -> Result<(), Fault> {
    promise(out.len() == count(out_shape)? && x.len() == count(in_shape)?, "resize: lengths differ")?;
    let changed = resized(in_shape, out_shape, axes, scales, sizes, roi, policy)?;
    if out.is_empty() {
        return Ok(());
    }
    let used = changed.iter().flatten().map(|a| a.output).sum::<usize>();
    promise(table.len() >= used, "resize: too little scratch")?;
    let mut rest = &mut table[..];
    for axis in changed.iter().flatten() {
        let (this, after) = rest.split_at_mut(axis.output);
        for (y, index) in this.iter_mut().enumerate() {
            *index = axis.nearest(y, coordinates, rounding).map_or(-1, |i| i as i64);
        }
        rest = after;
    }
    let outside = outside.and_then(|v| v.first().cloned()).unwrap_or_default();
    Levels { out_shape, changed: &changed[..in_shape.len()], outside }.fill(out, x, &table[..used]);
    Ok(())
}

struct Levels<'a, T> {
    out_shape: &'a [usize],
    changed: &'a [Option<Axis>],
    outside: T,
}

impl<T: Clone> Levels<'_, T> {
    /// The axes from the next changed one on; `table` holds theirs.
    fn fill(&self, out: &mut [T], x: &[T], table: &[i64]) {
        let Some((kept, axis)) = self.changed.iter().enumerate().find_map(|(i, a)| a.map(|a| (i, a))) else {
            out.clone_from_slice(x);
            return;
        };
        let outer = self.out_shape[..kept].iter().product::<usize>();
        let (table, below) = table.split_at(axis.output);
        let inner = Self { out_shape: &self.out_shape[kept + 1..], changed: &self.changed[kept + 1..], outside: self.outside.clone() };
        let factor = below.is_empty().then(|| repeat_factor(table)).flatten();
        let (to, from) = (out.len() / outer, x.len() / outer);
        for (to, from) in out.chunks_exact_mut(to).zip(x.chunks_exact(from)) {
            match factor {
                Some(2) if to.len() == axis.output => double(to, from),
                _ if to.len() == axis.output => self.gather(to, from, table),
                _ => inner.rows(to, from, table, below, axis.input),
            }
        }
    }

    /// Rows of one element.
    fn gather(&self, out: &mut [T], x: &[T], table: &[i64]) {
        for (v, &i) in out.iter_mut().zip(table) {
            *v = usize::try_from(i).map_or_else(|_| self.outside.clone(), |i| x[i].clone());
        }
    }

    /// Rows of more: `self` are the axes inside them.
    fn rows(&self, out: &mut [T], x: &[T], table: &[i64], below: &[i64], input: usize) {
        let (to, from) = (out.len() / table.len(), x.len() / input);
        for (y, &i) in table.iter().enumerate() {
            let (before, row) = out[..(y + 1) * to].split_at_mut(y * to);
            if y > 0 && table[y - 1] == i {
                row.clone_from_slice(&before[(y - 1) * to..]);
            } else if let Ok(i) = usize::try_from(i) {
                self.fill(row, &x[i * from..(i + 1) * from], below);
            } else {
                row.fill(self.outside.clone());
            }
        }
    }
}

/// `Some(k)` if the table repeats each index k times.
fn repeat_factor(table: &[i64]) -> Option<usize> {
    let k = table.iter().take_while(|&&i| i == 0).count();
    (k > 0 && table.iter().enumerate().all(|(y, &i)| y / k == i as usize)).then_some(k)
}

/// Each element twice.
fn double<T: Clone>(out: &mut [T], x: &[T]) {
    let (pairs, odd) = out.as_chunks_mut::<2>();
    for (pair, v) in pairs.iter_mut().zip(x) {
        *pair = [v.clone(), v.clone()];
    }
    if let ([last], Some(v)) = (odd, x.last()) {
        *last = v.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        x: &[i32],
        shape: &[usize],
        out_shape: &[usize],
        axes: &[usize],
        scales: &[f32],
        mode: (Coordinates, Rounding),
    ) -> std::vec::Vec<i32> {
        let mut out = std::vec![-1; out_shape.iter().product()];
        let mut table = std::vec![0; axes.iter().map(|&a| out_shape[a]).sum()];
        nearest(&mut out, &mut table, x, Some(&[7]), shape, out_shape, axes, scales, &[], &[], mode.0, mode.1, Policy::Stretch).unwrap();
        out
    }

    #[test]
    fn doubles_in_both_layouts() {
        let floor = (Coordinates::Asymmetric, Rounding::Floor);
        let out = run(&[1, 2, 3, 4], &[1, 2, 2], &[1, 4, 4], &[1, 2], &[2.0, 2.0], floor);
        assert_eq!(out, [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
        let out = run(&[1, 2, 3, 4], &[1, 2, 2], &[2, 4, 2], &[0, 1], &[2.0, 2.0], floor);
        assert_eq!(out, [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
        // Official case resize_downsample_scales_nearest: [1, 2, 3, 4; 5, 6, 7, 8] by 0.6 gives [1, 3].
        let out =
            run(&[1, 2, 3, 4, 5, 6, 7, 8], &[2, 4], &[1, 2], &[0, 1], &[0.6, 0.6], (Coordinates::HalfPixel, Rounding::RoundPreferFloor));
        assert_eq!(out, [1, 3]);
    }

    #[test]
    fn roundings_differ_on_ties() {
        let by = |rounding| run(&[0, 1, 2, 3], &[4], &[8], &[0], &[], (Coordinates::Asymmetric, rounding));
        assert_eq!(by(Rounding::RoundPreferFloor), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(by(Rounding::RoundPreferCeil), [0, 1, 1, 2, 2, 3, 3, 3]);
        assert_eq!(by(Rounding::Ceil), [0, 1, 1, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn what_lies_outside_the_crop() {
        let mut out = [0; 4];
        let crop = Coordinates::TfCropAndResize;
        let args = (&[4][..], &[0][..], &[0.5, 1.5]);
        nearest(
            &mut out,
            &mut [0; 4],
            &[0, 1, 2, 3],
            Some(&[7]),
            args.0,
            args.0,
            args.1,
            &[],
            &[4],
            args.2,
            crop,
            Rounding::Floor,
            Policy::Stretch,
        )
        .unwrap();
        assert_eq!(out, [1, 2, 7, 7]);
    }
}
