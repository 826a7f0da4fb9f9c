//! `DFT`: the discrete Fourier transform along an axis, forward or back, of whole spectra or of the half that says all of a real signal.

use crate::import::Parse;
use crate::ir::{DType, Dim, Dims, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::infer::resolve_axis;
use crate::ops::shape::reshape::Reshape;
use crate::ops::slice::{around, output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::signal;
use serde::{Deserialize, Serialize};

/// ONNX `DFT`: the axis is an attribute before opset 20 (by default 1), an input since (by default the last but one).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let input = if cx.opset() < 20 { None } else { cx.opt_input(2)? };
    let axis = match input {
        None => Some(cx.int("axis", if cx.opset() < 20 { 1 } else { -2 })?),
        Some(axis) => cx.constant_of(axis).and_then(|t| t.to_i64s()).map(|a| single(&a)).transpose()?,
    };
    let axis = axis.map(|a| resolve_axis(a, rank)).transpose()?;
    if axis.is_some_and(|a| a + 1 == rank) {
        return Err(OpError::invalid("the axis must not be the last one, which holds the parts of complex numbers"));
    }
    let op = Dft { axis, inverse: cx.flag("inverse", false)?, onesided: cx.flag("onesided", false)? };
    let length = cx.opt_input(1)?;
    cx.add_n(op, &[Some(x), length, input.filter(|_| axis.is_none())])
}

/// com.microsoft `Rfft` and `Irfft`, of one axis: real signals to halves of spectra, whose numbers have two parts in a last axis, and back.
pub fn parse_microsoft(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inverse = cx.op_type() == "Irfft";
    if cx.int("signal_ndim", 1)? != 1 || cx.flag("normalized", false)? || !cx.flag("onesided", true)? {
        return Err(OpError::unsupported("transforms of several axes, normalized ones, and whole spectra"));
    }
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let signal = if inverse { rank.checked_sub(2) } else { rank.checked_sub(1) };
    let axis = signal.ok_or_else(|| OpError::invalid(format!("the rank is {rank}")))?;
    let op = Dft { axis: Some(axis), inverse, onesided: true };
    if inverse {
        let y = cx.add_n(op, &[Some(x), None, None])?[0];
        return cx.add(Reshape::Squeeze { axes: Some(vec![-1]) }, &[y]).map(|v| vec![v]);
    }
    let x = cx.add(Reshape::Unsqueeze { axes: vec![-1] }, &[x])?;
    cx.add_n(op, &[Some(x), None, None])
}

fn single(values: &[i64]) -> Result<i64, OpError> {
    if let &[value] = values { Ok(value) } else { Err(OpError::invalid("the axis must be one number")) }
}

/// Inputs: the signal, whose last axis has 1 (real) or 2 (complex) parts, the length of the transform (optional, one integer), and the axis if only
/// the run knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dft {
    /// The axis; `None`: input 2 says it.
    pub axis: Option<usize>,
    /// Whether from a spectrum to a signal.
    pub inverse: bool,
    /// Whether spectra are halves: their other half is the mirror image.
    pub onesided: bool,
}

impl Dft {
    /// The length of the transform along an axis of length `given`, if no other is said.
    fn default_length(&self, dims: &Dims, given: Dim) -> Dim {
        if self.inverse && self.onesided { dims.max(dims.scale(dims.offset(given, -1), 2), dims.int(0)) } else { given }
    }

    /// The dim of the result for a transform of length `n`.
    fn bins(&self, dims: &Dims, n: Dim) -> Dim {
        if self.onesided && !self.inverse { half(dims, n) } else { n }
    }

    /// The parts of each number of the result.
    fn parts(&self) -> i64 {
        if self.onesided && self.inverse { 1 } else { 2 }
    }

    /// The length of the transform along an axis of length `given`.
    fn length(&self, cx: &mut Lower<'_>, given: Dim) -> Result<Dim, OpError> {
        let dims = cx.dims();
        let n = if cx.has(1) { read_ints(cx, 1, 1)?[0] } else { self.default_length(&dims, given) };
        require_dims(cx, &[n]);
        Ok(n)
    }

    /// Outer dim, axis and inner dim of a signal whose axis only the run knows, and the length of the transform; binds the shape of the result.
    fn find_axis(&self, cx: &mut Lower<'_>, x: &Operand, result: &[Dim]) -> Result<([Dim; 3], Dim), OpError> {
        let (axis, signal) = (cx.input_i64(2)?, &x.shape[..x.shape.len() - 1]);
        let (symbols, around): (Vec<_>, Vec<_>) = (0..3).map(|_| cx.symbol(0)).unzip();
        let sizes = Arg::Usizes(signal.to_vec());
        cx.call(crate::kernel!(signal::around_axis(_, _, _)), vec![Arg::Bind(symbols), sizes.clone(), axis.read()])?;
        let n = self.length(cx, around[1])?;
        let bins = Arg::Usize(self.bins(&cx.dims(), n));
        cx.call_binding(crate::kernel!(signal::replace_axis(_, _, _, _)), &result[..signal.len()], |bind| {
            vec![bind, sizes, axis.read(), bins]
        })?;
        Ok(([around[0], around[1], around[2]], n))
    }
}

/// The bins of a one-sided spectrum.
pub(super) fn half(dims: &Dims, n: Dim) -> Dim {
    dims.offset(dims.floor_div(n, dims.int(2)), 1)
}

/// Requires the last axis of input 0 to hold one or two parts.
pub(super) fn check_parts(cx: &mut Infer<'_>, parts: Dim) {
    let (one, two) = (cx.int(1), cx.int(2));
    cx.require_at_most(one, parts, "1 and the parts of a number");
    cx.require_at_most(parts, two, "the parts of a number and 2");
}

/// Memory for a transform of length `n`.
pub(super) fn scratch(cx: &mut Lower<'_>, n: Dim) -> Operand {
    let dims = cx.dims();
    let known = dims.value(n).and_then(|n| usize::try_from(n).ok()).map(|n| dims.int(signal::scratch_len(n) as i64));
    cx.temp(DType::F64, &[known.unwrap_or_else(|| dims.scale(n, 36))])
}

impl Operator for Dft {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let mut shape = cx.shape(0)?;
        let Some(last) = shape.len().checked_sub(1).filter(|&last| last > 0) else {
            return Err(OpError::invalid("a signal has a dim of its own and one of the parts of its numbers"));
        };
        check_parts(cx, shape[last]);
        if self.axis.is_some_and(|axis| axis >= last) {
            return Err(OpError::invalid("the axis of the transform must be one of the signal's, not that of the parts"));
        }
        let n = cx.elements(1).and_then(|e| e.first().copied().flatten());
        if n.and_then(|n| cx.dims.value(n)).is_some_and(|n| n < 1) {
            return Err(OpError::invalid("the length of the transform must be positive"));
        }
        match self.axis {
            Some(axis) => {
                let n = if cx.has(1) { n } else { Some(self.default_length(cx.dims, shape[axis])) };
                shape[axis] = n.map_or_else(|| cx.fresh(), |n| self.bins(cx.dims, n));
            }
            // Unless the transform keeps all dims, any of them may be another.
            None if cx.has(1) || self.onesided => shape[..last].iter_mut().for_each(|d| *d = cx.fresh()),
            None => {}
        }
        shape[last] = cx.int(self.parts());
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, dims) = (cx.input(0)?, cx.dims());
        let shape = output_shape(cx, 0)?;
        let last = x.shape.len() - 1;
        let ([outer, axis, inner], n) = if let Some(at) = self.axis {
            let (outer, axis, inner) = around(&dims, &x.shape[..last], at);
            let n = self.length(cx, axis)?;
            cx.set(&shape[at..=at], &[self.bins(&dims, n)]);
            ([outer, axis, inner], n)
        } else {
            self.find_axis(cx, &x, &shape)?
        };
        let out = cx.output(0)?;
        let scratch = scratch(cx, n);
        let sizes = [outer, axis, inner, x.shape[last], n, self.bins(&dims, n), shape[last]].map(Arg::Usize);
        let flags = [Arg::Bool(self.inverse), Arg::Bool(self.onesided)];
        let args = [out.write(), scratch.write(), x.read()].into_iter().chain(sizes).chain(flags).collect();
        cx.call(crate::kernel!(signal::dft(_, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
