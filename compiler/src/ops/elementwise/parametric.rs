//! Activations with one or two constants: `LeakyRelu`, `Elu`, `HardSigmoid`, … One table; f32 as a formula, other dtypes by a kernel.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::table::Row;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::{Binary as B, Formula, Instr, Unary as U};
use serde::{Deserialize, Serialize};

macro_rules! parametric {
    ($($name:ident ($alpha:literal $a:expr, $beta:literal $b:expr),)*) => {
        /// The ONNX operators of this family, with the names and defaults of their attributes.
        pub static ROWS: &[Row] = &[$(Row { domain: "", name: stringify!($name), parse },)*];

        /// The function; `alpha` and `beta` as documented in the runtime.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[allow(missing_docs)] // ONNX's names.
        pub enum ParametricFn {
            $($name,)*
        }

        impl ParametricFn {
            fn variant(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
            let op = match cx.op_type() {
                $(stringify!($name) => Parametric { f: ParametricFn::$name, alpha: cx.float($alpha, $a)?, beta: cx.float($beta, $b)? },)*
                other => return Err(OpError::unsupported(format!("the function {other}"))),
            };
            let x = cx.input(0)?;
            cx.add(op, &[x]).map(|v| vec![v])
        }
        crate::param_enum!(elementwise::ParametricOp { $($name,)* });
    };
}
parametric! {
    HardSigmoid("alpha" 0.2, "beta" 0.5),
    Elu("alpha" 1.0, "" 0.0),
    Selu("alpha" 1.673_263_2, "gamma" 1.050_701),
    Celu("alpha" 1.0, "" 0.0),
    LeakyRelu("alpha" 0.01, "" 0.0),
    ThresholdedRelu("alpha" 1.0, "" 0.0),
    Shrink("lambd" 0.5, "bias" 0.0),
    Swish("alpha" 1.0, "" 0.0),
}

/// A function of each element with constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parametric {
    /// The function.
    pub f: ParametricFn,
    /// Its first constant.
    pub alpha: f32,
    /// Its second constant.
    pub beta: f32,
}

/// Builds a formula of one input instruction by instruction.
struct Builder(Formula);

impl Builder {
    fn push(&mut self, instr: Instr) -> usize {
        self.0.instrs.push(instr);
        self.0.instrs.len()
    }
    fn constant(&mut self, x: f32) -> usize {
        self.push(Instr::Const(x))
    }
    fn binary(&mut self, f: B, a: usize, b: usize) -> usize {
        self.push(Instr::Binary(f, a, b))
    }
    /// `x f c`.
    fn with(&mut self, f: B, x: usize, c: f32) -> usize {
        let c = self.constant(c);
        self.binary(f, x, c)
    }
}

impl Parametric {
    /// The function of an f32 as a formula of input 0.
    pub fn formula(&self) -> Formula {
        let (a, b, x) = (self.alpha, self.beta, 0);
        let mut f = Builder(Formula { inputs: 1, instrs: Vec::new() });
        match self.f {
            ParametricFn::HardSigmoid => {
                let scaled = f.with(B::Mul, x, a);
                let moved = f.with(B::Add, scaled, b);
                let low = f.with(B::Max, moved, 0.0);
                f.with(B::Min, low, 1.0);
            }
            ParametricFn::Elu | ParametricFn::Selu | ParametricFn::Celu => {
                let argument = if self.f == ParametricFn::Celu { f.with(B::Div, x, a) } else { x };
                let grown = f.push(Instr::Unary(U::Expm1, argument));
                let below = f.with(B::Mul, grown, a);
                let negative = f.with(B::Less, x, 0.0);
                let value = f.push(Instr::Select(negative, below, x));
                if self.f == ParametricFn::Selu {
                    f.with(B::Mul, value, b);
                }
            }
            ParametricFn::LeakyRelu => {
                let below = f.with(B::Mul, x, a);
                let negative = f.with(B::Less, x, 0.0);
                f.push(Instr::Select(negative, below, x));
            }
            ParametricFn::ThresholdedRelu => {
                let above = f.with(B::Greater, x, a);
                let zero = f.constant(0.0);
                f.push(Instr::Select(above, x, zero));
            }
            ParametricFn::Shrink => {
                let (down, up) = (f.with(B::Sub, x, b), f.with(B::Add, x, b));
                let (above, below) = (f.with(B::Greater, x, a), f.with(B::Less, x, -a));
                let zero = f.constant(0.0);
                let high = f.push(Instr::Select(above, down, zero));
                f.push(Instr::Select(below, up, high));
            }
            ParametricFn::Swish => {
                let scaled = f.with(B::Mul, x, a);
                let gate = f.push(Instr::Unary(U::Sigmoid, scaled));
                f.binary(B::Mul, x, gate);
            }
        }
        f.0
    }
}

impl Operator for Parametric {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![Fact::tensor(cx.dtype(0)?, cx.shape(0)?)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, pitch) = (cx.input(0)?, cx.input_pitch(0)?);
        let out = cx.output(0)?;
        if x.dtype == DType::F32 {
            cx.fused(&out, &[(x, pitch)], self.formula());
            return Ok(());
        }
        let variant = Arg::Variant("elementwise::ParametricOp", self.f.variant());
        let args = vec![out.write(), x.read(), variant, Arg::F32(self.alpha), Arg::F32(self.beta)];
        cx.call(crate::kernel!(elementwise::parametric(_, _, _, _, _) for num(x.dtype)), args)
    }
}
