//! Elementwise kernels for every dtype: functions of one tensor, arithmetic, comparisons and logic of two with broadcasting, selection.
//!
//! f32 models run through [`fused`](super::fused); these kernels serve the other dtypes and mixed ones. Operands with broadcasting come with
//! element strides for each dim of the output's `shape` (0 where they are broadcast); outputs are dense. f16 and bf16 compute in f32 and round.

mod number;
mod parametric;
mod unary;

pub use number::Number;
pub use parametric::{ParametricOp, parametric};
pub use unary::{UnaryOp, is_inf, is_nan, unary};

use crate::element::Bool;
use crate::error::Fault;
use crate::kernels::walk::{Walk, count, promise};

/// The functions of two numbers that give a number of the same type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // ONNX's names.
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate towards zero; an integer divided by zero is 0, the least divided by -1 wraps.
    Div,
    /// NaN if either is NaN.
    Min,
    /// NaN if either is NaN.
    Max,
    /// Integers wrap; a negative power of an integer is truncated.
    Pow,
    /// The remainder with the sign of the divisor; an integer modulo zero is 0.
    Mod,
    /// The remainder with the sign of the dividend.
    Fmod,
    BitAnd,
    BitOr,
    BitXor,
    /// Amounts from the type's width on give 0.
    ShiftLeft,
    /// Zeros come in for unsigned types, the sign for signed; amounts from the type's width on shift everything out.
    ShiftRight,
    /// `a` if it is not negative, else `a b`.
    PRelu,
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // ONNX's names.
pub enum CompareOp {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// The functions of two truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // ONNX's names.
pub enum LogicOp {
    And,
    Or,
    Xor,
}

/// `out[i] = f(a[i], b[i])` over `shape`, with loops of their own for dense operands and for a second one that stands still.
#[inline(always)]
fn zip<A, B, O>(
    out: &mut [O],
    a: &[A],
    b: &[B],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
    f: impl Fn(&A, &B) -> O,
) -> Result<(), Fault> {
    promise(count(shape)? == out.len(), "an elementwise output has another length than its shape")?;
    promise(a_strides.len() == shape.len() && b_strides.len() == shape.len(), "elementwise strides have another rank than the shape")?;
    let walk = Walk::<2>::new(shape, |axis, k| if k == 0 { a_strides[axis] as isize } else { b_strides[axis] as isize })?;
    walk.check(0, 0, a.len())?;
    walk.check(1, 0, b.len())?;
    let (n, [sa, sb]) = walk.inner();
    let mut rows = out.chunks_exact_mut(n.max(1));
    walk.rows([0, 0], |[i, j]| {
        let Some(out) = rows.next() else { return };
        let (a, b) = (&a[i..], &b[j..]);
        match (sa, sb) {
            (1, 1) => out.iter_mut().zip(a).zip(b).for_each(|((o, a), b)| *o = f(a, b)),
            (1, 0) => out.iter_mut().zip(a).for_each(|(o, a)| *o = f(a, &b[0])),
            _ => out.iter_mut().enumerate().for_each(|(k, o)| *o = f(&a[k * sa as usize], &b[k * sb as usize])),
        }
    });
    Ok(())
}

/// `out = op(a, b)`, broadcast. `BitAnd` and the other bit operations are for integers only.
pub fn binary<T: Number>(
    out: &mut [T],
    a: &[T],
    b: &[T],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
    op: BinaryOp,
) -> Result<(), Fault> {
    use BinaryOp as Op;
    macro_rules! ops {
        ($($variant:ident $method:ident,)*) => {
            match op {
                $(Op::$variant => zip(out, a, b, shape, a_strides, b_strides, #[inline(always)] |&a, &b| a.$method(b)),)*
            }
        };
    }
    let bits = matches!(op, Op::BitAnd | Op::BitOr | Op::BitXor | Op::ShiftLeft | Op::ShiftRight);
    promise(T::INTEGER || !bits, "a bit operation on a type without bits")?;
    ops! {
        Add plus, Sub minus, Mul times, Div over, Min least, Max greatest, Pow power, Mod modulo, Fmod remainder,
        BitAnd bit_and, BitOr bit_or, BitXor bit_xor, ShiftLeft shift_left, ShiftRight shift_right, PRelu prelu,
    }
}

/// `out = a op b`, broadcast; comparisons with NaN are false.
pub fn compare<T: Copy + PartialOrd>(
    out: &mut [Bool],
    a: &[T],
    b: &[T],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
    op: CompareOp,
) -> Result<(), Fault> {
    match op {
        CompareOp::Less => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a < b).into()),
        CompareOp::LessOrEqual => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a <= b).into()),
        CompareOp::Greater => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a > b).into()),
        CompareOp::GreaterOrEqual => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a >= b).into()),
        CompareOp::Equal => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a == b).into()),
    }
}

/// `out = a == b`, broadcast, for strings.
#[cfg(feature = "alloc")]
pub fn equal_strings(
    out: &mut [Bool],
    a: &[alloc::string::String],
    b: &[alloc::string::String],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
) -> Result<(), Fault> {
    zip(out, a, b, shape, a_strides, b_strides, |a, b| (a == b).into())
}

/// `out = a op b`, broadcast.
pub fn logic(
    out: &mut [Bool],
    a: &[Bool],
    b: &[Bool],
    shape: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
    op: LogicOp,
) -> Result<(), Fault> {
    match op {
        LogicOp::And => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a.get() & b.get()).into()),
        LogicOp::Or => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a.get() | b.get()).into()),
        LogicOp::Xor => zip(out, a, b, shape, a_strides, b_strides, |a, b| (a.get() ^ b.get()).into()),
    }
}

/// `out = not x`.
pub fn not(out: &mut [Bool], x: &[Bool]) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Not: the lengths differ")?;
    out.iter_mut().zip(x).for_each(|(o, x)| *o = (!x.get()).into());
    Ok(())
}

/// `out = if condition { a } else { b }`, broadcast (ONNX Where).
pub fn select<T: Clone>(
    out: &mut [T],
    condition: &[Bool],
    a: &[T],
    b: &[T],
    shape: &[usize],
    condition_strides: &[usize],
    a_strides: &[usize],
    b_strides: &[usize],
) -> Result<(), Fault> {
    promise(count(shape)? == out.len(), "an elementwise output has another length than its shape")?;
    let strides = [condition_strides, a_strides, b_strides];
    promise(strides.iter().all(|s| s.len() == shape.len()), "elementwise strides have another rank than the shape")?;
    let walk = Walk::<3>::new(shape, |axis, k| strides[k][axis] as isize)?;
    walk.check(0, 0, condition.len())?;
    walk.check(1, 0, a.len())?;
    walk.check(2, 0, b.len())?;
    let (n, steps) = walk.inner();
    let [sc, sa, sb] = steps.map(|s| s as usize);
    let mut rows = out.chunks_exact_mut(n.max(1));
    walk.rows([0; 3], |[i, j, k]| {
        let Some(out) = rows.next() else { return };
        let (c, a, b) = (&condition[i..], &a[j..], &b[k..]);
        if (sc, sa, sb) == (1, 1, 1) {
            out.iter_mut().zip(c).zip(a.iter().zip(b)).for_each(|((o, c), (a, b))| o.clone_from(if c.get() { a } else { b }));
        } else {
            out.iter_mut().enumerate().for_each(|(m, o)| o.clone_from(if c[m * sc].get() { &a[m * sa] } else { &b[m * sb] }));
        }
    });
    Ok(())
}

/// `out = min(max(x, low), high)` with bounds of one element each, if given: NaN stays, and `high` wins where it is below `low`.
pub fn clip<T: Number>(out: &mut [T], x: &[T], low: Option<&[T]>, high: Option<&[T]>) -> Result<(), Fault> {
    promise(out.len() == x.len(), "Clip: the lengths differ")?;
    let bound = |b: Option<&[T]>, all: T| match b {
        None => Ok(all),
        Some(&[b]) => Ok(b),
        Some(_) => Err(Fault::Internal { what: "Clip: a bound is not one element" }),
    };
    let (low, high) = (bound(low, T::LOWEST)?, bound(high, T::HIGHEST)?);
    for (o, &x) in out.iter_mut().zip(x) {
        let raised = if x < low { low } else { x };
        *o = if raised > high { high } else { raised };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
