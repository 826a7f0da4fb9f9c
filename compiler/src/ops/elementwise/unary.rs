//! Functions of one tensor, element by element: one table.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::table::Row;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::Arg;
use crate::program::formula::Unary as F;
use serde::{Deserialize, Serialize};

macro_rules! unary {
    ($($name:ident => $f:ident,)*) => {
        /// The ONNX operators of this family.
        pub static ROWS: &[Row] = &[$(Row { domain: "", name: stringify!($name), parse },)*];
        fn function(name: &str) -> Option<F> {
            match name {
                $(stringify!($name) => Some(F::$f),)*
                _ => None,
            }
        }
    };
}
unary! {
    Abs => Abs, Neg => Neg, Sqrt => Sqrt, Reciprocal => Reciprocal, Floor => Floor, Ceil => Ceil, Round => Round, Sign => Sign,
    Exp => Exp, Log => Log, Sin => Sin, Cos => Cos, Tan => Tan, Asin => Asin, Acos => Acos, Atan => Atan, Sinh => Sinh, Cosh => Cosh,
    Tanh => Tanh, Asinh => Asinh, Acosh => Acosh, Atanh => Atanh, Erf => Erf, Sigmoid => Sigmoid, Softplus => Softplus, Relu => Relu,
    Mish => Mish, HardSwish => HardSwish,
}

fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let f = function(cx.op_type()).ok_or_else(|| OpError::unsupported(format!("the function {}", cx.op_type())))?;
    let x = cx.input(0)?;
    cx.add(Unary { f }, &[x]).map(|v| vec![v])
}

/// A function of each element; the result has the dtype of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub f: F,
}

impl Operator for Unary {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        if let (F::Neg, Some(elements), true) = (self.f, cx.elements(0), dtype.is_int()) {
            let negated = elements.into_iter().map(|e| e.map(|d| cx.dims.scale(d, -1))).collect();
            return Ok(vec![Fact::elements(dtype, shape, negated, cx.dims)]);
        }
        Ok(vec![Fact::tensor(dtype, shape)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        if x.dtype == DType::F32 {
            let args = vec![Arg::Cx, out.write(), x.read(), Arg::Variant("words::Unary", self.f.variant())];
            return cx.call(crate::kernel!(words::unary(_, _, _, _)), args);
        }
        let args = vec![out.write(), x.read(), Arg::Variant("elementwise::UnaryOp", self.f.variant())];
        cx.call(crate::kernel!(elementwise::unary(_, _, _) for num(x.dtype)), args)
    }
}

crate::param_enum!(elementwise::UnaryOp {
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
    BitNot
});
