//! One f32 function over memory: what a fused loop of a single operation is, compiled once here and not again in every model.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::fused::{Formula, map};
use crate::math::Math;
use crate::simd::{Scalar, Simd};

/// A vector of the portable token.
type Lanes = <Scalar as Simd>::F32;

macro_rules! words {
    ($(#[$doc:meta])* $kind:ident, $n:literal, $door:ident, $portable:ident, $pattern:tt, $args:tt: $($variant:ident $word:ident,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // The names are ONNX's; exact definitions are in `math`.
        pub enum $kind {
            $($variant,)*
        }
        $(struct $variant;
        impl Formula<$n> for $variant {
            #[inline(always)]
            fn eval<S: Simd>(&self, s: S, $pattern: [S::F32; $n]) -> S::F32 {
                s.$word $args
            }
        })*
        fn $door(cx: Cx, out: &mut [f32], inputs: [&[f32]; $n], shape: &[usize], strides: [&[usize]; $n], word: $kind) -> Result<(), Fault> {
            match word {
                $($kind::$variant => map(cx, &$variant, out, inputs, shape, strides),)*
            }
        }
        /// The function with the portable token, as the compiler's interpreter evaluates it.
        #[inline(never)]
        pub fn $portable(word: $kind, $pattern: [Lanes; $n]) -> Lanes {
            match word {
                $($kind::$variant => Scalar.$word $args,)*
            }
        }
    };
}
words! {
    /// A function of one number.
    Unary, 1, unary_map, portable_unary, [x], (x):
    Abs abs, Neg neg, Sqrt sqrt, Reciprocal reciprocal, Floor floor, Ceil ceil, Round round_even, Trunc trunc, Sign sign, Exp exp, Log log,
    Log1p log1p, Expm1 expm1, Sin sin, Cos cos, Tan tan, Asin asin, Acos acos, Atan atan, Sinh sinh, Cosh cosh, Tanh tanh, Asinh asinh,
    Acosh acosh, Atanh atanh, Erf erf, Sigmoid sigmoid, Softplus softplus, Relu relu, Gelu gelu, GeluTanh gelu_tanh, Silu silu, Mish mish,
    HardSwish hard_swish, Rsqrt rsqrt,
}
words! {
    /// A function of two numbers; comparisons give 1 or 0.
    Binary, 2, binary_map, portable_binary, [x, y], (x, y):
    Add add, Sub sub, Mul mul, Div div, Min min_nan, Max max_nan, Pow pow, Fmod fmod, Mod modulo, Less less, LessOrEqual less_or_equal,
    Greater greater, GreaterOrEqual greater_or_equal, Equal equal,
}

/// `out[i] = word(x[i])`; `out` and `x` are equally long.
pub fn unary(cx: Cx, out: &mut [f32], x: &[f32], word: Unary) -> Result<(), Fault> {
    let len = [out.len()];
    unary_map(cx, out, [x], &len, [&[1]], word)
}

/// `out[i] = word(x[i], y[i])` over `shape`, with element strides for x and y (0 where broadcast).
pub fn binary(
    cx: Cx,
    out: &mut [f32],
    x: &[f32],
    y: &[f32],
    shape: &[usize],
    x_strides: &[usize],
    y_strides: &[usize],
    word: Binary,
) -> Result<(), Fault> {
    binary_map(cx, out, [x, y], shape, [x_strides, y_strides], word)
}
