//! Functions of one tensor.

use super::number::Number;
use crate::element::{Bool, Element};
use crate::error::Fault;
use crate::float::{BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F16};
use crate::kernels::walk::promise;
use crate::math::{Math, double};
use crate::simd::{Scalar, Simd};

/// The functions of one number. Integers know `Abs`, `Neg`, `Sign`, `Relu`, `BitNot` and the roundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // ONNX's names; exact definitions are in `math`.
pub enum UnaryOp {
    Abs,
    Neg,
    Sqrt,
    Reciprocal,
    Floor,
    Ceil,
    Round,
    Trunc,
    Sign,
    Exp,
    Log,
    Log1p,
    Expm1,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Sigmoid,
    Softplus,
    Relu,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    HardSwish,
    Rsqrt,
    /// All bits flipped: integers only.
    BitNot,
}

/// `out = op(x)`.
pub fn unary<T: Unary>(out: &mut [T], x: &[T], op: UnaryOp) -> Result<(), Fault> {
    promise(out.len() == x.len(), "a unary function's lengths differ")?;
    T::unary(out, x, op)
}

/// A number with the functions of [`UnaryOp`].
pub trait Unary: Number {
    /// `out = op(x)` for slices of the same length.
    fn unary(out: &mut [Self], x: &[Self], op: UnaryOp) -> Result<(), Fault>;
}

#[inline(always)]
fn each<T: Copy>(out: &mut [T], x: &[T], f: impl Fn(T) -> T) -> Result<(), Fault> {
    out.iter_mut().zip(x).for_each(|(o, &x)| *o = f(x));
    Ok(())
}

/// A function that the compiler does not call for this type.
fn undefined() -> Result<(), Fault> {
    Err(Fault::Internal { what: "a unary function that this type does not have" })
}

macro_rules! integers {
    ($($t:ident $neg:ident $abs:expr, $sign:expr, $relu:expr;)*) => {$(
        impl Unary for $t {
            fn unary(out: &mut [Self], x: &[Self], op: UnaryOp) -> Result<(), Fault> {
                match op {
                    UnaryOp::Abs => each(out, x, $abs),
                    UnaryOp::Neg => each(out, x, $t::$neg),
                    UnaryOp::Sign => each(out, x, $sign),
                    UnaryOp::Relu => each(out, x, $relu),
                    UnaryOp::BitNot => each(out, x, |x| !x),
                    UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => each(out, x, |x| x),
                    _ => undefined(),
                }
            }
        }
    )*};
}
integers! {
    i8 wrapping_neg i8::wrapping_abs, i8::signum, |x| x.max(0);
    i16 wrapping_neg i16::wrapping_abs, i16::signum, |x| x.max(0);
    i32 wrapping_neg i32::wrapping_abs, i32::signum, |x| x.max(0);
    i64 wrapping_neg i64::wrapping_abs, i64::signum, |x| x.max(0);
    u8 wrapping_neg |x| x, |x| x.min(1), |x| x;
    u16 wrapping_neg |x| x, |x| x.min(1), |x| x;
    u32 wrapping_neg |x| x, |x| x.min(1), |x| x;
    u64 wrapping_neg |x| x, |x| x.min(1), |x| x;
}

impl Unary for f64 {
    fn unary(out: &mut [Self], x: &[Self], op: UnaryOp) -> Result<(), Fault> {
        use UnaryOp as Op;
        let f: fn(f64) -> f64 = match op {
            Op::Abs => return each(out, x, double::abs),
            Op::Neg => return each(out, x, |x| -x),
            Op::Relu => return each(out, x, |x| if x < 0.0 { 0.0 } else { x }),
            Op::Sqrt => return each(out, x, double::sqrt),
            Op::Reciprocal => return each(out, x, |x| 1.0 / x),
            Op::Rsqrt => return each(out, x, |x| 1.0 / double::sqrt(x)),
            Op::Sign => |x| if double::abs(x) > 0.0 { double::copysign(1.0, x) } else { x },
            Op::HardSwish => |x| x * double::least(double::greatest(x / 6.0 + 0.5, 0.0), 1.0),
            Op::Floor => double::floor,
            Op::Ceil => double::ceil,
            Op::Round => double::round,
            Op::Trunc => double::trunc,
            Op::Exp => double::exp,
            Op::Log => double::ln,
            Op::Log1p => double::ln_1p,
            Op::Expm1 => double::expm1,
            Op::Sin => double::sin,
            Op::Cos => double::cos,
            Op::Tan => double::tan,
            Op::Asin => double::asin,
            Op::Acos => double::acos,
            Op::Atan => double::atan,
            Op::Sinh => double::sinh,
            Op::Cosh => double::cosh,
            Op::Tanh => double::tanh,
            Op::Asinh => double::asinh,
            Op::Acosh => double::acosh,
            Op::Atanh => double::atanh,
            Op::Erf => double::erf,
            Op::Sigmoid => double::sigmoid,
            Op::Softplus => double::softplus,
            Op::Gelu => double::gelu,
            Op::GeluTanh => double::gelu_tanh,
            Op::Silu => double::silu,
            Op::Mish => double::mish,
            Op::BitNot => return undefined(),
        };
        each(out, x, f)
    }
}

/// Elements that are converted at a time.
const BLOCK: usize = 64;

/// `x = op(x)` with the portable token: compiled once, for all types that compute in f32.
#[inline(never)]
fn block(x: &mut [f32; BLOCK], op: UnaryOp) -> Result<(), Fault> {
    macro_rules! words {
        ($($variant:ident $word:ident,)*) => {
            match op {
                $(UnaryOp::$variant => {
                    for v in x.chunks_exact_mut(Scalar::LANES) {
                        Scalar.store(v, Scalar.$word(Scalar.load(v)));
                    }
                })*
                UnaryOp::BitNot => return undefined(),
            }
        };
    }
    words! {
        Abs abs, Neg neg, Sqrt sqrt, Reciprocal reciprocal, Floor floor, Ceil ceil, Round round_even, Trunc trunc, Sign sign, Exp exp, Log log,
        Log1p log1p, Expm1 expm1, Sin sin, Cos cos, Tan tan, Asin asin, Acos acos, Atan atan, Sinh sinh, Cosh cosh, Tanh tanh, Asinh asinh,
        Acosh acosh, Atanh atanh, Erf erf, Sigmoid sigmoid, Softplus softplus, Relu relu, Gelu gelu, GeluTanh gelu_tanh, Silu silu, Mish mish,
        HardSwish hard_swish, Rsqrt rsqrt,
    }
    Ok(())
}

macro_rules! by_blocks {
    ($($t:ident $to:expr, $from:expr;)*) => {$(
        impl Unary for $t {
            fn unary(out: &mut [Self], x: &[Self], op: UnaryOp) -> Result<(), Fault> {
                let mut buffer = [0.0; BLOCK];
                for (out, x) in out.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
                    buffer.iter_mut().zip(x).for_each(|(b, &x)| *b = $to(x));
                    block(&mut buffer, op)?;
                    out.iter_mut().zip(&buffer).for_each(|(o, &b)| *o = $from(b));
                }
                Ok(())
            }
        }
    )*};
}
by_blocks! {
    f32 (|x| x), (|x| x);
    F16 F16::to_f32, F16::from_f32;
    BF16 BF16::to_f32, BF16::from_f32;
}

/// A float that may be infinite or no number.
pub trait Extended: Element {
    /// The value as f32: NaN and infinity stay what they are, and finite values finite or not as they were.
    fn class(self) -> f32;
}
macro_rules! extended {
    ($($t:ident)*) => {$(
        impl Extended for $t {
            #[inline(always)]
            fn class(self) -> f32 {
                self.to_f32()
            }
        }
    )*};
}
extended! { F16 BF16 F8E4M3FN F8E4M3FNUZ F8E5M2 F8E5M2FNUZ }
impl Extended for f32 {
    #[inline(always)]
    fn class(self) -> f32 {
        self
    }
}
impl Extended for f64 {
    #[inline(always)]
    fn class(self) -> f32 {
        // Zero times a finite number is zero.
        if self.is_infinite() { self as f32 } else { (self * 0.0) as f32 }
    }
}

/// `out = x is NaN`.
pub fn is_nan<T: Extended>(out: &mut [Bool], x: &[T]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "IsNaN: the lengths differ")?;
    out.iter_mut().zip(x).for_each(|(o, x)| *o = x.class().is_nan().into());
    Ok(())
}

/// `out = x is +∞` if `positive`, or `-∞` if `negative`.
pub fn is_inf<T: Extended>(out: &mut [Bool], x: &[T], positive: bool, negative: bool) -> Result<(), Fault> {
    promise(out.len() == x.len(), "IsInf: the lengths differ")?;
    let hit = |x: f32| (positive && x == f32::INFINITY) || (negative && x == f32::NEG_INFINITY);
    out.iter_mut().zip(x).for_each(|(o, x)| *o = hit(x.class()).into());
    Ok(())
}
