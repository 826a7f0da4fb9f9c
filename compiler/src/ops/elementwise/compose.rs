//! Elementwise operators that are others put together: `Clip`, `Mean`, `PRelu`, `Softsign`, `Gelu`.

use super::binary::{Binary, BinaryFn};
use super::parametric::{Parametric, ParametricFn};
use super::unary::Unary;
use crate::import::Parse;
use crate::ir::ValueId;
use crate::ops::OpError;
use crate::program::formula::Unary as F;

fn pair(cx: &mut Parse<'_>, f: BinaryFn, a: ValueId, b: ValueId) -> Result<ValueId, OpError> {
    cx.add(Binary { f }, &[a, b])
}

/// ONNX `Clip`: the bounds are attributes before opset 11. The lower bound is applied first, as the standard says.
pub fn parse_clip(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let (low, high) = if cx.opset() < 11 {
        let bound = |cx: &mut Parse<'_>, name: &str| match cx.opt_float(name)? {
            Some(value) => cx.scalar(dtype, f64::from(value)).map(Some),
            None => Ok(None),
        };
        (bound(cx, "min")?, bound(cx, "max")?)
    } else {
        (cx.opt_input(1)?, cx.opt_input(2)?)
    };
    if let Some(low) = low {
        x = pair(cx, BinaryFn::Max, x, low)?;
    }
    if let Some(high) = high {
        x = pair(cx, BinaryFn::Min, x, high)?;
    }
    Ok(vec![x])
}

/// ONNX `Mean`: of any number of tensors, broadcast.
pub fn parse_mean(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = cx.all_inputs()?;
    let (&first, rest) = inputs.split_first().ok_or_else(|| OpError::invalid("at least one input is needed"))?;
    let mut sum = first;
    for &next in rest {
        sum = pair(cx, BinaryFn::Add, sum, next)?;
    }
    let dtype = cx.dtype(first)?;
    let count = cx.scalar(dtype, inputs.len() as f64)?;
    pair(cx, BinaryFn::Div, sum, count).map(|v| vec![v])
}

/// ONNX `PRelu`: `max(x, 0) + slope * min(x, 0)`; before opset 7 a slope per channel is aligned at axis 1.
pub fn parse_prelu(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, mut slope) = (cx.input(0)?, cx.input(1)?);
    let (dtype, rank) = (cx.dtype(x)?, cx.rank(x)?);
    if cx.opset() < 7 && cx.rank(slope)? == 1 && rank > 2 && cx.shape(slope)?[0] != cx.dims().int(1) {
        let axes = (1..rank as i64 - 1).collect();
        slope = cx.add(crate::ops::shape::reshape::Reshape::Unsqueeze { axes }, &[slope])?;
    }
    let zero = cx.scalar(dtype, 0.0)?;
    let above = pair(cx, BinaryFn::Max, x, zero)?;
    let below = pair(cx, BinaryFn::Min, x, zero)?;
    let scaled = pair(cx, BinaryFn::Mul, slope, below)?;
    pair(cx, BinaryFn::Add, above, scaled).map(|v| vec![v])
}

/// ONNX `Softsign`: `x / (1 + |x|)`.
pub fn parse_softsign(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    let magnitude = cx.add(Unary { f: F::Abs }, &[x])?;
    let one = cx.scalar(dtype, 1.0)?;
    let below = pair(cx, BinaryFn::Add, one, magnitude)?;
    pair(cx, BinaryFn::Div, x, below).map(|v| vec![v])
}

/// ONNX `Gelu`.
pub fn parse_gelu(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let f = match cx.string("approximate", "none")?.as_str() {
        "none" => F::Gelu,
        "tanh" => F::GeluTanh,
        other => return Err(OpError::invalid(format!("approximate is `{other}`"))),
    };
    let x = cx.input(0)?;
    cx.add(Unary { f }, &[x]).map(|v| vec![v])
}

/// ONNX `SwiGLU` (opset 28): `a sigmoid(alpha a) * b`.
pub fn parse_swiglu(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let alpha = cx.float("alpha", 1.0)?;
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let gate = cx.add(Parametric { f: ParametricFn::Swish, alpha, beta: 0.0 }, &[a])?;
    pair(cx, BinaryFn::Mul, gate, b).map(|v| vec![v])
}

/// com.microsoft `Gelu`, `BiasGelu` (a bias first), `FastGelu` (a bias first, if given; by the hyperbolic tangent) and `QuickGelu`.
pub fn parse_microsoft_gelu(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let mut x = cx.input(0)?;
    if let Some(bias) = cx.opt_input(1)? {
        x = pair(cx, BinaryFn::Add, x, bias)?;
    }
    let y = match cx.op_type() {
        "QuickGelu" => cx.add(Parametric { f: ParametricFn::Swish, alpha: cx.float("alpha", 1.702)?, beta: 0.0 }, &[x])?,
        "FastGelu" => cx.add(Unary { f: F::GeluTanh }, &[x])?,
        _ => cx.add(Unary { f: F::Gelu }, &[x])?,
    };
    Ok(vec![y])
}

/// The activation that com.microsoft's fused operators name in `activation`, with its parameters where they are given.
pub(crate) fn activation(cx: &mut Parse<'_>, x: ValueId, parameters: [Option<f32>; 2]) -> Result<ValueId, OpError> {
    let name = cx.string("activation", "")?;
    let [first, second] = parameters;
    let parametric = |f, alpha: f32, beta: f32| Parametric { f, alpha: first.unwrap_or(alpha), beta: second.unwrap_or(beta) };
    let op: crate::ops::Op = match name.as_str() {
        "" => return Ok(x),
        "Relu" => Unary { f: F::Relu }.into(),
        "Tanh" => Unary { f: F::Tanh }.into(),
        "Sigmoid" => Unary { f: F::Sigmoid }.into(),
        "Softplus" => Unary { f: F::Softplus }.into(),
        "LeakyRelu" => parametric(ParametricFn::LeakyRelu, 0.01, 0.0).into(),
        "HardSigmoid" => parametric(ParametricFn::HardSigmoid, 0.2, 0.5).into(),
        "Elu" => parametric(ParametricFn::Elu, 1.0, 0.0).into(),
        "Clip" => {
            let mut y = x;
            for (f, bound) in [(BinaryFn::Max, first), (BinaryFn::Min, second)] {
                if let Some(bound) = bound {
                    let dtype = cx.dtype(x)?;
                    let bound = cx.scalar(dtype, f64::from(bound))?;
                    y = pair(cx, f, y, bound)?;
                }
            }
            return Ok(y);
        }
        other => return Err(OpError::unsupported(format!("the activation `{}`", crate::report::clean(other)))),
    };
    cx.add(op, &[x])
}
