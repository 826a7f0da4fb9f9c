//! The table of rules: for each core operator that has a derivative, how the adjoints of its outputs give those of its inputs.

use super::{Tape, attention, composed, control, elementwise, fourier, linear, movement, norms, recurrent, resize, sampling, windows};
use crate::ir::{Node, ValueId};
use crate::ops::nn::lp_norm::LpNorm;
use crate::ops::shape::reshape::Reshape;
use crate::ops::{Op, OpError};

/// The adjoint of each input, where the operator's outputs depend on it smoothly.
pub type Adjoints = Vec<Option<ValueId>>;

/// Applies the rule of the node's operator; an operator without one is an error that names it.
pub fn apply(tape: &mut Tape, node: &Node, dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    if let Op::Loop(op) = &node.op {
        return control::trips(tape, op, node, dy);
    }
    let Some(x) = node.inputs.first().copied().flatten() else { return Err(missing(node)) };
    // Of operators with one output, that is the adjoint which is there.
    let Some(first) = dy.iter().copied().flatten().next() else { return Ok(Vec::new()) };
    let y = node.outputs[0];
    let one = |adjoint: Result<ValueId, OpError>| adjoint.map(|a| vec![Some(a)]);
    match &node.op {
        Op::Identity(_) => Ok(vec![Some(first)]),
        Op::Unary(op) => one(elementwise::unary(tape, op.f, x, y, first)),
        Op::Parametric(op) => one(elementwise::parametric(tape, op, x, y, first)),
        Op::Binary(op) => elementwise::binary(tape, op.f, node, first),
        Op::Where(_) => elementwise::choice(tape, node, first),
        Op::Cast(_) => one(elementwise::cast(tape, x, first)),
        Op::MatMul(op) => linear::matmul(tape, op, node, first),
        Op::MatMulBits(op) => one(linear::packed(tape, op, node, x, first)),
        Op::Reduce(op) => one(linear::reduce(tape, op, x, y, first)),
        Op::Softmax(op) => one(linear::softmax(tape, op, x, y, first)),
        Op::LayerNorm(op) if only_first(dy) => norms::layer(tape, op, node, first),
        Op::BatchNorm(op) if only_first(dy) => norms::batch(tape, op, node, first),
        Op::GroupNorm(op) => norms::group(tape, op, node, first),
        Op::LpNorm(op @ LpNorm::Lp { .. }) => norms::power(tape, op, node, first),
        Op::LpNorm(op @ LpNorm::Local { .. }) => norms::local(tape, op, node, first),
        Op::Conv(op) => windows::conv(tape, op, node, first),
        Op::ConvTranspose(op) => windows::conv_transpose(tape, op, node, first),
        Op::Pool(op) => one(windows::pool(tape, op, node, x, first)),
        Op::Col2Im(op) => windows::blocks(tape, op, node, first),
        Op::If(op) => control::branches(tape, op, node, dy),
        Op::Loss(op) => control::through(tape, node, dy, |f, inputs| composed::loss(f, op, inputs)),
        Op::Det(_) => one(composed::determinant(tape, x, y, first)),
        Op::Inverse(_) => one(composed::inverse(tape, y, first)),
        Op::Rotary(op) => composed::rotary(tape, op, node, first),
        Op::Attention(op) => control::through(tape, node, dy, |f, inputs| attention::composed(f, op, inputs)),
        Op::Recurrent(op) if !op.rounded => control::through(tape, node, dy, |f, inputs| recurrent::unrolled(f, op, inputs)),
        Op::OneHot(op) => composed::one_hot(tape, op, node, first),
        Op::AffineGrid(op) => composed::affine_grid(tape, op, node, first),
        Op::GridSample(op) => control::through(tape, node, dy, |f, inputs| sampling::grid_sample(f, op, inputs)),
        Op::Stft(op) => control::through(tape, node, dy, |f, inputs| fourier::stft(f, op, inputs)),
        Op::Dft(op) => fourier::dft(tape, op, node, x, first),
        Op::TensorScatter(_) => movement::moved_from(tape, node, &[0, 1], dy),
        Op::Resize(op) if !op.moves() => resize::interpolated(tape, op, node, first),
        Op::CumSum(op) => movement::running(tape, op, node, first),
        Op::TopK(op) => movement::chosen(tape, op.axis, node, first),
        Op::ScatterElements(op) => movement::scattered(tape, op, node, first),
        Op::ScatterNd(op) => movement::scattered_nd(tape, op, node, first),
        Op::Reshape(Reshape::To { .. } | Reshape::Flatten { .. } | Reshape::Squeeze { .. } | Reshape::Unsqueeze { .. }) => {
            one(tape.reshape_like(first, x))
        }
        Op::Transpose(op) => one(movement::transpose(tape, op, first)),
        Op::Expand(_) => one(tape.sum_to(first, x)),
        Op::Trilu(op) => {
            let inputs: Vec<Option<ValueId>> = [Some(first)].into_iter().chain(node.inputs.iter().skip(1).copied()).collect();
            Ok(vec![tape.add_n(op.clone().into(), &inputs)?.first().copied()])
        }
        Op::Concat(op) => movement::concat(tape, op.axis, node, first),
        Op::Slice(_)
        | Op::Split(_)
        | Op::Gather(_)
        | Op::GatherElements(_)
        | Op::GatherNd(_)
        | Op::Tile(_)
        | Op::Pad(_)
        | Op::Blocks(_)
        | Op::CenterCropPad(_)
        | Op::Compress(_)
        | Op::MaxUnpool(_)
        | Op::Diagonal(_)
        | Op::Resize(_)
        | Op::ReverseSequence(_) => movement::moved(tape, node, dy),
        _ => Err(missing(node)),
    }
}

/// Whether only the first output has an adjoint.
fn only_first(dy: &[Option<ValueId>]) -> bool {
    dy.iter().skip(1).all(Option::is_none)
}

pub fn missing(node: &Node) -> OpError {
    OpError::unsupported(format!("the derivative of {} (`{}`)", node.origin.operator, node.op.name()))
}
