//! Functions of f64 for the generic kernels: the same bits on every platform, with or without `std`.
//!
//! About 1 ulp for `exp` and `ln`, a few for `tanh` and `pow`. Not for hot f32 loops: those have the vector polynomials of `math`.

const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// The square root, correctly rounded where the platform has it.
#[inline(always)]
pub fn sqrt(x: f64) -> f64 {
    #[cfg(feature = "std")]
    return x.sqrt();
    #[cfg(not(feature = "std"))]
    return sqrt_newton(x);
}

/// The square root by Newton's steps from a guess of the exponent, for targets without `std`.
#[cfg_attr(feature = "std", allow(dead_code))]
fn sqrt_newton(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    if x < 1e-290 {
        // 2^120 out, 2^-60 back: the guess below wants a normal number.
        return sqrt_newton(x * 1.329_227_995_784_916e36) * 8.673_617_379_884_035e-19;
    }
    let mut y = f64::from_bits((x.to_bits() >> 1) + 0x1ff7_a3be_a91d_9b1b);
    for _ in 0..5 {
        y = 0.5 * (y + x / y);
    }
    y
}

/// The nearest whole number, ties to even.
#[inline(always)]
pub fn round(x: f64) -> f64 {
    // Above 2^52 every f64 is whole; below, adding 2^52 rounds as the hardware does.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    let magnitude = f64::from_bits(x.to_bits() & !(1 << 63));
    if magnitude < WHOLE {
        let rounded = (magnitude + WHOLE) - WHOLE;
        f64::from_bits(rounded.to_bits() | (x.to_bits() & (1 << 63)))
    } else {
        x
    }
}

/// The largest whole number not above `x`.
#[inline(always)]
pub fn floor(x: f64) -> f64 {
    let rounded = round(x);
    if rounded > x { rounded - 1.0 } else { rounded }
}

/// 1 / n!.
const INVERSE_FACTORIALS: [f64; 15] = {
    let (mut inverses, mut factorial, mut n) = ([1.0; 15], 1.0, 1);
    while n < inverses.len() {
        // Exact up to 18!.
        factorial *= n as f64;
        inverses[n] = 1.0 / factorial;
        n += 1;
    }
    inverses
};

/// e^r - 1 for |r| below 0.36, by the series.
fn exp_m1_near_zero(r: f64) -> f64 {
    // Odd and even powers apart: two chains that do not wait for each other.
    let (square, mut odd, mut even) = (r * r, 0.0, 0.0);
    for n in (1..=13).rev().step_by(2) {
        odd = odd * square + INVERSE_FACTORIALS[n];
        even = even * square + INVERSE_FACTORIALS[n + 1];
    }
    r * odd + square * even
}

/// e^x.
pub fn exp(x: f64) -> f64 {
    if x > 709.79 {
        return f64::INFINITY;
    }
    if x < -745.2 {
        return 0.0;
    }
    if x.is_nan() {
        return x;
    }
    let k = round(x * core::f64::consts::LOG2_E);
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let y = 1.0 + exp_m1_near_zero(r);
    // Twice half the exponent, so that subnormal results are rounded once and 2^1024 is never formed.
    let k = k as i64;
    let half = k / 2;
    y * power_of_two(half) * power_of_two(k - half)
}

fn power_of_two(k: i64) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The natural logarithm.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x <= 0.0 {
        return if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    }
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
    // x = m * 2^e with m between sqrt(1/2) and sqrt(2).
    let bits = x.to_bits() + (0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd);
    let e = ((bits >> 52) as i64 - 1023 - shift) as f64;
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + 0x3fe6_a09e_667f_3bcd);
    let f = m - 1.0;
    let t = f / (2.0 + f);
    let s = t * t;
    let mut sum = 0.0;
    for n in (1..=11).rev() {
        sum = (sum + 1.0 / (2 * n + 1) as f64) * s;
    }
    e * LN2_HIGH + (2.0 * t + (2.0 * t * sum + e * LN2_LOW))
}

/// ln(1 + e^x), without overflow.
pub fn softplus(x: f64) -> f64 {
    let magnitude = f64::from_bits(x.to_bits() & !(1 << 63));
    let small = exp(-magnitude);
    let tail = if small < 1e-8 { small - 0.5 * small * small } else { ln(1.0 + small) };
    if x > 0.0 { x + tail } else { tail }
}

/// 1 / (1 + e^-x).
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent.
pub fn tanh(x: f64) -> f64 {
    let magnitude = f64::from_bits(x.to_bits() & !(1 << 63));
    if magnitude < 0.17 {
        let e = exp_m1_near_zero(2.0 * x);
        return e / (e + 2.0);
    }
    let y = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
    if x < 0.0 { -y } else { y }
}

/// x^p for x not negative; whole p of small magnitude by multiplication.
pub fn pow(x: f64, p: f64) -> f64 {
    if p == 0.5 {
        return sqrt(x);
    }
    if p == round(p) && p.abs() <= 16.0 {
        let power = (0..p.abs() as u32).fold(1.0, |y, _| y * x);
        return if p < 0.0 { 1.0 / power } else { power };
    }
    exp(p * ln(x))
}

/// Sine and cosine of `part / whole` of a full turn, exact at the quarters. `whole` is at least 1.
pub fn sin_cos_turn(part: u64, whole: u64) -> (f64, f64) {
    let whole = whole.max(1);
    // In eighths of a turn, so that the series only sees angles up to pi/4.
    let (part, wide) = ((part % whole) as u128 * 8, whole as u128);
    let (octant, rest) = (part / wide, part % wide);
    let odd = octant % 2 == 1;
    let rest = if odd { wide - rest } else { rest };
    let angle = core::f64::consts::FRAC_PI_4 * (rest as f64 / wide as f64);
    let (s, c) = sin_cos_near_zero(angle);
    let (s, c) = if octant.div_ceil(2) % 2 == 1 { (c, s) } else { (s, c) };
    let (sin_negative, cos_negative) = (octant >= 4, (2..6).contains(&octant));
    (if sin_negative { -s } else { s }, if cos_negative { -c } else { c })
}

/// Sine and cosine for |x| up to pi/4, by the series.
fn sin_cos_near_zero(x: f64) -> (f64, f64) {
    let square = -x * x;
    let (mut s, mut c) = (0.0, 0.0);
    for n in (1..=9).rev() {
        let n = (2 * n) as f64;
        s = (1.0 + s) * square / (n * (n + 1.0));
        c = (1.0 + c) * square / (n * (n - 1.0));
    }
    (x + x * s, 1.0 + c)
}

/// Sine and cosine of an angle in radians, for moderate angles (the random generator, windows).
pub fn sin_cos(x: f64) -> (f64, f64) {
    let quarter = round(x / core::f64::consts::FRAC_PI_2);
    // pi/2 in three pieces of 33 bits, so that the products are exact for moderate angles.
    let r = ((x - quarter * 1.570_796_326_734_125_6) - quarter * 6.077_100_506_303_966e-11) - quarter * 2.022_266_248_795_950_6e-21;
    let (s, c) = sin_cos_near_zero(r);
    match (quarter as i64).rem_euclid(4) {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64, ulps: f64) {
        let error = (got - want).abs() / (want.abs() * f64::EPSILON).max(f64::MIN_POSITIVE);
        assert!(got == want || error <= ulps, "{got:e} {want:e} {error}");
    }

    #[test]
    fn agree_with_the_platform() {
        for i in -3000..3000 {
            let x = i as f64 * 0.2371 + 1e-3;
            close(exp(x), x.exp(), 2.0);
            close(tanh(x / 100.0), (x / 100.0).tanh(), 8.0);
            let y = (x / 7.0).exp();
            close(ln(y), y.ln(), 2.0);
            close(sqrt_newton(y), y.sqrt(), 1.0);
            close(pow(y, 0.3), y.powf(0.3), 64.0);
            assert!((sin_cos(x).0 - x.sin()).abs() < 1e-15);
            assert_eq!(round(x * 8.0), (x * 8.0).round_ties_even());
            assert_eq!(floor(x), x.floor());
        }
        for (n, whole) in (0..70).zip([64].into_iter().cycle()) {
            let (s, c) = sin_cos_turn(n, whole);
            let angle = n as f64 / whole as f64 * core::f64::consts::TAU;
            assert!((s - angle.sin()).abs() < 2e-15 && (c - angle.cos()).abs() < 2e-15, "{n}");
        }
        assert_eq!(sin_cos_turn(16, 64), (1.0, 0.0));
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(exp(-800.0), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        close(exp(-740.0), (-740f64).exp(), 2.0);
        close(ln(1e-310), (1e-310f64).ln(), 2.0);
        close(sqrt_newton(1e-310), (1e-310f64).sqrt(), 2.0);
        close(softplus(-40.0), (-40f64).exp(), 2.0);
    }
}
