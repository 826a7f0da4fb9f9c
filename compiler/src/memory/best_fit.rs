//! Offsets for buffers of known size: the largest first, each into the smallest gap that is free during its life.

use super::{ALIGN, Block};

/// The offset of each block, and the length of the arena.
pub(super) fn best_fit(blocks: &[Block]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(blocks[i].bytes), blocks[i].life.first, i));
    let mut offsets = vec![0; blocks.len()];
    let mut arena = 0;
    // What is placed already, by offset.
    let mut placed: Vec<(usize, usize, usize)> = Vec::new();
    for i in order {
        let bytes = blocks[i].bytes.next_multiple_of(ALIGN);
        if bytes == 0 {
            continue;
        }
        let mut gap_start = 0;
        let mut best: Option<(usize, usize)> = None;
        for &(start, end, j) in &placed {
            if !blocks[j].life.overlaps(blocks[i].life) {
                continue;
            }
            let gap = start.saturating_sub(gap_start);
            if gap >= bytes && best.is_none_or(|(least, _)| gap < least) {
                best = Some((gap, gap_start));
            }
            gap_start = gap_start.max(end);
        }
        let offset = best.map_or(gap_start, |(_, at)| at);
        offsets[i] = offset;
        arena = arena.max(offset.saturating_add(bytes));
        let entry = (offset, offset.saturating_add(bytes), i);
        placed.insert(placed.partition_point(|p| *p < entry), entry);
    }
    (offsets, arena)
}
