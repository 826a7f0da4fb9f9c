use super::super::{Coordinates, Policy};
use super::*;
use std::vec::Vec;

const LINEAR: Options = Options {
    filter: Filter::Linear,
    coordinates: Coordinates::HalfPixel,
    antialias: false,
    exclude_outside: false,
    cubic_coeff_a: -0.75,
    extrapolation_value: 10.0,
    policy: Policy::Stretch,
};

fn run<T: Resizable>(
    x: &[T],
    shape: &[usize],
    out_shape: &[usize],
    axes: &[usize],
    scales: &[f32],
    roi: &[f32],
    options: Options,
) -> Vec<T> {
    let mut out = std::vec![T::default(); out_shape.iter().product()];
    let mut work = std::vec![T::Work::default(); interpolate_work_len(shape, out_shape, axes)];
    let mut starts = std::vec![0; axes.iter().map(|&a| out_shape[a]).sum()];
    interpolate(&mut out, &mut work, &mut starts, x, shape, out_shape, axes, scales, &[], roi, options).unwrap();
    out
}

fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() < 1e-5, "{got:?} instead of {expected:?}");
    }
}

// The expectations are the outputs of the official node cases of the same names.
#[test]
fn linear_up_and_down() {
    let x = [1.0f32, 2.0, 3.0, 4.0];
    let up = [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3.0, 3.25, 3.75, 4.0];
    close(&run(&x, &[2, 2], &[4, 4], &[0, 1], &[2.0, 2.0], &[], LINEAR), &up);
    let corners = Options { coordinates: Coordinates::AlignCorners, ..LINEAR };
    let third = 1.0 / 3.0;
    close(&run(&x, &[4], &[8], &[0], &[2.0], &[], corners), &core::array::from_fn::<f32, 8, _>(|i| 1.0 + i as f32 * 3.0 / 7.0));
    let x: Vec<f32> = (1..=8).map(|i| i as f32).collect();
    close(&run(&x, &[2, 4], &[1, 2], &[0, 1], &[0.6, 0.6], &[], LINEAR), &[8.0 * third, 13.0 * third]);
    let bytes = run(&[0u8, 255, 3], &[3], &[5], &[0], &[], &[], corners);
    assert_eq!(bytes, [0, 128, 255, 129, 3]);
}

#[test]
fn cubic_and_antialias() {
    let x: Vec<f32> = (1..=16).map(|i| i as f32).collect();
    let cubic = Options { filter: Filter::Cubic, ..LINEAR };
    let first_row = [0.47265625, 0.76953125, 1.24609375, 1.875, 2.28125, 2.91015625, 3.38671875, 3.68359375];
    close(&run(&x, &[4, 4], &[8, 8], &[0, 1], &[2.0, 2.0], &[], cubic)[..8], &first_row);
    let outside = Options { exclude_outside: true, cubic_coeff_a: -0.5, ..cubic };
    let first_row = [0.55882353, 0.81494204, 1.35698249, 1.89705882, 2.39705882, 2.93713516, 3.47917561, 3.73529412];
    close(&run(&x, &[4, 4], &[8, 8], &[0, 1], &[2.0, 2.0], &[], outside)[..8], &first_row);
    let antialias = Options { antialias: true, ..LINEAR };
    close(&run(&x, &[4, 4], &[2, 2], &[0, 1], &[0.6, 0.6], &[], antialias), &[2.875, 4.5, 9.375, 11.0]);
    let antialias = Options { antialias: true, ..cubic };
    close(&run(&x, &[4, 4], &[2, 2], &[0, 1], &[0.6, 0.6], &[], antialias), &[2.5180721, 4.2858863, 9.589329, 11.357142]);
}

#[test]
fn layouts_agree_and_three_axes_work() {
    let (n, c) = ([3usize, 5, 4], 70);
    let planes: Vec<f32> = (0..60 * c).map(|i| ((i * 37) % 101) as f32).collect();
    let last: Vec<f32> = (0..60 * c).map(|i| planes[(i % c) * 60 + i / c]).collect();
    for options in [LINEAR, Options { filter: Filter::Cubic, ..LINEAR }, Options { antialias: true, ..LINEAR }] {
        let first = run(&planes, &[c, n[0], n[1], n[2]], &[c, 4, 2, 7], &[1, 2, 3], &[], &[], options);
        let inner = run(&last, &[n[0], n[1], n[2], c], &[4, 2, 7, c], &[0, 1, 2], &[], &[], options);
        let back: Vec<f32> = (0..56 * c).map(|i| inner[(i % 56) * c + i / 56]).collect();
        close(&first, &back);
    }
}

#[test]
fn crops() {
    let crop = Options { coordinates: Coordinates::TfCropAndResize, ..LINEAR };
    close(&run(&[0.0, 1.0, 2.0, 3.0], &[4], &[4], &[0], &[], &[0.5, 1.5], crop), &[1.5, 2.5, 10.0, 10.0]);
    close(&run(&[0.0, 1.0, 2.0, 3.0], &[4], &[1], &[0], &[], &[0.0, 0.5], crop), &[0.75]);
}

/// `cargo test -p onnxc-runtime --release interpolate::tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed() {
    for (shape, out_shape, axes) in [
        ([1, 64, 56, 56], [1, 64, 112, 112], [2, 3]),
        ([1, 56, 56, 64], [1, 112, 112, 64], [1, 2]),
        ([1, 3, 640, 480], [1, 3, 224, 224], [2, 3]),
    ] {
        let x = std::vec![1f32; shape.iter().product()];
        let mut out = std::vec![0f32; out_shape.iter().product()];
        let mut work = std::vec![0f32; interpolate_work_len(&shape, &out_shape, &axes)];
        let (mut starts, mut best) = (std::vec![0; 1000], f64::INFINITY);
        for _ in 0..20 {
            let t = std::time::Instant::now();
            interpolate(&mut out, &mut work, &mut starts, &x, &shape, &out_shape, &axes, &[], &[], &[], LINEAR).unwrap();
            best = best.min(t.elapsed().as_secs_f64());
        }
        std::println!("{shape:?} to {out_shape:?}: {:.2} ms, {:.2} ns an element", best * 1e3, best * 1e9 / out.len() as f64);
    }
}
