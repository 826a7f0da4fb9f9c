//! `Split`: a tensor in parts along an axis. Parts of the outermost axis are views.

use super::{around, int_elements, read_ints, require_dims, with_elements};
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::{Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::infer::resolve_axis;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::{Action, Arg, Condition, View};
use serde::{Deserialize, Serialize};

/// ONNX `Split`: the lengths are an attribute before opset 13 (in opset 1 perhaps an input); `num_outputs` since 18.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let axis = resolve_axis(cx.int("axis", 0)?, cx.rank(x)?)?;
    let lengths = match cx.ints("split")? {
        Some(lengths) if cx.opset() < 13 => Some(cx.i64s(&lengths)),
        _ => cx.opt_input(1)?,
    };
    let outputs = cx.output_count();
    let uneven = match cx.opt_int("num_outputs")? {
        Some(n) if n != outputs as i64 => return Err(OpError::invalid(format!("num_outputs is {n}, the node has {outputs} outputs"))),
        n => n.is_some(),
    };
    cx.add_n(Split { axis, outputs, uneven }, &[Some(x), lengths])
}

/// Input 0 in parts of the lengths that input 1 says, else in equal parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    axis: usize,
    outputs: usize,
    /// Whether the last of the equal parts may be shorter.
    uneven: bool,
}

impl Split {
    /// In as many parts as there are lengths in input 1.
    pub fn by_lengths(axis: usize, outputs: usize) -> Self {
        Self { axis, outputs, uneven: false }
    }

    /// The axis that is cut.
    pub fn axis(&self) -> usize {
        self.axis
    }

    /// The lengths without input 1.
    fn equal(&self, cx: &mut Infer<'_>, dim: Dim) -> Vec<Dim> {
        let n = cx.int(self.outputs as i64);
        let d = cx.dims.clone();
        if !self.uneven {
            let part = d.floor_div(dim, n);
            cx.require_equal(d.mul(part, n), dim, "the parts together and the axis");
            return vec![part; self.outputs];
        }
        let part = d.ceil_div(dim, n);
        let before = d.scale(part, self.outputs as i64 - 1);
        cx.require_at_most(before, dim, "the parts but the last and the axis");
        let last = d.max(d.sub(dim, before), cx.int(0));
        [vec![part; self.outputs - 1], vec![last]].concat()
    }

    fn lengths(&self, cx: &mut Infer<'_>, dim: Dim) -> Result<Vec<Dim>, OpError> {
        if self.outputs == 0 {
            return Err(OpError::invalid("there are no outputs"));
        }
        if !cx.has(1) {
            return Ok(self.equal(cx, dim));
        }
        let Some(known) = cx.elements(1) else { return Ok((0..self.outputs).map(|_| cx.fresh()).collect()) };
        if known.len() != self.outputs {
            return Err(OpError::invalid(format!("{} lengths for {} outputs", known.len(), self.outputs)));
        }
        if let Some(known) = known.iter().copied().collect::<Option<Vec<Dim>>>() {
            let total = known.iter().fold(cx.int(0), |sum, &d| cx.dims.add(sum, d));
            cx.require_equal(total, dim, "the parts together and the axis");
            for &d in &known {
                cx.require_at_most(cx.int(0), d, "0 and the length of a part");
            }
            if known.iter().any(|&d| cx.dims.bounds(d).1 < 0) {
                return Err(OpError::invalid("a length is negative"));
            }
        }
        Ok(known.into_iter().map(|e| e.unwrap_or_else(|| cx.fresh())).collect())
    }
}

impl Operator for Split {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let dim = *shape.get(self.axis).ok_or_else(|| OpError::invalid(format!("there is no axis {}", self.axis)))?;
        let lengths = self.lengths(cx, dim)?;
        let known = int_elements(cx, 0).filter(|_| shape.len() == 1);
        let mut at = Some(0usize);
        let mut facts = Vec::new();
        for &len in &lengths {
            let mut part = shape.clone();
            part[self.axis] = len;
            let end = at.zip(cx.dims.value(len)).and_then(|(at, n)| at.checked_add(usize::try_from(n).ok()?));
            let elements = at.zip(end).and_then(|(a, b)| known.as_ref()?.get(a..b).map(<[_]>::to_vec));
            facts.push(with_elements(cx, dtype, part, elements));
            at = end;
        }
        Ok(facts)
    }

    fn permuted(&self, perm: &[usize], _inputs: usize) -> Option<(Op, Vec<usize>)> {
        let axis = perm.iter().position(|&p| p == self.axis)?;
        Some((Self { axis, ..self.clone() }.into(), vec![0]))
    }

    fn reads_rows(&self, i: usize, rank: usize) -> bool {
        i == 0 && self.axis + 1 == rank
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, pitch) = (cx.input(0)?, cx.input_pitch(0)?);
        let dims = cx.dims();
        let (outer, total, inner) = around(&dims, &x.shape, self.axis);
        let step = if self.axis + 1 == x.shape.len() { pitch } else { dims.mul(total, inner) };
        let shapes = (0..self.outputs).map(|i| super::output_shape(cx, i)).collect::<Result<Vec<_>, _>>()?;
        let lengths: Vec<Dim> = shapes.iter().map(|s| s[self.axis]).collect();
        if cx.has(1) && cx.elements(1).is_none() {
            let given = read_ints(cx, 1, self.outputs)?;
            cx.set(&lengths, &given);
            require_dims(cx, &lengths);
            let sum = lengths.iter().fold(cx.int(0), |sum, &d| dims.add(sum, d));
            cx.step(Action::Require(Condition::Equal(total, sum)));
        }
        let mut start = cx.int(0);
        let one = cx.int(1);
        for (i, &len) in lengths.iter().enumerate() {
            let at = dims.mul(start, inner);
            start = dims.add(start, len);
            if outer == one {
                let view = View { offset: dims.add(x.view.offset, at), len: dims.mul(len, inner), ..x.view };
                cx.alias(i, Place::Tensor(view));
            } else if cx.wanted(i) && cx.output_home(i).is_none() {
                let out = cx.output(i)?;
                let strides = vec![step, one];
                cx.call(
                    crate::kernel!(copy::strided(_, _, _, _, _) for any(x.dtype)),
                    vec![out.write(), x.read(), Arg::Usizes(vec![outer, dims.mul(len, inner)]), Arg::Usize(at), Arg::I64s(strides)],
                )?;
            }
        }
        Ok(())
    }
}
