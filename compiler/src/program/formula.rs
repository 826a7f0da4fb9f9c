//! The formula of a fused elementwise loop: a short straight-line program over f32 registers.
//! It prints as a Rust expression over the vector vocabulary, and evaluates here with the portable one.

use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::words;
use onnxc_runtime::math::Math;
use onnxc_runtime::simd::{Scalar, Simd};
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

/// A vector of the portable token.
type Lanes = <Scalar as Simd>::F32;

/// A row of the tables below: variant, word of the vocabulary (`s.WORD(x)` in generated code).
macro_rules! words {
    ($kind:ident $portable:ident $n:literal: $($variant:ident $word:ident,)*) => {
        impl $kind {
            /// The method of `onnxc_runtime::simd::Simd` or `onnxc_runtime::math::Math` that computes it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($word),)*
                }
            }

            /// The name of the variant, the same in the runtime.
            pub const fn variant(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            fn apply(self, operands: [Lanes; $n]) -> Lanes {
                let word = match self {
                    $(Self::$variant => words::$kind::$variant,)*
                };
                words::$portable(word, operands)
            }
        }
        $crate::param_enum!(words::$kind { $($variant),* });
    };
}
words! { Unary portable_unary 1:
    Abs abs, Neg neg, Sqrt sqrt, Reciprocal reciprocal, Floor floor, Ceil ceil, Round round_even, Trunc trunc, Sign sign, Exp exp, Log log,
    Log1p log1p, Expm1 expm1, Sin sin, Cos cos, Tan tan, Asin asin, Acos acos, Atan atan, Sinh sinh, Cosh cosh, Tanh tanh, Asinh asinh,
    Acosh acosh, Atanh atanh, Erf erf, Sigmoid sigmoid, Softplus softplus, Relu relu, Gelu gelu, GeluTanh gelu_tanh, Silu silu, Mish mish,
    HardSwish hard_swish, Rsqrt rsqrt,
}
words! { Binary portable_binary 2:
    Add add, Sub sub, Mul mul, Div div, Min min_nan, Max max_nan, Pow pow, Fmod fmod, Mod modulo, Less less, LessOrEqual less_or_equal,
    Greater greater, GreaterOrEqual greater_or_equal, Equal equal,
}

impl Formula {
    /// The value for vectors of the inputs, with `registers` as scratch: inputs first, results after them. `None` if an operand does not exist.
    fn eval(&self, registers: &mut Vec<Lanes>) -> Option<Lanes> {
        let s = Scalar;
        for instr in &self.instrs {
            let x = |i: usize| registers.get(i).copied();
            let value = match *instr {
                Instr::Const(c) => s.splat(c),
                Instr::Unary(f, a) => f.apply([x(a)?]),
                Instr::Binary(f, a, b) => f.apply([x(a)?, x(b)?]),
                Instr::MulAdd(a, b, c) => s.mul_add(x(a)?, x(b)?, x(c)?),
                Instr::Select(a, b, c) => s.choose(x(a)?, x(b)?, x(c)?),
            };
            registers.push(value);
        }
        if self.instrs.is_empty() { registers.first().copied() } else { registers.last().copied() }
    }
}

/// `out[i] = formula(inputs[0][i], …)` over `shape`: what `onnxc_runtime::kernels::fused::map` does in generated code, with the portable token.
/// `out` is dense and row-major; each input has an element stride for each dim.
pub fn run(formula: &Formula, out: &mut [f32], inputs: &[&[f32]], shape: &[usize], strides: &[&[usize]]) -> Result<(), Fault> {
    let broken = |what| Err(Fault::Internal { what });
    let ranks_agree = strides.len() == inputs.len() && strides.iter().all(|s| s.len() == shape.len());
    if formula.inputs != inputs.len() || !ranks_agree || shape.iter().product::<usize>() != out.len() {
        return broken("a fused loop's operands do not fit its formula and shape");
    }
    let mut index = vec![0; shape.len()];
    let mut offsets = vec![0; inputs.len()];
    let mut registers = Vec::with_capacity(inputs.len() + formula.instrs.len());
    for block in out.chunks_mut(Scalar::LANES) {
        registers.clear();
        registers.resize(inputs.len(), Scalar.zero());
        for lane in 0..block.len() {
            for ((register, input), offset) in registers.iter_mut().zip(inputs).zip(&offsets) {
                let Some(x) = input.get(*offset) else { return broken("a fused loop's input is too short") };
                register[lane] = *x;
            }
            advance(&mut index, &mut offsets, shape, strides);
        }
        let Some(value) = formula.eval(&mut registers) else { return broken("a formula uses a register before it is set") };
        Scalar.store_head(block, value);
    }
    Ok(())
}

/// The next position in row-major order, and each input's offset there.
fn advance(index: &mut [usize], offsets: &mut [usize], shape: &[usize], strides: &[&[usize]]) {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        let back = if index[axis] < shape[axis] { None } else { Some(shape[axis] - 1) };
        for (offset, strides) in offsets.iter_mut().zip(strides) {
            *offset = match back {
                None => offset.saturating_add(strides[axis]),
                Some(steps) => offset.saturating_sub(strides[axis].saturating_mul(steps)),
            };
        }
        if back.is_none() {
            return;
        }
        index[axis] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_runtime::cx::Cx;
    use onnxc_runtime::kernels::fused;

    #[test]
    fn interpreted_and_compiled_formulas_agree_bit_for_bit() {
        // gelu(a * b + c), with b broadcast along rows and c transposed.
        struct Compiled;
        impl fused::Formula<3> for Compiled {
            #[inline(always)]
            fn eval<S: Simd>(&self, s: S, [a, b, c]: [S::F32; 3]) -> S::F32 {
                let d = s.mul_add(a, b, c);
                let e = s.gelu(d);
                s.choose(s.less(d, s.splat(0.25)), e, s.pow(d, b))
            }
        }
        let instrs = vec![
            Instr::MulAdd(0, 1, 2),
            Instr::Unary(Unary::Gelu, 3),
            Instr::Const(0.25),
            Instr::Binary(Binary::Less, 3, 5),
            Instr::Binary(Binary::Pow, 3, 1),
            Instr::Select(6, 4, 7),
        ];
        let formula = Formula { inputs: 3, instrs };
        let (rows, columns) = (7, 13);
        let a: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let b: Vec<f32> = (0..rows).map(|i| i as f32 * 0.5 - 1.0).collect();
        let shape = [rows, columns];
        let strides: [&[usize]; 3] = [&[columns, 1], &[1, 0], &[1, rows]];
        let (mut interpreted, mut compiled) = (vec![0.0; a.len()], vec![0.0; a.len()]);
        run(&formula, &mut interpreted, &[&a, &b, &a], &shape, &strides).unwrap();
        fused::map(Cx::REFERENCE, &Compiled, &mut compiled, [&a, &b, &a], &shape, strides).unwrap();
        assert_eq!(interpreted.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), compiled.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        // And both mean what the formula says.
        let d = a[14] as f64 * b[1] as f64 + a[8] as f64;
        let expected = if d < 0.25 { f64::from(interpreted[14]) } else { d.powf(b[1] as f64) };
        assert!((interpreted[14] as f64 - expected).abs() < 1e-5);
    }

    #[test]
    fn misfits_are_refused() {
        let formula = Formula { inputs: 1, instrs: vec![Instr::Unary(Unary::Neg, 1)] };
        assert!(run(&formula, &mut [0.0], &[&[1.0]], &[1], &[&[1]]).is_err());
        let identity = Formula { inputs: 1, instrs: vec![] };
        assert!(run(&identity, &mut [0.0; 3], &[&[1.0; 2]], &[3], &[&[1]]).is_err());
        let mut out = [0.0; 3];
        run(&identity, &mut out, &[&[1.0, 2.0]], &[3], &[&[0]]).unwrap();
        assert_eq!(out, [1.0; 3]);
    }
}
