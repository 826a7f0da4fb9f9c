//! Matrix products on packed weights.

use crate::{Bench, Work, noise, zeros};
use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::gemm::{Activation, Product, gemm_packed, pack_b, pack_len};

/// Sizes `m × k × n`: square, a transformer's at 128 and 16 tokens, matrix-vector, a classifier's, 1×1 convolutions.
const SIZES: [(usize, usize, usize); 10] = [
    (1024, 1024, 1024),
    (128, 384, 1536),
    (128, 1536, 384),
    (128, 768, 768),
    (16, 384, 384),
    (64, 768, 3072),
    (1, 784, 512),
    (1, 4096, 4096),
    (49, 2048, 512),
    (3136, 64, 256),
];

pub fn run(bench: &mut Bench) -> Result<(), Fault> {
    for (m, k, n) in SIZES {
        let (a, b) = (noise(m * k), noise(k * n));
        let mut packed = zeros(pack_len(k, n));
        pack_b(&mut packed, &b, 1, k, n, 0, n, 1)?;
        let mut c = zeros(m * n);
        // One row: every weight is read once, so memory is the limit.
        let work = if m == 1 { Work::Bytes(4 * k * n) } else { Work::Flops(2 * m * n * k) };
        let product = Product::dense(m, n, k);
        bench.time(&format!("gemm {m} x {k} x {n}"), work, |cx| {
            gemm_packed(cx, &mut c, &a, &packed, None, None, None, product, 1.0, Activation::NONE)
        })?;
    }
    Ok(())
}
