use super::*;
use crate::cx::{Cx, Isa};
extern crate std;
use std::vec::Vec;

fn data(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + salt * 131) % 1009) as f32 / 1009.0 - 0.45).collect()
}

struct Case {
    layer: Layer,
    gates: usize,
    xw: Vec<f32>,
    r: Vec<f32>,
    packed: Vec<f32>,
    bias: Vec<f32>,
    h: Vec<f32>,
    c: Vec<f32>,
    p: Vec<f32>,
    lens: Vec<i64>,
}

impl Case {
    fn new(gates: usize, hidden: usize, batch: usize, seq: usize, direction: Direction, batch_first: bool) -> Self {
        let layer = Layer { seq, batch, hidden, direction, batch_first, rounded: false };
        let d = layer.directions();
        let r: Vec<f32> = data(d * gates * hidden * hidden, 1).iter().map(|v| v * 3.0 / hidden as f32).collect();
        let mut packed = std::vec![0f32; packed_len(d * gates, hidden)];
        pack(&mut packed, &r, d * gates, hidden).unwrap();
        Self {
            layer,
            gates,
            xw: data(seq * batch * d * gates * hidden, 2),
            r,
            packed,
            bias: data(d * 2 * gates * hidden, 3),
            h: data(d * batch * hidden, 4),
            c: data(d * batch * hidden, 5),
            p: data(d * 3 * hidden, 6),
            lens: (0..batch).map(|b| ((b * 5 + 3) % (seq + 1)) as i64).collect(),
        }
    }

    /// The outputs of the tuned and the generic kernel.
    fn outputs(&self) -> [Vec<f32>; 3] {
        let state = self.layer.directions() * self.layer.batch * self.layer.hidden;
        [std::vec![7f32; self.layer.seq * state], std::vec![7f32; state], std::vec![7f32; state]]
    }

    fn compare(&self, tuned: impl Fn(Cx, &mut [f32], [&mut [f32]; 3]), generic: impl Fn(&mut [f64], [&mut [f32]; 3])) {
        let mut scratch64 = std::vec![9f64; scratch_len_any(self.layer, self.gates)];
        let mut want = self.outputs();
        generic(&mut scratch64, want.each_mut().map(|v| &mut v[..]));
        for isa in Isa::ALL {
            let Some(cx) = Cx::REFERENCE.with_isa(isa) else { continue };
            let mut scratch = std::vec![f32::NAN; scratch_len(self.layer, self.gates)];
            let mut got = self.outputs();
            tuned(cx.with_threads(3), &mut scratch, got.each_mut().map(|v| &mut v[..]));
            for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                assert!((got - want).abs() < 2e-5, "{:?} {isa:?}: {got} {want}", self.layer);
            }
        }
    }
}

const SHAPES: [(usize, usize, usize, Direction, bool); 6] = [
    (3, 1, 4, Direction::Forward, false),
    (33, 2, 5, Direction::Reverse, true),
    (64, 5, 6, Direction::Bidirectional, false),
    (40, 8, 3, Direction::Bidirectional, true),
    (100, 1, 9, Direction::Bidirectional, false),
    (128, 4, 7, Direction::Forward, true),
];

#[test]
fn lstm_on_every_isa() {
    for (i, &(hidden, batch, seq, direction, batch_first)) in SHAPES.iter().enumerate() {
        let case = Case::new(4, hidden, batch, seq, direction, batch_first);
        let extras = i % 2 == 1;
        let (bias, p) = (Some(&case.bias[..]), extras.then_some(&case.p[..]));
        let lens = extras.then_some(&case.lens[..]);
        let names: Vec<&str> = ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Softsign", "Elu"][..3 * case.layer.directions()].to_vec();
        let parameters: Vec<f32> = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5, 0.0, 0.0, 1.0, 0.0][..2 * names.len()].to_vec();
        let clip = if extras { 0.4 } else { 0.0 };
        case.compare(
            |cx, scratch, [y, h, c]| {
                lstm(
                    cx,
                    y,
                    h,
                    c,
                    scratch,
                    &case.xw,
                    &case.packed,
                    bias,
                    lens,
                    Some(&case.h),
                    Some(&case.c),
                    p,
                    case.layer,
                    &names,
                    &parameters,
                    clip,
                    i == 3,
                )
                .unwrap();
            },
            |scratch, [y, h, c]| {
                lstm_any(
                    y,
                    h,
                    c,
                    scratch,
                    &case.xw,
                    &case.r,
                    bias,
                    lens,
                    Some(&case.h),
                    Some(&case.c),
                    p,
                    case.layer,
                    &names,
                    &parameters,
                    clip,
                    i == 3,
                )
                .unwrap();
            },
        );
    }
}

#[test]
fn gru_and_rnn_on_every_isa() {
    for (i, &(hidden, batch, seq, direction, batch_first)) in SHAPES.iter().enumerate() {
        let case = Case::new(3, hidden, batch, seq, direction, batch_first);
        let d = case.layer.directions();
        let (bias, lens) = ((i > 0).then_some(&case.bias[..]), (i > 1).then_some(&case.lens[..]));
        let names = ["Sigmoid", "Tanh", "Sigmoid", "ScaledTanh"];
        let parameters = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.2, 0.7];
        for reset_after in [false, true] {
            case.compare(
                |cx, scratch, [y, h, _]| {
                    let (names, parameters) = (&names[..2 * d], &parameters[..4 * d]);
                    gru(cx, y, h, scratch, &case.xw, &case.packed, bias, lens, None, case.layer, names, parameters, 0.0, reset_after)
                        .unwrap();
                },
                |scratch, [y, h, _]| {
                    let (names, parameters) = (&names[..2 * d], &parameters[..4 * d]);
                    gru_any(y, h, scratch, &case.xw, &case.r, bias, lens, None, case.layer, names, parameters, 0.0, reset_after).unwrap();
                },
            );
        }
        let case = Case::new(1, hidden, batch, seq, direction, batch_first);
        let (names, parameters) = (["LeakyRelu", "Softplus"], [0.1, 0.0, 0.0, 0.0]);
        let (names, parameters, h0) = (&names[..d], &parameters[..2 * d], Some(&case.h[..]));
        case.compare(
            |cx, scratch, [y, h, _]| {
                rnn(cx, y, h, scratch, &case.xw, &case.packed, None, lens, h0, case.layer, names, parameters, 0.3).unwrap();
            },
            |scratch, [y, h, _]| {
                rnn_any(y, h, scratch, &case.xw, &case.r, None, lens, h0, case.layer, names, parameters, 0.3).unwrap();
            },
        );
    }
}

/// By hand: hidden 1, two steps, the second past the end of the sequence.
#[test]
fn lstm_by_the_formulas() {
    let layer = Layer { seq: 2, batch: 1, hidden: 1, direction: Direction::Reverse, batch_first: false, rounded: false };
    let (mut y, mut h, mut c, mut scratch) = ([9f64; 2], [0f64], [0f64], [0f64; 7]);
    let (xw, r) = ([0.1, 0.2, 0.3, 0.4, 5.0, 5.0, 5.0, 5.0], [1.0, -1.0, 0.5, 2.0]);
    let names = ["Sigmoid", "Tanh", "Tanh"];
    lstm_any(
        &mut y,
        &mut h,
        &mut c,
        &mut scratch,
        &xw,
        &r,
        None,
        Some(&[1]),
        Some(&[0.5]),
        Some(&[0.25]),
        None,
        layer,
        &names,
        &[0.0; 6],
        0.0,
        false,
    )
    .unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cell = sigmoid(0.3 + 0.25) * 0.25 + sigmoid(0.1 + 0.5) * (0.4f64 + 1.0).tanh();
    let state = sigmoid(0.2 - 0.5) * cell.tanh();
    assert!((c[0] - cell).abs() < 1e-12 && (h[0] - state).abs() < 1e-12);
    assert_eq!(y, [h[0], 0.0]);
    let bad =
        lstm_any(&mut y, &mut h, &mut c, &mut scratch, &xw, &r, None, Some(&[3]), None, None, None, layer, &names, &[0.0; 6], 0.0, false);
    assert!(matches!(bad, Err(Fault::Value { got: 3, .. })));
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    for (hidden, batch) in [(64, 1), (128, 1), (256, 1), (256, 4), (512, 1), (128, 32)] {
        let case = Case::new(4, hidden, batch, 50, Direction::Forward, false);
        let mut scratch = std::vec![0f32; scratch_len(case.layer, 4)];
        let [mut y, mut h, mut c] = case.outputs();
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            lstm(
                Cx::detect(),
                &mut y,
                &mut h,
                &mut c,
                &mut scratch,
                &case.xw,
                &case.packed,
                Some(&case.bias),
                None,
                None,
                None,
                None,
                case.layer,
                &["Sigmoid", "Tanh", "Tanh"],
                &[0.0; 6],
                0.0,
                false,
            )
            .unwrap();
            best = best.min(start.elapsed().as_secs_f64());
        }
        let flops = 2.0 * 4.0 * (hidden * hidden * batch * 50) as f64;
        std::println!("hidden {hidden} batch {batch}: {:.1} us a step, {:.1} GFLOP/s", best / 50.0 * 1e6, flops / best / 1e9);
    }
}

#[test]
fn a_rounded_state_is_one_of_256() {
    // One unit, no input: the sum of the cell's gate is the rounded state, for W·x = 0, R = (0, 0, 0, 1).
    let layer = Layer { seq: 1, batch: 2, hidden: 1, direction: Direction::Forward, batch_first: false, rounded: true };
    let mut packed = std::vec![0.0; packed_len(4, 1)];
    pack(&mut packed, &[0.0, 0.0, 0.0, 1.0], 4, 1).unwrap();
    let mut scratch = std::vec![0.0; scratch_len(layer, 4)];
    let (mut y, mut c) = ([0f32; 2], [0f32; 2]);
    let names = ["HardSigmoid", "Affine", "Affine"];
    // The gates are 1, the functions are identities: c = c₀ + rounded h.
    let parameters = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    let h = [0.5f32, -0.123];
    let out = (&mut y, &mut c);
    lstm(
        Cx::REFERENCE,
        out.0,
        &mut [],
        out.1,
        &mut scratch,
        &[0.0; 8],
        &packed,
        None,
        None,
        Some(&h),
        Some(&[0.0; 2]),
        None,
        layer,
        &names,
        &parameters,
        0.0,
        false,
    )
    .unwrap();
    let step = 0.623f32 / 255.0;
    for (c, h) in c.iter().zip(h) {
        assert!((c / step - (c / step).round()).abs() < 1e-3 && (c - h).abs() <= step / 2.0 * 1.001 && *c != h, "{c} {h}");
    }
}
