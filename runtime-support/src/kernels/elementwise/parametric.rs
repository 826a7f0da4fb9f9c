//! Functions with one or two constants.

use super::number::Number;
use crate::error::Fault;
use crate::kernels::walk::promise;
use crate::math::double;

/// The functions of one number with the constants `alpha` and `beta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParametricOp {
    /// `max(0, min(1, alpha x + beta))`
    HardSigmoid,
    /// `x`, or `alpha (e^x - 1)` below 0.
    Elu,
    /// `beta x`, or `beta alpha (e^x - 1)` below 0 (ONNX calls beta gamma).
    Selu,
    /// `max(0, x) + min(0, alpha (e^(x / alpha) - 1))`
    Celu,
    /// `x`, or `alpha x` below 0.
    LeakyRelu,
    /// `x` above `alpha`, else 0.
    ThresholdedRelu,
    /// `x + beta` below `-alpha`, `x - beta` above `alpha`, else 0 (ONNX calls them lambd and bias).
    Shrink,
    /// `x sigmoid(alpha x)`
    Swish,
    /// `alpha x + beta`
    Affine,
    /// `alpha tanh(beta x)`
    ScaledTanh,
}

/// `out = op(x)`; computed in f64 for every type and rounded once.
pub fn parametric<T: Number>(out: &mut [T], x: &[T], op: ParametricOp, alpha: f32, beta: f32) -> Result<(), Fault> {
    use ParametricOp as Op;
    promise(out.len() == x.len(), "a parametric function's lengths differ")?;
    let (a, b) = (alpha as f64, beta as f64);
    macro_rules! ops {
        ($($variant:ident: |$x:ident| $body:expr;)*) => {
            match op {
                $(Op::$variant => out.iter_mut().zip(x).for_each(|(o, x)| {
                    let $x = x.to_f64();
                    *o = T::from_f64($body);
                }),)*
            }
        };
    }
    ops! {
        HardSigmoid: |x| double::greatest(double::least(a * x + b, 1.0), 0.0);
        Elu: |x| if x < 0.0 { a * double::expm1(x) } else { x };
        Selu: |x| b * if x < 0.0 { a * double::expm1(x) } else { x };
        Celu: |x| if x < 0.0 { a * double::expm1(x / a) } else { x };
        LeakyRelu: |x| if x < 0.0 { a * x } else { x };
        ThresholdedRelu: |x| if x > a || x.is_nan() { x } else { 0.0 };
        Shrink: |x| if x < -a { x + b } else if x > a { x - b } else if x.is_nan() { x } else { 0.0 };
        Swish: |x| x * double::sigmoid(a * x);
        Affine: |x| a * x + b;
        ScaledTanh: |x| a * double::tanh(b * x);
    }
    Ok(())
}
