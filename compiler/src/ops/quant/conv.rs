//! `ConvInteger` and `QLinearConv`: convolutions of 8-bit tensors with zero points, summed exactly in i32.

use super::pairs::{Filters, optional, widened};
use super::requantize::Requantize;
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Tensor, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::nn::conv::{from_last, join_layout, split_layout, to_last};
use crate::ops::nn::window::{GeometryArg, Sized, Window, weights_window};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::element::Element;
use onnxc_runtime::kernels::integer::{Byte, MAX_TAPS, pack_depthwise};
use serde::{Deserialize, Serialize};

/// ONNX `ConvInteger`.
pub fn parse_integer(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), cx.opt_input(2)?, cx.opt_input(3)?];
    let op = parse(cx, inputs[1])?;
    cx.add_n(op, &inputs)
}

/// ONNX `QLinearConv`: inputs x, its scale and zero point, w, its scale and zero point, the scale and the zero point of the result, the bias.
/// com.microsoft's may have the channels of x and of the result last.
pub fn parse_qlinear(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let all: Vec<ValueId> = (0..8).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    let bias = cx.opt_input(8)?;
    let mut op = parse(cx, Some(all[3]))?;
    op.channels_last = cx.flag("channels_last", false)?;
    let channels = if op.channels_last { cx.rank(all[0])?.saturating_sub(1) } else { 1 };
    let sums = cx.add(op, &[all[0], all[3], all[2], all[5]])?;
    let dtype = cx.dtype(all[7])?;
    // The scales of the weights are by channel, that is by row; the one scale of x counts as that of the columns.
    cx.add_n(
        Requantize { dtype, rows: Some(channels), by_column: false },
        &[Some(sums), Some(all[4]), Some(all[1]), Some(all[6]), Some(all[7]), bias],
    )
}

fn parse(cx: &mut Parse<'_>, weights: Option<ValueId>) -> Result<IntegerConv, OpError> {
    let weights = weights.ok_or_else(|| OpError::invalid("the weights are missing"))?;
    let (shape, dims) = (cx.shape(weights)?, cx.dims());
    let kernel = weights_window(&dims, &shape);
    let spatial = shape.len().checked_sub(2).filter(|&s| s > 0).ok_or_else(|| OpError::invalid("the weights must have spatial axes"))?;
    Ok(IntegerConv { window: Window::parse(cx, spatial, kernel)?, group: cx.int("group", 1)?, channels_last: false })
}

/// The convolution of `x - x_zero` with `w - w_zero` as i32. Inputs: x, w (i8 or u8), and the zero points (optional; that of w
/// one, or one a filter).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerConv {
    /// The windows.
    pub window: Window,
    /// Groups.
    pub group: i64,
    /// Whether x and the result have their channels on the last axis.
    pub channels_last: bool,
}

impl Operator for IntegerConv {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (x, w) = (cx.shape(0)?, cx.shape(1)?);
        if x.len() != w.len() || self.group < 1 {
            return Err(OpError::invalid("the ranks of input and weights differ, or group is not positive"));
        }
        let (batch, channels, spatial) = split_layout(&x, self.channels_last);
        let needed = cx.dims.scale(w[1], self.group);
        cx.require_equal(channels, needed, "the input's channels and those of the weights times group");
        if cx.dims.value(w[0]).is_some_and(|filters| filters % self.group != 0) {
            return Err(OpError::invalid(format!("group {} does not divide the output channels", self.group)));
        }
        for (i, of) in [(2, 0), (3, 1)] {
            if cx.has(i) && cx.dtype(i)? != cx.dtype(of)? {
                return Err(OpError::invalid("a zero point must have the dtype of its tensor"));
            }
        }
        if cx.has(2) {
            let (given, one) = (cx.shape(2)?, cx.int(1));
            let count = cx.dims.product(&given);
            cx.require_equal(count, one, "the number of zero points of the input and 1");
        }
        self.window.check_weights(cx, &w[2..])?;
        let sized = self.window.sizes(cx.dims, &spatial, &self.window.kernel_dims(cx.dims, &w[2..]));
        Ok(vec![Fact::tensor(DType::I32, join_layout(batch, w[0], &sized.output, self.channels_last))])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, w) = (cx.input(0)?, cx.input(1)?);
        let dims = cx.dims();
        let (batch, channels, spatial) = split_layout(&x.shape, self.channels_last);
        if spatial.len() > 3 {
            return self.plain(cx);
        }
        let kernel = self.window.kernel_dims(&dims, &w.shape[2..]);
        let Sized { output, begin, end } = self.window.sizes(&dims, &spatial, &kernel);
        let (taps, group) = (dims.product(&kernel), dims.int(self.group));
        let geometry = GeometryArg {
            batch,
            input: &spatial,
            output: &output,
            channels: (channels, w.shape[0]),
            group: self.group,
            window: (&kernel, &self.window.stride, &self.window.dilation),
            pads: (&begin, &end),
        };
        let geometry = geometry.arg(&dims);
        let shape = join_layout(batch, w.shape[0], &output, true);
        let x = to_last(cx, 0, self.channels_last)?;
        if let Some(packed) = packed_depthwise(cx, channels == group && w.shape[0] == group)? {
            let real = cx.temp(DType::F32, &x.shape);
            let args = vec![Arg::Cx, real.write(), x.read(), optional(cx, 2)?];
            cx.call(crate::kernel!(integer::real(_, _, _, _) for bytes(x.dtype)), args)?;
            return from_last(cx, &shape, self.channels_last, |cx, out| {
                let args = vec![Arg::Cx, out, real.read(), packed.read(), geometry];
                cx.call(crate::kernel!(integer::depthwise(_, _, _, _, _)), args)
            });
        }
        let pixels = dims.mul(batch, dims.product(&spatial));
        let wide = widened(cx, &x, 2, pixels, group, w.shape[1])?;
        let strides = [dims.mul(w.shape[1], taps), taps, dims.int(1)];
        let packed = Filters { sizes: [group, w.shape[0], w.shape[1], taps], strides }.packed(cx)?;
        from_last(cx, &shape, self.channels_last, |cx, out| {
            let args = vec![Arg::Cx, out, wide.read(), packed.read(), geometry];
            cx.call(crate::kernel!(integer::conv(_, _, _, _, _)), args)
        })
    }
}

/// The weights for the depthwise kernel, if they are constant and its sums are exact; `own` says that each channel has one filter of its own.
fn packed_depthwise(cx: &mut Lower<'_>, own: bool) -> Result<Option<Operand>, OpError> {
    let (Some(w), zero) = (cx.constant(1).cloned(), cx.constant(3).cloned()) else { return Ok(None) };
    let taps = w.shape[2..].iter().product();
    if !own || taps > MAX_TAPS || (zero.is_none() && cx.has(3)) {
        return Ok(None);
    }
    let packed = match w.dtype {
        DType::I8 => pack_filters::<i8>(&w, zero.as_ref(), taps)?,
        _ => pack_filters::<u8>(&w, zero.as_ref(), taps)?,
    };
    Ok(Some(cx.weight("packed weights", Tensor::vector(&packed))))
}

fn pack_filters<T: Byte + Element>(weights: &Tensor, zero: Option<&Tensor>, taps: usize) -> Result<Vec<f32>, OpError> {
    let wrong = || OpError::invalid("weights and zero points must be 8-bit integers of one dtype");
    let elements = weights.to_vec::<T>().ok_or_else(wrong)?;
    let zero = zero.map(|z| z.to_vec::<T>().ok_or_else(wrong)).transpose()?;
    let mut packed = vec![0f32; elements.len()];
    pack_depthwise(&mut packed, &elements, zero.as_deref(), weights.shape[0], taps).map_err(|f| OpError::invalid(f.to_string()))?;
    Ok(packed)
}

impl IntegerConv {
    /// The plain loops, for any number of spatial axes, channels first.
    fn plain(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        if self.channels_last {
            return Err(OpError::unsupported("a convolution over more than three spatial axes with channels last"));
        }
        let (x, w) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let dims = cx.dims();
        let sized = self.window.sizes(&dims, &x.shape[2..], &self.window.kernel_dims(&dims, &w.shape[2..]));
        let ints = |values: &[i64]| Arg::Usizes(values.iter().map(|&v| dims.int(v)).collect::<Vec<Dim>>());
        let mut args = vec![Arg::Cx, out.write(), x.read(), w.read(), optional(cx, 2)?, optional(cx, 3)?];
        args.extend([
            Arg::Usizes(x.shape.clone()),
            Arg::Usizes(w.shape.clone()),
            Arg::Usizes(sized.output),
            ints(&self.window.stride),
            ints(&self.window.dilation),
            Arg::Usizes(sized.begin),
            Arg::Usize(dims.int(self.group)),
        ]);
        match (x.dtype, w.dtype) {
            (DType::U8, DType::U8) => cx.call(crate::kernel!(integer::conv_u8u8(_, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::U8, DType::I8) => cx.call(crate::kernel!(integer::conv_u8i8(_, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::I8, DType::U8) => cx.call(crate::kernel!(integer::conv_i8u8(_, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            (DType::I8, DType::I8) => cx.call(crate::kernel!(integer::conv_i8i8(_, _, _, _, _, _, _, _, _, _, _, _, _)), args),
            _ => Err(OpError::unsupported(format!("a convolution of {} with {}", x.dtype, w.dtype))),
        }
    }
}
