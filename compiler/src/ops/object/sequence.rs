//! Sequences: `SequenceConstruct`, `SequenceEmpty`, `SequenceInsert`, `SequenceErase`, `SequenceAt`, `SequenceLength`, `SplitToSequence`,
//! `ConcatFromSequence`.

use super::{common, taken};
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, Type, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape};
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Arg, BufferId};
use serde::{Deserialize, Serialize};

/// ONNX `SequenceEmpty`.
pub fn parse_empty(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let dtype = cx.dtype_attribute("dtype")?.unwrap_or(DType::F32);
    cx.add_n(Sequence::Empty { dtype }, &[])
}

/// ONNX `SequenceConstruct`.
pub fn parse_construct(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = cx.all_inputs()?;
    cx.add(Sequence::Construct, &inputs).map(|v| vec![v])
}

/// ONNX `SequenceInsert`, `SequenceErase`, `SequenceAt` and `SequenceLength`.
pub fn parse_access(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = cx.inputs()?;
    let op = match cx.op_type() {
        "SequenceInsert" => Sequence::Insert,
        "SequenceErase" => Sequence::Erase,
        "SequenceAt" => Sequence::At,
        _ => Sequence::Length,
    };
    cx.add_n(op, &inputs)
}

/// ONNX `SplitToSequence`.
pub fn parse_split(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (x, lengths) = (cx.input(0)?, cx.opt_input(1)?);
    let axis = resolve_axis(cx.int("axis", 0)?, cx.rank(x)?)?;
    // Without the axis there is only one length; with lengths the attribute means nothing.
    let keep = lengths.is_some() || cx.flag("keepdims", true)?;
    cx.add_n(Sequence::Split { axis, keep }, &[Some(x), lengths])
}

/// ONNX `ConcatFromSequence`.
pub fn parse_concat(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let axis = cx.opt_int("axis")?.ok_or_else(|| OpError::invalid("the attribute `axis` is missing"))?;
    let stack = cx.flag("new_axis", false)?;
    let sequence = cx.input(0)?;
    cx.add(Sequence::Concat { axis, stack }, &[sequence]).map(|v| vec![v])
}

/// What is done with a sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sequence {
    /// A new one of tensors of that dtype.
    Empty {
        /// The dtype.
        #[serde(with = "crate::ops::dtype_text")]
        dtype: DType,
    },
    /// A new one of all inputs.
    Construct,
    /// Input 0 with input 1 put before position input 2 (optional: at the end).
    Insert,
    /// Input 0 without the item at position input 1 (optional: the last).
    Erase,
    /// The item of input 0 at position input 1.
    At,
    /// The number of items.
    Length,
    /// Input 0, a tensor, in parts along an axis: of the length or lengths input 1 (optional: of one).
    Split {
        /// The axis.
        axis: usize,
        /// Whether the parts keep the axis.
        keep: bool,
    },
    /// The items one after the other along an axis, or along a new one.
    Concat {
        /// The axis of the result, perhaps from the end.
        axis: i64,
        /// Whether it is new.
        stack: bool,
    },
}

/// The type of the items of input 0.
fn items<'a>(cx: &Infer<'a>) -> Result<&'a Type, OpError> {
    match cx.ty(0)? {
        Type::Sequence(inner) => Ok(inner),
        _ => Err(OpError::invalid("input 0 must be a sequence")),
    }
}

fn sequence(item: Type) -> Vec<Fact> {
    vec![Fact::of(Type::Sequence(Box::new(item)))]
}

impl Operator for Sequence {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(match self {
            Self::Empty { dtype } => sequence(Type::Tensor(*dtype, None)),
            Self::Construct => {
                let mut item = cx.ty(0)?.clone();
                for i in 1..cx.len() {
                    item = common(cx, &item, cx.ty(i)?)?;
                }
                // Tensors of different ranks: nothing is known of the rank.
                let ranks = (0..cx.len()).map(|i| cx.ty(i).map(rank)).collect::<Result<Vec<_>, _>>()?;
                if let Type::Tensor(_, shape) = &mut item
                    && ranks.iter().any(|r| r.is_none() || *r != ranks[0])
                {
                    *shape = None;
                }
                sequence(item)
            }
            Self::Insert => {
                cx.dtype(1)?;
                sequence(common(cx, items(cx)?, cx.ty(1)?)?)
            }
            Self::Erase => vec![cx.fact(0)?.clone()],
            Self::At => vec![taken(cx, items(cx)?)],
            Self::Length => {
                items(cx)?;
                vec![Fact::tensor(DType::I64, Vec::new())]
            }
            Self::Split { axis, keep } => {
                let (dtype, mut shape) = (cx.dtype(0)?, cx.shape(0)?);
                if *keep {
                    shape[*axis] = if cx.has(1) { cx.fresh() } else { cx.int(1) };
                } else {
                    shape.remove(*axis);
                }
                sequence(Type::Tensor(dtype, Some(shape)))
            }
            Self::Concat { axis, stack } => vec![joined(cx, *axis, *stack)?],
        })
    }

    fn folds(&self) -> bool {
        false
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        match self {
            Self::Empty { .. } | Self::Construct => {
                let out = cx.output_object(0)?;
                cx.call(crate::kernel!(sequence::empty(_)), vec![Arg::OutObject { buffer: out, update: false }])?;
                (0..cx.input_count()).try_for_each(|i| push(cx, out, i))
            }
            Self::Insert => {
                let from = cx.object(0)?;
                let position = position(cx, 2)?;
                let out = cx.output_object(0)?;
                if let Ok(x) = cx.object(1) {
                    let args = vec![Arg::OutObject { buffer: out, update: false }, Arg::InObject(from), Arg::InObject(x), position];
                    return cx.call(crate::kernel!(sequence::insert_object(_, _, _, _)), args);
                }
                let x = cx.input(1)?;
                cx.call(
                    crate::kernel!(sequence::insert(_, _, _, _, _, _) for any(x.dtype)),
                    vec![
                        Arg::OutObject { buffer: out, update: false },
                        Arg::InObject(from),
                        x.read(),
                        position,
                        Arg::Usizes(x.shape.clone()),
                        Arg::DType(x.dtype),
                    ],
                )
            }
            Self::Erase => {
                let from = cx.object(0)?;
                let position = position(cx, 1)?;
                let out = cx.output_object(0)?;
                let args = vec![Arg::OutObject { buffer: out, update: false }, Arg::InObject(from), position];
                cx.call(crate::kernel!(sequence::erase(_, _, _)), args)
            }
            Self::At => at(cx),
            Self::Length => {
                let from = cx.object(0)?;
                let out = cx.output(0)?;
                cx.call(crate::kernel!(sequence::length(_, _)), vec![out.write(), Arg::InObject(from)])
            }
            Self::Split { axis, keep } => split(cx, *axis, *keep),
            Self::Concat { axis, stack } => concat(cx, *axis, *stack),
        }
    }
}

fn rank(ty: &Type) -> Option<usize> {
    match ty {
        Type::Tensor(_, Some(shape)) => Some(shape.len()),
        _ => None,
    }
}

/// The fact of the concatenation.
fn joined(cx: &Infer<'_>, axis: i64, stack: bool) -> Result<Fact, OpError> {
    let fact = taken(cx, items(cx)?);
    let dtype = fact.dtype().ok_or_else(|| OpError::invalid("a sequence of tensors is needed"))?;
    let Some(shape) = fact.shape() else { return Ok(Fact::unranked(dtype)) };
    let mut shape: Vec<Dim> = shape.to_vec();
    let axis = resolve_axis(axis, shape.len() + usize::from(stack))?;
    if stack {
        shape.insert(axis, cx.fresh());
    } else {
        shape[axis] = cx.fresh();
    }
    Ok(Fact::tensor(dtype, shape))
}

fn push(cx: &mut Lower<'_>, out: BufferId, i: usize) -> Result<(), OpError> {
    if let Ok(x) = cx.object(i) {
        let args = vec![Arg::OutObject { buffer: out, update: true }, Arg::InObject(x)];
        return cx.call(crate::kernel!(sequence::push_object(_, _)), args);
    }
    let x = cx.input(i)?;
    cx.call(
        crate::kernel!(sequence::push(_, _, _, _) for any(x.dtype)),
        vec![Arg::OutObject { buffer: out, update: true }, x.read(), Arg::Usizes(x.shape.clone()), Arg::DType(x.dtype)],
    )
}

fn position(cx: &mut Lower<'_>, i: usize) -> Result<Arg, OpError> {
    Ok(if cx.has(i) { Arg::Present(Box::new(cx.input_i64(i)?.read())) } else { Arg::Absent })
}

fn at(cx: &mut Lower<'_>) -> Result<(), OpError> {
    let from = Arg::InObject(cx.object(0)?);
    let position = cx.input_i64(1)?.read();
    if !matches!(cx.output_fact(0)?.ty, Type::Tensor(_, Some(_))) {
        let out = cx.output_object(0)?;
        let args = vec![Arg::OutObject { buffer: out, update: false }, from, position];
        return cx.call(crate::kernel!(sequence::at_object(_, _, _)), args);
    }
    let shape = output_shape(cx, 0)?;
    cx.call_binding(crate::kernel!(sequence::at_shape(_, _, _)), &shape, |bind| vec![bind, from.clone(), position.clone()])?;
    let out = cx.output(0)?;
    let args = vec![out.write(), from, position, Arg::DType(out.dtype)];
    cx.call(crate::kernel!(sequence::at(_, _, _, _) for any(out.dtype)), args)
}

fn split(cx: &mut Lower<'_>, axis: usize, keep: bool) -> Result<(), OpError> {
    let x = cx.input(0)?;
    let scalar = cx.has(1) && cx.input(1)?.shape.is_empty();
    let lengths = position(cx, 1)?;
    let out = cx.output_object(0)?;
    let axis = cx.int(axis as i64);
    cx.call(
        crate::kernel!(sequence::split(_, _, _, _, _, _, _, _) for any(x.dtype)),
        vec![
            Arg::OutObject { buffer: out, update: false },
            x.read(),
            lengths,
            Arg::Usizes(x.shape.clone()),
            Arg::Usize(axis),
            Arg::Bool(scalar),
            Arg::Bool(keep),
            Arg::DType(x.dtype),
        ],
    )
}

fn concat(cx: &mut Lower<'_>, axis: i64, stack: bool) -> Result<(), OpError> {
    let from = Arg::InObject(cx.object(0)?);
    let shape = output_shape(cx, 0)?;
    let given = cx.int(axis);
    cx.call_binding(crate::kernel!(sequence::concat_shape(_, _, _, _)), &shape, |bind| {
        vec![bind, from.clone(), Arg::I64(given), Arg::Bool(stack)]
    })?;
    let axis = resolve_axis(axis, shape.len())?;
    let (outer, _, inner) = around(&cx.dims(), &shape, axis);
    let out = cx.output(0)?;
    let args = vec![out.write(), from, Arg::Usize(outer), Arg::Usize(inner), Arg::DType(out.dtype)];
    cx.call(crate::kernel!(sequence::concat(_, _, _, _, _) for any(out.dtype)), args)
}
