//! Convolutions and pooling, channels last.

use crate::{Bench, Work, noise, zeros};
use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::conv::{
    Geometry, conv_packed, depthwise, pack_conv, pack_conv_len, pack_winograd, pack_winograd_len, winograd, winograd_scratch_len,
};
use onnxc_runtime::kernels::gemm::{Activation, ActivationKind};
use onnxc_runtime::kernels::pool;

/// A square window over a square image, padded so that stride 1 keeps the size.
#[derive(Clone, Copy)]
struct Window {
    size: usize,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    group: usize,
}

const fn window(size: usize, channels: [usize; 2], kernel: usize, stride: usize, group: usize) -> Window {
    Window { size, channels, kernel, stride, group }
}

/// Those of `ResNet`, of first layers, of small nets, grouped and depthwise ones.
const CONVOLUTIONS: [Window; 22] = [
    window(224, [64, 64], 3, 1, 1),
    window(56, [32, 32], 3, 1, 1),
    window(28, [16, 16], 3, 1, 1),
    window(14, [512, 512], 3, 1, 1),
    window(56, [64, 64], 3, 1, 1),
    window(28, [128, 128], 3, 1, 1),
    window(14, [256, 256], 3, 1, 1),
    window(7, [512, 512], 3, 1, 1),
    window(14, [256, 1024], 1, 1, 1),
    window(56, [256, 512], 1, 2, 1),
    window(224, [3, 64], 7, 2, 1),
    window(224, [3, 32], 3, 2, 1),
    window(28, [1, 8], 5, 1, 1),
    window(14, [8, 16], 5, 1, 1),
    window(56, [24, 112], 1, 1, 4),
    window(28, [136, 136], 1, 1, 4),
    window(14, [272, 272], 1, 1, 4),
    window(56, [128, 128], 3, 1, 32),
    window(112, [32, 32], 3, 1, 32),
    window(56, [144, 144], 3, 2, 144),
    window(14, [384, 384], 3, 1, 384),
    window(7, [960, 960], 5, 1, 960),
];

impl Window {
    fn geometry(self) -> Geometry {
        let Self { size, channels, kernel, stride, group } = self;
        let pad = kernel / 2;
        let out = (size + 2 * pad - kernel) / stride + 1;
        Geometry {
            batch: 1,
            input: [1, size, size],
            output: [1, out, out],
            in_channels: channels[0],
            out_channels: channels[1],
            group,
            kernel: [1, kernel, kernel],
            stride: [1, stride, stride],
            dilation: [1; 3],
            pads: [0, pad, pad],
            pads_end: [0, pad, pad],
            in_pitch: channels[0],
            out_pitch: channels[1],
            residual_pitch: channels[1],
        }
    }
}

pub fn run(bench: &mut Bench) -> Result<(), Fault> {
    for w in CONVOLUTIONS {
        convolution(bench, w)?;
    }
    for (size, channels) in [(56, 64), (112, 64), (14, 512)] {
        let g = window(size, [channels; 2], 3, 2, 1).geometry();
        let x = noise(size * size * channels);
        let mut y = zeros(g.out_pixels() * channels);
        let work = Work::Bytes(4 * (x.len() + y.len()));
        bench.time(&format!("max_pool 3x3/2 {size}x{size}x{channels}"), work, |cx| pool::max_pool(cx, &mut y, &x, g))?;
    }
    Ok(())
}

fn convolution(bench: &mut Bench, w: Window) -> Result<(), Fault> {
    let g = w.geometry();
    let [inputs, outputs] = w.channels;
    let (depth, taps) = (inputs / w.group, w.kernel * w.kernel);
    let (x, weights, bias) = (noise(w.size * w.size * inputs), noise(outputs * depth * taps), noise(outputs));
    let mut y = zeros(g.out_pixels() * outputs);
    let relu = Activation::new(ActivationKind::Relu);
    let work = Work::Flops(2 * y.len() * depth * taps);
    let name = format!("conv {0}x{0} {inputs} -> {outputs} {1}x{1}/{2} g{3}", w.size, w.kernel, w.stride, w.group);
    if w.group == inputs && w.group == outputs {
        return bench.time(&name, work, |cx| depthwise(cx, &mut y, &x, &weights, Some(&bias), None, g, relu));
    }
    let mut packed = zeros(pack_conv_len(w.group, outputs, depth, taps));
    pack_conv(&mut packed, &weights, w.group, outputs, depth, taps)?;
    bench.time(&name, work, |cx| conv_packed(cx, &mut y, &x, &packed, Some(&bias), None, g, relu))?;
    if (w.kernel, w.stride, w.group) != (3, 1, 1) {
        return Ok(());
    }
    // The operations are those of the definition, so that more than the machine can do is done.
    for tile in [2, 4] {
        let mut packed = zeros(pack_winograd_len(outputs, inputs, tile));
        pack_winograd(&mut packed, &weights, outputs, inputs, tile)?;
        let mut scratch = zeros(winograd_scratch_len(inputs, outputs, tile, g.out_pixels()));
        bench.time(&format!("{name} F({tile}x{tile})"), work, |cx| {
            winograd(cx, &mut y, &mut scratch, &x, &packed, Some(&bias), None, g, relu, tile)
        })?;
    }
    Ok(())
}
