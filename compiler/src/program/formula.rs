//! The formula of a fused elementwise loop: a short straight-line program over f32 registers.
//! It prints as a Rust expression over the vector vocabulary, and evaluates here with the portable one.

use serde::{Deserialize, Serialize};

/// A function of one f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are ONNX's; exact definitions are in onnxc_runtime::math.
pub enum Unary {
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
}

/// A function of two f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Pow,
    Fmod,
    Mod,
    /// Comparisons give 1.0 or 0.0.
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// One instruction; operands are the inputs (numbered first) and the results of earlier instructions (numbered after them).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Instr {
    /// A constant.
    Const(f32),
    /// A function of one operand.
    Unary(Unary, usize),
    /// A function of two.
    Binary(Binary, usize, usize),
    /// `a * b + c`, rounded once or twice.
    MulAdd(usize, usize, usize),
    /// `if a != 0 { b } else { c }`.
    Select(usize, usize, usize),
}

/// A formula: the last instruction's result is the value (with no instructions: input 0).
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Formula {
    /// The number of inputs.
    pub inputs: usize,
    /// The instructions in order.
    pub instrs: Vec<Instr>,
}

/// Evaluates a formula over memory, as the generated loop does.
pub fn run(
    _formula: &Formula,
    _out: &mut [f32],
    _inputs: &[&[f32]],
    _shape: &[usize],
    _strides: &[&[usize]],
) -> Result<(), onnxc_runtime::error::Fault> {
    Err(onnxc_runtime::error::Fault::Internal { what: "formula::run" })
}
