use super::*;
use crate::float::BF16;
use crate::kernels::gemm::tests::{Noise, assert_close, contexts};
use crate::kernels::gemm::{ActivationKind, pack_bf16, to_bf16};
use std::vec::Vec;
use std::{format, vec};

/// `[n][c][pixels]` as `[n][pixels][pitch]`; what lies between pixels is NaN.
pub(crate) fn channels_last(x: &[f32], c: usize, pixels: usize, pitch: usize) -> Vec<f32> {
    let n = x.len().checked_div(c * pixels).unwrap_or(0);
    let mut out = vec![f32::NAN; n * pixels * pitch];
    for (i, &v) in x.iter().enumerate() {
        out[(i / (c * pixels) * pixels + i % pixels) * pitch + i / pixels % c] = v;
    }
    out
}

/// A random geometry with `channels` and group; the output is as large as the windows allow.
pub(crate) fn random_geometry(noise: &mut Noise, in_channels: usize, out_channels: usize, group: usize) -> Geometry {
    let mut g = Geometry {
        batch: 1 + noise.below(2),
        input: [1 + noise.below(3), 1 + noise.below(12), 1 + noise.below(14)],
        output: [0; 3],
        in_channels,
        out_channels,
        group,
        kernel: [1 + noise.below(2), 1 + noise.below(4), 1 + noise.below(5)],
        stride: [1 + noise.below(2), 1 + noise.below(2), 1 + noise.below(3)],
        dilation: [1, 1 + noise.below(2), if noise.below(3) == 0 { 2 } else { 1 }],
        pads: [noise.below(2), noise.below(3), noise.below(4)],
        pads_end: [noise.below(2), noise.below(3), noise.below(4)],
        in_pitch: in_channels + [0, 0, 3][noise.below(3)],
        out_pitch: out_channels + [0, 5][noise.below(2)],
        residual_pitch: out_channels + noise.below(2),
    };
    for d in 0..3 {
        let room = g.input[d] + g.pads[d] + g.pads_end[d];
        let span = (g.kernel[d] - 1) * g.dilation[d] + 1;
        g.output[d] = if room >= span { (room - span) / g.stride[d] + 1 } else { 0 };
    }
    g
}

/// Adds what the epilogue adds to a channels-first result, and gives it channels last.
fn finish(y: &[f32], g: &Geometry, residual: Option<&[f32]>) -> Vec<f32> {
    let pixels = g.output.iter().product();
    let mut y = channels_last(y, g.out_channels, pixels, g.out_channels);
    for (i, y) in y.iter_mut().enumerate() {
        let added = residual.map_or(0.0, |r| r[i / g.out_channels * g.residual_pitch + i % g.out_channels]);
        *y = (*y + added).max(0.0);
    }
    y
}

/// The channels of each pixel, without what lies between.
pub(crate) fn dense(y: &[f32], channels: usize, pitch: usize) -> Vec<f32> {
    if pitch == 0 { Vec::new() } else { y.chunks(pitch).flat_map(|p| &p[..channels]).copied().collect() }
}

#[test]
fn random_convolutions_match_the_plain_one() {
    let mut noise = Noise(11);
    for _ in 0..60 {
        let group = [1, 1, 1, 2, 3][noise.below(5)];
        let (group_in, group_out) = ([1, 3, 4, 20, 40, 300][noise.below(6)], 1 + noise.below(70));
        let g = random_geometry(&mut noise, group * group_in, group * group_out, group);
        let in_volume: usize = g.input.iter().product();
        let x = noise.floats(g.batch * g.in_channels * in_volume);
        let w = noise.floats(g.out_channels * group_in * g.taps());
        let (bias, residual) = (noise.floats(g.out_channels), noise.floats(g.out_pixels() * g.residual_pitch));
        let mut expected = vec![0.0; g.out_pixels() * g.out_channels];
        plain(&mut expected, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&expected, &g, Some(&residual));
        let x = channels_last(&x, g.in_channels, in_volume, g.in_pitch);
        let mut packed = vec![f32::NAN; pack_conv_len(group, g.out_channels, group_in, g.taps())];
        pack_conv(&mut packed, &w, group, g.out_channels, group_in, g.taps()).unwrap();
        for cx in contexts() {
            let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
            let relu = Activation::new(ActivationKind::Relu);
            conv_packed(cx, &mut y, &x, &packed, Some(&bias), Some(&residual), g, relu).unwrap();
            assert_close(&dense(&y, g.out_channels, g.out_pitch), &expected, 2e-4, &format!("{cx:?} {g:?}"));
        }
    }
}

#[test]
fn convolutions_of_pairs_are_those_of_rounded_numbers() {
    let mut noise = Noise(13);
    let rounded = |x: &[f32]| x.iter().map(|&x| BF16::from_f32(x).to_f32()).collect::<Vec<_>>();
    for _ in 0..40 {
        let group = [1, 1, 2, 3][noise.below(4)];
        let (group_in, group_out) = ([2, 4, 20, 40, 300][noise.below(5)], 1 + noise.below(70));
        let mut g = random_geometry(&mut noise, group * group_in, group * group_out, group);
        g.in_pitch = g.in_pitch.next_multiple_of(2);
        let x = noise.floats(g.batch * g.input.iter().product::<usize>() * g.in_pitch);
        let w = noise.floats(g.out_channels * group_in * g.taps());
        let (bias, residual) = (noise.floats(g.out_channels), noise.floats(g.out_pixels() * g.residual_pitch));
        let mut panels = vec![f32::NAN; pack_conv_len(group, g.out_channels, group_in, g.taps())];
        pack_conv(&mut panels, &w, group, g.out_channels, group_in, g.taps()).unwrap();
        let (mut pairs, mut narrow) = (vec![0; panels.len() / 2], vec![0.0; x.len()]);
        pack_bf16(&mut pairs, &panels).unwrap();
        for cx in contexts() {
            let (mut got, mut expected) = (vec![f32::NAN; g.out_pixels() * g.out_pitch], vec![f32::NAN; g.out_pixels() * g.out_pitch]);
            let relu = Activation::new(ActivationKind::Relu);
            conv_packed(cx, &mut expected, &rounded(&x), &rounded(&panels), Some(&bias), Some(&residual), g, relu).unwrap();
            to_bf16(cx, &mut narrow, &x).unwrap();
            conv_bf16(cx, &mut got, &narrow, &pairs, Some(&bias), Some(&residual), g, relu).unwrap();
            let [got, expected] = [got, expected].map(|y| dense(&y, g.out_channels, g.out_pitch));
            assert_close(&got, &expected, 2e-4, &format!("{cx:?} {g:?}"));
        }
    }
}

#[test]
fn few_channels_out_of_one() {
    let mut noise = Noise(12);
    let mut lines = 0;
    for i in 0..60 {
        let outputs = 1 + noise.below(9);
        let mut g = random_geometry(&mut noise, 1, outputs, 1);
        (g.stride[2], g.in_pitch) = (1, 1);
        g.input[2] = 20 + noise.below(30);
        if i % 2 == 0 {
            (g.pads, g.pads_end) = ([0; 3], [0; 3]);
        }
        for d in 0..3 {
            let room = g.input[d] + g.pads[d] + g.pads_end[d];
            let span = (g.kernel[d] - 1) * g.dilation[d] + 1;
            g.output[d] = if room >= span { (room - span) / g.stride[d] + 1 } else { 0 };
        }
        lines += usize::from(lines::applies(&g));
        let x = noise.floats(g.batch * g.input.iter().product::<usize>());
        let (w, bias) = (noise.floats(outputs * g.taps()), noise.floats(outputs));
        let mut sums = vec![0.0; g.out_pixels() * outputs];
        plain(&mut sums, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&sums, &g, None);
        let smooth = channels_last(&sums, outputs, g.output.iter().product(), outputs).iter().map(|v| v.tanh()).collect::<Vec<_>>();
        let mut packed = vec![f32::NAN; pack_conv_len(1, outputs, 1, g.taps())];
        pack_conv(&mut packed, &w, 1, outputs, 1, g.taps()).unwrap();
        for cx in contexts() {
            for (kind, expected) in [(ActivationKind::Relu, &expected), (ActivationKind::Tanh, &smooth)] {
                let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
                conv_packed(cx, &mut y, &x, &packed, Some(&bias), None, g, Activation::new(kind)).unwrap();
                assert_close(&dense(&y, outputs, g.out_pitch), expected, 2e-5, &format!("{cx:?} {kind:?} {g:?}"));
                let between = y.chunks(g.out_pitch).flat_map(|pixel| &pixel[outputs..]);
                assert!(between.copied().all(f32::is_nan), "wrote between pixels: {g:?}");
            }
        }
    }
    assert!(lines > 15, "only {lines} geometries were of this kind");
}

/// A random geometry of 3×3 windows with stride 1.
fn winograd_geometry(noise: &mut Noise, in_channels: usize, out_channels: usize) -> Geometry {
    let mut g = random_geometry(noise, in_channels, out_channels, 1);
    g = Geometry { kernel: [1, 3, 3], stride: [1; 3], dilation: [1; 3], ..g };
    (g.pads[0], g.pads_end[0]) = (0, 0);
    for d in 0..3 {
        let room = g.input[d] + g.pads[d] + g.pads_end[d];
        g.output[d] = (room + 1).saturating_sub(g.kernel[d]);
    }
    g
}

#[test]
fn random_winograd_convolutions_match_the_plain_one() {
    let mut noise = Noise(14);
    for i in 0..60 {
        let (inputs, outputs) = ([1, 3, 8, 33, 64, 300][noise.below(6)], 1 + noise.below(70));
        let g = winograd_geometry(&mut noise, inputs, outputs);
        let tile = [2, 4][i % 2];
        let in_volume: usize = g.input.iter().product();
        let x = noise.floats(g.batch * inputs * in_volume);
        let w = noise.floats(outputs * inputs * 9);
        let (bias, residual) = (noise.floats(outputs), noise.floats(g.out_pixels() * g.residual_pitch));
        let mut expected = vec![0.0; g.out_pixels() * outputs];
        plain(&mut expected, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&expected, &g, Some(&residual));
        let x = channels_last(&x, inputs, in_volume, g.in_pitch);
        let mut packed = vec![f32::NAN; pack_winograd_len(outputs, inputs, tile)];
        pack_winograd(&mut packed, &w, outputs, inputs, tile).unwrap();
        for cx in contexts() {
            let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
            let mut scratch = vec![f32::NAN; winograd_scratch_len(inputs, outputs, tile, g.out_pixels())];
            let relu = Activation::new(ActivationKind::Relu);
            winograd(cx, &mut y, &mut scratch, &x, &packed, Some(&bias), Some(&residual), g, relu, tile).unwrap();
            assert_close(&dense(&y, outputs, g.out_pitch), &expected, 4e-4, &format!("{cx:?} {tile} {g:?}"));
        }
    }
}

/// The bound that the documentation states, relative to the sum of the magnitudes of the products.
#[test]
fn winograd_keeps_its_error_bound() {
    let mut noise = Noise(15);
    let (inputs, outputs, side) = (256, 8, 12);
    let g = Geometry {
        batch: 1,
        input: [1, side, side],
        output: [1, side, side],
        in_channels: inputs,
        out_channels: outputs,
        group: 1,
        kernel: [1, 3, 3],
        stride: [1; 3],
        dilation: [1; 3],
        pads: [0, 1, 1],
        pads_end: [0, 1, 1],
        in_pitch: inputs,
        out_pitch: outputs,
        residual_pitch: outputs,
    };
    let (x, w) = (noise.floats(inputs * side * side), noise.floats(outputs * inputs * 9));
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let sizes = |v: &[f32]| v.iter().map(|&v| f64::from(v).abs()).collect::<Vec<f64>>();
    let (mut exact, mut magnitude) = (vec![0f64; outputs * side * side], vec![0f64; outputs * side * side]);
    plain(&mut exact, &wide(&x), &wide(&w), None, g).unwrap();
    plain(&mut magnitude, &sizes(&x), &sizes(&w), None, g).unwrap();
    let last = channels_last(&x, inputs, side * side, inputs);
    for (tile, bound) in [(2, 5e-7), (4, 2e-6)] {
        let mut packed = vec![0.0; pack_winograd_len(outputs, inputs, tile)];
        pack_winograd(&mut packed, &w, outputs, inputs, tile).unwrap();
        let mut scratch = vec![0.0; winograd_scratch_len(inputs, outputs, tile, g.out_pixels())];
        let mut y = vec![0.0; exact.len()];
        winograd(Cx::detect(), &mut y, &mut scratch, &last, &packed, None, None, g, Activation::NONE, tile).unwrap();
        let error = |i: usize| (f64::from(y[i]) - exact[i % outputs * side * side + i / outputs]).abs();
        let worst = (0..y.len()).map(|i| error(i) / magnitude[i % outputs * side * side + i / outputs]).fold(0.0, f64::max);
        assert!(worst > 0.0 && worst < bound, "tile {tile}: {worst:e}");
    }
}

#[test]
fn random_depthwise_convolutions_match_the_plain_one() {
    let mut noise = Noise(12);
    for _ in 0..60 {
        let channels = 1 + noise.below(50);
        let g = random_geometry(&mut noise, channels, channels, channels);
        let in_volume: usize = g.input.iter().product();
        let (x, w) = (noise.floats(g.batch * channels * in_volume), noise.floats(channels * g.taps()));
        let (bias, residual) = (noise.floats(channels), noise.floats(g.out_pixels() * g.residual_pitch));
        let mut expected = vec![0.0; g.out_pixels() * channels];
        plain(&mut expected, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&expected, &g, Some(&residual));
        let x = channels_last(&x, channels, in_volume, g.in_pitch);
        let mut packed = vec![f32::NAN; w.len()];
        pack_depthwise(&mut packed, &w, channels, g.taps()).unwrap();
        for cx in contexts() {
            let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
            let relu = Activation::new(ActivationKind::Relu);
            depthwise(cx, &mut y, &x, &packed, Some(&bias), Some(&residual), g, relu).unwrap();
            assert_close(&dense(&y, channels, g.out_pitch), &expected, 1e-5, &format!("{cx:?} {g:?}"));
        }
    }
}

#[test]
fn random_transposed_convolutions_match_the_plain_one() {
    let mut noise = Noise(13);
    for _ in 0..40 {
        let group = [1, 1, 2][noise.below(3)];
        let (group_in, group_out) = (1 + noise.below(20), 1 + noise.below(40));
        let mut g = random_geometry(&mut noise, group * group_in, group * group_out, group);
        for d in 0..3 {
            let whole = (g.input[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1 + noise.below(g.stride[d]);
            g.output[d] = whole.saturating_sub(g.pads[d] + g.pads_end[d]);
        }
        let in_volume: usize = g.input.iter().product();
        let x = noise.floats(g.batch * g.in_channels * in_volume);
        let w = noise.floats(g.in_channels * group_out * g.taps());
        let bias = noise.floats(g.out_channels);
        let mut expected = vec![0.0; g.out_pixels() * g.out_channels];
        plain_transpose(&mut expected, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&expected, &g, None);
        let x = channels_last(&x, g.in_channels, in_volume, g.in_pitch);
        let mut packed = vec![f32::NAN; pack_conv_transpose_len(group, g.in_channels, group_out, 1, g.taps())];
        pack_conv_transpose(&mut packed, &w, group, g.in_channels, group_out, 1, g.taps()).unwrap();
        for cx in contexts() {
            let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
            let mut scratch = vec![f32::NAN; conv_transpose_scratch_len(g)];
            let relu = Activation::new(ActivationKind::Relu);
            conv_transpose(cx, &mut y, &mut scratch, &x, &packed, Some(&bias), g, relu).unwrap();
            assert_close(&dense(&y, g.out_channels, g.out_pitch), &expected, 1e-4, &format!("{cx:?} {g:?}"));
        }
    }
}

#[test]
fn transposed_convolutions_of_disjoint_windows_match_the_plain_one() {
    let mut noise = Noise(17);
    for _ in 0..20 {
        let (channels, filters) = (1 + noise.below(20), 1 + noise.below(40));
        let mut g = random_geometry(&mut noise, channels, filters, 1);
        (g.stride, g.dilation, g.pads, g.pads_end) = (g.kernel, [1; 3], [0; 3], [0; 3]);
        (g.in_pitch, g.out_pitch) = (channels, filters);
        for d in 0..3 {
            g.output[d] = g.input[d] * g.kernel[d];
        }
        let in_volume: usize = g.input.iter().product();
        let x = noise.floats(g.batch * channels * in_volume);
        let (w, bias) = (noise.floats(channels * filters * g.taps()), noise.floats(filters));
        let mut expected = vec![0.0; g.out_pixels() * filters];
        plain_transpose(&mut expected, &x, &w, Some(&bias), g).unwrap();
        let expected = finish(&expected, &g, None);
        let x = channels_last(&x, channels, in_volume, g.in_pitch);
        let (lines, taps) = (g.kernel[0] * g.kernel[1], g.kernel[2]);
        let mut packed = vec![f32::NAN; pack_conv_transpose_len(1, channels, filters, lines, taps)];
        pack_conv_transpose(&mut packed, &w, 1, channels, filters, lines, taps).unwrap();
        for cx in contexts() {
            let mut y = vec![f32::NAN; g.out_pixels() * filters];
            let mut scratch = vec![f32::NAN; conv_transpose_disjoint_scratch_len(g)];
            let relu = Activation::new(ActivationKind::Relu);
            conv_transpose_disjoint(cx, &mut y, &mut scratch, &x, &packed, Some(&bias), g, relu).unwrap();
            assert_close(&dense(&y, filters, filters), &expected, 1e-4, &format!("{cx:?} {g:?}"));
        }
    }
}

#[test]
fn the_plain_convolutions_by_hand() {
    let mut g = Geometry {
        batch: 1,
        input: [1, 1, 4],
        output: [1, 1, 3],
        in_channels: 1,
        out_channels: 1,
        group: 1,
        kernel: [1, 1, 3],
        stride: [1, 1, 2],
        dilation: [1, 1, 1],
        pads: [0, 0, 1],
        pads_end: [0, 0, 2],
        in_pitch: 1,
        out_pitch: 1,
        residual_pitch: 1,
    };
    let mut y = [0i32; 3];
    plain(&mut y, &[1, 2, 3, 4], &[1, 10, 100], Some(&[1000]), g).unwrap();
    assert_eq!(y, [1000 + 10 + 200, 1000 + 2 + 30 + 400, 1000 + 4]);
    // Each of two pixels spreads (1, 10, 100) from twice its place, less one of padding.
    g.input[2] = 2;
    let mut y = [0i32; 3];
    plain_transpose(&mut y, &[1, 2], &[1, 10, 100], None, g).unwrap();
    assert_eq!(y, [10, 102, 20]);
}
