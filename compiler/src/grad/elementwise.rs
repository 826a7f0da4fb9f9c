//! Rules of functions of each element.

use super::Tape;
use super::rules::{Adjoints, missing};
use crate::ir::{Node, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::elementwise::cast::Cast;
use crate::ops::elementwise::parametric::{Parametric, ParametricFn as P};
use crate::program::formula::Unary as F;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `dx` of `y = f(x)`. At a kink it is the slope of one side, as usual.
pub fn unary(tape: &mut Tape, f: F, x: ValueId, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let slope = match f {
        F::Abs => tape.unary(F::Sign, x)?,
        F::Neg => return tape.unary(F::Neg, dy),
        F::Floor | F::Ceil | F::Round | F::Trunc | F::Sign => return tape.zeros_like(dy),
        F::Exp => y,
        F::Expm1 => tape.affine(y, 1.0, 1.0)?,
        F::Log => return tape.pair(B::Div, dy, x),
        F::Log1p => {
            let below = tape.affine(x, 1.0, 1.0)?;
            return tape.pair(B::Div, dy, below);
        }
        F::Sqrt => {
            let half = tape.affine(dy, 0.5, 0.0)?;
            return tape.pair(B::Div, half, y);
        }
        F::Rsqrt => product(tape, &[y, y, y], -0.5)?,
        F::Reciprocal => product(tape, &[y, y], -1.0)?,
        F::Sin => tape.unary(F::Cos, x)?,
        F::Cos => {
            let sine = tape.unary(F::Sin, x)?;
            tape.unary(F::Neg, sine)?
        }
        F::Tan => squared(tape, y, 1.0, 1.0)?,
        F::Asin => inverse_root(tape, x, -1.0, 1.0)?,
        F::Acos => {
            let slope = inverse_root(tape, x, -1.0, 1.0)?;
            tape.unary(F::Neg, slope)?
        }
        F::Atan => reciprocal_of_square(tape, x, 1.0)?,
        F::Sinh => tape.unary(F::Cosh, x)?,
        F::Cosh => tape.unary(F::Sinh, x)?,
        F::Tanh => squared(tape, y, -1.0, 1.0)?,
        F::Asinh => inverse_root(tape, x, 1.0, 1.0)?,
        F::Acosh => inverse_root(tape, x, 1.0, -1.0)?,
        F::Atanh => reciprocal_of_square(tape, x, -1.0)?,
        F::Erf => bell(tape, x, -1.0, 2.0 / PI.sqrt())?,
        F::Sigmoid => logistic(tape, y)?,
        F::Softplus => tape.unary(F::Sigmoid, x)?,
        F::Relu => {
            let zero = tape.scalar(x, 0.0)?;
            let positive = tape.pair(B::Greater, x, zero)?;
            return tape.masked(positive, dy);
        }
        F::Gelu => gelu(tape, x)?,
        F::GeluTanh => gelu_tanh(tape, x)?,
        F::Silu => swish(tape, x, 1.0)?,
        F::Mish => mish(tape, x)?,
        F::HardSwish => hard_swish(tape, x)?,
    };
    tape.mul(dy, slope)
}

/// The product of these and a number.
fn product(tape: &mut Tape, factors: &[ValueId], number: f64) -> Result<ValueId, OpError> {
    let mut all = tape.affine(factors[0], number, 0.0)?;
    for &factor in &factors[1..] {
        all = tape.mul(all, factor)?;
    }
    Ok(all)
}

/// `a x² + b`.
fn squared(tape: &mut Tape, x: ValueId, a: f64, b: f64) -> Result<ValueId, OpError> {
    let square = tape.mul(x, x)?;
    tape.affine(square, a, b)
}

/// `1 / sqrt(a x² + b)`.
fn inverse_root(tape: &mut Tape, x: ValueId, a: f64, b: f64) -> Result<ValueId, OpError> {
    let square = squared(tape, x, a, b)?;
    let root = tape.unary(F::Sqrt, square)?;
    tape.unary(F::Reciprocal, root)
}

/// `1 / (1 + a x²)`.
fn reciprocal_of_square(tape: &mut Tape, x: ValueId, a: f64) -> Result<ValueId, OpError> {
    let below = squared(tape, x, a, 1.0)?;
    tape.unary(F::Reciprocal, below)
}

/// `b exp(a x²)`.
fn bell(tape: &mut Tape, x: ValueId, a: f64, b: f64) -> Result<ValueId, OpError> {
    let exponent = squared(tape, x, a, 0.0)?;
    let bell = tape.unary(F::Exp, exponent)?;
    tape.affine(bell, b, 0.0)
}

/// `s (1 - s)`, the slope of the sigmoid of value `s`.
fn logistic(tape: &mut Tape, s: ValueId) -> Result<ValueId, OpError> {
    let rest = tape.affine(s, -1.0, 1.0)?;
    tape.mul(s, rest)
}

/// The slope of `x Φ(x)`: `Φ(x) + x φ(x)`.
fn gelu(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let scaled = tape.affine(x, FRAC_1_SQRT_2, 0.0)?;
    let erf = tape.unary(F::Erf, scaled)?;
    let below = tape.affine(erf, 0.5, 0.5)?;
    let density = bell(tape, x, -0.5, 1.0 / (2.0 * PI).sqrt())?;
    let rest = tape.mul(x, density)?;
    tape.pair(B::Add, below, rest)
}

/// The slope of `x (1 + tanh(u)) / 2` with `u = sqrt(2 / π) (x + 0.044715 x³)`.
fn gelu_tanh(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let (c, d) = ((2.0 / PI).sqrt(), 0.044_715);
    let inner = squared(tape, x, c * d, c)?;
    let u = tape.mul(x, inner)?;
    let t = tape.unary(F::Tanh, u)?;
    let below = tape.affine(t, 0.5, 0.5)?;
    let (slope_t, slope_u) = (squared(tape, t, -0.5, 0.5)?, squared(tape, x, 3.0 * c * d, c)?);
    let rest = product(tape, &[x, slope_t, slope_u], 1.0)?;
    tape.pair(B::Add, below, rest)
}

/// The slope of `x sigmoid(a x)`.
fn swish(tape: &mut Tape, x: ValueId, a: f64) -> Result<ValueId, OpError> {
    let scaled = tape.affine(x, a, 0.0)?;
    let s = tape.unary(F::Sigmoid, scaled)?;
    let slope = logistic(tape, s)?;
    let rest = tape.mul(scaled, slope)?;
    tape.pair(B::Add, s, rest)
}

/// The slope of `x tanh(softplus(x))`.
fn mish(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let soft = tape.unary(F::Softplus, x)?;
    let t = tape.unary(F::Tanh, soft)?;
    let (outer, inner) = (squared(tape, t, -1.0, 1.0)?, tape.unary(F::Sigmoid, x)?);
    let rest = product(tape, &[x, outer, inner], 1.0)?;
    tape.pair(B::Add, t, rest)
}

/// The slope of `x clip(x / 6 + 1 / 2, 0, 1)`.
fn hard_swish(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let middle = tape.affine(x, 1.0 / 3.0, 0.5)?;
    let (low, high, one) = (tape.scalar(x, -3.0)?, tape.scalar(x, 3.0)?, tape.scalar(x, 1.0)?);
    let (above, below) = (tape.pair(B::Greater, x, low)?, tape.pair(B::Less, x, high)?);
    let bent = tape.masked(above, middle)?;
    tape.choose(below, bent, one)
}

/// `dx` of a function with constants.
pub fn parametric(tape: &mut Tape, op: &Parametric, x: ValueId, y: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let (alpha, beta) = (f64::from(op.alpha), f64::from(op.beta));
    let zero = tape.scalar(x, 0.0)?;
    // The slope where the argument is negative, and where it is not; or where |x| is in a range.
    let (negative, positive) = match op.f {
        P::LeakyRelu => (tape.scalar(x, alpha)?, 1.0),
        // alpha (exp(x) - 1) has the slope y + alpha.
        P::Elu => (tape.affine(y, 1.0, alpha)?, 1.0),
        // beta alpha (exp(x) - 1).
        P::Selu => (tape.affine(y, 1.0, alpha * beta)?, beta),
        // alpha (exp(x / alpha) - 1).
        P::Celu => (tape.affine(y, 1.0 / alpha, 1.0)?, 1.0),
        P::ThresholdedRelu => {
            let threshold = tape.scalar(x, alpha)?;
            let above = tape.pair(B::Greater, x, threshold)?;
            return tape.masked(above, dy);
        }
        P::Shrink => {
            let (magnitude, limit) = (tape.unary(F::Abs, x)?, tape.scalar(x, alpha)?);
            let outside = tape.pair(B::Greater, magnitude, limit)?;
            return tape.masked(outside, dy);
        }
        P::HardSigmoid => {
            let one = tape.scalar(x, 1.0)?;
            let (above, below) = (tape.pair(B::Greater, y, zero)?, tape.pair(B::Less, y, one)?);
            let inside = tape.pair(B::And, above, below)?;
            let slope = tape.affine(dy, alpha, 0.0)?;
            return tape.masked(inside, slope);
        }
        P::Swish => {
            let slope = swish(tape, x, alpha)?;
            return tape.mul(dy, slope);
        }
    };
    let positive = tape.scalar(x, positive)?;
    let below = tape.pair(B::Less, x, zero)?;
    let slope = tape.choose(below, negative, positive)?;
    tape.mul(dy, slope)
}

/// The adjoints of the operands of a function of two. Of two equal ones, the first is the minimum and the maximum.
pub fn binary(tape: &mut Tape, f: B, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(a), Some(b)] = node.inputs[..] else { return Err(missing(node)) };
    let y = node.outputs[0];
    let mut adjoints = Vec::new();
    for (i, x) in [a, b].into_iter().enumerate() {
        if !tape.needs(node, i) {
            adjoints.push(None);
            continue;
        }
        let first = i == 0;
        let wide = match f {
            B::Add => dy,
            B::Sub if first => dy,
            B::Sub => tape.unary(F::Neg, dy)?,
            B::Mul => tape.mul(dy, if first { b } else { a })?,
            B::Div if first => tape.pair(B::Div, dy, b)?,
            B::Div => {
                let quotient = tape.pair(B::Div, y, b)?;
                product(tape, &[dy, quotient], -1.0)?
            }
            B::Min | B::Max => {
                let compare = if f == B::Min { B::LessOrEqual } else { B::GreaterOrEqual };
                let taken = tape.pair(compare, a, b)?;
                let zero = tape.scalar(dy, 0.0)?;
                if first { tape.choose(taken, dy, zero)? } else { tape.choose(taken, zero, dy)? }
            }
            B::Pow if first => power_by_base(tape, a, b, dy)?,
            B::Pow => {
                // The logarithm of a base that is not positive has no part in a real derivative.
                let (zero, log) = (tape.scalar(a, 0.0)?, tape.unary(F::Log, a)?);
                let positive = tape.pair(B::Greater, a, zero)?;
                let log = tape.masked(positive, log)?;
                product(tape, &[dy, y, log], 1.0)?
            }
            _ => return Err(missing(node)),
        };
        adjoints.push(Some(tape.sum_to(wide, x)?));
    }
    Ok(adjoints)
}

/// `b a^(b - 1) dy`.
fn power_by_base(tape: &mut Tape, a: ValueId, b: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    let b = if tape.dtype(a)? == tape.dtype(b)? { b } else { cast(tape, a, b)? };
    let less = tape.affine(b, 1.0, -1.0)?;
    let power = tape.pair(B::Pow, a, less)?;
    product(tape, &[dy, b, power], 1.0)
}

/// The adjoints of what `Where` chooses from.
pub fn choice(tape: &mut Tape, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let [Some(condition), Some(a), Some(b)] = node.inputs[..] else { return Err(missing(node)) };
    let zero = tape.scalar(dy, 0.0)?;
    let mut adjoints = vec![None];
    for (i, x, yes, no) in [(1, a, dy, zero), (2, b, zero, dy)] {
        let wide = if tape.needs(node, i) { Some(tape.choose(condition, yes, no)?) } else { None };
        adjoints.push(wide.map(|wide| tape.sum_to(wide, x)).transpose()?);
    }
    Ok(adjoints)
}

/// `y` in the dtype of `like`.
pub fn cast(tape: &mut Tape, like: ValueId, y: ValueId) -> Result<ValueId, OpError> {
    let to = tape.dtype(like)?;
    tape.add(Cast { to, saturate: true, round_mode: "up".into() }, &[y])
}
