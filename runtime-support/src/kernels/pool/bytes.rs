//! Pooling of 8-bit numbers, channels last.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::conv::Geometry;
use crate::kernels::gemm::promise;
use crate::kernels::integer::Byte;
use crate::simd::{Simd, WithSimd, dispatch};

/// The greatest element of each window, channels last; padding does not count, and a window of nothing but padding gives the least number.
pub fn max_pool_bytes<T: Byte>(cx: Cx, y: &mut [T], x: &[T], g: Geometry) -> Result<(), Fault> {
    g.check(y.len(), x.len(), None)?;
    promise(g.group == 1 && g.in_channels == g.out_channels, "pool: channels differ")?;
    if g.in_channels > 0 {
        dispatch(cx, Windows { y, x, g });
    }
    Ok(())
}

struct Windows<'a, T> {
    y: &'a mut [T],
    x: &'a [T],
    g: Geometry,
}

impl<T: Byte> WithSimd for Windows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { y, x, g } = self;
        let channels = g.in_channels;
        for pixel in 0..g.out_pixels() {
            let [image, d, h, w] = g.out_position(pixel);
            let y = &mut y[pixel * g.out_pitch..][..channels];
            y.fill(T::LEAST);
            let (taps_d, taps_h, taps_w) = (g.taps_inside(0, d), g.taps_inside(1, h), g.taps_inside(2, w));
            let at = |axis: usize, out: usize, tap: usize| g.start(axis, out).wrapping_add_unsigned(tap * g.dilation[axis]) as usize;
            for tap_d in taps_d.0..taps_d.1 {
                for tap_h in taps_h.0..taps_h.1 {
                    let line = g.line_offset(image, at(0, d, tap_d), at(1, h, tap_h));
                    for tap_w in taps_w.0..taps_w.1 {
                        let x = &x[line + at(2, w, tap_w) * g.in_pitch..][..channels];
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y = (*y).max(x);
                        }
                    }
                }
            }
        }
    }
}
