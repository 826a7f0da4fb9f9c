//! The windows of a convolution as rows of a matrix that is never made: for each output pixel and tap, where the channels are.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::Geometry;
use crate::kernels::gemm::{Column, PATCHES, Patches, Segment, Source, ZEROS};

/// The windows over one group of an input.
pub(crate) struct Windows<'a> {
    /// The input from the group's first channel on.
    x: &'a [f32],
    /// The geometry, checked.
    g: &'a Geometry,
    /// Take a whole row of taps as one run of k: with few channels, runs of one tap are too short to be fast.
    by_rows: bool,
}

impl<'a> Windows<'a> {
    /// The windows over the channels from `first_channel` on.
    pub fn new(x: &'a [f32], g: &'a Geometry, first_channel: usize) -> Self {
        Self { x: x.get(first_channel..).unwrap_or_default(), g, by_rows: Self::are_lines(g) }
    }

    /// Whether a row of taps is one run of k.
    pub fn are_lines(g: &Geometry) -> bool {
        let contiguous = g.group == 1 && g.in_pitch == g.in_channels && g.dilation[2] == 1;
        contiguous && g.kernel[2] > 1 && g.in_channels < 32
    }

    /// The offset of the first pixel of an input line, `None` if the line is under padding.
    #[inline(always)]
    fn line(&self, [image, d, h, _]: [usize; 4], tap_d: usize, tap_h: usize) -> Option<usize> {
        let g = self.g;
        let d = g.start(0, d) + (tap_d * g.dilation[0]) as isize;
        let h = g.start(1, h) + (tap_h * g.dilation[1]) as isize;
        let inside = d >= 0 && h >= 0 && (d as usize) < g.input[0] && (h as usize) < g.input[1];
        inside.then(|| g.line_offset(image, d as usize, h as usize))
    }

    /// One tap of a run of pixels in one output line.
    #[inline(always)]
    fn locate_tap(&self, i: usize, run: Range<usize>, line: Option<usize>, tap: usize, start: usize, column: &mut Column<'_>) {
        let g = self.g;
        let (first, last) = if line.is_some() { g.outputs_inside(2, tap) } else { (0, 0) };
        let first = first.clamp(run.start, run.end);
        let last = last.clamp(first, run.end);
        for w in run.start..first {
            column.set(i + w - run.start, ZEROS.as_ptr());
        }
        let pixel = g.start(2, first) + (tap * g.dilation[2]) as isize;
        let offset = (line.unwrap_or(0) + start) as isize + pixel * g.in_pitch as isize;
        let step = g.stride[2] * g.in_pitch;
        for w in first..last {
            column.set(i + w - run.start, self.x.as_ptr().wrapping_offset(offset).wrapping_add((w - first) * step));
        }
        for w in last..run.end {
            column.set(i + w - run.start, ZEROS.as_ptr());
        }
    }

    /// A part of a row of taps for a run of pixels; windows that stick out are gathered.
    #[inline(always)]
    fn locate_row(&self, i: usize, run: Range<usize>, line: Option<usize>, s: Segment, patches: &mut Patches, column: &mut Column<'_>) {
        let g = self.g;
        let Some(line) = line else {
            (i..i + run.len()).for_each(|at| column.set(at, ZEROS.as_ptr()));
            return;
        };
        let (first, last) = g.outputs_interior(2);
        let first = first.clamp(run.start, run.end);
        let last = last.clamp(first, run.end);
        for w in (run.start..first).chain(last..run.end) {
            self.locate_edge(i + w - run.start, w, line, s, patches, column);
        }
        let step = g.stride[2] * g.in_channels;
        let mut from = self.x.as_ptr().wrapping_offset(self.row_offset(line, first, s));
        for w in first..last {
            column.set(i + w - run.start, from);
            from = from.wrapping_add(step);
        }
    }

    /// Where a part of a row of taps starts for the pixel in column `w`; may be before the line.
    #[inline(always)]
    fn row_offset(&self, line: usize, w: usize, s: Segment) -> isize {
        line as isize + self.g.start(2, w) * self.g.in_channels as isize + s.start as isize
    }

    /// A part of a row of taps that sticks out of its line, gathered.
    #[inline(always)]
    fn locate_edge(&self, at: usize, w: usize, line: usize, s: Segment, patches: &mut Patches, column: &mut Column<'_>) {
        let channels = self.g.in_channels;
        let (first, last) = self.g.taps_inside(2, w);
        let from = self.row_offset(line, w, s);
        let Some(patch) = patches.take(s.len) else { return };
        // The elements of the segment that are inside, counted from its start.
        let first = (first * channels).saturating_sub(s.start).min(s.len);
        let last = (last * channels).saturating_sub(s.start).clamp(first, s.len);
        patch.fill(MaybeUninit::new(0.0));
        if first < last {
            let inside = self.x.get(from.wrapping_add_unsigned(first) as usize..).unwrap_or_default();
            for (to, &x) in patch[first..last].iter_mut().zip(inside) {
                to.write(x);
            }
        }
        column.set(at, patch.as_ptr().cast());
    }
}

impl Source for Windows<'_> {
    #[inline(always)]
    fn units(&self) -> (usize, usize) {
        let [d, h, w] = self.g.kernel;
        let channels = self.g.group_in();
        if self.by_rows { (d * h, w * channels) } else { (d * h * w, channels) }
    }

    #[inline(always)]
    fn in_place(&self) -> bool {
        // Padding points to a limited number of zeros.
        false
    }

    #[inline(always)]
    fn block_rows(&self, row: usize, limit: usize, k: usize) -> usize {
        if !self.by_rows {
            return limit;
        }
        let width = self.g.output[2];
        let (first, last) = self.g.outputs_interior(2);
        let mut room = PATCHES / k.max(1);
        let mut w = row % width;
        for i in 0..limit {
            if w < first || w >= last {
                if room == 0 {
                    return i;
                }
                room -= 1;
            }
            w = if w + 1 == width { 0 } else { w + 1 };
        }
        limit
    }

    #[inline(always)]
    fn locate(&self, rows: Range<usize>, segment: Segment, patches: &mut Patches, column: &mut Column<'_>) {
        let [_, kernel_h, kernel_w] = self.g.kernel;
        let lines = if self.by_rows { segment.unit } else { segment.unit / kernel_w };
        let (tap_d, tap_h) = (lines / kernel_h, lines % kernel_h);
        let mut row = rows.start;
        while row < rows.end {
            let position = self.g.out_position(row);
            let run = position[3]..(position[3] + rows.end - row).min(self.g.output[2]);
            let (i, next) = (row - rows.start, row + run.len());
            let line = self.line(position, tap_d, tap_h);
            if self.by_rows {
                self.locate_row(i, run, line, segment, patches, column);
            } else {
                self.locate_tap(i, run, line, segment.unit % kernel_w, segment.start, column);
            }
            row = next;
        }
    }
}
