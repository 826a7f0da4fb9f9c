//! Convolutions of every number type, channels first as in ONNX, one element at a time: what the tuned ones are held against.

use super::Geometry;
use crate::error::Fault;
use crate::kernels::gemm::promise;
use crate::kernels::num::{Acc, Num};

/// The sizes of dense channels-first operands: whether they fit.
fn check(g: &Geometry, y: usize, x: usize, w: usize, bias: Option<usize>) -> Result<(), Fault> {
    Geometry { in_pitch: g.in_channels, out_pitch: g.out_channels, residual_pitch: 0, ..*g }.check(y, x, None)?;
    let weights = g.taps().checked_mul(g.in_channels).and_then(|n| n.checked_mul(g.group_out()));
    promise(weights == Some(w) && bias.is_none_or(|b| b >= g.out_channels), "conv: wrong number of weights")
}

/// `y = conv(x, w) + bias`: `x[batch][in_channels][input]`, `w[out_channels][in_channels / group][kernel]`, `y[batch][out_channels][output]`,
/// all dense (pitches are ignored). Sums are kept in the wide type of `T`.
pub fn plain<T: Num>(y: &mut [T], x: &[T], w: &[T], bias: Option<&[T]>, g: Geometry) -> Result<(), Fault> {
    check(&g, y.len(), x.len(), w.len(), bias.map(<[T]>::len))?;
    let (group_in, group_out, taps) = (g.group_in(), g.group_out(), g.taps());
    let (in_volume, out_volume) = (g.input.iter().product::<usize>(), g.output.iter().product::<usize>());
    for (i, y) in y.iter_mut().take(g.out_pixels() * g.out_channels).enumerate() {
        let (image, filter, pixel) = (i / out_volume / g.out_channels, i / out_volume % g.out_channels, i % out_volume);
        let [_, d, h, column] = g.out_position(pixel);
        let [td, th, tw] = [g.taps_inside(0, d), g.taps_inside(1, h), g.taps_inside(2, column)];
        let position = |axis, out, tap: usize| (g.start(axis, out) + (tap * g.dilation[axis]) as isize) as usize;
        let mut sum = bias.map_or(T::Acc::ZERO, |b| b[filter].widen());
        for c in 0..group_in {
            let plane = &x[(image * g.in_channels + filter / group_out * group_in + c) * in_volume..][..in_volume];
            let weights = &w[(filter * group_in + c) * taps..][..taps];
            for a in td.0..td.1 {
                for b in th.0..th.1 {
                    let line = (position(0, d, a) * g.input[1] + position(1, h, b)) * g.input[2];
                    for e in tw.0..tw.1 {
                        let weight = weights[(a * g.kernel[1] + b) * g.kernel[2] + e];
                        sum = sum.add(plane[line + position(2, column, e)].widen().mul(weight.widen()));
                    }
                }
            }
        }
        *y = T::narrow(sum);
    }
    Ok(())
}

/// `y = conv_transpose(x, w) + bias`: `x[batch][in_channels][input]`, `w[in_channels][out_channels / group][kernel]`,
/// `y[batch][out_channels][output]`, all dense. Geometry as for [`conv_transpose`](super::conv_transpose).
pub fn plain_transpose<T: Num>(y: &mut [T], x: &[T], w: &[T], bias: Option<&[T]>, g: Geometry) -> Result<(), Fault> {
    check(&g, y.len(), x.len(), w.len(), bias.map(<[T]>::len))?;
    let (group_in, group_out, taps) = (g.group_in(), g.group_out(), g.taps());
    let (in_volume, out_volume) = (g.input.iter().product::<usize>(), g.output.iter().product::<usize>());
    // The input coordinate from which a tap reaches an output coordinate, if any.
    let source = |axis: usize, out: usize, tap: usize| {
        let from = (out + g.pads[axis]).checked_sub(tap * g.dilation[axis])?;
        (from.is_multiple_of(g.stride[axis]) && from / g.stride[axis] < g.input[axis]).then(|| from / g.stride[axis])
    };
    for (i, y) in y.iter_mut().take(g.out_pixels() * g.out_channels).enumerate() {
        let (image, filter, pixel) = (i / out_volume / g.out_channels, i / out_volume % g.out_channels, i % out_volume);
        let [_, d, h, column] = g.out_position(pixel);
        let mut sum = bias.map_or(T::Acc::ZERO, |b| b[filter].widen());
        for tap in 0..taps {
            let (a, b, e) = (tap / g.kernel[2] / g.kernel[1], tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2]);
            let (Some(d), Some(h), Some(column)) = (source(0, d, a), source(1, h, b), source(2, column, e)) else { continue };
            let at = (d * g.input[1] + h) * g.input[2] + column;
            for c in 0..group_in {
                let channel = filter / group_out * group_in + c;
                let weight = w[(channel * group_out + filter % group_out) * taps + tap];
                sum = sum.add(x[(image * g.in_channels + channel) * in_volume + at].widen().mul(weight.widen()));
            }
        }
        *y = T::narrow(sum);
    }
    Ok(())
}
