//! The geometry of windows that slide over spatial axes: what convolution and pooling share.

use crate::import::Parse;
use crate::ir::dim::{Dim, Dims};
use crate::ops::{Infer, OpError};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_struct!(conv::Geometry {
    batch,
    input,
    output,
    in_channels,
    out_channels,
    group,
    kernel,
    stride,
    dilation,
    pads,
    pads_end,
    in_pitch,
    out_pitch,
    residual_pitch
});

/// Where padding comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Padding {
    /// Before each axis, then after each.
    Explicit(Vec<i64>),
    /// As much as makes the output `ceil(input / stride)`; the odd one after.
    SameUpper,
    /// The same, the odd one before.
    SameLower,
}

/// Windows over one to three spatial axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The window; 0 on an axis where only the weights say it, when the model runs (see [`Window::kernel_dims`]).
    pub kernel: Vec<i64>,
    /// Steps between windows.
    pub stride: Vec<i64>,
    /// Steps between taps.
    pub dilation: Vec<i64>,
    /// Padding.
    pub padding: Padding,
    /// Whether the last window may hang over the end (pooling).
    pub ceil: bool,
}

/// The sizes that come out.
pub struct Sized {
    /// The output's spatial dims.
    pub output: Vec<Dim>,
    /// Padding before each axis.
    pub begin: Vec<Dim>,
    /// Padding after each axis.
    pub end: Vec<Dim>,
}

impl Window {
    /// The attributes of a node with that many spatial axes; `kernel` is the shape of the weights' window, 0 where it is symbolic, if there are
    /// weights. The attribute says it otherwise.
    pub fn parse(cx: &Parse<'_>, spatial: usize, kernel: Option<Vec<i64>>) -> Result<Self, OpError> {
        let list = |name: &str, default: i64, count: usize| -> Result<Vec<i64>, OpError> {
            let values = cx.ints(name)?.filter(|v| !v.is_empty()).unwrap_or_else(|| vec![default; count]);
            if values.len() == count {
                Ok(values)
            } else {
                Err(OpError::invalid(format!("the attribute `{name}` must have {count} values, it has {}", values.len())))
            }
        };
        let kernel = match (cx.ints("kernel_shape")?.filter(|k| !k.is_empty()), kernel) {
            (Some(k), _) if k.contains(&0) => return Err(OpError::invalid("kernel_shape must be positive")),
            (Some(k), _) | (None, Some(k)) => k,
            (None, None) => return Err(OpError::invalid("the attribute `kernel_shape` is missing")),
        };
        if kernel.len() != spatial {
            return Err(OpError::invalid(format!("kernel_shape has {} values for {spatial} spatial axes", kernel.len())));
        }
        let (stride, dilation) = (list("strides", 1, spatial)?, list("dilations", 1, spatial)?);
        let padding = match cx.string("auto_pad", "NOTSET")?.as_str() {
            "NOTSET" | "" => Padding::Explicit(list("pads", 0, 2 * spatial)?),
            "VALID" => Padding::Explicit(vec![0; 2 * spatial]),
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(OpError::invalid(format!("auto_pad is `{other}`"))),
        };
        let window = Self { kernel, stride, dilation, padding, ceil: cx.flag("ceil_mode", false)? };
        window.check()?;
        Ok(window)
    }

    /// Sizes that no kernel can have.
    fn check(&self) -> Result<(), OpError> {
        const MOST: i64 = 1 << 24;
        let positive =
            self.kernel.iter().all(|&v| (0..MOST).contains(&v)) && self.stride.iter().chain(&self.dilation).all(|&v| v > 0 && v < MOST);
        let pads = match &self.padding {
            Padding::Explicit(pads) => pads.iter().all(|&p| p > -MOST && p < MOST),
            _ => true,
        };
        if positive && pads {
            Ok(())
        } else {
            Err(OpError::invalid("kernel, strides and dilations must be positive, and pads in a sensible range"))
        }
    }

    /// The window's dims; `weights` are the spatial dims of the weights (none: there are no weights).
    pub fn kernel_dims(&self, dims: &Dims, weights: &[Dim]) -> Vec<Dim> {
        let one = |(axis, &k): (usize, &i64)| weights.get(axis).copied().filter(|_| k == 0).unwrap_or_else(|| dims.int(k));
        self.kernel.iter().enumerate().map(one).collect()
    }

    /// Requires the weights' spatial dims to be the window, and the window not to be empty.
    pub fn check_weights(&self, cx: &mut Infer<'_>, weights: &[Dim]) -> Result<(), OpError> {
        if weights.len() != self.kernel.len() {
            return Err(OpError::invalid("the window has another number of axes than the weights"));
        }
        let one = cx.int(1);
        for (kernel, &weight) in self.kernel_dims(cx.dims, weights).into_iter().zip(weights) {
            cx.require_equal(kernel, weight, "the window and the weights' spatial dims");
            cx.require_at_most(one, kernel, "1 and the window");
        }
        Ok(())
    }

    /// The window with dilation.
    pub fn reach(&self, dims: &Dims, kernel: Dim, axis: usize) -> Dim {
        dims.offset(dims.scale(dims.offset(kernel, -1), self.dilation[axis]), 1)
    }

    /// The output's dims and the padding, for an input of these spatial dims and a window of those.
    pub fn sizes(&self, dims: &Dims, input: &[Dim], kernel: &[Dim]) -> Sized {
        let mut sized = Sized { output: Vec::new(), begin: Vec::new(), end: Vec::new() };
        for (axis, &x) in input.iter().enumerate() {
            let stride = dims.int(self.stride[axis]);
            let reach = self.reach(dims, kernel[axis], axis);
            let (out, begin, end) = match &self.padding {
                Padding::Explicit(pads) => {
                    let (begin, end) = (pads[axis], pads[axis + input.len()]);
                    (self.explicit(dims, x, axis, reach, begin, end), dims.int(begin), dims.int(end))
                }
                same => {
                    let out = dims.ceil_div(x, stride);
                    let needed = dims.add(dims.mul(dims.offset(out, -1), stride), reach);
                    let total = dims.max(dims.sub(needed, x), dims.int(0));
                    let half = dims.floor_div(total, dims.int(2));
                    let other = dims.sub(total, half);
                    if *same == Padding::SameUpper { (out, half, other) } else { (out, other, half) }
                }
            };
            sized.output.push(out);
            sized.begin.push(begin);
            sized.end.push(end);
        }
        sized
    }

    fn explicit(&self, dims: &Dims, x: Dim, axis: usize, reach: Dim, begin: i64, end: i64) -> Dim {
        let stride = dims.int(self.stride[axis]);
        let room = dims.sub(dims.offset(x, begin + end), reach);
        if !self.ceil {
            // An input smaller than the window gives no output.
            return dims.max(dims.offset(dims.floor_div(room, stride), 1), dims.int(0));
        }
        let out = dims.offset(dims.ceil_div(room, stride), 1);
        // The last window must start inside the input or the padding before it.
        let last = dims.offset(dims.floor_div(dims.offset(x, begin - 1), stride), 1);
        dims.max(dims.min(out, last), dims.int(0))
    }
}

/// The runtime's geometry of channels-last operands, its three spatial axes filled up from the front.
pub struct GeometryArg<'a> {
    /// Images.
    pub batch: Dim,
    /// The input's spatial dims.
    pub input: &'a [Dim],
    /// The output's spatial dims.
    pub output: &'a [Dim],
    /// Channels in and out.
    pub channels: (Dim, Dim),
    /// Groups.
    pub group: i64,
    /// Kernel, stride, dilation.
    pub window: (&'a [Dim], &'a [i64], &'a [i64]),
    /// Padding before and after.
    pub pads: (&'a [Dim], &'a [Dim]),
}

impl GeometryArg<'_> {
    /// As an argument, of dense operands.
    pub fn arg(&self, dims: &Dims) -> Arg {
        self.pitched_arg(dims, [self.channels.0, self.channels.1, self.channels.1])
    }

    /// As an argument, of operands whose pixels lie that far apart: input, output, residual.
    pub fn pitched_arg(&self, dims: &Dims, [input, output, residual]: [Dim; 3]) -> Arg {
        let three = |values: &[Dim], fill: i64| {
            let lead = 3usize.saturating_sub(values.len());
            let all = std::iter::repeat_n(dims.int(fill), lead).chain(values.iter().copied());
            Arg::Array(all.map(Arg::Usize).collect())
        };
        let ints = |values: &[i64]| three(&values.iter().map(|&v| dims.int(v)).collect::<Vec<_>>(), 1);
        let (kernel, stride, dilation) = self.window;
        Arg::Struct(
            "conv::Geometry",
            vec![
                ("batch", Arg::Usize(self.batch)),
                ("input", three(self.input, 1)),
                ("output", three(self.output, 1)),
                ("in_channels", Arg::Usize(self.channels.0)),
                ("out_channels", Arg::Usize(self.channels.1)),
                ("group", Arg::Usize(dims.int(self.group))),
                ("kernel", three(kernel, 1)),
                ("stride", ints(stride)),
                ("dilation", ints(dilation)),
                ("pads", three(self.pads.0, 0)),
                ("pads_end", three(self.pads.1, 0)),
                ("in_pitch", Arg::Usize(input)),
                ("out_pitch", Arg::Usize(output)),
                ("residual_pitch", Arg::Usize(residual)),
            ],
        )
    }
}

/// The spatial dims of weights as `Window::parse` takes them: 0 where they are symbolic.
pub fn weights_window(dims: &Dims, weights: &[Dim]) -> Option<Vec<i64>> {
    // No window is empty: an impossible size is refused there.
    Some(weights.get(2..)?.iter().map(|&d| dims.value(d).map_or(0, |v| if v == 0 { -1 } else { v })).collect())
}
