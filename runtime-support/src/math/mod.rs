//! Elementary functions over the vector vocabulary, and the same in f64 ([`double`]).
//!
//! The f32 functions are minimax polynomials (fitted for the relative error by reweighted least squares on Chebyshev nodes, coefficients rounded
//! one by one to f32) around classical range reductions. Each states its error in units of the last place, measured by the tests on every
//! instruction set over its whole domain. Without fused multiply-add the last bits may differ.

// Coefficients are written as the fit printed them.
#![allow(clippy::excessive_precision)]

mod activation;
pub mod double;
mod erf;
mod exp;
mod inverse;
mod log;
mod pow;
mod trig;

#[cfg(test)]
mod tests;

use crate::simd::{MAX_LANES, Simd};

pub use exp::exp_nonpositive;

/// The polynomial with coefficients `c`, lowest first, at `x`.
#[inline(always)]
pub fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, c: [f32; N]) -> S::F32 {
    let mut sum = s.splat(c[N - 1]);
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = s.mul_add(sum, x, s.splat(c[k]));
    }
    sum
}

/// `f` of each lane: for what no vector code exists, or the rare lanes that it cannot handle.
#[inline(always)]
fn each_lane<S: Simd>(s: S, a: S::F32, b: S::F32, f: fn(f32, f32) -> f32) -> S::F32 {
    let (mut x, mut y) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    s.store(&mut x, a);
    s.store(&mut y, b);
    let mut i = 0;
    while i < S::LANES {
        x[i] = f(x[i], y[i]);
        i += 1;
    }
    s.load(&x)
}

/// The extension trait: one row a function.
macro_rules! math {
    ($($(#[$doc:meta])* $name:ident($($x:ident),*) = $path:path;)*) => {
        /// The functions of one, two or three vectors that formulas are made of, as methods of every token: `s.exp(x)`.
        pub trait Math: Simd {
            $(
                $(#[$doc])*
                #[inline(always)]
                fn $name(self, $($x: Self::F32),*) -> Self::F32 {
                    $path(self, $($x),*)
                }
            )*
        }
        impl<S: Simd> Math for S {}
    };
}

math! {
    /// `e^x`, 1 ULP, subnormal results too.
    exp(x) = exp::exp;
    /// `e^x - 1`, 2 ULP.
    expm1(x) = exp::expm1;
    /// The hyperbolic sine, 2 ULP.
    sinh(x) = exp::sinh;
    /// The hyperbolic cosine, 2 ULP.
    cosh(x) = exp::cosh;
    /// The hyperbolic tangent, 3 ULP.
    tanh(x) = exp::tanh;
    /// The natural logarithm, 1 ULP, subnormal arguments too. NaN below 0.
    log(x) = log::log;
    /// `log(1 + x)`, 2 ULP. NaN below -1.
    log1p(x) = log::log1p;
    /// The inverse hyperbolic sine, 3 ULP.
    asinh(x) = log::asinh;
    /// The inverse hyperbolic cosine, 3 ULP. NaN below 1.
    acosh(x) = log::acosh;
    /// The inverse hyperbolic tangent, 3 ULP. NaN outside [-1, 1].
    atanh(x) = log::atanh;
    /// `x^y`, 1 ULP, with all special cases of IEEE 754-2019 `pow`.
    pow(x, y) = pow::pow;
    /// The sine, 2 ULP for every finite argument.
    sin(x) = trig::sin;
    /// The cosine, 2 ULP for every finite argument.
    cos(x) = trig::cos;
    /// The tangent, 4 ULP for every finite argument.
    tan(x) = trig::tan;
    /// The arcsine, 2.5 ULP. NaN outside [-1, 1].
    asin(x) = inverse::asin;
    /// The arccosine, 2 ULP. NaN outside [-1, 1].
    acos(x) = inverse::acos;
    /// The arctangent, 2 ULP.
    atan(x) = inverse::atan;
    /// The error function, 2 ULP.
    erf(x) = erf::erf;
    /// `1 / (1 + e^-x)`, 3 ULP; 0 where that is subnormal.
    sigmoid(x) = activation::sigmoid;
    /// `log(1 + e^x)`, 3 ULP; 0 below -87.3.
    softplus(x) = activation::softplus;
    /// `max(x, 0)`, NaN stays.
    relu(x) = activation::relu;
    /// `x / 2 (1 + erf(x / √2))`: 3 ULP for positive `x`, absolute error below 2^-23 |x| else (that is the formula's nature); 0 below -10.
    gelu(x) = activation::gelu;
    /// `x / 2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`, 16 ULP above -3 (the rounding of the argument of tanh, amplified).
    gelu_tanh(x) = activation::gelu_tanh;
    /// `x sigmoid(x)`, 4 ULP.
    silu(x) = activation::silu;
    /// `x tanh(softplus(x))`, 5 ULP.
    mish(x) = activation::mish;
    /// `x max(0, min(1, x / 6 + 1/2))`.
    hard_swish(x) = activation::hard_swish;
    /// `1 / √x`, 1.5 ULP.
    rsqrt(x) = activation::rsqrt;
    /// `1 / x`, correctly rounded.
    reciprocal(x) = activation::reciprocal;
    /// -1, 0 or 1; NaN of NaN.
    sign(x) = activation::sign;
    /// The nearest integer, ties to even (ONNX Round).
    round(x) = activation::round;
    /// The remainder of truncated division: C's `fmod`, exact.
    fmod(x, y) = pow::fmod;
    /// The remainder of floored division, with the sign of `y`: Python's `%`.
    modulo(x, y) = pow::modulo;
    /// 1 if `x < y`, else 0.
    less(x, y) = activation::less;
    /// 1 if `x <= y`, else 0.
    less_or_equal(x, y) = activation::less_or_equal;
    /// 1 if `x > y`, else 0.
    greater(x, y) = activation::greater;
    /// 1 if `x >= y`, else 0.
    greater_or_equal(x, y) = activation::greater_or_equal;
    /// 1 if `x == y`, else 0.
    equal(x, y) = activation::equal;
    /// `y` where `x` is not zero, else `z`.
    choose(x, y, z) = activation::choose;
}

/// The square root in f64, without hardware: for targets that have neither `std` nor a square root instruction.
#[allow(dead_code)] // Unused where there is one.
pub(crate) fn soft_sqrt(x: f64) -> f64 {
    if !(x > 0.0 && x < f64::INFINITY) {
        // Zero, infinity and NaN are their own roots; negative numbers have none.
        return if x < 0.0 { f64::NAN } else { x };
    }
    // Halving the exponent gives a first guess good to a few percent; each Newton step doubles the digits.
    let mut root = f64::from_bits((x.to_bits() >> 1) + 0x1ff8_0000_0000_0000);
    for _ in 0..6 {
        root = 0.5 * (root + x / root);
    }
    root
}
