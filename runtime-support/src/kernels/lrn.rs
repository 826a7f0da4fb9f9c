//! LRN: local response normalisation across channels.

use super::fmath;
use super::num::Float;
use crate::error::Fault;

/// x / (bias + alpha / size * s)^beta over `outer, channels, inner` (NCHW has inner = H*W; NHWC has outer = N*H*W, inner = 1), where s is the
/// sum of squares over the `size` channels around: floor((size - 1) / 2) before, ceil((size - 1) / 2) after.
pub fn lrn<T: Float>(
    out: &mut [T],
    x: &[T],
    outer: usize,
    channels: usize,
    inner: usize,
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
) -> Result<(), Fault> {
    if x.len() != outer * channels * inner || out.len() != x.len() || size == 0 {
        return Err(Fault::Internal { what: "lrn: lengths" });
    }
    if x.is_empty() {
        return Ok(());
    }
    let (before, after) = ((size - 1) / 2, size / 2);
    let (factor, beta, bias) = (alpha as f64 / size as f64, beta as f64, bias as f64);
    let plane = channels * inner;
    for (out, x) in out.chunks_exact_mut(plane).zip(x.chunks_exact(plane)) {
        for i in 0..inner {
            let square = |c: usize| x[c * inner + i].widen() * x[c * inner + i].widen();
            for c in 0..channels {
                let sum: f64 = (c.saturating_sub(before)..(c + after + 1).min(channels)).map(square).sum();
                let y = &mut out[c * inner + i];
                *y = T::narrow(x[c * inner + i].widen() / fmath::pow(bias + factor * sum, beta));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_edges() {
        // Size 2 looks at the channel itself and the next one.
        let mut y = [0f64; 6];
        lrn(&mut y, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1, 3, 2, 2, 2.0, 1.0, 1.0).unwrap();
        assert_eq!(y, [1.0 / 11.0, 2.0 / 21.0, 3.0 / 35.0, 4.0 / 53.0, 5.0 / 26.0, 6.0 / 37.0]);
        lrn(&mut y, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3, 1, 3, 3.0, 0.5, 0.0).unwrap();
        assert_eq!(y[1], 2.0 / 14f64.sqrt());
        assert_eq!(y[3], 4.0 / 41f64.sqrt());
    }
}
