//! `Conv` and `ConvTranspose`.
//!
//! The kernels of f32 work channels last, on weights packed at compile time. An operator that is still channels first (the layout pass has not
//! reached it) transposes around the kernel. Other dtypes run on the plain loops, channels first.

use super::epilogue::Epilogue;
use super::window::{GeometryArg, Padding, Sized, Window, weights_window};
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::compose::activation;
use crate::ops::linear::bf16;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::error::Fault;
use onnxc_runtime::kernels::conv;
use serde::{Deserialize, Serialize};

/// ONNX `Conv`.
pub fn parse_conv(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = parse(cx)?;
    let inputs = cx.inputs()?.into_iter().flatten().collect::<Vec<_>>();
    cx.add(Conv { bias: inputs.len() > 2, ..op }, &inputs).map(|v| vec![v])
}

/// com.microsoft `FusedConv`: what is added to the result (input 3, optional), then an activation.
pub fn parse_fused(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = parse(cx)?;
    let (x, w, bias, residual) = (cx.input(0)?, cx.input(1)?, cx.opt_input(2)?, cx.opt_input(3)?);
    let inputs: Vec<ValueId> = [Some(x), Some(w), bias].into_iter().flatten().collect();
    let mut y = cx.add(Conv { bias: bias.is_some(), ..op }, &inputs)?;
    if let Some(residual) = residual {
        y = cx.add(Binary { f: BinaryFn::Add }, &[y, residual])?;
    }
    let parameters = cx.floats("activation_params")?.unwrap_or_default();
    activation(cx, y, [parameters.first().copied(), parameters.get(1).copied()]).map(|v| vec![v])
}

/// ONNX `ConvTranspose`.
pub fn parse_transpose(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = parse(cx)?;
    let spatial = op.window.kernel.len();
    let list = |name: &str| cx.ints(name).map(|v| v.filter(|v| !v.is_empty()));
    let output_padding = list("output_padding")?.unwrap_or_else(|| vec![0; spatial]);
    // Some files give the batch and the channels too.
    let output_shape = list("output_shape")?.map(|s| s[s.len().saturating_sub(spatial)..].to_vec());
    if output_padding.len() != spatial || output_shape.as_ref().is_some_and(|s| s.len() != spatial) {
        return Err(OpError::invalid(format!("output_padding and output_shape must have {spatial} values")));
    }
    let inputs = cx.inputs()?.into_iter().flatten().collect::<Vec<_>>();
    let op = ConvTranspose {
        window: op.window,
        group: op.group,
        output_padding,
        output_shape,
        bias: inputs.len() > 2,
        epilogue: Epilogue::default(),
        channels_last: false,
    };
    cx.add(op, &inputs).map(|v| vec![v])
}

fn parse(cx: &mut Parse<'_>) -> Result<Conv, OpError> {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let spatial = cx
        .rank(x)?
        .checked_sub(2)
        .filter(|&s| s > 0)
        .ok_or_else(|| OpError::invalid("the input must have a batch, a channel and a spatial axis"))?;
    let dims = cx.dims();
    let shape = cx.shape(w)?;
    let kernel = weights_window(&dims, &shape);
    if shape.len() != spatial + 2 {
        return Err(OpError::invalid(format!("the weights have rank {}, the input has rank {}", shape.len(), spatial + 2)));
    }
    let window = Window::parse(cx, spatial, kernel)?;
    let group = cx.int("group", 1)?;
    Ok(Conv { window, group, bias: false, residual: false, epilogue: Epilogue::default(), channels_last: false, tile: 0 })
}

/// `activation(conv(x, w) + bias + residual)`; inputs x, w (as ONNX lays it out), then bias and residual if there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    /// The windows.
    pub window: Window,
    /// Groups.
    pub group: i64,
    /// Whether there is a bias (one element an output channel).
    pub bias: bool,
    /// Whether there is a residual (shaped as the result).
    pub residual: bool,
    /// Applied last.
    pub epilogue: Epilogue,
    /// Whether x, residual and result have their channels on the last axis.
    pub channels_last: bool,
    /// The side of the tiles of outputs that are computed together with fewer multiplications (2 or 4); 0: by the definition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tile: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(tile: &usize) -> bool {
    *tile == 0
}

/// Batch, channels and spatial dims of a shape in either layout.
pub fn split_layout(shape: &[Dim], channels_last: bool) -> (Dim, Dim, Vec<Dim>) {
    if channels_last {
        (shape[0], shape[shape.len() - 1], shape[1..shape.len() - 1].to_vec())
    } else {
        (shape[0], shape[1], shape[2..].to_vec())
    }
}

/// The inverse of [`split_layout`].
pub fn join_layout(batch: Dim, channels: Dim, spatial: &[Dim], channels_last: bool) -> Vec<Dim> {
    if channels_last { [&[batch], spatial, &[channels]].concat() } else { [&[batch, channels], spatial].concat() }
}

impl Operator for Conv {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (shape, weights) = (cx.shape(0)?, cx.shape(1)?);
        let (batch, channels, spatial) = split_layout(&shape, self.channels_last);
        if weights.len() != shape.len() || self.group < 1 {
            return Err(OpError::invalid("the ranks of input and weights differ, or group is not positive"));
        }
        let needed = cx.dims.scale(weights[1], self.group);
        cx.require_equal(channels, needed, "the input's channels and those of the weights times group");
        if let Some(out) = cx.dims.value(weights[0])
            && out % self.group != 0
        {
            return Err(OpError::invalid(format!("group {} does not divide the {out} output channels", self.group)));
        }
        self.window.check_weights(cx, &weights[2..])?;
        let sized = self.window.sizes(cx.dims, &spatial, &self.window.kernel_dims(cx.dims, &weights[2..]));
        Ok(vec![Fact::tensor(cx.dtype(0)?, join_layout(batch, weights[0], &sized.output, self.channels_last))])
    }

    fn reads_rows(&self, i: usize, _rank: usize) -> bool {
        self.channels_last && (i == 0 || Some(i) == self.residual_input())
    }

    fn writes_rows(&self, _rank: usize) -> bool {
        self.channels_last
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, w) = (cx.input(0)?, cx.input(1)?);
        let dims = cx.dims();
        let (batch, channels, spatial) = split_layout(&x.shape, self.channels_last);
        if spatial.len() > 3 {
            return Err(OpError::unsupported("a convolution over more than three spatial axes"));
        }
        let kernel = self.window.kernel_dims(&dims, &w.shape[2..]);
        let Sized { output, begin, end } = self.window.sizes(&dims, &spatial, &kernel);
        let geometry = GeometryArg {
            batch,
            input: &spatial,
            output: &output,
            channels: (channels, w.shape[0]),
            group: self.group,
            window: (&kernel, &self.window.stride, &self.window.dilation),
            pads: (&begin, &end),
        };
        let bias = optional(cx, self.bias, 2)?;
        if x.dtype != DType::F32 {
            let (out, geometry) = (cx.output(0)?, geometry.arg(&dims));
            return cx
                .call(crate::kernel!(conv::plain(_, _, _, _, _) for num(x.dtype)), vec![out.write(), x.read(), w.read(), bias, geometry]);
        }
        let taps = dims.product(&kernel);
        let group = dims.int(self.group);
        let depthwise = channels == group && w.shape[0] == group;
        let packed = if self.tile > 0 {
            self.winograd_weights(cx)?
        } else if depthwise {
            let pack = |out: &mut [f32], w: &[f32], v: &[usize]| conv::pack_depthwise(out, w, v[0], v[1]);
            pack_weights(
                cx,
                &w,
                Form::Single,
                &[group, taps],
                dims.mul(group, taps),
                &pack,
                crate::kernel!(conv::pack_depthwise(_, _, _, _)),
            )?
        } else {
            let pack = |out: &mut [f32], w: &[f32], v: &[usize]| conv::pack_conv(out, w, v[0], v[1], v[2], v[3]);
            let panels = dims.ceil_div(dims.floor_div(w.shape[0], group), dims.int(32));
            let len = dims.product(&[group, panels, dims.scale(taps, 32), w.shape[1]]);
            let sizes = [group, w.shape[0], w.shape[1], taps];
            pack_weights(cx, &w, Form::Pairs(w.shape[1]), &sizes, len, &pack, crate::kernel!(conv::pack_conv(_, _, _, _, _, _)))?
        };
        // Pairs of bf16 are stored in words of 32 bits.
        let pairs = packed.dtype == DType::U32;
        let (mut x, mut pitches) = (to_last(cx, 0, self.channels_last)?, [channels, w.shape[0], w.shape[0]]);
        let residual = self.residual_input().map(|i| Ok((i, to_last(cx, i, self.channels_last)?))).transpose()?;
        if self.channels_last {
            pitches = [cx.input_pitch(0)?, cx.output_pitch(0)?, residual.as_ref().map_or(Ok(w.shape[0]), |(i, _)| cx.input_pitch(*i))?];
        }
        if pairs {
            x = cx.dense(x, pitches[0])?;
            x = bf16::rounded(cx, &x)?;
            pitches[0] = channels;
        }
        let geometry = geometry.pitched_arg(&dims, pitches);
        let residual = residual.map_or(Arg::Absent, |(_, r)| Arg::Present(Box::new(r.read())));
        let shape = join_layout(batch, w.shape[0], &output, true);
        let scratch = if self.tile > 0 { Some(self.winograd_scratch(cx, &shape)?) } else { None };
        from_last(cx, &shape, self.channels_last, |cx, out| {
            let mut args = vec![Arg::Cx, out, x.read(), packed.read(), bias, residual, geometry, self.epilogue.arg()];
            if let Some(scratch) = scratch {
                args.insert(2, scratch.write());
                args.push(Arg::Usize(cx.int(self.tile as i64)));
                cx.call(crate::kernel!(conv::winograd(_, _, _, _, _, _, _, _, _, _)), args)
            } else if depthwise {
                cx.call(crate::kernel!(conv::depthwise(_, _, _, _, _, _, _, _)), args)
            } else if pairs {
                cx.call(crate::kernel!(conv::conv_bf16(_, _, _, _, _, _, _, _)), args)
            } else {
                cx.call(crate::kernel!(conv::conv_packed(_, _, _, _, _, _, _, _) for stored(packed.dtype)), args)
            }
        })
    }
}

impl Conv {
    /// Which input is the residual, if there is one.
    fn residual_input(&self) -> Option<usize> {
        self.residual.then_some(2 + usize::from(self.bias))
    }

    /// The weights for tiles; the pass that chose those saw that they are constant.
    fn winograd_weights(&self, cx: &mut Lower<'_>) -> Result<Operand, OpError> {
        let computed = || OpError::invalid("weights that are computed cannot be cut in tiles");
        let weights = cx.constant(1).ok_or_else(computed)?;
        let elements = weights.to_vec::<f32>().ok_or_else(computed)?;
        let (outputs, inputs) = (weights.shape[0], weights.shape[1]);
        let mut packed = vec![0f32; conv::pack_winograd_len(outputs, inputs, self.tile)];
        conv::pack_winograd(&mut packed, &elements, outputs, inputs, self.tile).map_err(|f| OpError::invalid(f.to_string()))?;
        Ok(cx.weight("transformed weights", Tensor::vector(&packed)))
    }

    /// The scratch for tiles, for an output of that shape, channels last.
    fn winograd_scratch(&self, cx: &mut Lower<'_>, shape: &[Dim]) -> Result<Operand, OpError> {
        let weights = cx.constant(1).ok_or_else(|| OpError::invalid("weights that are computed cannot be cut in tiles"))?;
        let (outputs, inputs) = (weights.shape[0], weights.shape[1]);
        let dims = cx.dims();
        let value = |d: Dim| dims.value(d).and_then(|v| usize::try_from(v).ok());
        let (_, _, spatial) = split_layout(shape, true);
        let side = |d: Dim| value(d).map(|v| v.div_ceil(self.tile));
        let count = [value(shape[0]), side(spatial[0]), side(spatial[1])].into_iter().try_fold(1usize, |n, v| n.checked_mul(v?));
        let len = conv::winograd_scratch_len(inputs, outputs, self.tile, count.unwrap_or(usize::MAX));
        let len = cx.int(i64::try_from(len).unwrap_or(i64::MAX));
        Ok(cx.temp(DType::F32, &[len]))
    }
}

/// `activation(conv_transpose(x, w) + bias)`; w is `[in][out / group][kernel]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose {
    /// The windows, seen from the output.
    pub window: Window,
    /// Groups.
    pub group: i64,
    /// Added to the output's size on one side.
    pub output_padding: Vec<i64>,
    /// The output's spatial dims, from which the padding follows, if they are given.
    pub output_shape: Option<Vec<i64>>,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub epilogue: Epilogue,
    /// Whether x and the result have their channels on the last axis.
    pub channels_last: bool,
}

impl ConvTranspose {
    /// The output's dims and the padding, for an input of these spatial dims and a window of those. The padding follows from the output's dims where
    /// these are given, or are the input's times the stride (SAME).
    fn sizes(&self, dims: &crate::ir::Dims, spatial: &[Dim], kernel: &[Dim]) -> Sized {
        let mut sized = Sized { output: Vec::new(), begin: Vec::new(), end: Vec::new() };
        for (a, &x) in spatial.iter().enumerate() {
            let grown = dims.scale(dims.offset(x, -1), self.window.stride[a]);
            let full = dims.offset(dims.add(grown, self.window.reach(dims, kernel[a], a)), self.output_padding[a]);
            let (out, begin, end) = match (&self.output_shape, &self.window.padding) {
                (None, Padding::Explicit(pads)) => {
                    let (begin, end) = (pads[a], pads[a + spatial.len()]);
                    (dims.offset(full, -begin - end), dims.int(begin), dims.int(end))
                }
                (given, padding) => {
                    let out = given.as_ref().map_or_else(|| dims.scale(x, self.window.stride[a]), |s| dims.int(s[a]));
                    // An output larger than the windows reach is padded at its end.
                    let total = dims.max(dims.sub(full, out), dims.int(0));
                    let small = dims.floor_div(total, dims.int(2));
                    let large = dims.sub(total, small);
                    // With output_shape and no SAME_UPPER the odd one comes before, as the standard says.
                    if *padding == Padding::SameUpper { (out, small, large) } else { (out, large, small) }
                }
            };
            sized.output.push(out);
            sized.begin.push(begin);
            sized.end.push(end);
        }
        sized
    }
}

impl ConvTranspose {
    /// Whether the windows lie side by side, if there is no padding.
    fn is_disjoint(&self, dims: &crate::ir::Dims, spatial: &[Dim], kernel: &[Dim], output: &[Dim]) -> bool {
        let Window { stride, dilation, .. } = &self.window;
        let lies = |a: usize| kernel[a] == dims.int(stride[a]) && dilation[a] == 1 && output[a] == dims.scale(spatial[a], stride[a]);
        self.group == 1 && (0..spatial.len()).all(lies)
    }
}

impl Operator for ConvTranspose {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (shape, weights) = (cx.shape(0)?, cx.shape(1)?);
        let (batch, channels, spatial) = split_layout(&shape, self.channels_last);
        if weights.len() != shape.len() || self.group < 1 {
            return Err(OpError::invalid("the ranks of input and weights differ, or group is not positive"));
        }
        cx.require_equal(channels, weights[0], "the input's channels and those of the weights");
        self.window.check_weights(cx, &weights[2..])?;
        let sized = self.sizes(cx.dims, &spatial, &self.window.kernel_dims(cx.dims, &weights[2..]));
        let out = cx.dims.scale(weights[1], self.group);
        Ok(vec![Fact::tensor(cx.dtype(0)?, join_layout(batch, out, &sized.output, self.channels_last))])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, w) = (cx.input(0)?, cx.input(1)?);
        let dims = cx.dims();
        let (batch, channels, spatial) = split_layout(&x.shape, self.channels_last);
        if spatial.len() > 3 {
            return Err(OpError::unsupported("a convolution over more than three spatial axes"));
        }
        let kernel = self.window.kernel_dims(&dims, &w.shape[2..]);
        let Sized { output, begin, end } = self.sizes(&dims, &spatial, &kernel);
        let group = dims.int(self.group);
        let out_channels = dims.mul(w.shape[1], group);
        let geometry = GeometryArg {
            batch,
            input: &spatial,
            output: &output,
            channels: (channels, out_channels),
            group: self.group,
            window: (&kernel, &self.window.stride, &self.window.dilation),
            pads: (&begin, &end),
        };
        let geometry = geometry.arg(&dims);
        let disjoint =
            self.is_disjoint(&dims, &spatial, &kernel, &output) && [&begin, &end].iter().all(|p| p.iter().all(|&d| d == cx.int(0)));
        let bias = optional(cx, self.bias, 2)?;
        if x.dtype != DType::F32 {
            let out = cx.output(0)?;
            return cx.call(
                crate::kernel!(conv::plain_transpose(_, _, _, _, _) for num(x.dtype)),
                vec![out.write(), x.read(), w.read(), bias, geometry],
            );
        }
        // The taps of which one matrix product is made, and how often.
        let (lines, taps) = match kernel.split_last() {
            Some((&last, before)) if disjoint => (dims.product(before), last),
            _ => (cx.int(1), dims.product(&kernel)),
        };
        let columns = dims.mul(taps, w.shape[1]);
        let panels = dims.scale(dims.ceil_div(columns, dims.int(32)), 32);
        let pack = |out: &mut [f32], w: &[f32], v: &[usize]| conv::pack_conv_transpose(out, w, v[0], v[1], v[2], v[3], v[4]);
        let len = dims.mul(dims.mul(channels, lines), panels);
        let sizes = [group, w.shape[0], w.shape[1], lines, taps];
        let packed =
            pack_weights(cx, &w, Form::Stored, &sizes, len, &pack, crate::kernel!(conv::pack_conv_transpose(_, _, _, _, _, _, _)))?;
        let pixels = if disjoint { cx.int(1) } else { dims.product(&spatial) };
        let scratch = cx.temp(DType::F32, &[pixels, columns]);
        let x = to_last(cx, 0, self.channels_last)?;
        let shape = join_layout(batch, out_channels, &output, true);
        from_last(cx, &shape, self.channels_last, |cx, out| {
            let args = vec![Arg::Cx, out, scratch.write(), x.read(), packed.read(), bias, geometry, self.epilogue.arg()];
            let kernel = if disjoint {
                crate::kernel!(conv::conv_transpose_disjoint(_, _, _, _, _, _, _, _) for stored(packed.dtype))
            } else {
                crate::kernel!(conv::conv_transpose(_, _, _, _, _, _, _, _) for stored(packed.dtype))
            };
            cx.call(kernel, args)
        })
    }
}

/// An optional operand as an argument.
fn optional(cx: &mut Lower<'_>, given: bool, i: usize) -> Result<Arg, OpError> {
    if given { Ok(Arg::Present(Box::new(cx.input(i)?.read()))) } else { Ok(Arg::Absent) }
}

/// What the kernel can take weights as, if the user wishes so.
#[derive(Clone, Copy)]
enum Form {
    /// As f32 only.
    Single,
    /// In 16 bits, which it widens.
    Stored,
    /// So, or to be multiplied as pairs of bf16 along runs of that length.
    Pairs(Dim),
}

/// Packs weights: constants now, others by a step.
fn pack_weights(
    cx: &mut Lower<'_>,
    w: &Operand,
    form: Form,
    sizes: &[Dim],
    len: Dim,
    pack: &dyn Fn(&mut [f32], &[f32], &[usize]) -> Result<(), Fault>,
    kernel: crate::program::kernel::Kernel,
) -> Result<Operand, OpError> {
    let dims = cx.dims();
    let value = |d: Dim| dims.value(d).and_then(|v| usize::try_from(v).ok());
    let values: Option<Vec<usize>> = sizes.iter().map(|&d| value(d)).collect();
    if let (Some(tensor), Some(values), Some(len)) = (cx.constant(1), values, value(len)) {
        let elements = tensor.to_vec::<f32>().ok_or_else(|| OpError::invalid("the weights must have the dtype of the input"))?;
        let mut packed = vec![0f32; len];
        pack(&mut packed, &elements, &values).map_err(|f| OpError::invalid(f.to_string()))?;
        let name = "packed weights";
        if let Form::Pairs(depth) = form
            && let Some(pairs) = bf16::pairs(cx, name, &packed, depth)?
        {
            return Ok(pairs);
        }
        return Ok(if let Form::Single = form { cx.weight(name, Tensor::vector(&packed)) } else { cx.stored_weight(name, &packed) });
    }
    let packed = cx.temp(DType::F32, &[len]);
    let args = [packed.write(), w.read()].into_iter().chain(sizes.iter().map(|&s| Arg::Usize(s))).collect();
    cx.call(kernel, args)?;
    Ok(packed)
}

/// Input `i` with its channels on the last axis.
pub fn to_last(cx: &mut Lower<'_>, i: usize, channels_last: bool) -> Result<Operand, OpError> {
    let x = cx.input(i)?;
    if channels_last {
        return Ok(x);
    }
    let (batch, channels, spatial) = split_layout(&x.shape, false);
    let shape = join_layout(batch, channels, &spatial, true);
    let (dims, one) = (cx.dims(), cx.int(1));
    // One channel or one pixel: both layouts are the same memory.
    if channels == one || dims.product(&spatial) == one {
        return Ok(Operand { shape, ..x });
    }
    let out = cx.temp(x.dtype, &shape);
    let perm = [vec![0], (2..x.shape.len()).collect(), vec![1]].concat();
    transpose(cx, &out, &x, &perm)?;
    Ok(out)
}

/// Output 0, computed channels last: `compute` gets the argument that it writes.
pub fn from_last(
    cx: &mut Lower<'_>,
    shape: &[Dim],
    channels_last: bool,
    compute: impl FnOnce(&mut Lower<'_>, Arg) -> Result<(), OpError>,
) -> Result<(), OpError> {
    let out = cx.output(0)?;
    let (dims, one) = (cx.dims(), cx.int(1));
    let (_, channels, spatial) = split_layout(shape, true);
    if channels_last || channels == one || dims.product(&spatial) == one {
        let out = cx.write(0)?;
        return compute(cx, out);
    }
    let last = cx.temp(out.dtype, shape);
    compute(cx, last.write())?;
    let perm = [vec![0, shape.len() - 1], (1..shape.len() - 1).collect()].concat();
    transpose(cx, &out, &last, &perm)
}

fn transpose(cx: &mut Lower<'_>, out: &Operand, x: &Operand, perm: &[usize]) -> Result<(), OpError> {
    let perm = perm.iter().map(|&p| cx.int(p as i64)).collect();
    let args = vec![Arg::Cx, out.write(), x.read(), Arg::Usizes(x.shape.clone()), Arg::Usizes(perm)];
    cx.call(crate::kernel!(transpose::transpose(_, _, _, _, _) for any(x.dtype)), args)
}
