use super::*;
use crate::kernels::conv::tests::{channels_last, dense, random_geometry};
use crate::kernels::gemm::tests::{Noise, assert_close, contexts};
use std::vec::Vec;
use std::{format, vec};

#[test]
fn random_pools_match_the_plain_ones() {
    let mut noise = Noise(21);
    for _ in 0..60 {
        let channels = 1 + noise.below(80);
        let g = random_geometry(&mut noise, channels, channels, 1);
        let in_volume: usize = g.input.iter().product();
        let x = noise.floats(g.batch * channels * in_volume);
        let last = channels_last(&x, channels, in_volume, g.in_pitch);
        let out_volume = g.output.iter().product();
        for kind in 0..3 {
            let mut expected = vec![0.0; g.out_pixels() * channels];
            match kind {
                0 => plain::max_pool(&mut expected, &x, g).unwrap(),
                _ => plain::average_pool(&mut expected, &x, g, kind == 2).unwrap(),
            }
            let expected = channels_last(&expected, channels, out_volume, channels);
            for cx in contexts() {
                let mut y = vec![f32::NAN; g.out_pixels() * g.out_pitch];
                match kind {
                    0 => max_pool(cx, &mut y, &last, g).unwrap(),
                    _ => average_pool(cx, &mut y, &last, g, kind == 2).unwrap(),
                }
                let (y, what) = (dense(&y, channels, g.out_pitch), format!("{cx:?} {kind} {g:?}"));
                for (y, e) in y.iter().zip(&expected) {
                    // A window of nothing but padding has no average.
                    assert!(y == e || (y - e).abs() < 1e-5 || y.is_nan() && e.is_nan(), "{what}: {y} and {e}");
                }
            }
        }
    }
}

#[test]
fn pools_of_bytes_match_the_plain_ones() {
    let mut noise = Noise(22);
    for _ in 0..60 {
        let channels = 1 + noise.below(40);
        let g = random_geometry(&mut noise, channels, channels, 1);
        let in_volume: usize = g.input.iter().product();
        let x: Vec<f32> = (0..g.batch * channels * in_volume).map(|_| (noise.next() % 256) as f32 - 128.0).collect();
        let last: Vec<i8> = channels_last(&x, channels, in_volume, g.in_pitch).iter().map(|&v| v as i8).collect();
        let x: Vec<i8> = x.iter().map(|&v| v as i8).collect();
        let mut expected = vec![0i8; g.out_pixels() * channels];
        plain::max_pool(&mut expected, &x, g).unwrap();
        let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
        let expected = channels_last(&expected, channels, g.output.iter().product(), channels);
        for cx in contexts() {
            let mut y = vec![0i8; g.out_pixels() * g.out_pitch];
            max_pool_bytes(cx, &mut y, &last, g).unwrap();
            let y: Vec<f32> = y.iter().map(|&v| v as f32).collect();
            assert_eq!(dense(&y, channels, g.out_pitch), expected, "{cx:?} {g:?}");
        }
    }
}

/// A 4 × 3 plane with 2 × 2 windows, stride 2, ceil mode: the last column of windows sticks out.
const SMALL: Geometry = Geometry {
    batch: 1,
    input: [1, 4, 3],
    output: [1, 2, 2],
    in_channels: 2,
    out_channels: 2,
    group: 1,
    kernel: [1, 2, 2],
    stride: [1, 2, 2],
    dilation: [1, 1, 1],
    pads: [0; 3],
    pads_end: [0; 3],
    in_pitch: 2,
    out_pitch: 2,
    residual_pitch: 2,
};

#[test]
fn the_plain_pools_by_hand() {
    let x: [i32; 24] = core::array::from_fn(|i| if i < 12 { i as i32 } else { 100 - i as i32 });
    let (mut y, mut indices) = ([0; 8], [0; 8]);
    plain::max_pool_indices(&mut y, &mut indices, &x, SMALL, false).unwrap();
    assert_eq!(y, [4, 5, 10, 11, 88, 86, 82, 80]);
    assert_eq!(indices, [4, 5, 10, 11, 12, 14, 18, 20]);
    plain::max_pool_indices(&mut y, &mut indices, &x, SMALL, true).unwrap();
    assert_eq!(indices, [5, 9, 7, 11, 12, 20, 14, 22]);
    let mut y = [0f64; 8];
    plain::average_pool(&mut y, &x.map(f64::from), SMALL, false).unwrap();
    assert_eq!(y, [2.0, 3.5, 8.0, 9.5, 86.0, 84.5, 80.0, 78.5]);
    let mut y = [0f32; 8];
    plain::lp_pool(&mut y, &x.map(|x| x as f32), SMALL, 2).unwrap();
    assert_close(&y[..2], &[26f32.sqrt(), 29f32.sqrt()], 1e-6, "norm 2");
    plain::lp_pool(&mut y, &x.map(|x| x as f32), SMALL, 3).unwrap();
    assert_close(&y[..2], &[92f32.cbrt(), 133f32.cbrt()], 1e-6, "norm 3");
}

#[test]
fn padding_counts_only_when_told() {
    let g = Geometry {
        input: [1, 1, 3],
        output: [1, 1, 2],
        in_channels: 1,
        out_channels: 1,
        kernel: [1, 1, 3],
        pads: [0, 0, 1],
        pads_end: [0, 0, 0],
        ..SMALL
    };
    let mut y = [0f32; 2];
    // The second window reaches one past the end of the padding: that tap never counts.
    plain::average_pool(&mut y, &[3.0, 6.0, 12.0], g, true).unwrap();
    assert_eq!(y, [3.0, 9.0]);
    plain::average_pool(&mut y, &[3.0, 6.0, 12.0], g, false).unwrap();
    assert_eq!(y, [4.5, 9.0]);
}
