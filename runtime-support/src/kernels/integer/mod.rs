//! MatMulInteger and ConvInteger: 8-bit operands with zero points, exact i32 sums.
//!
//! QLinearMatMul and QLinearConv are these followed by [`requantize`](super::requantize). Signedness of the two operands is in the
//! functions' names: `matmul_u8i8` takes an unsigned A and a signed B. These are the plain loops, for any batch and any zero points;
//! [`product`] and [`conv`] are the fast ones, on operands that [`widen`] and [`pack_pairs`] prepared; [`depthwise`] is that of windows of one
//! channel.

mod depthwise;
mod pairs;

pub use depthwise::{MAX_TAPS, depthwise, pack_depthwise, real};
pub use pairs::{conv, pack_pairs, pack_pairs_len, pairs, product, widen};

use crate::cx::Cx;
use crate::error::Fault;

/// An 8-bit operand.
pub trait Byte: Copy + Ord + Into<i16> {
    /// The least number.
    const LEAST: Self;
}
impl Byte for u8 {
    const LEAST: Self = u8::MIN;
}
impl Byte for i8 {
    const LEAST: Self = i8::MIN;
}

/// A zero point for each line of an operand: none, one for all, or one a line.
fn zero_at<T: Byte>(zeros: Option<&[T]>, line: usize) -> i16 {
    match zeros {
        None => 0,
        Some([one]) => (*one).into(),
        Some(many) => many.get(line).map_or(0, |&z| z.into()),
    }
}

fn strided(mut index: usize, shape: &[usize], strides: &[usize]) -> usize {
    let mut offset = 0;
    for (&len, &stride) in shape.iter().zip(strides).rev() {
        offset += index % len * stride;
        index /= len;
    }
    offset
}

const STRIP: usize = 64;

struct Product<'a, A, B> {
    a: &'a [A],
    b: &'a [B],
    a_zero: Option<&'a [A]>,
    b_zero: Option<&'a [B]>,
    batch: &'a [usize],
    a_batch: &'a [usize],
    b_batch: &'a [usize],
    dims: [usize; 3],
}

impl<A: Byte, B: Byte> Product<'_, A, B> {
    fn run(self, out: &mut [i32]) -> Result<(), Fault> {
        let [m, k, n] = self.dims;
        let matrices: usize = self.batch.iter().product();
        let last = |strides: &[usize]| -> usize { self.batch.iter().zip(strides).map(|(&l, &s)| l.saturating_sub(1) * s).sum() };
        let zeros = |len: Option<usize>, lines: usize| len.is_none_or(|l| l == 1 || l == lines || l == matrices * lines);
        let fits = out.len() == matrices * m * n
            && self.a_batch.len() == self.batch.len()
            && self.b_batch.len() == self.batch.len()
            && (out.is_empty() || (self.a.len() >= last(self.a_batch) + m * k && self.b.len() >= last(self.b_batch) + k * n))
            && zeros(self.a_zero.map(<[A]>::len), m)
            && zeros(self.b_zero.map(<[B]>::len), n);
        if !fits {
            return Err(Fault::Internal { what: "integer product: lengths" });
        }
        if out.is_empty() {
            return Ok(());
        }
        for (t, out) in out.chunks_exact_mut(m * n).enumerate() {
            let a = &self.a[strided(t, self.batch, self.a_batch)..][..m * k];
            let b = &self.b[strided(t, self.batch, self.b_batch)..][..k * n];
            for (i, row) in out.chunks_exact_mut(n).enumerate() {
                // One zero a line of one matrix, or a line of all matrices.
                let line = |len: Option<usize>, lines: usize, at: usize| if len.is_some_and(|l| l > lines) { t * lines + at } else { at };
                let a_zero = zero_at(self.a_zero, line(self.a_zero.map(<[A]>::len), m, i));
                for (s, strip) in row.chunks_mut(STRIP).enumerate() {
                    let mut b_zeros = [0i16; STRIP];
                    for (j, z) in b_zeros[..strip.len()].iter_mut().enumerate() {
                        *z = zero_at(self.b_zero, line(self.b_zero.map(<[B]>::len), n, s * STRIP + j));
                    }
                    product_strip(strip, &a[i * k..][..k], &b[s * STRIP..], a_zero, &b_zeros, n);
                }
            }
        }
        Ok(())
    }
}

/// A row of A times up to `STRIP` columns of B (of row length `n`).
#[inline(always)]
fn product_strip<A: Byte, B: Byte>(out: &mut [i32], a: &[A], b: &[B], a_zero: i16, b_zeros: &[i16; STRIP], n: usize) {
    out.fill(0);
    for (p, &v) in a.iter().enumerate() {
        let v: i16 = v.into();
        let factor = v - a_zero;
        let line = &b[p * n..][..out.len()];
        for ((y, &w), z) in out.iter_mut().zip(line).zip(b_zeros) {
            let w: i16 = w.into();
            *y = y.wrapping_add(factor as i32 * (w - z) as i32);
        }
    }
}

/// A convolution's geometry, for any number of spatial axes.
struct Window<'a> {
    x_shape: &'a [usize],
    w_shape: &'a [usize],
    out_spatial: &'a [usize],
    strides: &'a [usize],
    dilations: &'a [usize],
    pads: &'a [usize],
    group: usize,
}

impl Window<'_> {
    fn check(&self, out: usize, x: usize, w: usize) -> Result<(), Fault> {
        let rank = self.out_spatial.len();
        let same = [self.strides.len(), self.dilations.len(), self.pads.len()] == [rank; 3];
        let shaped = self.x_shape.len() == rank + 2 && self.w_shape.len() == rank + 2 && rank > 0;
        let fits = same
            && shaped
            && self.group > 0
            && self.w_shape[0].is_multiple_of(self.group)
            && self.x_shape[1] == self.w_shape[1] * self.group
            && x == self.x_shape.iter().product()
            && w == self.w_shape.iter().product()
            && out == self.x_shape[0] * self.w_shape[0] * self.out_spatial.iter().product::<usize>();
        if fits { Ok(()) } else { Err(Fault::Internal { what: "integer convolution: shapes" }) }
    }

    /// The input coordinate of a tap, if it is inside.
    #[inline(always)]
    fn source(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let at = (out * self.strides[axis] + tap * self.dilations[axis]).checked_sub(self.pads[axis])?;
        (at < self.x_shape[axis + 2]).then_some(at)
    }

    /// The outputs along the last axis for which a tap is inside, and the input coordinate of the first.
    fn span(&self, tap: usize) -> (usize, usize, usize) {
        let axis = self.out_spatial.len() - 1;
        let stride = self.strides[axis].max(1);
        let shift = tap * self.dilations[axis];
        let first = self.pads[axis].saturating_sub(shift).div_ceil(stride);
        let room = (self.x_shape[axis + 2] + self.pads[axis]).saturating_sub(shift);
        let end = room.div_ceil(stride).min(self.out_spatial[axis]);
        if first < end { (first, end, first * stride + shift - self.pads[axis]) } else { (0, 0, 0) }
    }

    /// Adds one input plane's share to one output plane.
    fn plane<X: Byte, W: Byte>(&self, out: &mut [i32], x: &[X], w: &[W], x_zero: i16, w_zero: i16) {
        let rank = self.out_spatial.len();
        let (width, x_width) = (self.out_spatial[rank - 1], self.x_shape[rank + 1]);
        let stride = self.strides[rank - 1].max(1);
        for (tap, &weight) in w.iter().enumerate() {
            let weight: i16 = weight.into();
            let factor = (weight - w_zero) as i32;
            let last_tap = tap % self.w_shape[rank + 1];
            let (first, end, from) = self.span(last_tap);
            for (line, row) in out.chunks_exact_mut(width).enumerate() {
                let Some(source) = self.row(line, tap / self.w_shape[rank + 1]) else { continue };
                let x = &x[source * x_width..][..x_width];
                let (row, x) = (&mut row[first..end], x.get(from..).unwrap_or_default());
                if stride == 1 {
                    add_scaled(row, x.iter(), factor, x_zero);
                } else {
                    add_scaled(row, x.iter().step_by(stride), factor, x_zero);
                }
            }
        }
    }

    /// The input row (all spatial axes but the last, flattened) that an output row meets at a tap of those axes.
    fn row(&self, mut line: usize, mut tap: usize) -> Option<usize> {
        let (mut source, mut scale) = (0, 1);
        for axis in (0..self.out_spatial.len() - 1).rev() {
            let (out_len, tap_len) = (self.out_spatial[axis], self.w_shape[axis + 2]);
            source += self.source(axis, line % out_len, tap % tap_len)? * scale;
            scale *= self.x_shape[axis + 2];
            line /= out_len;
            tap /= tap_len;
        }
        Some(source)
    }

    fn run<X: Byte, W: Byte>(&self, out: &mut [i32], x: &[X], w: &[W], x_zero: Option<&[X]>, w_zero: Option<&[W]>) -> Result<(), Fault> {
        self.check(out.len(), x.len(), w.len())?;
        out.fill(0);
        let spatial: usize = self.out_spatial.iter().product();
        let plane: usize = self.x_shape[2..].iter().product();
        let taps: usize = self.w_shape[2..].iter().product();
        if out.is_empty() || plane == 0 || taps == 0 {
            return Ok(());
        }
        let (filters, depth) = (self.w_shape[0], self.w_shape[1]);
        let x_zero = zero_at(x_zero, 0);
        for (index, out) in out.chunks_exact_mut(spatial).enumerate() {
            let (sample, filter) = (index / filters, index % filters);
            let group = filter / (filters / self.group);
            for c in 0..depth {
                let x = &x[(sample * self.x_shape[1] + group * depth + c) * plane..][..plane];
                let w = &w[(filter * depth + c) * taps..][..taps];
                self.plane(out, x, w, x_zero, zero_at(w_zero, filter));
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn add_scaled<'a, X: Byte + 'a>(out: &mut [i32], x: impl Iterator<Item = &'a X>, factor: i32, zero: i16) {
    for (y, &v) in out.iter_mut().zip(x) {
        let v: i16 = v.into();
        *y = y.wrapping_add(factor * (v - zero) as i32);
    }
}

macro_rules! variants {
    ($($matmul:ident $conv:ident $a:ident $b:ident;)*) => {$(
        /// MatMulInteger: out = (a - a_zero) · (b - b_zero) for every matrix of the batch.
        ///
        /// Matrices are contiguous, `m × k` and `k × n`; `a_batch` and `b_batch` are the element strides of the batch axes (0 to broadcast).
        /// `a_zero` holds one value, one a row, or one a row of each matrix; `b_zero` the same by column.
        pub fn $matmul(
            cx: Cx,
            out: &mut [i32],
            a: &[$a],
            b: &[$b],
            a_zero: Option<&[$a]>,
            b_zero: Option<&[$b]>,
            batch: &[usize],
            a_batch: &[usize],
            b_batch: &[usize],
            m: usize,
            k: usize,
            n: usize,
        ) -> Result<(), Fault> {
            let _ = cx;
            Product { a, b, a_zero, b_zero, batch, a_batch, b_batch, dims: [m, k, n] }.run(out)
        }

        /// ConvInteger over channels-first data: `x` is `x_shape` (N, C, spatial..), `w` is `w_shape` (M, C / group, taps..), `out` is
        /// N, M, `out_spatial`. `pads` are the leading ones (the trailing ones follow from `out_spatial`). `x_zero` holds one value, `w_zero`
        /// one or one a filter.
        pub fn $conv(
            cx: Cx,
            out: &mut [i32],
            x: &[$a],
            w: &[$b],
            x_zero: Option<&[$a]>,
            w_zero: Option<&[$b]>,
            x_shape: &[usize],
            w_shape: &[usize],
            out_spatial: &[usize],
            strides: &[usize],
            dilations: &[usize],
            pads: &[usize],
            group: usize,
        ) -> Result<(), Fault> {
            let _ = cx;
            Window { x_shape, w_shape, out_spatial, strides, dilations, pads, group }.run(out, x, w, x_zero, w_zero)
        }
    )*};
}
variants! {
    matmul_u8u8 conv_u8u8 u8 u8;
    matmul_u8i8 conv_u8i8 u8 i8;
    matmul_i8u8 conv_i8u8 i8 u8;
    matmul_i8i8 conv_i8i8 i8 i8;
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn zero_points_by_row_and_column() {
        let (m, k, n) = (3, 7, 70);
        let a: Vec<u8> = (0..2 * m * k).map(|i| (i * 89 % 256) as u8).collect();
        let b: Vec<i8> = (0..k * n).map(|i| (i * 57 % 256) as u8 as i8).collect();
        let a_zero: Vec<u8> = (0..2 * m).map(|i| (i * 40) as u8).collect();
        let b_zero: Vec<i8> = (0..n).map(|i| (i as i8) - 35).collect();
        let mut out = std::vec![0; 2 * m * n];
        matmul_u8i8(Cx::REFERENCE, &mut out, &a, &b, Some(&a_zero), Some(&b_zero), &[2], &[m * k], &[0], m, k, n).unwrap();
        for (at, y) in out.iter().enumerate() {
            let (row, j) = (at / n, at % n);
            let want: i32 = (0..k).map(|p| (a[row * k + p] as i32 - a_zero[row] as i32) * (b[p * n + j] as i32 - b_zero[j] as i32)).sum();
            assert_eq!(*y, want);
        }
    }

    #[test]
    fn convolution_against_the_definition() {
        let (x_shape, w_shape, out_spatial) = ([2, 4, 5, 6], [6, 2, 3, 2], [3, 6]);
        let (strides, dilations, pads, group) = ([2, 1], [1, 2], [1, 1], 2);
        let x: Vec<u8> = (0..240).map(|i| (i * 31 % 256) as u8).collect();
        let w: Vec<u8> = (0..72).map(|i| (i * 77 % 256) as u8).collect();
        let w_zero: Vec<u8> = (0..6).map(|i| 100 + i as u8).collect();
        let mut out = std::vec![0; 2 * 6 * 18];
        conv_u8u8(
            Cx::REFERENCE,
            &mut out,
            &x,
            &w,
            Some(&[9]),
            Some(&w_zero),
            &x_shape,
            &w_shape,
            &out_spatial,
            &strides,
            &dilations,
            &pads,
            group,
        )
        .unwrap();
        for (at, y) in out.iter().enumerate() {
            let (s, f, oh, ow) = (at / 108, at / 18 % 6, at / 6 % 3, at % 6);
            let mut want = 0;
            for (c, kh, kw) in (0..2).flat_map(|c| (0..3).flat_map(move |kh| (0..2).map(move |kw| (c, kh, kw)))) {
                let (ih, iw) = (oh as i32 * 2 + kh - 1, ow as i32 + kw * 2 - 1);
                if (0..5).contains(&ih) && (0..6).contains(&iw) {
                    let v = x[((s * 4 + f / 3 * 2 + c) * 5 + ih as usize) * 6 + iw as usize] as i32 - 9;
                    want += v * (w[((f * 2 + c) * 3 + kh as usize) * 2 + kw as usize] as i32 - w_zero[f] as i32);
                }
            }
            assert_eq!(*y, want, "{at}");
        }
    }
}
