//! The promise of the plan, checked on every compilation: aligned, inside the arena, and no two live buffers overlap.

use super::{ALIGN, Block};
use crate::program::BufferId;

/// Panics on a broken plan: that would be a bug in this room, and wrong results at run time.
pub(super) fn check(blocks: &[(BufferId, Block)], offsets: &[usize], arena: usize) {
    let mut by_offset: Vec<usize> = (0..blocks.len()).filter(|&i| blocks[i].1.bytes > 0).collect();
    by_offset.sort_by_key(|&i| offsets[i]);
    for (n, &i) in by_offset.iter().enumerate() {
        let (id, block) = &blocks[i];
        let end = offsets[i].saturating_add(block.bytes);
        assert!(offsets[i].is_multiple_of(ALIGN) && end <= arena, "{id} does not fit the arena");
        for &j in by_offset[n + 1..].iter().take_while(|&&j| offsets[j] < end) {
            assert!(!block.life.overlaps(blocks[j].1.life), "{id} and {} overlap", blocks[j].0);
        }
    }
}
