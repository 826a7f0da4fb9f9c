//! `Slice`: from start to end by steps along axes, as Python slices.

use super::{around, int_elements, output_shape, require_dims, with_elements};
use crate::import::Parse;
use crate::ir::dim::{Dim, Dims};
use crate::ir::{Fact, ValueId};
use crate::lower::{Lower, Operand, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::{Arg, View};
use serde::{Deserialize, Serialize};

/// ONNX `Slice`: starts, ends and axes are attributes before opset 10, but for the experimental `DynamicSlice` of those days.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    if cx.opset() >= 10 || cx.op_type() == "DynamicSlice" {
        let mut inputs = cx.inputs()?;
        let axes = known_axes(cx, &inputs)?;
        if let (Some(_), Some(named)) = (&axes, inputs.get_mut(3)) {
            *named = None;
        }
        return cx.add_n(Slice { axes }, &inputs);
    }
    let x = cx.input(0)?;
    let missing = |name: &str| OpError::invalid(format!("the attribute `{name}` is missing"));
    let starts = cx.ints("starts")?.ok_or_else(|| missing("starts"))?;
    let ends = cx.ints("ends")?.ok_or_else(|| missing("ends"))?;
    let axes = cx.ints("axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let rank = cx.rank(x)?;
    let axes = axes.into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<_, _>>()?;
    let inputs = [Some(x), Some(cx.i64s(&starts)), Some(cx.i64s(&ends))];
    cx.add_n(Slice { axes: Some(axes) }, &inputs)
}

/// The axes that input 3 names, or the first ones if there is none, where they are known.
fn known_axes(cx: &mut Parse<'_>, inputs: &[Option<ValueId>]) -> Result<Option<Vec<usize>>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    if let Some(axes) = inputs.get(3).copied().flatten() {
        let Some(axes) = cx.constant_of(axes).and_then(|t| t.to_i64s()) else { return Ok(None) };
        return axes.into_iter().map(|a| resolve_axis(a, rank)).collect::<Result<_, _>>().map(Some);
    }
    let starts = cx.input(1)?;
    let count = cx.shape(starts)?.first().and_then(|&d| cx.dims().value(d)).and_then(|n| usize::try_from(n).ok());
    Ok(count.filter(|&n| n <= rank).map(|n| (0..n).collect()))
}

/// Inputs: the tensor, starts, ends, axes (optional), steps (optional: ones).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The axes, if they are known; else those that input 3 names, or the first ones.
    axes: Option<Vec<usize>>,
}

/// The part of an axis that is taken: the first index, the step, the count.
#[derive(Clone, Copy)]
struct Part {
    start: Dim,
    step: i64,
    len: Dim,
}

/// A constant this large is meant as "to the end" by exporters, and no dim is as large.
const FAR: i64 = i32::MAX as i64;

/// An index as Python counts: with the length added if it is negative.
fn wrap(d: &Dims, v: Dim, len: Dim) -> Dim {
    let (low, high) = d.bounds(v);
    if low >= 0 {
        v
    } else if high < 0 {
        d.add(v, len)
    } else {
        // min(1, max(-v, 0)) is 1 where v is negative, else 0.
        let negative = d.min(d.int(1), d.max(d.scale(v, -1), d.int(0)));
        d.add(v, d.mul(len, negative))
    }
}

/// What a slice takes of an axis of length `len`.
fn part(d: &Dims, len: Dim, start: Dim, end: Dim, step: i64) -> Part {
    let zero = d.int(0);
    let far = |v: Dim| d.value(v).filter(|_| d.value(len).is_none());
    if step < 0 {
        let (least, last) = (d.int(-1), d.offset(len, -1));
        let clamp = |v: Dim| match far(v) {
            Some(v) if v >= FAR => last,
            Some(v) if v <= -FAR => least,
            _ => d.max(d.min(wrap(d, v, len), last), least),
        };
        let (start, end) = (clamp(start), clamp(end));
        let span = d.max(d.sub(start, end), zero);
        return Part { start, step, len: d.ceil_div(span, d.int(step.saturating_neg())) };
    }
    let below = |v: Dim| match far(v) {
        Some(v) if v >= FAR => len,
        Some(v) if v <= -FAR => zero,
        _ => d.min(wrap(d, v, len), len),
    };
    let from = d.max(below(start), zero);
    // The forms are chosen so that `x[1:]` and `x[:-1]` have the same dim, and `x[-1:]` has min(n, 1).
    let span = if d.bounds(start).0 >= 0 {
        d.max(d.sub(below(end), start), zero)
    } else if below(end) == len && d.bounds(start).1 < 0 {
        d.min(len, d.scale(start, -1))
    } else {
        d.max(d.sub(d.max(below(end), zero), from), zero)
    };
    Part { start: from, step, len: d.ceil_div(span, d.int(step)) }
}

/// The parts of all axes, of which those that are cut may be `named`; `None` where only the data tells.
fn parts(d: &Dims, shape: &[Dim], named: Option<&[usize]>, facts: [Option<&Fact>; 4]) -> Result<Vec<Option<Part>>, OpError> {
    let elements = |k: usize| facts[k].map(|f| f.as_elements(d));
    let whole = |&len: &Dim| Some(Part { start: d.int(0), step: 1, len });
    let (Some(starts), Some(ends)) = (elements(0).flatten(), elements(1).flatten()) else { return Ok(vec![None; shape.len()]) };
    let axes = match facts[2] {
        None if named.is_some() => named.map(|axes| axes.iter().map(|&a| a as i64).collect()),
        None => Some((0..starts.len() as i64).collect()),
        Some(axes) => axes.as_const().and_then(crate::ir::Tensor::to_i64s),
    };
    let (Some(axes), false) = (axes, elements(3) == Some(None)) else { return Ok(vec![None; shape.len()]) };
    let steps = elements(3).flatten().unwrap_or_else(|| vec![Some(d.int(1)); starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(OpError::invalid(format!(
            "starts, ends, axes and steps have {}, {}, {} and {} elements",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        )));
    }
    let mut parts: Vec<Option<Part>> = shape.iter().map(whole).collect();
    for (i, &axis) in axes.iter().enumerate() {
        let axis = resolve_axis(axis, shape.len())?;
        let step = steps[i].and_then(|s| d.value(s));
        if step == Some(0) {
            return Err(OpError::invalid("a step is 0"));
        }
        parts[axis] = match (starts[i], ends[i], step) {
            (Some(start), Some(end), Some(step)) => Some(part(d, shape[axis], start, end, step)),
            _ => None,
        };
    }
    Ok(parts)
}

impl Operator for Slice {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let facts = [1, 2, 3, 4].map(|i| cx.fact(i).ok());
        let parts = parts(cx.dims, &shape, self.axes.as_deref(), facts)?;
        let elements = match (int_elements(cx, 0), parts.as_slice()) {
            (Some(x), [Some(p)]) => taken(cx.dims, &x, p),
            _ => None,
        };
        let shape = parts.iter().map(|p| p.map_or_else(|| cx.fresh(), |p| p.len)).collect();
        Ok(vec![with_elements(cx, dtype, shape, elements)])
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let axes = self.axes.as_ref()?.iter().map(|a| perm.iter().position(|p| p == a)).collect::<Option<_>>()?;
        Some((Self { axes: Some(axes) }.into(), vec![0]))
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let facts = [1, 2, 3, 4].map(|i| cx.fact(i).ok());
        let dims = cx.dims();
        let known: Option<Vec<Part>> = parts(&dims, &x.shape, self.axes.as_deref(), facts)?.into_iter().collect();
        let Some(parts) = known else { return self.run_time(cx, &x) };
        if parts.iter().all(|p| p.step == 1) && view(cx, &x, &parts) {
            return Ok(());
        }
        let starts = parts.iter().map(|p| p.start).collect();
        let steps = parts.iter().map(|p| cx.int(p.step)).collect();
        copy(cx, &x, starts, steps)
    }
}

/// The elements that a slice of known ones takes.
fn taken(d: &Dims, x: &[Option<Dim>], p: &Part) -> Option<Vec<Option<Dim>>> {
    let (start, len) = (d.value(p.start)?, d.value(p.len)?);
    (0..len).map(|i| usize::try_from(start.checked_add(i.checked_mul(p.step)?)?).ok().and_then(|i| x.get(i).copied())).collect()
}

/// The result as part of the input, where only the outermost axis that is not 1 is cut.
fn view(cx: &mut Lower<'_>, x: &Operand, parts: &[Part]) -> bool {
    let (dims, one) = (cx.dims(), cx.int(1));
    let Some(axis) = parts.iter().zip(&x.shape).position(|(p, &d)| p.len != d) else {
        cx.alias(0, Place::Tensor(x.view));
        return true;
    };
    let (outer, _, inner) = around(&dims, &x.shape, axis);
    if outer != one || parts.iter().zip(&x.shape).skip(axis + 1).any(|(p, &d)| p.len != d) {
        return false;
    }
    let offset = dims.add(x.view.offset, dims.mul(parts[axis].start, inner));
    cx.alias(0, Place::Tensor(View { offset, len: dims.mul(parts[axis].len, inner), ..x.view }));
    true
}

fn copy(cx: &mut Lower<'_>, x: &Operand, starts: Vec<Dim>, steps: Vec<Dim>) -> Result<(), OpError> {
    let out = cx.output(0)?;
    cx.call(
        crate::kernel!(slice::slice(_, _, _, _, _, _) for any(x.dtype)),
        vec![out.write(), x.read(), Arg::Usizes(x.shape.clone()), Arg::I64s(starts), Arg::I64s(steps), Arg::Usizes(out.shape.clone())],
    )
}

impl Slice {
    /// A slice that the data tells: a kernel plans it first.
    fn run_time(&self, cx: &mut Lower<'_>, x: &Operand) -> Result<(), OpError> {
        let (starts, ends) = (cx.input_i64(1)?, cx.input_i64(2)?);
        let named = self.axes.iter().flatten().map(|&a| cx.int(a as i64)).collect();
        let mut list = |i: usize, other: Vec<Dim>| if cx.has(i) { cx.input_i64(i).map(|x| x.read()) } else { Ok(Arg::I64s(other)) };
        let (axes, steps) = (list(3, named)?, list(4, Vec::new())?);
        let rank = x.shape.len();
        let (symbols, values): (Vec<_>, Vec<_>) = (0..3 * rank).map(|_| cx.symbol(i64::MIN)).unzip();
        cx.call(
            crate::kernel!(slice::plan(_, _, _, _, _, _)),
            vec![Arg::Bind(symbols), Arg::Usizes(x.shape.clone()), starts.read(), ends.read(), axes, steps],
        )?;
        let shape = output_shape(cx, 0)?;
        let column = |k: usize| (0..rank).map(|axis| values[3 * axis + k]).collect::<Vec<Dim>>();
        cx.set(&shape, &column(2));
        require_dims(cx, &shape);
        copy(cx, x, column(0), column(1))
    }
}
