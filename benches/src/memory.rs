//! Kernels that are bound by memory: layouts, softmax, norms.

use crate::{Bench, Work, noise, zeros};
use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::{layout, norm_f32, softmax_f32};

pub fn run(bench: &mut Bench) -> Result<(), Fault> {
    for (size, channels) in [(56, 64), (224, 3), (7, 2048)] {
        let x = noise(size * size * channels);
        let mut y = zeros(x.len());
        bench.time(&format!("to_channels_last {size}x{size}x{channels}"), Work::Bytes(8 * x.len()), |cx| {
            layout::to_channels_last(cx, &mut y, &x, 1, channels, size * size)
        })?;
    }
    for (rows, len) in [(1536, 128), (128, 384), (1, 1000)] {
        let x = noise(rows * len);
        let scale = noise(len);
        let mut y = zeros(x.len());
        let work = Work::Bytes(8 * x.len());
        bench.time(&format!("softmax {rows} x {len}"), work, |cx| softmax_f32::softmax(cx, &mut y, &x, rows, len, 1))?;
        bench.time(&format!("layer_norm {rows} x {len}"), work, |cx| {
            norm_f32::layer_norm(cx, &mut y, &mut [], &mut [], &x, Some(&scale), Some(&scale), rows, len, 1e-5)
        })?;
    }
    Ok(())
}
