//! Pooling: `MaxPool`, `AveragePool`, `LpPool`, and the global ones, which are reductions over the spatial axes.

use super::conv::{from_last, join_layout, split_layout, to_last};
use super::window::{GeometryArg, Window};
use crate::import::Parse;
use crate::ir::{DType, Dim, Dims, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::reduce::reduce::{Reduce, ReduceFn};
use crate::ops::shape::transpose::Transpose;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `MaxPool`, `AveragePool` and `LpPool`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let spatial = spatial_axes(cx, x)?.len();
    let kind = match cx.op_type() {
        "MaxPool" => Kind::Max { indices: cx.wants(1), column_major: cx.flag("storage_order", false)? },
        "AveragePool" => Kind::Average { count_include_pad: cx.flag("count_include_pad", false)? },
        _ => Kind::Lp { p: power(cx)? },
    };
    let window = Window::parse(cx, spatial, None)?;
    cx.add_n(Pool { kind, window, channels_last: false }, &[Some(x)])
}

/// com.microsoft `NhwcMaxPool`: of 8-bit integers, channels last.
pub fn parse_nhwc(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    if rank < 3 {
        return Err(OpError::invalid(format!("the rank is {rank}, there are no spatial axes")));
    }
    let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let x = cx.add(Transpose { perm: first }, &[x])?;
    let window = Window::parse(cx, rank - 2, None)?;
    let kind = Kind::Max { indices: false, column_major: false };
    let y = cx.add(Pool { kind, window, channels_last: false }, &[x])?;
    cx.add(Transpose { perm: last }, &[y]).map(|v| vec![v])
}

/// Averages of a tensor's windows, with the node's attributes as those of `AveragePool`.
pub(crate) fn average(cx: &mut Parse<'_>, x: ValueId) -> Result<ValueId, OpError> {
    let spatial = spatial_axes(cx, x)?.len();
    let kind = Kind::Average { count_include_pad: cx.flag("count_include_pad", false)? };
    let window = Window::parse(cx, spatial, None)?;
    cx.add(Pool { kind, window, channels_last: false }, &[x])
}

/// ONNX `GlobalMaxPool`, `GlobalAveragePool` and `GlobalLpPool`.
pub fn parse_global(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let axes = spatial_axes(cx, x)?;
    let f = match cx.op_type() {
        "GlobalMaxPool" => ReduceFn::Max,
        "GlobalAveragePool" => ReduceFn::Mean,
        _ => match power(cx)? {
            1 => ReduceFn::L1,
            2 => ReduceFn::L2,
            p => return global_power(cx, x, &axes, p),
        },
    };
    cx.add(Reduce::over(f, &axes, true), &[x]).map(|v| vec![v])
}

/// `sum(|x|^p)^(1/p)` over the axes.
fn global_power(cx: &mut Parse<'_>, x: ValueId, axes: &[usize], p: i64) -> Result<Vec<ValueId>, OpError> {
    let dtype = cx.dtype(x)?;
    let (exponent, root) = (cx.scalar(dtype, p as f64)?, cx.scalar(dtype, 1.0 / p as f64)?);
    let magnitude = cx.add(crate::ops::elementwise::unary::Unary { f: crate::program::formula::Unary::Abs }, &[x])?;
    let powers = cx.add(Binary { f: BinaryFn::Pow }, &[magnitude, exponent])?;
    let sum = cx.add(Reduce::over(ReduceFn::Sum, axes, true), &[powers])?;
    cx.add(Binary { f: BinaryFn::Pow }, &[sum, root]).map(|v| vec![v])
}

fn spatial_axes(cx: &mut Parse<'_>, x: ValueId) -> Result<Vec<usize>, OpError> {
    let rank = cx.rank(x)?;
    if rank > 2 { Ok((2..rank).collect()) } else { Err(OpError::invalid("the input must have a batch, a channel and a spatial axis")) }
}

/// The exponent of the p-norm; a float in opset 1.
fn power(cx: &Parse<'_>) -> Result<i64, OpError> {
    let p = if cx.opset() < 2 { cx.float("p", 2.0)? as i64 } else { cx.int("p", 2)? };
    if p > 0 { Ok(p) } else { Err(OpError::invalid("p must be positive")) }
}

/// What is made of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The greatest element.
    Max {
        /// Whether output 1 says where it is, as an index of the whole input.
        indices: bool,
        /// Whether that index runs with the first spatial axis fastest.
        column_major: bool,
    },
    /// The average.
    Average {
        /// Whether padding counts as zeros.
        count_include_pad: bool,
    },
    /// The p-norm.
    Lp {
        /// The exponent.
        p: i64,
    },
}

/// A window that slides over the spatial axes of each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// What is made of a window.
    pub kind: Kind,
    /// The windows.
    pub window: Window,
    /// Whether input and result have their channels on the last axis.
    pub channels_last: bool,
}

impl Pool {
    /// The geometry of an input of that shape, and the shape of the output, channels last; `pitches` are those of input and output if they are not
    /// dense.
    fn geometry(&self, dims: &Dims, shape: &[Dim], pitches: Option<[Dim; 2]>) -> Result<(Arg, Vec<Dim>), OpError> {
        let (batch, channels, spatial) = split_layout(shape, self.channels_last);
        if spatial.len() > 3 {
            return Err(OpError::unsupported("pooling over more than three spatial axes"));
        }
        let kernel = self.window.kernel_dims(dims, &[]);
        let sized = self.window.sizes(dims, &spatial, &kernel);
        let geometry = GeometryArg {
            batch,
            input: &spatial,
            output: &sized.output,
            channels: (channels, channels),
            group: 1,
            window: (&kernel, &self.window.stride, &self.window.dilation),
            pads: (&sized.begin, &sized.end),
        };
        let [input, output] = pitches.unwrap_or([channels; 2]);
        Ok((geometry.pitched_arg(dims, [input, output, channels]), join_layout(batch, channels, &sized.output, true)))
    }
}

impl Kind {
    /// Whether there is a kernel for channels last.
    pub fn runs_last(self, dtype: DType) -> bool {
        match self {
            Self::Max { indices, .. } => !indices && matches!(dtype, DType::F32 | DType::U8 | DType::I8),
            Self::Average { .. } => dtype == DType::F32,
            Self::Lp { .. } => false,
        }
    }
}

impl Operator for Pool {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let (batch, channels, spatial) = split_layout(&shape, self.channels_last);
        if spatial.len() != self.window.kernel.len() {
            return Err(OpError::invalid("the window has another number of axes than the input"));
        }
        let sized = self.window.sizes(cx.dims, &spatial, &self.window.kernel_dims(cx.dims, &[]));
        let shape = join_layout(batch, channels, &sized.output, self.channels_last);
        let y = Fact::tensor(cx.dtype(0)?, shape.clone());
        Ok(if matches!(self.kind, Kind::Max { indices: true, .. }) { vec![y, Fact::tensor(DType::I64, shape)] } else { vec![y] })
    }

    fn reads_rows(&self, _i: usize, _rank: usize) -> bool {
        self.channels_last
    }

    fn writes_rows(&self, _rank: usize) -> bool {
        self.channels_last
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let pitches = if self.channels_last { Some([cx.input_pitch(0)?, cx.output_pitch(0)?]) } else { None };
        let (geometry, shape) = self.geometry(&cx.dims(), &x.shape, pitches)?;
        let mut kind = self.kind;
        if let Kind::Max { indices, .. } = &mut kind {
            *indices &= cx.wanted(1);
        }
        if kind.runs_last(x.dtype) {
            let x = to_last(cx, 0, self.channels_last)?;
            return from_last(cx, &shape, self.channels_last, |cx, out| {
                let args = vec![Arg::Cx, out, x.read(), geometry];
                match self.kind {
                    Kind::Average { count_include_pad } => {
                        let args = args.into_iter().chain([Arg::Bool(count_include_pad)]).collect();
                        cx.call(crate::kernel!(pool::average_pool(_, _, _, _, _)), args)
                    }
                    _ if x.dtype == DType::F32 => cx.call(crate::kernel!(pool::max_pool(_, _, _, _)), args),
                    _ => cx.call(crate::kernel!(pool::max_pool_bytes(_, _, _, _) for bytes(x.dtype)), args),
                }
            });
        }
        if self.channels_last {
            return Err(OpError::unsupported("this pooling with channels last"));
        }
        let out = cx.output(0)?;
        match kind {
            Kind::Max { indices: true, column_major } => {
                let indices = cx.output(1)?;
                let args = vec![out.write(), indices.write(), x.read(), geometry, Arg::Bool(column_major)];
                cx.call(crate::kernel!(pool::plain::max_pool_indices(_, _, _, _, _) for num(x.dtype)), args)
            }
            Kind::Max { .. } => {
                cx.call(crate::kernel!(pool::plain::max_pool(_, _, _) for num(x.dtype)), vec![out.write(), x.read(), geometry])
            }
            Kind::Average { count_include_pad } => cx.call(
                crate::kernel!(pool::plain::average_pool(_, _, _, _) for num(x.dtype)),
                vec![out.write(), x.read(), geometry, Arg::Bool(count_include_pad)],
            ),
            Kind::Lp { p } => {
                let p = Arg::I64(cx.int(p));
                cx.call(crate::kernel!(pool::plain::lp_pool(_, _, _, _) for float(x.dtype)), vec![out.write(), x.read(), geometry, p])
            }
        }
    }
}
