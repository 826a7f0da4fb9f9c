//! `ReverseSequence`, `DepthToSpace`, `SpaceToDepth`, `Col2Im`.

use super::arith::Linear;
use super::transpose::transpose;
use super::walk::{MAX_RANK, count, dense, promise};
use crate::cx::Cx;
use crate::error::Fault;

/// Reverses the first `lens[batch]` entries of each sequence. `x` is `rows × columns × inner`; time is along the rows if `time_first`, else along
/// the columns; the batch is the other one.
pub fn reverse_sequence<T: Clone>(
    out: &mut [T],
    x: &[T],
    lens: &[i64],
    rows: usize,
    columns: usize,
    inner: usize,
    time_first: bool,
) -> Result<(), Fault> {
    let (time, batch) = if time_first { (rows, columns) } else { (columns, rows) };
    promise(out.len() == x.len() && x.len() == count(&[rows, columns, inner])?, "reverse_sequence: lengths differ")?;
    promise(lens.len() == batch, "reverse_sequence: wrong number of lengths")?;
    if let Some(&len) = lens.iter().find(|&&len| !(0..=time as i64).contains(&len)) {
        return Err(Fault::Value { what: "a sequence length is outside the time axis", got: len });
    }
    if x.is_empty() {
        return Ok(());
    }
    for (i, to) in out.chunks_exact_mut(inner).enumerate() {
        let (t, b) = if time_first { (i / columns, i % columns) } else { (i % columns, i / columns) };
        let len = lens[b] as usize;
        let from = if t < len { len - 1 - t } else { t };
        let at = if time_first { from * columns + b } else { b * columns + from } * inner;
        to.clone_from_slice(&x[at..at + inner]);
    }
    Ok(())
}

/// Moves blocks of channels to space: `x` is `batch × channels × height × width`, `out` is `batch × channels / block² × height * block × width * block`.
/// `columns_first` (CRD) takes the channel number as (channel, row, column), else (DCR) as (row, column, channel).
pub fn depth_to_space<T: Clone + Send + Sync>(
    cx: Cx,
    out: &mut [T],
    x: &[T],
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    block: usize,
    columns_first: bool,
) -> Result<(), Fault> {
    let deep = channels.checked_div(block.saturating_mul(block)).unwrap_or(0);
    if columns_first {
        transpose(cx, out, x, &[batch, deep, block, block, height, width], &[0, 1, 4, 2, 5, 3])
    } else {
        transpose(cx, out, x, &[batch, block, block, deep, height, width], &[0, 3, 4, 1, 5, 2])
    }
}

/// Moves blocks of space to channels: `x` is `batch × channels × height × width`, `out` is `batch × block² * channels × height / block × width / block`.
pub fn space_to_depth<T: Clone + Send + Sync>(
    cx: Cx,
    out: &mut [T],
    x: &[T],
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    block: usize,
) -> Result<(), Fault> {
    let blocks = |n: usize| n.checked_div(block).unwrap_or(0);
    transpose(cx, out, x, &[batch, channels, blocks(height), block, blocks(width), block], &[0, 3, 5, 1, 2, 4])
}

/// Adds up overlapping blocks: `x` is `batch × (channels * prod(block_shape)) × number of block places`, `out` is `batch × channels × image_shape`.
/// All lists have one number a spatial axis; `pads` has the ones at the beginning, then those at the end.
pub fn col2im<T: Linear>(
    out: &mut [T],
    x: &[T],
    planes: usize,
    image_shape: &[usize],
    block_shape: &[usize],
    dilations: &[usize],
    pads: &[usize],
    strides: &[usize],
) -> Result<(), Fault> {
    let rank = image_shape.len();
    promise(rank <= MAX_RANK && [block_shape.len(), dilations.len(), strides.len(), pads.len() / 2] == [rank; 4], "col2im: ranks differ")?;
    let mut places = [0; MAX_RANK];
    for a in 0..rank {
        let covered = image_shape[a].saturating_add(pads[a]).saturating_add(pads[rank + a]);
        let extent = dilations[a].saturating_mul(block_shape[a].saturating_sub(1)).saturating_add(1);
        let last = covered.checked_sub(extent).and_then(|n| n.checked_div(strides[a]));
        places[a] = last.map_or(0, |n| n + 1);
    }
    let places = &places[..rank];
    let (image, blocks, positions) = (count(image_shape)?, count(block_shape)?, count(places)?);
    promise(out.len() == count(&[planes, image])? && x.len() == count(&[planes, blocks, positions])?, "col2im: lengths differ")?;
    out.fill(T::default());
    if x.is_empty() || out.is_empty() {
        return Ok(());
    }
    let image_strides = dense(image_shape)?;
    for (row, from) in x.chunks_exact(positions).enumerate() {
        let to = &mut out[row / blocks * image..][..image];
        for (place, v) in from.iter().enumerate() {
            let (mut in_block, mut in_places, mut at) = (row % blocks, place, Some(0));
            for a in (0..rank).rev() {
                let offset = in_places % places[a] * strides[a] + in_block % block_shape[a] * dilations[a];
                let i = offset.checked_sub(pads[a]).filter(|i| *i < image_shape[a]);
                at = at.zip(i).map(|(at, i)| at + i * image_strides[a]);
                (in_block, in_places) = (in_block / block_shape[a], in_places / places[a]);
            }
            if let Some(at) = at {
                to[at] = to[at].sum(*v);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_turn_around() {
        let x: std::vec::Vec<i32> = (0..16).collect();
        let mut out = [0; 16];
        reverse_sequence(&mut out, &x, &[1, 2, 3, 4], 4, 4, 1, false).unwrap();
        assert_eq!(out, [0, 1, 2, 3, 5, 4, 6, 7, 10, 9, 8, 11, 15, 14, 13, 12]);
        reverse_sequence(&mut out, &x, &[2, 0], 4, 2, 2, true).unwrap();
        assert_eq!(out, [4, 5, 2, 3, 0, 1, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert!(reverse_sequence(&mut out, &x, &[5, 0], 4, 2, 2, true).is_err());
    }

    #[test]
    fn depth_and_space() {
        let x: std::vec::Vec<i32> = (0..8).collect();
        let mut out = [0; 8];
        depth_to_space(Cx::REFERENCE, &mut out, &x, 1, 8, 1, 1, 2, false).unwrap();
        assert_eq!(out, [0, 2, 4, 6, 1, 3, 5, 7]);
        let mut back = [0; 8];
        space_to_depth(Cx::REFERENCE, &mut back, &out, 1, 2, 2, 2, 2).unwrap();
        assert_eq!(back[..], x[..]);
        depth_to_space(Cx::REFERENCE, &mut out, &x, 1, 8, 1, 1, 2, true).unwrap();
        assert_eq!(out[..], x[..]);
        assert!(depth_to_space(Cx::REFERENCE, &mut out, &x, 1, 8, 1, 1, 0, true).is_err());
    }

    #[test]
    fn overlapping_blocks_add() {
        // One channel, image 3, blocks of 2 at stride 1: places 2; rows are block positions.
        let mut out = [0; 3];
        col2im(&mut out, &[1, 2, 10, 20], 1, &[3], &[2], &[1], &[0, 0], &[1]).unwrap();
        assert_eq!(out, [1, 12, 20]);
        let mut padded = [0; 1];
        col2im(&mut padded, &[1, 2, 10, 20], 1, &[1], &[2], &[1], &[1, 1], &[1]).unwrap();
        assert_eq!(padded, [12]);
    }
}
