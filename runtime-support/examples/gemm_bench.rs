//! GFLOP/s of matrix products and convolutions against the measured peak: `cargo run --release -p onnxc-runtime --example gemm_bench [filter]`.

use onnxc_runtime::cx::Cx;
use onnxc_runtime::kernels::gemm::{Activation, Product, gemm_packed, pack_b, pack_len};
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
}
