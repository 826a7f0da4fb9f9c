//! Each function on each instruction set, against f64: over its range, over random bits, and where it is special.

use super::Math;
use crate::cx::{Cx, Isa};
use crate::simd::{Simd, WithSimd, dispatch};
use std::vec::Vec;

/// `got` against `expected` in units of the last place of the nearest f32 (subnormals have the unit of the smallest normal).
fn ulps(got: f32, expected: f64) -> f64 {
    let rounded = expected as f32;
    if got.is_nan() || rounded.is_nan() || got.is_infinite() || rounded.is_infinite() {
        let same = got == rounded || (got.is_nan() && expected.is_nan());
        // One step beyond the largest number is infinite.
        let border = got.abs().max(rounded.abs()).is_infinite() && got.abs().min(rounded.abs()) == f32::MAX;
        return if same {
            0.0
        } else if border {
            1.0
        } else {
            f64::INFINITY
        };
    }
    let exponent = ((rounded.to_bits() >> 23) & 0xff).max(1) as i32 - 150;
    (got as f64 - expected).abs() / 2f64.powi(exponent)
}

/// Evenly spaced over the range, dense near zero, and random bits inside the range.
fn arguments(low: f32, high: f32) -> Vec<f32> {
    let mut x = Vec::new();
    for i in 0..=60_000 {
        x.push((low as f64 + (high as f64 - low as f64) * i as f64 / 60_000.0) as f32);
    }
    let mut seed = 7u64;
    while x.len() < 260_000 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let v = f32::from_bits((seed >> 32) as u32);
        if v >= low && v <= high {
            x.push(v);
        }
    }
    x
}

const SPECIAL: [f32; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -2.0,
    1e-45,
    -1e-45,
    1e-39,
    f32::MIN_POSITIVE,
    3.0,
    -3.0,
    1e10,
    -1e10,
    88.8,
    -104.5,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// `reference(x)` in f64, compared over the range with a bound in ULP plus an absolute one.
macro_rules! unary {
    ($($name:ident: $low:expr, $high:expr, $bound:expr, $absolute:expr, $reference:expr;)*) => {$(
        #[test]
        fn $name() {
            struct Apply<'a>(&'a [f32], &'a mut [f32]);
            impl WithSimd for Apply<'_> {
                type Output = ();
                #[inline(always)]
                fn with_simd<S: Simd>(self, s: S) {
                    for (x, y) in self.0.chunks(S::LANES).zip(self.1.chunks_mut(S::LANES)) {
                        s.store_head(y, s.$name(s.load_head(x)));
                    }
                }
            }
            let reference: fn(f64) -> f64 = $reference;
            for cx in contexts() {
                let x = arguments($low, $high);
                let mut y = x.clone();
                dispatch(cx, Apply(&x, &mut y));
                let mut worst = (0.0, 0.0, 0.0);
                for (&x, &y) in x.iter().zip(&y) {
                    let e = reference(x as f64);
                    if (y as f64 - e).abs() > $absolute * x.abs() as f64 || !(y as f64 - e).is_finite() {
                        let u = ulps(y, e);
                        worst = if u > worst.0 { (u, x, y) } else { worst };
                    }
                }
                std::println!("{:9} {:8} {:.3} ULP at {:e}", stringify!($name), cx.isa().name(), worst.0, worst.1);
                assert!(worst.0 <= $bound, "{} at {:e} gave {:e}, {} ULP", cx.isa().name(), worst.1, worst.2, worst.0);
                let mut y = SPECIAL;
                dispatch(cx, Apply(&SPECIAL, &mut y));
                for (&x, &y) in SPECIAL.iter().zip(&y) {
                    let e = reference(x as f64);
                    let close = ulps(y, e) <= $bound || (y as f64 - e).abs() < 2e-38 || (y as f64 - e).abs() <= $absolute * x.abs() as f64;
                    assert!(close, "{} of {x:e} gave {y:e}, not {e:e}", cx.isa().name());
                    // The greater of 0 and -0 may be either, and gelu has it as a term.
                    let signs_agree = y.is_sign_negative() == e.is_sign_negative() || matches!(stringify!($name), "relu" | "gelu");
                    assert!(y != 0.0 || e != 0.0 || signs_agree, "sign of zero at {x:e}");
                }
            }
        }
    )*};
}

fn contexts() -> impl Iterator<Item = Cx> {
    Isa::ALL.into_iter().filter_map(|isa| Cx::REFERENCE.with_isa(isa))
}

/// By Kummer's series, all of whose terms are positive.
fn true_erf(x: f64) -> f64 {
    let a = x.abs();
    if a > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut k) = (a, a, 0.0);
    while term > sum * 1e-17 {
        k += 1.0;
        term *= 2.0 * a * a / (2.0 * k + 1.0);
        sum += term;
    }
    (sum * (-a * a).exp() * core::f64::consts::FRAC_2_SQRT_PI).copysign(x)
}

fn true_sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

const ALL: f32 = f32::MAX;

unary! {
    exp: -110.0, 95.0, 1.0, 0.0, f64::exp;
    expm1: -110.0, 95.0, 2.0, 0.0, f64::exp_m1;
    sinh: -95.0, 95.0, 2.0, 0.0, f64::sinh;
    cosh: -95.0, 95.0, 2.0, 0.0, f64::cosh;
    tanh: -12.0, 12.0, 3.0, 0.0, f64::tanh;
    log: 0.0, ALL, 1.0, 0.0, f64::ln;
    log1p: -1.0, ALL, 2.0, 0.0, f64::ln_1p;
    asinh: -ALL, ALL, 3.0, 0.0, |x| if x == 0.0 { x } else { x.asinh() };
    acosh: 1.0, ALL, 3.0, 0.0, f64::acosh;
    atanh: -1.0, 1.0, 3.0, 0.0, |x| if x == 0.0 { x } else { 0.5 * ((2.0 * x) / (1.0 - x)).ln_1p() };
    sin: -ALL, ALL, 2.0, 0.0, f64::sin;
    cos: -ALL, ALL, 2.0, 0.0, f64::cos;
    tan: -ALL, ALL, 4.0, 0.0, f64::tan;
    asin: -1.0, 1.0, 2.5, 0.0, f64::asin;
    acos: -1.0, 1.0, 2.0, 0.0, f64::acos;
    atan: -ALL, ALL, 2.0, 0.0, f64::atan;
    erf: -5.0, 5.0, 2.0, 0.0, true_erf;
    sigmoid: -87.0, 50.0, 3.0, 0.0, true_sigmoid;
    softplus: -87.0, 50.0, 3.0, 0.0, |x| x.max(0.0) + if x.is_nan() { x } else { (-x.abs()).exp().ln_1p() };
    relu: -ALL, ALL, 0.0, 0.0, |x| if x < 0.0 { 0.0 } else { x };
    gelu: -10.0, 50.0, 3.0, 1.2e-7, |x| if x == f64::NEG_INFINITY { 0.0 } else { 0.5 * x * (1.0 + true_erf(x * core::f64::consts::FRAC_1_SQRT_2)) };
    gelu_tanh: -3.0, 50.0, 16.0, 0.0, |x| x * true_sigmoid(2.0 * (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x));
    silu: -80.0, 50.0, 4.0, 0.0, |x| x * true_sigmoid(x);
    mish: -80.0, 50.0, 5.0, 0.0, |x| { let e = x.min(50.0).exp(); x * (e * (e + 2.0) / (e * (e + 2.0) + 2.0)) };
    hard_swish: -10.0, 10.0, 3.0, 1e-7, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0);
    rsqrt: 0.0, ALL, 1.5, 0.0, |x| 1.0 / x.sqrt();
    reciprocal: -ALL, ALL, 0.5, 0.0, |x| 1.0 / x;
    sign: -ALL, ALL, 0.0, 0.0, |x| if x == 0.0 { x } else { x.signum() };
    round: -1e7, 1e7, 0.0, 0.0, f64::round_ties_even;
}

macro_rules! binary {
    ($($name:ident: $bound:expr, $reference:expr;)*) => {$(
        #[test]
        fn $name() {
            struct Apply<'a>(&'a [f32], &'a [f32], &'a mut [f32]);
            impl WithSimd for Apply<'_> {
                type Output = ();
                #[inline(always)]
                fn with_simd<S: Simd>(self, s: S) {
                    for ((x, y), z) in self.0.chunks(S::LANES).zip(self.1.chunks(S::LANES)).zip(self.2.chunks_mut(S::LANES)) {
                        s.store_head(z, s.$name(s.load_head(x), s.load_head(y)));
                    }
                }
            }
            let reference: fn(f32, f32) -> f64 = $reference;
            let (x, y) = pairs();
            for cx in contexts() {
                let mut z = x.clone();
                dispatch(cx, Apply(&x, &y, &mut z));
                for ((&x, &y), &z) in x.iter().zip(&y).zip(&z) {
                    let e = reference(x, y);
                    assert!(ulps(z, e) <= $bound, "{}: {x:e}, {y:e} gave {z:e}, not {e:e}, {} ULP", cx.isa().name(), ulps(z, e));
                    assert!(z != 0.0 || e != 0.0 || z.is_sign_negative() == e.is_sign_negative(), "sign of zero at {x:e}, {y:e}");
                }
            }
        }
    )*};
}

/// Every special number with every other, and many pairs whose power is finite.
fn pairs() -> (Vec<f32>, Vec<f32>) {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for a in SPECIAL {
        for b in SPECIAL {
            x.push(a);
            y.push(b);
        }
    }
    let bases = arguments(0.0, ALL);
    for (i, &b) in bases.iter().enumerate() {
        let unit = ((i as u64 * 2654435761) % 1000003) as f32 / 1000003.0;
        x.push(if i % 7 == 0 { -b } else { b });
        y.push(if i % 3 == 0 { (unit * 20.0).floor() - 10.0 } else { (unit - 0.5) * 240.0 / (b.log2().abs() + 0.1) });
    }
    (x, y)
}

binary! {
    pow: 1.0, |x, y| (x as f64).powf(y as f64);
    fmod: 0.0, |x, y| (x % y) as f64;
    modulo: 0.0, |x, y| {
        let r = x % y;
        let r = if r != 0.0 && (r < 0.0) != (y < 0.0) { r + y } else { r };
        (if r == 0.0 { 0f32.copysign(y) } else { r }) as f64
    };
    less: 0.0, |x, y| f64::from(x < y);
    less_or_equal: 0.0, |x, y| f64::from(x <= y);
    greater: 0.0, |x, y| f64::from(x > y);
    greater_or_equal: 0.0, |x, y| f64::from(x >= y);
    equal: 0.0, |x, y| f64::from(x == y);
}

#[test]
fn a_square_root_without_hardware_is_one() {
    for x in arguments(0.0, ALL) {
        assert_eq!(super::soft_sqrt(x as f64) as f32, x.sqrt(), "{x:e}");
    }
}
