//! Regions of interest (RoiAlign, MaxRoiPool), deformable convolution, MaxUnpool. Computed in f64, rounded once.

use super::arith::Arith;
use super::fmath::floor;
use super::walk::{count, promise};
use crate::error::Fault;

/// The sizes of a batch of images and of the bins of their regions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regions {
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Regions.
    pub regions: usize,
    /// Bins of a region, vertically.
    pub rows: usize,
    /// Bins of a region, horizontally.
    pub columns: usize,
    /// What region coordinates are multiplied by.
    pub scale: f32,
}

/// The four neighbours of a place and their weights; nothing outside.
fn neighbours(y: f64, x: f64, height: usize, width: usize) -> Option<[(usize, f64); 4]> {
    if !(y >= -1.0 && y <= height as f64 && x >= -1.0 && x <= width as f64) {
        return None;
    }
    let axis = |v: f64, len: usize| {
        let (v, last) = (v.max(0.0), len - 1);
        let low = v as usize;
        if low >= last { (last, last, 0.0) } else { (low, low + 1, v - low as f64) }
    };
    let ((y0, y1, ly), (x0, x1, lx)) = (axis(y, height), axis(x, width));
    let at = |y: usize, x: usize| y * width + x;
    Some([(at(y0, x0), (1.0 - ly) * (1.0 - lx)), (at(y0, x1), (1.0 - ly) * lx), (at(y1, x0), ly * (1.0 - lx)), (at(y1, x1), ly * lx)])
}

fn image(index: i64, batch: usize) -> Result<usize, Fault> {
    usize::try_from(index).ok().filter(|&i| i < batch).ok_or(Fault::Index { index, len: batch })
}

/// `RoiAlign`: the mean (or, with `max`, the greatest weighted neighbour) of interpolated samples of each bin. `rois` are `x1, y1, x2, y2`;
/// `sampling` samples a bin and axis, 0: as many as the bin is long. `half_pixel`: coordinates are moved by half a pixel.
pub fn roi_align<T: Arith>(
    out: &mut [T],
    x: &[T],
    rois: &[T],
    images: &[i64],
    sizes: Regions,
    sampling: usize,
    half_pixel: bool,
    max: bool,
) -> Result<(), Fault> {
    let s = sizes;
    let (plane, bins) = (s.height * s.width, s.rows * s.columns);
    promise(
        out.len() == count(&[s.regions, s.channels, bins])? && x.len() == count(&[s.batch, s.channels, plane])?,
        "roi_align: lengths differ",
    )?;
    promise(rois.len() == s.regions * 4 && images.len() == s.regions, "roi_align: wrong number of regions")?;
    if out.is_empty() {
        return Ok(());
    }
    if plane == 0 {
        out.fill(T::ZERO);
        return Ok(());
    }
    let offset = if half_pixel { 0.5 } else { 0.0 };
    for ((to, roi), &index) in out.chunks_exact_mut(s.channels * bins).zip(rois.chunks_exact(4)).zip(images) {
        let from = &x[image(index, s.batch)? * s.channels * plane..][..s.channels * plane];
        let corner = |i: usize| roi[i].to_f64() * f64::from(s.scale) - offset;
        let span = |low: usize, high: usize| {
            let d = corner(high) - corner(low);
            if half_pixel { d } else { d.max(1.0) }
        };
        let (width, height) = (span(0, 2), span(1, 3));
        let (bin_h, bin_w) = (height / s.rows as f64, width / s.columns as f64);
        // More samples than elements make no sense: a broken region must not take forever.
        let samples =
            |bin: f64, len: usize| if sampling > 0 { sampling } else { (-floor(-bin)).clamp(0.0, 2.0 * len as f64 + 2.0) as usize };
        let (ny, nx) = (samples(bin_h, s.height), samples(bin_w, s.width));
        for (c, plane) in from.chunks_exact(plane).enumerate() {
            for bin in 0..bins {
                let (row, column) = ((bin / s.columns) as f64, (bin % s.columns) as f64);
                let mut all = if max { f64::NEG_INFINITY } else { 0.0 };
                for i in 0..ny * nx {
                    let (iy, ix) = ((i / nx) as f64, (i % nx) as f64);
                    let y = corner(1) + row * bin_h + (iy + 0.5) * bin_h / ny as f64;
                    let x = corner(0) + column * bin_w + (ix + 0.5) * bin_w / nx as f64;
                    let taps = neighbours(y, x, s.height, s.width).unwrap_or([(0, 0.0); 4]).map(|(at, w)| w * plane[at].to_f64());
                    all = if max { taps.into_iter().fold(all, f64::max) } else { all + taps.iter().sum::<f64>() };
                }
                let value = if max { if all == f64::NEG_INFINITY { 0.0 } else { all } } else { all / (ny * nx).max(1) as f64 };
                to[c * bins + bin] = T::from_f64(value);
            }
        }
    }
    Ok(())
}

/// `MaxRoiPool`: the greatest element of each bin of whole elements, 0 for empty bins. `rois` are `image, x1, y1, x2, y2`.
pub fn max_roi_pool<T: Arith>(out: &mut [T], x: &[T], rois: &[T], sizes: Regions) -> Result<(), Fault> {
    let s = sizes;
    let (plane, bins) = (s.height * s.width, s.rows * s.columns);
    promise(
        out.len() == count(&[s.regions, s.channels, bins])? && x.len() == count(&[s.batch, s.channels, plane])?,
        "max_roi_pool: lengths differ",
    )?;
    promise(rois.len() == s.regions * 5, "max_roi_pool: wrong number of regions")?;
    if out.is_empty() {
        return Ok(());
    }
    for (to, roi) in out.chunks_exact_mut(s.channels * bins).zip(rois.chunks_exact(5)) {
        let from = &x[image(roi[0].to_f64() as i64, s.batch)? * s.channels * plane..][..s.channels * plane];
        // Halves are rounded away from zero.
        let corner = |i: usize| floor(roi[i].to_f64() * f64::from(s.scale) + 0.5);
        let axis = |low: f64, high: f64, bins: usize, bin: usize, len: usize| {
            let size = (high - low + 1.0).max(1.0) / bins as f64;
            let start = (low + floor(bin as f64 * size)).clamp(0.0, len as f64) as usize;
            let end = (low - floor(-((bin + 1) as f64 * size))).clamp(0.0, len as f64) as usize;
            start..end
        };
        for bin in 0..bins {
            let rows = axis(corner(2), corner(4), s.rows, bin / s.columns, s.height);
            let columns = axis(corner(1), corner(3), s.columns, bin % s.columns, s.width);
            for (c, plane) in (0..s.channels).map(|c| (c, &from[c * plane..(c + 1) * plane])) {
                let cells = rows.clone().flat_map(|y| columns.clone().map(move |x| y * s.width + x));
                to[c * bins + bin] = cells.map(|at| plane[at]).reduce(T::greatest).unwrap_or(T::ZERO);
            }
        }
    }
    Ok(())
}

/// The sizes of a deformable convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deform {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub channels: usize,
    /// Rows and columns of an image.
    pub input: [usize; 2],
    /// Output channels.
    pub filters: usize,
    /// Rows and columns of a result.
    pub output: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps between results.
    pub strides: [usize; 2],
    /// Rows above and columns left of the image.
    pub pads: [usize; 2],
    /// Steps between kernel elements.
    pub dilations: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Groups of channels that share offsets.
    pub offset_groups: usize,
}

/// `DeformConv`: a convolution whose places are moved by `offset` (`batch × offset groups × kernel × 2 × output`) and weighted by `mask`.
pub fn deform_conv<T: Arith>(
    out: &mut [T],
    x: &[T],
    w: &[T],
    offset: &[T],
    bias: Option<&[T]>,
    mask: Option<&[T]>,
    sizes: Deform,
) -> Result<(), Fault> {
    let s = sizes;
    let (plane, places, taps) = (count(&s.input)?, count(&s.output)?, count(&s.kernel)?);
    promise(
        s.groups > 0 && s.offset_groups > 0 && s.channels.is_multiple_of(s.groups) && s.filters.is_multiple_of(s.groups),
        "deform_conv: wrong groups",
    )?;
    promise(s.channels.is_multiple_of(s.offset_groups), "deform_conv: wrong offset groups")?;
    let deep = s.channels / s.groups;
    promise(
        out.len() == count(&[s.batch, s.filters, places])? && x.len() == count(&[s.batch, s.channels, plane])?,
        "deform_conv: lengths differ",
    )?;
    promise(w.len() == count(&[s.filters, deep, taps])?, "deform_conv: wrong length of the weights")?;
    promise(offset.len() == count(&[s.batch, s.offset_groups, taps, 2, places])?, "deform_conv: wrong length of the offsets")?;
    promise(bias.is_none_or(|b| b.len() == s.filters), "deform_conv: wrong length of the bias")?;
    promise(mask.is_none_or(|m| m.len() == s.batch * s.offset_groups * taps * places), "deform_conv: wrong length of the mask")?;
    let sample = |n: usize, c: usize, tap: usize, place: usize| -> f64 {
        let group = (n * s.offset_groups + c / (s.channels / s.offset_groups)) * taps + tap;
        let at = |axis: usize, out: usize, k: usize| {
            let moved = offset[(group * 2 + axis) * places + place].to_f64();
            (out * s.strides[axis] + k * s.dilations[axis]) as f64 - s.pads[axis] as f64 + moved
        };
        let y = at(0, place / s.output[1], tap / s.kernel[1]);
        let x_at = at(1, place % s.output[1], tap % s.kernel[1]);
        let weight = mask.map_or(1.0, |m| m[group * places + place].to_f64());
        weight * bilinear(&x[(n * s.channels + c) * plane..][..plane], y, x_at, s.input)
    };
    for (i, to) in out.iter_mut().enumerate() {
        let (place, filter, n) = (i % places, i / places % s.filters, i / places / s.filters);
        let first = filter / (s.filters / s.groups) * deep;
        let mut sum = bias.map_or(0.0, |b| b[filter].to_f64());
        for c in 0..deep {
            for tap in 0..taps {
                sum += w[(filter * deep + c) * taps + tap].to_f64() * sample(n, first + c, tap, place);
            }
        }
        *to = T::from_f64(sum);
    }
    Ok(())
}

/// Linear interpolation with zeros outside.
fn bilinear<T: Arith>(plane: &[T], y: f64, x: f64, shape: [usize; 2]) -> f64 {
    let (y0, x0) = (floor(y), floor(x));
    let at = |y: f64, x: f64, weight: f64| {
        let inside = y >= 0.0 && x >= 0.0 && y < shape[0] as f64 && x < shape[1] as f64 && weight != 0.0;
        if inside { weight * plane[y as usize * shape[1] + x as usize].to_f64() } else { 0.0 }
    };
    let (ly, lx) = (y - y0, x - x0);
    at(y0, x0, (1.0 - ly) * (1.0 - lx))
        + at(y0, x0 + 1.0, (1.0 - ly) * lx)
        + at(y0 + 1.0, x0, ly * (1.0 - lx))
        + at(y0 + 1.0, x0 + 1.0, ly * lx)
}

/// `MaxUnpool`: zeros, but `x[i]` at the flat index `indices[i]` of the tensor of shape `inferred`, which is the corner of `out` of shape `shape`.
pub fn max_unpool<T: Arith>(out: &mut [T], x: &[T], indices: &[i64], inferred: &[usize], shape: &[usize]) -> Result<(), Fault> {
    promise(x.len() == indices.len() && inferred.len() == shape.len() && out.len() == count(shape)?, "max_unpool: lengths differ")?;
    let total = count(inferred)?;
    out.fill(T::ZERO);
    for (&v, &index) in x.iter().zip(indices) {
        let mut rest = usize::try_from(index).ok().filter(|&i| i < total).ok_or(Fault::Index { index, len: total })?;
        let (mut at, mut stride) = (0, 1);
        for (&from, &to) in inferred.iter().zip(shape).rev() {
            let i = rest % from;
            if i >= to {
                return Err(Fault::Index { index: i as i64, len: to });
            }
            at += i * stride;
            rest /= from;
            stride *= to;
        }
        out[at] = v;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Regions = Regions { batch: 1, channels: 1, height: 4, width: 4, regions: 1, rows: 2, columns: 2, scale: 1.0 };

    #[test]
    fn regions() {
        let x: std::vec::Vec<f32> = (0..16).map(|v| v as f32).collect();
        let mut out = [0f32; 4];
        max_roi_pool(&mut out, &x, &[0.0, 0.0, 0.0, 3.0, 3.0], SIZES).unwrap();
        assert_eq!(out, [5.0, 7.0, 13.0, 15.0]);
        roi_align(&mut out, &x, &[0.0, 0.0, 4.0, 4.0], &[0], SIZES, 2, true, false).unwrap();
        assert_eq!(out, [2.5, 4.5, 10.5, 12.5]);
        assert!(roi_align(&mut out, &x, &[0.0; 4], &[1], SIZES, 2, true, false).is_err());
    }

    #[test]
    fn unpooling() {
        let mut out = [0f32; 9];
        max_unpool(&mut out, &[1.0, 2.0], &[0, 3], &[2, 2], &[3, 3]).unwrap();
        assert_eq!(out, [1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(max_unpool(&mut out, &[1.0], &[4], &[2, 2], &[3, 3]).is_err());
    }
}
