//! Rules of windows that slide: convolutions and poolings.

use super::Tape;
use super::linear::identity;
use super::rules::{Adjoints, missing};
use crate::ir::{Node, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::BinaryFn as B;
use crate::ops::nn::conv::{Conv, ConvTranspose};
use crate::ops::nn::epilogue::Epilogue;
use crate::ops::nn::pool::{Kind, Pool};
use crate::ops::nn::window::{Padding, Window};
use crate::ops::shape::expand::Expand;
use crate::ops::shape::reshape::Reshape;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::rearrange::Col2Im;
use crate::ops::slice::scatter::ScatterElements;
use crate::ops::slice::slice::Slice;
use crate::program::formula::Unary as F;

/// `y = conv(x, w) + bias`: `dx` is the transposed convolution of `dy`, `dw` the convolution of `x` with `dy`.
pub fn conv(tape: &mut Tape, op: &Conv, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), Some(w)) = (node.inputs[0], node.inputs[1]) else { return Err(missing(node)) };
    if op.residual || op.channels_last || op.tile > 0 || op.epilogue != Epilogue::default() {
        return Err(missing(node));
    }
    let window = explicit(tape, &op.window, x, w)?;
    let dx = if tape.needs(node, 0) { Some(spread(tape, &window, op.group, dy, w, x)?) } else { None };
    let dw = if tape.needs(node, 1) { Some(filters(tape, &window, op.group, (x, dy), w)?) } else { None };
    let bias = node.inputs.get(2).copied().flatten();
    Ok(vec![dx, dw, bias.map(|b| channel_sums(tape, dy, b)).transpose()?])
}

/// The transposed convolution: what is `x` of a convolution is its result.
pub fn conv_transpose(tape: &mut Tape, op: &ConvTranspose, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), Some(w)) = (node.inputs[0], node.inputs[1]) else { return Err(missing(node)) };
    let given = op.output_shape.is_some() || !matches!(op.window.padding, Padding::Explicit(_));
    if given || op.channels_last || op.epilogue != Epilogue::default() {
        return Err(missing(node));
    }
    let window = &op.window;
    let dx = if tape.needs(node, 0) { Some(tape.add(plain(window.clone(), op.group), &[dy, w])?) } else { None };
    let dw = if tape.needs(node, 1) { Some(filters(tape, window, op.group, (dy, x), w)?) } else { None };
    let bias = node.inputs.get(2).copied().flatten();
    Ok(vec![dx, dw, bias.map(|b| channel_sums(tape, dy, b)).transpose()?])
}

/// Images that blocks add up to: their adjoint is cut into blocks by a convolution whose filters have a single one each.
pub fn blocks(tape: &mut Tape, op: &Col2Im, node: &Node, dy: ValueId) -> Result<Adjoints, OpError> {
    let (Some(x), Some(&Some(block))) = (node.inputs[0], node.inputs.get(2)) else { return Err(missing(node)) };
    let kernel = tape.ints(block).filter(|k| (1..=3).contains(&k.len())).ok_or_else(|| missing(node))?;
    let taps = kernel.iter().try_fold(1i64, |n, &k| n.checked_mul(k)).ok_or_else(|| missing(node))?;
    let taps = tape.constant(Tensor::scalar(taps));
    let filters = identity(tape, taps, dy)?;
    let shape: Vec<i64> = [-1, 1].into_iter().chain(kernel.iter().copied()).collect();
    let shape = tape.constant(Tensor::vector(&shape));
    let filters = tape.add(Reshape::To { allow_zero: false }, &[filters, shape])?;
    let images = as_images(tape, dy)?;
    let cut = tape.add(plain(op.window(kernel), 1), &[images, filters])?;
    Ok(vec![Some(tape.reshape_like(cut, x)?), None, None])
}

/// `dx` of a pooling: to the greatest elements, or a share to each of a window.
pub fn pool(tape: &mut Tape, op: &Pool, node: &Node, x: ValueId, dy: ValueId) -> Result<ValueId, OpError> {
    match op.kind {
        Kind::Max { .. } if !op.channels_last => {
            let kind = Kind::Max { indices: true, column_major: false };
            let places = tape.add_n(Pool { kind, ..op.clone() }.into(), &[Some(x)])?[1];
            let (flat, count) = (tape.constant(Tensor::vector(&[-1i64])), tape.add(Shape::count(), &[x])?);
            let count = tape.add(Reshape::Unsqueeze { axes: vec![0] }, &[count])?;
            let zero = tape.scalar(x, 0.0)?;
            let zeros = tape.add(Expand, &[zero, count])?;
            let [places, dy] = [places, dy].map(|v| tape.add(Reshape::To { allow_zero: false }, &[v, flat]));
            let sums = tape.add(ScatterElements::adding(0), &[zeros, places?, dy?])?;
            tape.reshape_like(sums, x)
        }
        Kind::Average { count_include_pad } if !op.channels_last && !op.window.ceil => {
            let all = Taps::of(tape, op, x)?;
            let shares = as_images(tape, dy)?;
            let counts = if count_include_pad {
                tape.scalar(x, op.window.kernel.iter().product::<i64>() as f64)?
            } else {
                let one = tape.scalar(x, 1.0)?;
                let each = tape.expand_like(one, all.images)?;
                tape.add(plain(all.window.clone(), 1), &[each, all.ones])?
            };
            let shares = tape.pair(B::Div, shares, counts)?;
            let dx = all.spread(tape, shares)?;
            tape.reshape_like(dx, x)
        }
        // `dx = sign(x) |x|^(p - 1) Σ dy y^(1 - p)` over the windows of an element.
        Kind::Lp { p } if !op.channels_last && !op.window.ceil => {
            let all = Taps::of(tape, op, x)?;
            let (y, zero) = (node.outputs[0], tape.scalar(x, 0.0)?);
            let exponent = tape.scalar(x, 1.0 - p as f64)?;
            let share = tape.pair(B::Pow, y, exponent)?;
            let share = tape.mul(dy, share)?;
            let some = tape.pair(B::Greater, y, zero)?;
            let share = tape.masked(some, share)?;
            let share = as_images(tape, share)?;
            let sums = all.spread(tape, share)?;
            let sums = tape.reshape_like(sums, x)?;
            let (sign, size) = (tape.unary(F::Sign, x)?, tape.unary(F::Abs, x)?);
            let exponent = tape.scalar(x, p as f64 - 1.0)?;
            let slope = tape.pair(B::Pow, size, exponent)?;
            let slope = tape.mul(sign, slope)?;
            tape.mul(slope, sums)
        }
        _ => Err(missing(node)),
    }
}

/// Windows in which all taps are alike: each channel of each sample as an image of one channel, and a window of ones.
struct Taps {
    images: ValueId,
    ones: ValueId,
    window: Window,
}

impl Taps {
    fn of(tape: &mut Tape, op: &Pool, x: ValueId) -> Result<Self, OpError> {
        let images = as_images(tape, x)?;
        let one = tape.scalar(x, 1.0)?;
        let shape: Vec<i64> = [1, 1].iter().chain(&op.window.kernel).copied().collect();
        let shape = tape.constant(Tensor::vector(&shape));
        let ones = tape.add(Expand, &[one, shape])?;
        let window = explicit(tape, &op.window, images, ones)?;
        Ok(Self { images, ones, window })
    }

    /// What each image gets of what its windows have.
    fn spread(&self, tape: &mut Tape, shares: ValueId) -> Result<ValueId, OpError> {
        spread(tape, &self.window, 1, shares, self.ones, self.images)
    }
}

/// Sums over channels: each one's own, that many before it and that many after it.
pub fn over_channels(tape: &mut Tape, x: ValueId, before: i64, after: i64) -> Result<ValueId, OpError> {
    let images = tape.add(Reshape::Unsqueeze { axes: vec![1] }, &[x])?;
    let flat = tape.constant(Tensor::vector(&[0i64, 0, 0, -1]));
    let images = tape.add(Reshape::To { allow_zero: false }, &[images, flat])?;
    let (one, shape) = (tape.scalar(x, 1.0)?, tape.constant(Tensor::vector(&[1, 1, before + 1 + after, 1])));
    let ones = tape.add(Expand, &[one, shape])?;
    let window = Window {
        kernel: vec![before + 1 + after, 1],
        stride: vec![1, 1],
        dilation: vec![1, 1],
        padding: Padding::Explicit(vec![before, 0, after, 0]),
        ceil: false,
    };
    let sums = tape.add(plain(window, 1), &[images, ones])?;
    tape.reshape_like(sums, x)
}

fn plain(window: Window, group: i64) -> Conv {
    Conv { window, group, bias: false, residual: false, epilogue: Epilogue::default(), channels_last: false, tile: 0 }
}

/// A tensor with batch and channels as one batch of images of one channel.
fn as_images(tape: &mut Tape, x: ValueId) -> Result<ValueId, OpError> {
    let head = tape.constant(Tensor::vector(&[-1i64, 1]));
    let spatial = tape.add(Shape::between(2, i64::MAX), &[x])?;
    let shape = tape.add(Concat { axis: 0 }, &[head, spatial])?;
    tape.add(Reshape::To { allow_zero: false }, &[x, shape])
}

/// The window with its padding in numbers.
fn explicit(tape: &Tape, window: &Window, x: ValueId, w: ValueId) -> Result<Window, OpError> {
    if matches!(window.padding, Padding::Explicit(_)) {
        return Ok(window.clone());
    }
    let (x, w, dims) = (tape.shape(x)?, tape.shape(w)?, &tape.graph.dims);
    let sized = window.sizes(dims, &x[2..], &window.kernel_dims(dims, &w[2..]));
    let pads = sized.begin.iter().chain(&sized.end).map(|&d| dims.value(d)).collect::<Option<_>>().ok_or_else(open_size)?;
    Ok(Window { padding: Padding::Explicit(pads), ..window.clone() })
}

fn open_size() -> OpError {
    OpError::unsupported("the derivative of windows over axes whose length is not known when compiling")
        .help("give the dims values with --dim")
}

/// The adjoint of `like` from that of its convolution with `w`.
fn spread(tape: &mut Tape, window: &Window, group: i64, dy: ValueId, w: ValueId, like: ValueId) -> Result<ValueId, OpError> {
    let (shape, weights, dims) = (tape.shape(like)?, tape.shape(w)?, &tape.graph.dims);
    let Padding::Explicit(pads) = &window.padding else { return Err(open_size()) };
    let kernel = window.kernel_dims(dims, &weights[2..]);
    let spatial = shape.len() - 2;
    let mut left_out = Vec::new();
    for axis in 0..spatial {
        // What the last window does not reach.
        let reach = |k: i64| (k - 1) * window.dilation[axis] + 1;
        left_out.push(match (window.stride[axis], dims.value(shape[axis + 2]), dims.value(kernel[axis])) {
            (1, ..) => 0,
            (stride, Some(len), Some(k)) => (len + pads[axis] + pads[axis + spatial] - reach(k)).rem_euclid(stride),
            _ => return Err(open_size()),
        });
    }
    let window = Window { ceil: false, ..window.clone() };
    let epilogue = Epilogue::default();
    let op = ConvTranspose { window, group, output_padding: left_out, output_shape: None, bias: false, epilogue, channels_last: false };
    tape.add(op, &[dy, w])
}

/// The adjoint of the filters `w` of a convolution from `large` to `small` (its adjoint): for each tap the product of the two over all windows and
/// samples. That is a convolution over the samples as channels, whose windows are as far apart as taps were, and the other way round.
fn filters(tape: &mut Tape, window: &Window, group: i64, (large, small): (ValueId, ValueId), w: ValueId) -> Result<ValueId, OpError> {
    let rank = tape.shape(large)?.len();
    let swapped = |first: usize| -> Vec<usize> { [1, 0].into_iter().chain(first..rank).collect() };
    let mut x = large;
    if group == 1 {
        x = tape.add(Transpose { perm: swapped(2) }, &[x])?;
    } else {
        // [samples, groups, channels, ..] to [channels, groups · samples, ..].
        x = split(tape, x, 1, &[group, -1], 2)?;
        let perm = [2, 1, 0].into_iter().chain(3..=rank).collect();
        x = tape.add(Transpose { perm }, &[x])?;
        x = split(tape, x, 1, &[-1], 3)?;
    }
    let weights = tape.add(Transpose { perm: swapped(2) }, &[small])?;
    let across = Window {
        kernel: vec![0; rank - 2],
        stride: window.dilation.clone(),
        dilation: window.stride.clone(),
        padding: window.padding.clone(),
        ceil: false,
    };
    let sizes = tape.shape(weights)?;
    let known: Option<Vec<i64>> = sizes[2..].iter().map(|&d| tape.graph.dims.value(d)).collect();
    let across = Window { kernel: known.unwrap_or(across.kernel), ..across };
    let dw = tape.add(plain(across, group), &[x, weights])?;
    let dw = tape.add(Transpose { perm: swapped(2) }, &[dw])?;
    // There may be room for taps behind the last.
    let axes: Vec<i64> = (2..rank as i64).collect();
    let (from, axes) = (tape.constant(Tensor::vector(&vec![0i64; rank - 2])), tape.constant(Tensor::vector(&axes)));
    let to = tape.add(Shape::between(2, i64::MAX), &[w])?;
    tape.add(Slice::default(), &[dw, from, to, axes])
}

/// The axes from `at` up to `rest` in this shape.
fn split(tape: &mut Tape, x: ValueId, at: i64, shape: &[i64], rest: i64) -> Result<ValueId, OpError> {
    let (head, tail) = (tape.add(Shape::between(0, at), &[x])?, tape.add(Shape::between(rest, i64::MAX), &[x])?);
    let middle = tape.constant(Tensor::vector(shape));
    let shape = tape.add(Concat { axis: 0 }, &[head, middle, tail])?;
    tape.add(Reshape::To { allow_zero: false }, &[x, shape])
}

/// The adjoint of something that has one element a channel.
pub fn channel_sums(tape: &mut Tape, dy: ValueId, like: ValueId) -> Result<ValueId, OpError> {
    let axes: Vec<usize> = (0..tape.shape(dy)?.len()).filter(|&a| a != 1).collect();
    let sums = tape.sum(dy, &axes)?;
    tape.reshape_like(sums, like)
}

/// A vector with one element a channel, to be broadcast to what has channels on axis 1.
pub fn by_channel(tape: &mut Tape, vector: ValueId, rank: usize) -> Result<ValueId, OpError> {
    if rank < 3 {
        return Ok(vector);
    }
    tape.add(Reshape::Unsqueeze { axes: (1..rank as i64 - 1).collect() }, &[vector])
}
