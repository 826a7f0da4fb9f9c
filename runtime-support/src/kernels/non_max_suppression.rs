//! `NonMaxSuppression`: for each batch and class, boxes by falling score, without those that overlap an already selected one too much.

use super::arith::Order;
use super::walk::{count, promise};
use crate::error::Fault;

/// Numbers in `selected` that [`non_max_suppression`] may need: three for each batch, class and selectable box.
pub const fn non_max_suppression_max_len(batches: usize, classes: usize, boxes: usize, max_per_class: usize) -> usize {
    let each = if boxes < max_per_class { boxes } else { max_per_class };
    batches.saturating_mul(classes).saturating_mul(each).saturating_mul(3)
}

/// Writes the number of selected boxes to `bind[0]` and `[batch, class, box]` of each to the front of `selected`.
///
/// `boxes` is `batches × count × 4` (corners `y1, x1, y2, x2`, or `x, y, width, height` around the centre if `center_point`), `scores` is
/// `batches × classes × count`. The three options are scalars; no `max_per_class` means none at all, no score threshold keeps all.
/// `selected` has [`non_max_suppression_max_len`] numbers, `order` is scratch for as many numbers as there are boxes in a batch.
pub fn non_max_suppression(
    bind: &mut [i64],
    selected: &mut [i64],
    order: &mut [i64],
    boxes: &[f32],
    scores: &[f32],
    max_per_class: Option<&[i64]>,
    iou_threshold: Option<&[f32]>,
    score_threshold: Option<&[f32]>,
    batches: usize,
    classes: usize,
    box_count: usize,
    center_point: bool,
) -> Result<(), Fault> {
    promise(bind.len() == 1 && order.len() >= box_count, "non_max_suppression: too little room")?;
    promise(boxes.len() == count(&[batches, box_count, 4])?, "non_max_suppression: wrong length of boxes")?;
    promise(scores.len() == count(&[batches, classes, box_count])?, "non_max_suppression: wrong length of scores")?;
    let max = max_per_class.and_then(|m| m.first()).map_or(0, |&m| usize::try_from(m).unwrap_or(0));
    let iou = iou_threshold.and_then(|t| t.first()).copied().unwrap_or(0.0);
    let least = score_threshold.and_then(|t| t.first()).copied();
    bind[0] = 0;
    if max == 0 || scores.is_empty() {
        return Ok(());
    }
    let mut slots = selected.chunks_exact_mut(3);
    let (boxes, _) = boxes.as_chunks::<4>();
    for (pair, scores) in scores.chunks_exact(box_count).enumerate() {
        let (batch, class) = (pair / classes, pair % classes);
        let boxes = &boxes[batch * box_count..][..box_count];
        let candidates = rank(order, scores, least);
        // Selected boxes are moved to the front of the candidates.
        let mut kept = 0;
        for c in 0..candidates.len() {
            if kept == max {
                break;
            }
            let this = candidates[c];
            let area = Area::of(&boxes[this as usize], center_point);
            if candidates[..kept].iter().any(|&k| area.overlaps(&Area::of(&boxes[k as usize], center_point), iou)) {
                continue;
            }
            candidates[kept] = this;
            kept += 1;
            let slot = slots.next().ok_or(Fault::Internal { what: "non_max_suppression: too little room" })?;
            slot.copy_from_slice(&[batch as i64, class as i64, this]);
            bind[0] += 1;
        }
    }
    Ok(())
}

/// The boxes above the threshold by falling score; the lower index first when equal.
fn rank<'a>(order: &'a mut [i64], scores: &[f32], least: Option<f32>) -> &'a mut [i64] {
    let mut n = 0;
    for (i, &score) in scores.iter().enumerate() {
        if least.is_none_or(|t| score > t) {
            order[n] = i as i64;
            n += 1;
        }
    }
    let order = &mut order[..n];
    order.sort_unstable_by(|&a, &b| scores[b as usize].order(&scores[a as usize]).then(a.cmp(&b)));
    order
}

/// A box by its least and greatest corner.
struct Area {
    low: [f32; 2],
    high: [f32; 2],
}

impl Area {
    #[inline(always)]
    fn of(&[a, b, c, d]: &[f32; 4], center_point: bool) -> Self {
        if center_point {
            Self { low: [a - c / 2.0, b - d / 2.0], high: [a + c / 2.0, b + d / 2.0] }
        } else {
            Self { low: [a.min(c), b.min(d)], high: [a.max(c), b.max(d)] }
        }
    }

    fn size(&self) -> f32 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// Whether intersection over union is greater than the threshold.
    #[inline(always)]
    fn overlaps(&self, other: &Self, threshold: f32) -> bool {
        let side = |i: usize| self.high[i].min(other.high[i]) - self.low[i].max(other.low[i]);
        let (first, second) = (side(0), side(1));
        if first <= 0.0 || second <= 0.0 {
            return false;
        }
        let common = first * second;
        let (a, b) = (self.size(), other.size());
        let union = a + b - common;
        common > 0.0 && a > 0.0 && b > 0.0 && union > 0.0 && common / union > threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_of_the_specification() {
        let corners = [
            0.0f32, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, -0.1, 1.0, 0.9, 0.0, 10.0, 1.0, 11.0, 0.0, 10.1, 1.0, 11.1, 0.0, 100.0, 1.0,
            101.0,
        ];
        let centres =
            [0.5f32, 0.5, 1.0, 1.0, 0.5, 0.6, 1.0, 1.0, 0.5, 0.4, 1.0, 1.0, 0.5, 10.5, 1.0, 1.0, 0.5, 10.6, 1.0, 1.0, 0.5, 100.5, 1.0, 1.0];
        let scores = [0.9, 0.75, 0.6, 0.95, 0.5, 0.3];
        let run = |boxes: &[f32], scores: &[f32], max, least, [batches, classes]: [usize; 2], center| {
            let (mut n, mut out, mut order) = ([9], [9; 36], [0; 6]);
            let (max, iou) = ([max], [0.5]);
            let options = (Some(&max[..]), Some(&iou[..]));
            non_max_suppression(&mut n, &mut out, &mut order, boxes, scores, options.0, options.1, least, batches, classes, 6, center)
                .unwrap();
            out[..3 * n[0] as usize].to_vec()
        };
        let all = [0, 0, 3, 0, 0, 0, 0, 0, 5];
        assert_eq!(run(&corners, &scores, 3, Some(&[0.0]), [1, 1], false), all);
        assert_eq!(run(&centres, &scores, 3, Some(&[0.0]), [1, 1], true), all);
        assert_eq!(run(&corners, &scores, 2, None, [1, 1], false), all[..6]);
        assert_eq!(run(&corners, &scores, 3, Some(&[0.4]), [1, 1], false), all[..6]);
        assert_eq!(run(&corners, &scores, 0, None, [1, 1], false), []);
        let twice = [scores, scores].concat();
        assert_eq!(run(&corners, &twice, 1, None, [1, 2], false), [0, 0, 3, 0, 1, 3]);
        assert_eq!(run(&[corners, corners].concat(), &twice, 1, None, [2, 1], false), [0, 0, 3, 1, 0, 3]);
    }
}
