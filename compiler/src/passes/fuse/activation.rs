//! Activations as exporters decompose them, and batch normalisations of constants.

use crate::ir::graph::{Graph, NodeError, ValueId};
use crate::ops::Op;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::unary::Unary;
use crate::ops::shape::reshape::Reshape;
use crate::passes::pattern::{self, Build, Place, Row};
use crate::passes::peephole::{Site, apply};
use crate::program::formula::Unary as F;

/// See the module's documentation.
pub fn run(graph: &Graph) -> Result<Graph, NodeError> {
    let graph = pattern::run(graph, TABLE)?;
    apply(&graph, &[batch_norm])
}

macro_rules! activations {
    ($($name:literal $f:ident $formula:literal)*) => {
        /// Formulas of functions that one operator computes.
        pub const TABLE: &[Row] = &[$({
            const BUILD: Build = |place| function(place, F::$f);
            Row { name: $name, formula: $formula, build: BUILD }
        },)*];
    };
}
activations! {
    // PyTorch, Paddle, TensorFlow.
    "gelu" Gelu "x * (1 + erf(x / 1.41421356)) / 2"
    // The approximation, of GPT-2 and of TensorFlow.
    "gelu tanh" GeluTanh "x * (1 + tanh(0.79788456 * (x + 0.044715 * x^3))) / 2"
    "gelu tanh, factored" GeluTanh "x * (1 + tanh(0.79788456 * x * (1 + 0.044715 * x^2))) / 2"
    "silu" Silu "x * sigmoid(x)"
    "silu by exp" Silu "x / (1 + exp(-x))"
    "mish" Mish "x * tanh(softplus(x))"
    "mish by exp" Mish "x * tanh(log(1 + exp(x)))"
    // MobileNet v3 as TensorFlow and Paddle write it, with both orders of the bounds.
    "hard swish" HardSwish "x * min(max(x + 3, 0), 6) / 6"
    "hard swish, min first" HardSwish "x * max(min(x + 3, 6), 0) / 6"
    "hard swish, scaled inside" HardSwish "x * min(max(x / 6 + 0.5, 0), 1)"
    "hard swish by hard sigmoid" HardSwish "x * hard_sigmoid(x)"
    "softplus" Softplus "log(1 + exp(x))"
    "sigmoid" Sigmoid "1 / (1 + exp(-x))"
}

fn function(place: &mut Place<'_>, f: F) -> Result<Option<ValueId>, NodeError> {
    let Some(x) = place.value("x") else { return Ok(None) };
    place.add(Unary { f }, &[x]).map(Some)
}

/// Batch normalisation with constant parameters is a scale and a shift for each channel, which a convolution before it can take in.
fn batch_norm(site: &mut Site<'_>) -> Result<Option<Vec<ValueId>>, NodeError> {
    let Op::BatchNorm(op) = &site.node.op else { return Ok(None) };
    let [Some(x), Some(scale), Some(bias), Some(mean), Some(variance)] = *site.inputs else { return Ok(None) };
    let constant = [scale, bias, mean, variance].iter().all(|&v| site.new.constant(v).is_some_and(|t| t.dtype == crate::ir::DType::F32));
    let Some(rank) = site.shape(x).map(|s| s.len()) else { return Ok(None) };
    if op.momentum.is_some() || !op.spatial || !constant || !site.is_f32(x) || rank < 2 {
        return Ok(None);
    }
    let epsilon = site.constant(crate::ir::Tensor::scalar(op.epsilon));
    let shifted = site.add(Binary { f: BinaryFn::Add }, &[variance, epsilon])?;
    let deviation = site.add(Unary { f: F::Sqrt }, &[shifted])?;
    let factor = site.add(Binary { f: BinaryFn::Div }, &[scale, deviation])?;
    let moved = site.add(Binary { f: BinaryFn::Mul }, &[mean, factor])?;
    let shift = site.add(Binary { f: BinaryFn::Sub }, &[bias, moved])?;
    let axes: Vec<i64> = (1..rank as i64 - 1).collect();
    let column = |site: &mut Site<'_>, v| site.add(Reshape::Unsqueeze { axes: axes.clone() }, &[v]);
    let (factor, shift) = (column(site, factor)?, column(site, shift)?);
    let scaled = site.add(Binary { f: BinaryFn::Mul }, &[x, factor])?;
    site.replace(Binary { f: BinaryFn::Add }, &[scaled, shift], None).map(Some)
}
