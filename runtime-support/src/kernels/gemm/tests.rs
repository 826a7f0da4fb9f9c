use super::*;
use crate::cx::Isa;
use crate::float::{BF16, F16};
use std::vec::Vec;
use std::{format, vec};

/// A small generator of repeatable noise.
pub(crate) struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }
    pub fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next() as f32 / (1u64 << 30) as f32 - 1.0).collect()
    }
}

/// Every context that this machine has: each instruction set, one thread and three.
pub(crate) fn contexts() -> impl Iterator<Item = Cx> {
    let isas = Isa::ALL.into_iter().filter_map(|isa| Cx::REFERENCE.with_isa(isa));
    isas.flat_map(|cx| [cx, cx.with_threads(3)])
}

pub(crate) fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * (1.0 + e.abs()), "{what}: element {i} is {g}, expected {e}");
    }
}

/// The definition, one element at a time, in f64.
fn naive(c: &mut [f32], a: &[f32], b: &[f32], bias: &[f32], row_bias: &[f32], residual: &[f32], p: Product, alpha: f32) {
    for batch in 0..p.batch[0] * p.batch[1] {
        let at = |s: [usize; 2]| batch / p.batch[1] * s[0] + batch % p.batch[1] * s[1];
        for i in 0..p.m {
            for j in 0..p.n {
                let term = |l| a[at(p.a_batch) + i * p.a_row + l * p.a_col] as f64 * b[at(p.b_batch) + l * p.b_row + j * p.b_col] as f64;
                let sum: f64 = (0..p.k).map(term).sum();
                let to = at(p.c_batch) + i * p.c_row + j;
                c[to] = (alpha * sum as f32 + bias[j] + row_bias[i] + residual[to]).max(0.0);
            }
        }
    }
}

#[test]
fn random_products_match_the_definition() {
    let mut noise = Noise(7);
    for round in 0..150 {
        let big = if round % 10 == 0 { 300 } else { 70 };
        let [m, n, k] = [noise.below(70), noise.below(70), noise.below(big)];
        let batch = [1 + noise.below(2), 1 + noise.below(3)];
        // Matrices in any order of axes: A transposed or not, heads interleaved with rows or not.
        let (a_row, a_col) = if noise.below(3) == 0 { (1, m.max(1)) } else { (k + noise.below(3), 1) };
        let (b_row, b_col) = if noise.below(2) == 0 { (1, k.max(1)) } else { (n, 1) };
        let shared = noise.below(2);
        let p = Product {
            batch,
            m,
            n,
            k,
            a_batch: [m * (k + 3) * batch[1], m * (k + 3)],
            a_row,
            a_col,
            b_batch: [k * n * shared, 0],
            b_row,
            b_col,
            c_batch: [m * n * batch[1], n],
            c_row: n * batch[1],
        };
        let a = noise.floats(batch[0] * batch[1] * m * (k + 3) + 1);
        let b = noise.floats(batch[0] * k * n + 1);
        let len = batch[0] * batch[1] * m * n;
        let (bias, row_bias, residual) = (noise.floats(n), noise.floats(m), noise.floats(len));
        let mut expected = vec![0.0; len];
        naive(&mut expected, &a, &b, &bias, &row_bias, &residual, p, 0.5);
        for cx in contexts() {
            let mut c = vec![f32::NAN; len];
            let mut scratch = vec![f32::NAN; gemm_scratch_len(p)];
            let relu = Activation::new(ActivationKind::Relu);
            gemm(cx, &mut c, &mut scratch, &a, &b, Some(&bias), Some(&row_bias), Some(&residual), p, 0.5, relu).unwrap();
            assert_close(&c, &expected, 2e-5, &format!("{cx:?} {p:?}"));
        }
    }
}

#[test]
fn one_row_of_a_small_product() {
    let mut noise = Noise(5);
    for (n, k) in [(1, 2), (1, 0), (10, 84), (33, 20), (70, 14), (40, 26)] {
        let p = Product::dense(1, n, k);
        let (a, b, bias, residual) = (noise.floats(k), noise.floats(k * n), noise.floats(n), noise.floats(n));
        let mut packed = vec![0.0; pack_len(k, n)];
        pack_b(&mut packed, &b, 1, k, n, 0, n, 1).unwrap();
        let mut relu = vec![0.0; n];
        naive(&mut relu, &a, &b, &bias, &[0.25], &residual, p, 0.5);
        let mut sums = vec![0.0; n];
        let raised = residual.iter().map(|r| r + 100.0).collect::<Vec<_>>();
        naive(&mut sums, &a, &b, &bias, &[0.25], &raised, p, 0.5);
        let sigmoid: Vec<f32> = sums.iter().map(|s| 1.0 / (1.0 + (100.0 - s).exp())).collect();
        for cx in contexts() {
            for (kind, expected) in [(ActivationKind::Relu, &relu), (ActivationKind::Sigmoid, &sigmoid)] {
                let mut c = vec![f32::NAN; n];
                gemm_packed(cx, &mut c, &a, &packed, Some(&bias), Some(&[0.25]), Some(&residual), p, 0.5, Activation::new(kind)).unwrap();
                assert_close(&c, expected, 2e-5, &format!("{cx:?} {n}x{k} {kind:?}"));
            }
        }
    }
}

#[test]
fn packed_weights_are_shared_between_batches_and_large_products_are_cut() {
    let mut noise = Noise(3);
    // Two blocks of rows, three of k, two groups of panels.
    let (m, n, k) = (150, 300, 800);
    let p = Product { batch: [2, 1], a_batch: [m * k, 0], c_batch: [m * n, 0], ..Product::dense(m, n, k) };
    let (a, b, zeros) = (noise.floats(2 * m * k), noise.floats(k * n), vec![0.0; 2 * m * n]);
    let mut packed = vec![0.0; pack_len(k, n)];
    pack_b(&mut packed, &b, 1, k, n, 0, n, 1).unwrap();
    let mut expected = vec![0.0; 2 * m * n];
    naive(&mut expected, &a, &b, &zeros, &zeros, &zeros, p, 1.0);
    for cx in contexts() {
        let mut c = vec![f32::NAN; 2 * m * n];
        let relu = Activation { kind: ActivationKind::Clip, a: 0.0, b: f32::INFINITY };
        gemm_packed(cx, &mut c, &a, &packed, None, None, None, p, 1.0, relu).unwrap();
        assert_close(&c, &expected, 2e-4, &format!("{cx:?}"));
    }
}

#[test]
fn narrow_weights_are_the_same_product_of_rounded_ones() {
    let mut noise = Noise(4);
    // One row and several blocks; more k than can be widened at a time; a panel that is not full.
    for (m, n, k) in [(1, 40, 300), (7, 300, 129), (150, 70, 520), (3, 5, 0)] {
        let p = Product::dense(m, n, k);
        let (a, b, bias) = (noise.floats(m * k), noise.floats(k * n), noise.floats(n));
        let mut packed = vec![0.0; pack_len(k, n)];
        pack_b(&mut packed, &b, 1, k, n, 0, n, 1).unwrap();
        let halves: Vec<F16> = packed.iter().map(|&x| F16::from_f32(x)).collect();
        let brains: Vec<BF16> = packed.iter().map(|&x| BF16::from_f32(x)).collect();
        let zeros = vec![0.0; m * n];
        let expected = |round: &dyn Fn(f32) -> f32| {
            let mut c = vec![0.0; m * n];
            naive(&mut c, &a, &b.iter().map(|&x| round(x)).collect::<Vec<_>>(), &bias, &zeros, &zeros, p, 1.0);
            c
        };
        let (of_halves, of_brains) = (expected(&|x| F16::from_f32(x).to_f32()), expected(&|x| BF16::from_f32(x).to_f32()));
        for cx in contexts() {
            let relu = Activation::new(ActivationKind::Relu);
            let mut c = vec![f32::NAN; m * n];
            gemm_packed(cx, &mut c, &a, &halves, Some(&bias), None, None, p, 1.0, relu).unwrap();
            assert_close(&c, &of_halves, 1e-4, &format!("f16 {cx:?} {p:?}"));
            gemm_packed(cx, &mut c, &a, &brains, Some(&bias), None, None, p, 1.0, relu).unwrap();
            assert_close(&c, &of_brains, 1e-4, &format!("bf16 {cx:?} {p:?}"));
        }
    }
}

#[test]
fn broken_promises_are_faults() {
    let p = Product::dense(2, 2, 2);
    let (a, b) = ([0.0; 4], [0.0; 64]);
    let call = |c: &mut [f32], p| gemm_packed(Cx::REFERENCE, c, &a, &b, None, None, None, p, 1.0, Activation::NONE);
    assert!(call(&mut [0.0; 4], p).is_ok());
    assert!(call(&mut [0.0; 3], p).is_err());
    assert!(call(&mut [0.0; 4], Product { c_row: 1, ..p }).is_err(), "rows of C overlap");
    assert!(call(&mut [0.0; 4], Product { a_row: usize::MAX, ..p }).is_err());
    assert!(call(&mut [0.0; 64], Product { n: 33, ..p }).is_err());
}

#[test]
fn activations_are_applied_to_every_element() {
    use ActivationKind::*;
    let expected = |kind, x: f64| match kind {
        None => x,
        Relu => x.max(0.0),
        Clip => x.clamp(-0.5, 0.25),
        LeakyRelu => {
            if x < 0.0 {
                -0.5 * x
            } else {
                x
            }
        }
        Sigmoid => 1.0 / (1.0 + (-x).exp()),
        HardSigmoid => (0.25 - 0.5 * x).clamp(0.0, 1.0),
        Tanh => x.tanh(),
        Silu => x / (1.0 + (0.5 * x).exp()),
        HardSwish => x * (0.25 - 0.5 * x).clamp(0.0, 1.0),
        // The error function by its series, which converges fast this close to 0.
        Gelu => {
            x / 2.0
                * (1.0
                    + (0..40)
                        .fold((x / 2f64.sqrt(), 0.0), |(t, sum), n| {
                            let n = f64::from(n);
                            (-t * x * x / 2.0 / (n + 1.0), sum + t / (2.0 * n + 1.0))
                        })
                        .1
                        * 2.0
                        / core::f64::consts::PI.sqrt())
        }
        GeluTanh => x / 2.0 * (1.0 + ((2.0 / core::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh()),
        Elu => {
            if x < 0.0 {
                0.5 - 0.5 * x.exp()
            } else {
                x
            }
        }
        Softplus => (1.0 + x.exp()).ln(),
        Mish => x * (1.0 + x.exp()).ln().tanh(),
    };
    let kinds = [None, Relu, Clip, LeakyRelu, Sigmoid, HardSigmoid, Tanh, Silu, HardSwish, Gelu, GeluTanh, Elu, Softplus, Mish];
    let (m, n) = (5, 37);
    let x = Noise(5).floats(m * n);
    // The product with the unit matrix, doubled.
    let unit: Vec<f32> = (0..n * n).map(|i| if i / n == i % n { 2.0 } else { 0.0 }).collect();
    let p = Product::dense(m, n, n);
    for cx in contexts() {
        for kind in kinds {
            let (mut c, mut scratch) = (vec![f32::NAN; m * n], vec![0.0; gemm_scratch_len(p)]);
            let activation = Activation { kind, a: -0.5, b: 0.25 };
            gemm(cx, &mut c, &mut scratch, &x, &unit, Option::None, Option::None, Option::None, p, 1.0, activation).unwrap();
            let expected: Vec<f32> = x.iter().map(|&x| expected(kind, 2.0 * x as f64) as f32).collect();
            assert_close(&c, &expected, 1e-6, &format!("{cx:?} {kind:?}"));
        }
    }
}
