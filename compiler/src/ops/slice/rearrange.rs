//! `ReverseSequence`, `DepthToSpace`, `SpaceToDepth`, `Col2Im`, `CenterCropPad`: elements in other places.

use super::{known_or_fresh, output_shape, read_ints, zero};
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::nn::window::{Padding, Window};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `ReverseSequence`.
pub fn parse_reverse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (time, batch) = (cx.int("time_axis", 0)?, cx.int("batch_axis", 1)?);
    if !matches!((time, batch), (0, 1) | (1, 0)) {
        return Err(OpError::invalid(format!("time_axis is {time}, batch_axis is {batch}; they must be 0 and 1")));
    }
    let (x, lens) = (cx.input(0)?, cx.input(1)?);
    cx.add(ReverseSequence { time_first: time == 0 }, &[x, lens]).map(|v| vec![v])
}

/// ONNX `DepthToSpace` (`mode` since opset 11) and `SpaceToDepth` (`mode` since opset 28).
pub fn parse_blocks(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let block = cx.int("blocksize", 0)?;
    if block <= 0 {
        return Err(OpError::invalid(format!("blocksize is {block}")));
    }
    let direction = match (cx.op_type(), cx.string("mode", "DCR")?.as_str()) {
        ("SpaceToDepth", "DCR") => Direction::ToDepth,
        ("SpaceToDepth", "CRD") => Direction::ToDepthColumnsFirst,
        (_, "DCR") => Direction::ToSpace,
        (_, "CRD") => Direction::ToSpaceColumnsFirst,
        (_, other) => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let x = cx.input(0)?;
    cx.add(Blocks { block, direction }, &[x]).map(|v| vec![v])
}

/// ONNX `Col2Im`.
pub fn parse_col2im(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = Col2Im { dilations: cx.ints("dilations")?, pads: cx.ints("pads")?, strides: cx.ints("strides")? };
    let lists = [&op.dilations, &op.pads, &op.strides];
    if lists.iter().any(|l| l.iter().flatten().any(|&v| v < 0)) {
        return Err(OpError::invalid("dilations, pads and strides must not be negative"));
    }
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    cx.add(op, &inputs).map(|v| vec![v])
}

/// ONNX `CenterCropPad`.
pub fn parse_center(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, shape) = (cx.input(0)?, cx.input(1)?);
    let rank = cx.rank(x)?;
    let axes = match cx.ints("axes")? {
        None => (0..rank).collect(),
        Some(axes) => axes.into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
    };
    cx.add(CenterCropPad { axes }, &[x, shape]).map(|v| vec![v])
}

/// Input 0 with the first entries of each sequence, as many as input 1 says, in reverse order. Time and batch are the first two axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReverseSequence {
    /// Whether time is the first axis, and not the second.
    pub time_first: bool,
}

impl Operator for ReverseSequence {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (shape, lens) = (cx.shape(0)?, cx.shape(1)?);
        let (2.., [lens]) = (shape.len(), lens.as_slice()) else {
            return Err(OpError::invalid("a tensor of rank 2 or more and a vector are needed"));
        };
        cx.require_equal(shape[usize::from(self.time_first)], *lens, "the batch and the sequence lengths");
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, lens) = (cx.input(0)?, cx.input_i64(1)?);
        let out = cx.output(0)?;
        let sizes = [x.shape[0], x.shape[1], cx.dims().product(&x.shape[2..])].map(Arg::Usize);
        cx.call(
            crate::kernel!(rearrange::reverse_sequence(_, _, _, _, _, _, _) for any(x.dtype)),
            [out.write(), x.read(), lens.read()].into_iter().chain(sizes).chain([Arg::Bool(self.time_first)]).collect(),
        )
    }
}

/// Which way [`Blocks`] go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Channels numbered (row, column, channel) become blocks of space.
    ToSpace,
    /// Channels numbered (channel, row, column) become blocks of space.
    ToSpaceColumnsFirst,
    /// Blocks of space become channels numbered (row, column, channel).
    ToDepth,
    /// Blocks of space become channels numbered (channel, row, column).
    ToDepthColumnsFirst,
}

/// Blocks of channels to space, or the other way; NCHW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocks {
    block: i64,
    direction: Direction,
}

impl Operator for Blocks {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let &[n, c, h, w] = shape.as_slice() else { return Err(OpError::invalid(format!("the rank is {}, it must be 4", shape.len()))) };
        let d = cx.dims.clone();
        let block = d.int(self.block);
        let square = d.mul(block, block);
        let shape = if matches!(self.direction, Direction::ToDepth | Direction::ToDepthColumnsFirst) {
            let (rows, columns) = (d.floor_div(h, block), d.floor_div(w, block));
            cx.require_equal(d.mul(rows, block), h, "the height and whole blocks");
            cx.require_equal(d.mul(columns, block), w, "the width and whole blocks");
            vec![n, d.mul(c, square), rows, columns]
        } else {
            let deep = d.floor_div(c, square);
            cx.require_equal(d.mul(deep, square), c, "the channels and whole blocks");
            vec![n, deep, d.mul(h, block), d.mul(w, block)]
        };
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let out = cx.output(0)?;
        let block = cx.int(self.block);
        if self.direction == Direction::ToDepthColumnsFirst {
            let shape = vec![x.shape[0], x.shape[1], out.shape[2], block, out.shape[3], block];
            let perm = [0, 1, 3, 5, 2, 4].map(|p| cx.int(p)).to_vec();
            let args = vec![Arg::Cx, out.write(), x.read(), Arg::Usizes(shape), Arg::Usizes(perm)];
            return cx.call(crate::kernel!(transpose::transpose(_, _, _, _, _) for any(x.dtype)), args);
        }
        let sizes = x.shape.iter().copied().chain([block]).map(Arg::Usize);
        let mut args: Vec<Arg> = [Arg::Cx, out.write(), x.read()].into_iter().chain(sizes).collect();
        if self.direction == Direction::ToDepth {
            return cx.call(crate::kernel!(rearrange::space_to_depth(_, _, _, _, _, _, _, _) for any(x.dtype)), args);
        }
        args.push(Arg::Bool(self.direction == Direction::ToSpaceColumnsFirst));
        cx.call(crate::kernel!(rearrange::depth_to_space(_, _, _, _, _, _, _, _, _) for any(x.dtype)), args)
    }
}

/// Overlapping blocks (input 0, `[batch, channels * block, places]`) added up to images of the shape that input 1 says; input 2: the block's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Col2Im {
    dilations: Option<Vec<i64>>,
    pads: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
}

impl Col2Im {
    /// The windows of that size that the blocks are.
    pub fn window(&self, kernel: Vec<i64>) -> Window {
        let list = |given: &Option<Vec<i64>>, default, len| given.clone().unwrap_or_else(|| vec![default; len]);
        let rank = kernel.len();
        Window {
            stride: list(&self.strides, 1, rank),
            dilation: list(&self.dilations, 1, rank),
            padding: Padding::Explicit(list(&self.pads, 0, 2 * rank)),
            ceil: false,
            kernel,
        }
    }
}

impl Operator for Col2Im {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let &[n, columns, _] = shape.as_slice() else {
            return Err(OpError::invalid(format!("the rank is {}, it must be 3", shape.len())));
        };
        let Some(image) = known_or_fresh(cx, 1) else { return Ok(vec![Fact::unranked(dtype)]) };
        let rank = image.len();
        let fits = |list: &Option<Vec<i64>>, len: usize| list.as_ref().is_none_or(|l| l.len() == len);
        if !(fits(&self.dilations, rank) && fits(&self.strides, rank) && fits(&self.pads, 2 * rank)) {
            return Err(OpError::invalid(format!("dilations, strides or pads do not fit {rank} axes")));
        }
        let block = cx.elements(2).and_then(|e| e.into_iter().collect::<Option<Vec<Dim>>>());
        let channels = match block {
            Some(block) if block.len() != rank => return Err(OpError::invalid("image and block have different ranks")),
            Some(block) => {
                let block = cx.dims.product(&block);
                let channels = cx.dims.floor_div(columns, block);
                cx.require_equal(cx.dims.mul(channels, block), columns, "the columns and whole blocks");
                channels
            }
            None => cx.fresh(),
        };
        Ok(vec![Fact::tensor(dtype, [vec![n, channels], image].concat())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let shape = output_shape(cx, 0)?;
        let rank = shape.len() - 2;
        let (image, block) = (read_ints(cx, 1, rank)?, read_ints(cx, 2, rank)?);
        let dims = cx.dims();
        if x.dtype == DType::String {
            return Err(OpError::invalid("Col2Im adds what falls on the same place, and the standard has no sum of strings"));
        }
        let channels = dims.floor_div(x.shape[1], dims.product(&block));
        cx.set(&shape, &[vec![x.shape[0], channels], image].concat());
        let out = cx.output(0)?;
        let list = |given: &Option<Vec<i64>>, default: i64, len: usize| {
            let list = given.clone().unwrap_or_else(|| vec![default; len]);
            Arg::Usizes(list.into_iter().map(|v| dims.int(v)).collect())
        };
        cx.call(
            crate::kernel!(rearrange::col2im(_, _, _, _, _, _, _, _) for linear(x.dtype)),
            vec![
                out.write(),
                x.read(),
                Arg::Usize(dims.mul(shape[0], shape[1])),
                Arg::Usizes(shape[2..].to_vec()),
                Arg::Usizes(block),
                list(&self.dilations, 1, rank),
                list(&self.pads, 0, 2 * rank),
                list(&self.strides, 1, rank),
            ],
        )
    }
}

/// Input 0 cut or filled up with zeros around its centre to the lengths that input 1 says for the axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CenterCropPad {
    axes: Vec<usize>,
}

impl Operator for CenterCropPad {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        let target = known_or_fresh(cx, 1).unwrap_or_else(|| self.axes.iter().map(|_| cx.fresh()).collect());
        if target.len() != self.axes.len() {
            return Err(OpError::invalid(format!("{} lengths for {} axes", target.len(), self.axes.len())));
        }
        for (&axis, &d) in self.axes.iter().zip(&target) {
            shape[axis] = d;
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let target = read_ints(cx, 1, self.axes.len())?;
        let shape = output_shape(cx, 0)?;
        let axes: Vec<Dim> = self.axes.iter().map(|&a| shape[a]).collect();
        cx.set(&axes, &target);
        let (null, two) = (cx.int(0), cx.int(2));
        let begins = shape.iter().zip(&x.shape).map(|(&to, &from)| {
            // Half of the difference, rounded towards zero.
            let half = |a, b| dims.floor_div(dims.max(dims.sub(a, b), null), two);
            dims.sub(half(to, from), half(from, to))
        });
        let begins = begins.collect();
        let value = cx.weight("zero", zero(x.dtype)?);
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(pad::pad(_, _, _, _, _, _, _) for any(x.dtype)),
            vec![
                out.write(),
                x.read(),
                value.read(),
                Arg::Usizes(x.shape.clone()),
                Arg::I64s(begins),
                Arg::Usizes(out.shape.clone()),
                Arg::Variant("pad::Mode", "Constant"),
            ],
        )
    }
}
