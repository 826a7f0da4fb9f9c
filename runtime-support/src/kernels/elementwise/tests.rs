//! Against one index sum a position, and the meaning of each operation written out.

use super::*;
use crate::element::Element;
use crate::float::{BF16, F16};
use std::string::String;
use std::vec::Vec;

/// The flat index of position `i` of `shape` under `strides`.
fn at(i: usize, shape: &[usize], strides: &[usize]) -> usize {
    let (mut rest, mut sum) = (i, 0);
    for (d, s) in shape.iter().zip(strides).rev() {
        sum += rest % d * s;
        rest /= d;
    }
    sum
}

fn apply<T: Number>(op: BinaryOp, a: T, b: T) -> T {
    let mut out = [T::default()];
    binary(&mut out, &[a], &[b], &[1], &[1], &[1], op).unwrap();
    out[0]
}

#[test]
fn broadcasting_meets_every_layout() {
    let a: Vec<i64> = (0..60).map(|i| i * 7 % 31 - 9).collect();
    let cases: [(&[usize], &[usize], &[usize]); 8] = [
        (&[60], &[1], &[1]),
        (&[60], &[1], &[0]),
        (&[60], &[0], &[1]),
        (&[3, 4, 5], &[20, 5, 1], &[0, 1, 0]),
        (&[3, 4, 5], &[1, 3, 12], &[20, 5, 1]),
        (&[5, 2, 2], &[2, 0, 1], &[0, 0, 0]),
        (&[], &[], &[]),
        (&[4, 0, 2], &[0, 0, 1], &[1, 1, 1]),
    ];
    for (shape, sa, sb) in cases {
        let n = shape.iter().product();
        let (mut sum, mut less, mut chosen) = (std::vec![0; n], std::vec![Bool(7); n], std::vec![String::new(); n]);
        binary(&mut sum, &a, &a, shape, sa, sb, BinaryOp::Sub).unwrap();
        compare(&mut less, &a, &a, shape, sa, sb, CompareOp::Less).unwrap();
        let truth: Vec<Bool> = a.iter().map(|x| (x % 2 == 0).into()).collect();
        let words: Vec<String> = a.iter().map(|x| std::format!("{x}")).collect();
        select(&mut chosen, &truth, &words, &words, shape, sa, sb, sa).unwrap();
        for i in 0..n {
            let (x, y) = (a[at(i, shape, sa)], a[at(i, shape, sb)]);
            assert_eq!((sum[i], less[i].0), (x - y, (x < y) as u8), "{shape:?} {sa:?} {sb:?}");
            assert_eq!(chosen[i], words[at(i, shape, if x % 2 == 0 { sb } else { sa })]);
        }
    }
    let mut out = [0i64; 2];
    assert!(binary(&mut out, &[1], &[1, 2], &[2], &[1], &[1], BinaryOp::Add).is_err());
    assert!(binary(&mut out, &[1], &[1, 2], &[2], &[0], &[1], BinaryOp::Add).is_ok());
}

#[test]
fn integers_have_no_exceptions() {
    use BinaryOp as Op;
    assert_eq!(apply(Op::Div, -7, 2), -3);
    assert_eq!(apply(Op::Div, 5u8, 0), 0);
    assert_eq!(apply(Op::Div, i64::MIN, -1), i64::MIN);
    assert_eq!((apply(Op::Mod, -7, 3), apply(Op::Mod, 7, -3), apply(Op::Mod, 6, -3), apply(Op::Mod, 6, 0)), (2, -2, 0, 0));
    assert_eq!((apply(Op::Fmod, -7, 3), apply(Op::Fmod, 7, -3)), (-1, 1));
    assert_eq!(apply(Op::Mod, i32::MIN, -1), 0);
    assert_eq!((apply(Op::Pow, 3, 4), apply(Op::Pow, -2i8, 7), apply(Op::Pow, 2u8, 8), apply(Op::Pow, 0, 0)), (81, -128, 0, 1));
    assert_eq!((apply(Op::Pow, 2, -1), apply(Op::Pow, 1, -5), apply(Op::Pow, -1, -3), apply(Op::Pow, -1, -2)), (0, 1, -1, 1));
    assert_eq!(apply(Op::Pow, 0, -2), 0);
    assert_eq!((apply(Op::ShiftLeft, 1u8, 7), apply(Op::ShiftLeft, 1u8, 8), apply(Op::ShiftRight, 128u8, 9)), (128, 0, 0));
    assert_eq!((apply(Op::ShiftRight, -8i32, 1), apply(Op::ShiftRight, -8i32, 40)), (-4, -1));
    assert_eq!((apply(Op::BitAnd, 6, 3), apply(Op::BitOr, 6, 3), apply(Op::BitXor, 6, 3)), (2, 7, 5));
    assert_eq!((apply(Op::PRelu, -3, 2), apply(Op::PRelu, 3, 2)), (-6, 3));
    assert_eq!(apply(Op::Add, i8::MAX, 1), i8::MIN);
}

#[test]
fn floats_follow_numpy() {
    use BinaryOp as Op;
    assert!(apply(Op::Min, f64::NAN, 1.0).is_nan() && apply(Op::Max, 1.0, f32::NAN).is_nan());
    assert_eq!((apply(Op::Min, 2.0, 1.0), apply(Op::Max, 2.0, 1.0)), (1.0, 2.0));
    assert_eq!((apply(Op::Mod, -7.5, 2.0), apply(Op::Fmod, -7.5, 2.0)), (0.5, -1.5));
    assert_eq!(apply(Op::Pow, 2.0f32, 0.5), 2f32.sqrt());
    assert_eq!(apply(Op::Add, F16::from_f32(2048.0), F16::from_f32(1.0)).to_f32(), 2048.0);
    assert_eq!(apply(Op::Mul, BF16::from_f32(3.0), BF16::from_f32(0.5)).to_f32(), 1.5);
    let mut out = [0.0];
    assert!(binary(&mut out, &[1.0], &[1.0], &[1], &[1], &[1], Op::BitAnd).is_err());
    let mut out = [Bool(0); 3];
    compare(&mut out, &[f32::NAN, 1.0, -0.0], &[f32::NAN, 1.0, 0.0], &[3], &[1], &[1], CompareOp::Equal).unwrap();
    assert_eq!(out.map(|b| b.0), [0, 1, 1]);
    equal_strings(&mut out, &["a".into(), "b".into(), String::new()], &["a".into()], &[3], &[1], &[0]).unwrap();
    assert_eq!(out.map(|b| b.0), [1, 0, 0]);
}

#[test]
fn truth_tables() {
    let (f, t) = (Bool(0), Bool(255));
    for (op, expected) in [(LogicOp::And, [0, 0, 0, 1]), (LogicOp::Or, [0, 1, 1, 1]), (LogicOp::Xor, [0, 1, 1, 0])] {
        let mut out = [Bool(9); 4];
        logic(&mut out, &[f, t], &[f, t], &[2, 2], &[1, 0], &[0, 1], op).unwrap();
        assert_eq!(out.map(|b| b.0), expected);
    }
    let mut out = [Bool(9); 2];
    not(&mut out, &[f, t]).unwrap();
    assert_eq!(out.map(|b| b.0), [1, 0]);
}

#[test]
fn clip_keeps_nan_and_lets_the_upper_bound_win() {
    let mut out = [0.0; 4];
    clip(&mut out, &[-5.0, 0.5, 9.0, f64::NAN], Some(&[0.0]), Some(&[1.0])).unwrap();
    assert_eq!(out[..3], [0.0, 0.5, 1.0]);
    assert!(out[3].is_nan());
    let mut out = [0u8; 3];
    clip(&mut out, &[1, 5, 9], Some(&[7]), Some(&[3])).unwrap();
    assert_eq!(out, [3; 3]);
    clip(&mut out, &[1, 5, 9], None, Some(&[6])).unwrap();
    assert_eq!(out, [1, 5, 6]);
    assert!(clip(&mut out, &[1, 5, 9], Some(&[]), None).is_err());
}

fn one<T: unary::Unary>(op: UnaryOp, x: T) -> T {
    let mut out = [T::default()];
    unary(&mut out, &[x], op).unwrap();
    out[0]
}

#[test]
fn functions_of_one_number() {
    use UnaryOp as Op;
    // Every function, f32 by blocks against f64 one by one.
    let all = [
        Op::Abs,
        Op::Neg,
        Op::Sqrt,
        Op::Reciprocal,
        Op::Floor,
        Op::Ceil,
        Op::Round,
        Op::Trunc,
        Op::Sign,
        Op::Exp,
        Op::Log,
        Op::Log1p,
        Op::Expm1,
        Op::Sin,
        Op::Cos,
        Op::Tan,
        Op::Asin,
        Op::Acos,
        Op::Atan,
        Op::Sinh,
        Op::Cosh,
        Op::Tanh,
        Op::Asinh,
        Op::Acosh,
        Op::Atanh,
        Op::Erf,
        Op::Sigmoid,
        Op::Softplus,
        Op::Relu,
        Op::Gelu,
        Op::GeluTanh,
        Op::Silu,
        Op::Mish,
        Op::HardSwish,
        Op::Rsqrt,
    ];
    let x: Vec<f32> = (0..150).map(|i| (i as f32 - 70.0) / 31.0).collect();
    for op in all {
        let (mut single, mut double) = (x.clone(), x.iter().map(|&x| x as f64).collect::<Vec<_>>());
        let (mut half, wide) = (x.iter().map(|&x| BF16::from_f32(x)).collect::<Vec<_>>(), double.clone());
        let halves = half.clone();
        unary(&mut single, &x, op).unwrap();
        unary(&mut double, &wide, op).unwrap();
        unary(&mut half, &halves, op).unwrap();
        for i in 0..x.len() {
            let (s, d) = (single[i] as f64, double[i]);
            assert!((s - d).abs() <= 1e-6 + 1e-5 * d.abs() || (s.is_nan() && d.is_nan()) || s == d, "{op:?} {} {s} {d}", x[i]);
            let again = one(op, halves[i].to_f32());
            assert_eq!(half[i].0, BF16::from_f32(again).0, "{op:?}");
        }
    }
    assert_eq!(
        (one(Op::Abs, -3i8), one(Op::Abs, i8::MIN), one(Op::Neg, 5i64), one(Op::Sign, -9i32), one(Op::Sign, 9u8)),
        (3, -128, -5, -1, 1)
    );
    assert_eq!((one(Op::BitNot, 0u16), one(Op::Relu, -4i16), one(Op::Floor, 7u64)), (0xffff, 0, 7));
    let mut out = [0];
    assert!(unary(&mut out, &[1], Op::Exp).is_err());
}

#[test]
fn classes() {
    fn check<T: unary::Extended + Element>(nan: T, inf: T, finite: T) {
        let mut out = [Bool(9); 3];
        is_nan(&mut out, &[nan, inf, finite]).unwrap();
        assert_eq!(out.map(|b| b.0), [1, 0, 0]);
        is_inf(&mut out, &[nan, inf, finite], true, false).unwrap();
        assert_eq!(out.map(|b| b.0), [0, 1, 0]);
        is_inf(&mut out, &[nan, inf, finite], false, true).unwrap();
        assert_eq!(out.map(|b| b.0), [0, 0, 0]);
    }
    check(f64::NAN, f64::INFINITY, 1e300);
    check(f32::NAN, f32::INFINITY, 1e38);
    check(F16(0x7e00), F16(0x7c00), F16(0x7bff));
}

#[test]
fn constants() {
    use ParametricOp as Op;
    let run = |op, x: f32, a, b| {
        let mut out = [0.0];
        parametric(&mut out, &[x], op, a, b).unwrap();
        out[0]
    };
    assert_eq!(run(Op::HardSigmoid, 1.0, 0.25, 0.5), 0.75);
    assert_eq!((run(Op::HardSigmoid, 9.0, 0.25, 0.5), run(Op::HardSigmoid, -9.0, 0.25, 0.5)), (1.0, 0.0));
    assert_eq!(run(Op::Elu, -1.0, 2.0, 0.0), (2.0 * (-1f64).exp_m1()) as f32);
    assert_eq!(run(Op::Selu, -1.0, 2.0, 3.0), (6.0 * (-1f64).exp_m1()) as f32);
    assert_eq!(run(Op::Selu, 2.0, 2.0, 3.0), 6.0);
    assert_eq!(run(Op::Celu, -1.0, 2.0, 0.0), (2.0 * (-0.5f64).exp_m1()) as f32);
    assert_eq!((run(Op::LeakyRelu, -2.0, 0.25, 0.0), run(Op::LeakyRelu, 2.0, 0.25, 0.0)), (-0.5, 2.0));
    assert_eq!((run(Op::ThresholdedRelu, 1.0, 1.0, 0.0), run(Op::ThresholdedRelu, 1.5, 1.0, 0.0)), (0.0, 1.5));
    assert_eq!((run(Op::Shrink, -2.0, 1.5, 0.5), run(Op::Shrink, 1.0, 1.5, 0.5), run(Op::Shrink, 2.0, 1.5, 0.5)), (-1.5, 0.0, 1.5));
    assert_eq!(run(Op::Swish, 0.0, 1.0, 0.0), 0.0);
    let mut out = [0u8];
    parametric(&mut out, &[7], Op::Shrink, 1.0, 2.0).unwrap();
    assert_eq!(out, [5]);
}
