//! GFLOP/s of matrix products and convolutions against the measured peak: `cargo run --release -p onnxc-runtime --example gemm_bench [filter]`.

use onnxc_runtime::cx::Cx;
use onnxc_runtime::kernels::conv::{Geometry, conv_packed, depthwise, pack_conv, pack_conv_len};
use onnxc_runtime::kernels::gemm::{Activation, Product, gemm_packed, pack_b, pack_len};
use onnxc_runtime::kernels::{layout, pool};
use std::time::Instant;

fn noise(len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5).collect()
}

/// The best time of a call in seconds, of windows of about 2 ms.
fn time(mut f: impl FnMut()) -> f64 {
    f();
    let start = Instant::now();
    f();
    let calls = (0.002 / start.elapsed().as_secs_f64().max(1e-7)).ceil() as usize;
    (0..60)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| f());
            start.elapsed().as_secs_f64() / calls as f64
        })
        .fold(f64::MAX, f64::min)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn peak() -> f64 {
    use std::arch::x86_64::*;
    let mut acc = [_mm256_set1_ps(std::hint::black_box(1.0)); 12];
    let half = _mm256_set1_ps(std::hint::black_box(0.5));
    let seconds = time(|| {
        let mut local = acc;
        for _ in 0..10_000 {
            for x in &mut local {
                *x = _mm256_fmadd_ps(*x, half, half);
            }
        }
        acc = local;
    });
    std::hint::black_box(acc);
    10_000.0 * 12.0 * 16.0 / seconds / 1e9
}

fn report(name: &str, flops: usize, seconds: f64, peak: f64) {
    let rate = flops as f64 / seconds / 1e9;
    println!("{name:40} {:9.1} µs {rate:7.1} GFLOP/s {:4.0} %", seconds * 1e6, 100.0 * rate / peak);
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let threads = std::env::args().nth(2).and_then(|t| t.parse().ok()).unwrap_or(1);
    let cx = Cx::detect().with_threads(threads);
    // SAFETY: checked by the condition.
    #[cfg(target_arch = "x86_64")]
    let peak = if std::arch::is_x86_feature_detected!("fma") { unsafe { peak() } } else { 1.0 };
    #[cfg(not(target_arch = "x86_64"))]
    let peak = 1.0;
    println!("{:?}, {threads} threads, peak of one {peak:.1} GFLOP/s", cx.isa());
    for (m, k, n) in [
        (1024, 1024, 1024),
        (128, 384, 1536),
        (128, 1536, 384),
        (16, 384, 384),
        (1, 784, 512),
        (1, 4096, 4096),
        (64, 768, 3072),
        (49, 2048, 512),
        (3136, 64, 256),
    ] {
        let name = format!("gemm {m} x {k} x {n}");
        if !name.contains(&filter) {
            continue;
        }
        let (a, b) = (noise(m * k), noise(k * n));
        let mut packed = vec![0.0; pack_len(k, n)];
        pack_b(&mut packed, &b, 1, k, n, 0, n, 1).unwrap();
        let mut c = vec![0.0; m * n];
        let seconds =
            time(|| gemm_packed(cx, &mut c, &a, &packed, None, None, None, Product::dense(m, n, k), 1.0, Activation::NONE).unwrap());
        report(&name, 2 * m * n * k, seconds, peak);
    }
    for (size, ic, oc, k, stride, group) in [
        (56, 64, 64, 3, 1, 1),
        (28, 128, 128, 3, 1, 1),
        (14, 256, 256, 3, 1, 1),
        (7, 512, 512, 3, 1, 1),
        (14, 256, 1024, 1, 1, 1),
        (56, 256, 512, 1, 2, 1),
        (224, 3, 64, 7, 2, 1),
        (224, 3, 32, 3, 2, 1),
        (28, 1, 8, 5, 1, 1),
        (14, 8, 16, 5, 1, 1),
        (56, 128, 128, 3, 1, 32),
        (112, 32, 32, 3, 1, 32),
        (56, 144, 144, 3, 2, 144),
        (14, 384, 384, 3, 1, 384),
        (7, 960, 960, 5, 1, 960),
    ] {
        let name = format!("conv {size}x{size} {ic} -> {oc} {k}x{k}/{stride} g{group}");
        if !name.contains(&filter) {
            continue;
        }
        let pad = k / 2;
        let out = (size + 2 * pad - k) / stride + 1;
        let g = Geometry {
            batch: 1,
            input: [1, size, size],
            output: [1, out, out],
            in_channels: ic,
            out_channels: oc,
            group,
            kernel: [1, k, k],
            stride: [1, stride, stride],
            dilation: [1; 3],
            pads: [0, pad, pad],
            pads_end: [0, pad, pad],
            in_pitch: ic,
            out_pitch: oc,
            residual_pitch: oc,
        };
        let (x, w, bias) = (noise(size * size * ic), noise(oc * ic / group * k * k), noise(oc));
        let mut y = vec![0.0; out * out * oc];
        let relu = Activation::new(onnxc_runtime::kernels::gemm::ActivationKind::Relu);
        let seconds = if group == ic && group == oc {
            time(|| depthwise(cx, &mut y, &x, &w, Some(&bias), None, g, relu).unwrap())
        } else {
            let mut packed = vec![0.0; pack_conv_len(group, oc, ic / group, k * k)];
            pack_conv(&mut packed, &w, group, oc, ic / group, k * k).unwrap();
            time(|| conv_packed(cx, &mut y, &x, &packed, Some(&bias), None, g, relu).unwrap())
        };
        report(&name, 2 * y.len() * ic / group * k * k, seconds, peak);
    }
    for (size, c) in [(56, 64), (224, 3), (7, 2048)] {
        let x = noise(size * size * c);
        let mut y = vec![0.0; x.len()];
        let seconds = time(|| layout::to_channels_last(cx, &mut y, &x, 1, c, size * size).unwrap());
        println!("to_channels_last {size}x{size}x{c} {:.1} µs, {:.1} GB/s", seconds * 1e6, 8.0 * x.len() as f64 / seconds / 1e9);
        let g = Geometry {
            batch: 1,
            input: [1, size, size],
            output: [1, size / 2, size / 2],
            in_channels: c,
            out_channels: c,
            group: 1,
            kernel: [1, 3, 3],
            stride: [1, 2, 2],
            dilation: [1; 3],
            pads: [0, 1, 1],
            pads_end: [0, 1, 1],
            in_pitch: c,
            out_pitch: c,
            residual_pitch: c,
        };
        let seconds = time(|| pool::max_pool(cx, &mut y, &x, g).unwrap());
        println!("max_pool 3x3/2 {size}x{size}x{c} {:.1} µs, {:.1} GB/s read", seconds * 1e6, 4.0 * x.len() as f64 / seconds / 1e9);
    }
}
