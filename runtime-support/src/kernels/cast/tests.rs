//! Expected values are numpy's and ONNX Runtime's on x86-64.

use super::*;
use std::string::{String, ToString};
use std::vec::Vec;

#[test]
fn floats_to_integers() {
    let x = [3e9f32, -3e9, 1e20, f32::NAN, 300.0, -300.0, 70000.0, -1.5];
    macro_rules! check {
        ($to:ident: $t:ty, $expected:expr) => {{
            let mut out = [<$t>::default(); 8];
            $to(&mut out, &x).unwrap();
            assert_eq!(out, $expected, stringify!($to));
        }};
    }
    check!(to_i8: i8, [0, 0, 0, 0, 44, -44, 112, -1]);
    check!(to_i16: i16, [0, 0, 0, 0, 300, -300, 4464, -1]);
    check!(to_i32: i32, [i32::MIN, i32::MIN, i32::MIN, i32::MIN, 300, -300, 70000, -1]);
    check!(to_i64: i64, [3000000000, -3000000000, i64::MIN, i64::MIN, 300, -300, 70000, -1]);
    check!(to_u8: u8, [0, 0, 0, 0, 44, 212, 112, 255]);
    check!(to_u16: u16, [0, 0, 0, 0, 300, 65236, 4464, 65535]);
    check!(to_u64: u64, [3000000000, 3000000000u64.wrapping_neg(), 0, 1 << 63, 300, 300u64.wrapping_neg(), 70000, u64::MAX]);
    let mut out = [0; 2];
    to_i32(&mut out, &[-2147483648.9, 2147483647.9]).unwrap();
    assert_eq!(out, [i32::MIN, i32::MAX]);
    to_i32(&mut out, &[-2147483649.0, 2147483648.0]).unwrap();
    assert_eq!(out, [i32::MIN; 2]);
}

#[test]
fn small_integers_take_the_low_bits() {
    let x = [-9.0f32, -8.6, -1.5, -0.5, 0.5, 1.5, 2.5, 7.5, 8.0, 15.5, 16.0, 17.0, 100.0, 1e10, f32::NAN];
    let (mut i4, mut u4, mut i2, mut u2) = ([I4(0); 15], [U4(0); 15], [I2(0); 15], [U2(0); 15]);
    to_i4(&mut i4, &x).unwrap();
    to_u4(&mut u4, &x).unwrap();
    to_i2(&mut i2, &x).unwrap();
    to_u2(&mut u2, &x).unwrap();
    assert_eq!(i4.map(|x| x.0), [7, -8, -1, 0, 0, 1, 2, 7, -8, -1, 0, 1, 4, 0, 0]);
    assert_eq!(u4.map(|x| x.0), [7, 8, 15, 0, 0, 1, 2, 7, 8, 15, 0, 1, 4, 0, 0]);
    assert_eq!(i2.map(|x| x.0), [-1, 0, -1, 0, 0, 1, -2, -1, 0, -1, 0, 1, 0, 0, 0]);
    assert_eq!(u2.map(|x| x.0), [3, 0, 3, 0, 0, 1, 2, 3, 0, 3, 0, 1, 0, 0, 0]);
    let mut back = [0.0; 15];
    to_f32(&mut back, &i4).unwrap();
    assert_eq!(back[..3], [7.0, -8.0, -1.0]);
}

#[test]
fn integers_wrap_and_booleans_are_one() {
    let mut narrow = [0i8; 2];
    to_i8(&mut narrow, &[200i16, -200]).unwrap();
    assert_eq!(narrow, [-56, 56]);
    let mut unsigned = [0u64; 1];
    to_u64(&mut unsigned, &[-1i32]).unwrap();
    assert_eq!(unsigned, [u64::MAX]);
    let mut truth = [Bool(9); 4];
    to_bool(&mut truth, &[0.0, -0.0, f64::NAN, 1e-300]).unwrap();
    assert_eq!(truth.map(|b| b.0), [0, 0, 1, 1]);
    let mut ones = [0.0; 2];
    to_f64(&mut ones, &[Bool(255), Bool(0)]).unwrap();
    assert_eq!(ones, [1.0, 0.0]);
    assert!(to_i8(&mut narrow, &[1i16]).is_err());
}

#[test]
fn halves_by_hardware_and_by_hand() {
    // Every half there and back, and many f32 against the portable rounding.
    let halves: Vec<F16> = (0..=u16::MAX).map(F16).collect();
    let (mut wide, mut again) = (std::vec![0.0f32; halves.len()], std::vec![F16(0); halves.len()]);
    to_f32(&mut wide, &halves).unwrap();
    to_f16(&mut again, &wide).unwrap();
    for ((h, w), a) in halves.iter().zip(&wide).zip(&again) {
        assert!(w.to_bits() == h.to_f32().to_bits() || w.is_nan());
        assert!(a.0 == h.0 || (w.is_nan() && a.to_f32().is_nan()));
    }
    let x: Vec<f32> = (0..100_003u32).map(|i| f32::from_bits(0x3300_0000 + i.wrapping_mul(5003))).collect();
    let mut out = std::vec![F16(0); x.len()];
    to_f16(&mut out, &x).unwrap();
    assert!(x.iter().zip(&out).all(|(x, o)| o.0 == F16::from_f32(*x).0));
}

#[test]
fn one_rounding_from_wide_types() {
    // A little more than the middle between two halves: a first rounding to f32 would lose the little.
    let x = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
    let (mut half, mut eighth) = ([F16(0)], [F8E4M3FN(0)]);
    to_f16(&mut half, &[x]).unwrap();
    assert_eq!(half[0].to_f32(), 1.0 + 2f32.powi(-10));
    to_f8e4m3fn(&mut eighth, &[1.0 + 2f64.powi(-4) + 2f64.powi(-40)], true).unwrap();
    assert_eq!(eighth[0].to_f32(), 1.125);
    let mut brain = [BF16(0)];
    to_bf16(&mut brain, &[(1i32 << 30) + (1 << 22) + 1]).unwrap();
    assert_eq!(brain[0].to_f32(), 2f32.powi(30) + 2f32.powi(23));
    to_f8e4m3fn(&mut eighth, &[1e6f32], false).unwrap();
    assert!(eighth[0].to_f32().is_nan());
    let mut scale = [F8E8M0(0); 2];
    to_f8e8m0(&mut scale, &[1.1f32, 0.124], true, Round::Up).unwrap();
    assert_eq!(scale.map(F8E8M0::to_f32), [2.0, 0.125]);
}

fn text<T: ToText>(x: T) -> String {
    let mut out = [String::new()];
    to_strings(&mut out, &[x]).unwrap();
    out[0].clone()
}

#[test]
fn numbers_as_text() {
    let x = [1.5f32, 1e-5, 1e16, 123456789.0, 0.1, -0.0, 1e22, core::f32::consts::PI, 100000.0, 7.0, 0.47892547, 0.00012];
    let expected =
        ["1.5", "1e-05", "10000000000000000", "123456790", "0.1", "-0", "1e+22", "3.1415927", "100000", "7", "0.47892547", "0.00012"];
    assert_eq!(x.map(text), expected);
    assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(text), ["NaN", "INF", "-INF"]);
    assert_eq!([0.1, 1e300, -123456789.25, 1e16].map(text::<f64>), ["0.1", "1e+300", "-123456789.25", "10000000000000000"]);
    assert_eq!(
        (text(-5i64), text(255u8), text(Bool(3)), text(F16(0x3c00)), text(I4(-8))),
        ("-5".into(), "255".into(), "1".into(), "1".into(), "-8".into())
    );
}

fn number<T: FromText + Default>(x: &str) -> Option<T> {
    let mut out = [T::default()];
    from_strings(&mut out, &[x.to_string()]).ok()?;
    let [number] = out;
    Some(number)
}

#[test]
fn text_as_numbers() {
    assert_eq!(
        ["100.5", " 1e3 ", "-7", "+INF", "-inf"].map(number::<f32>),
        [100.5, 1000.0, -7.0, f32::INFINITY, f32::NEG_INFINITY].map(Some)
    );
    assert!(number::<f64>("NaN").is_some_and(f64::is_nan));
    assert_eq!(
        (number::<i32>("100.5"), number::<i64>("-9223372036854775808"), number::<u8>("1e2")),
        (Some(100), Some(i64::MIN), Some(100))
    );
    assert_eq!((number::<Bool>("True"), number::<Bool>("0")), (Some(Bool(1)), Some(Bool(0))));
    for bad in ["", "Hello World!", "1e", "0x10"] {
        assert!(number::<f32>(bad).is_none() && number::<i8>(bad).is_none(), "{bad}");
    }
    assert!(number::<i32>("nan").is_none());
}
