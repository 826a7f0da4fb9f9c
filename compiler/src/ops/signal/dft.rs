//! `DFT`: the discrete Fourier transform along an axis, forward or back, of whole spectra or of the half that says all of a real signal.

use crate::import::Parse;
use crate::ir::{DType, Dim, Dims, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::signal;
use serde::{Deserialize, Serialize};

/// ONNX `DFT`: the axis is an attribute before opset 20 (by default 1), an input since (by default the last but one).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let axis = if cx.opset() < 20 {
        cx.int("axis", 1)?
    } else {
        cx.constant_ints(2, "the axis")?.map_or(Some(-2), |a| a.first().copied()).ok_or_else(|| OpError::invalid("the axis is empty"))?
    };
    let axis = resolve_axis(axis, rank)?;
    if axis + 1 == rank {
        return Err(OpError::invalid("the axis must not be the last one, which holds the parts of complex numbers"));
    }
    let op = Dft { axis, inverse: cx.flag("inverse", false)?, onesided: cx.flag("onesided", false)? };
    let length = cx.opt_input(1)?;
    cx.add_n(op, &[Some(x), length])
}

/// Inputs: the signal, whose last axis has 1 (real) or 2 (complex) parts, and the length of the transform (optional, one integer).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dft {
    /// The axis.
    pub axis: usize,
    /// Whether from a spectrum to a signal.
    pub inverse: bool,
    /// Whether spectra are halves: their other half is the mirror image.
    pub onesided: bool,
}

impl Dft {
    /// The length of the transform that the signal has if none is given.
    fn default_length(&self, dims: &Dims, shape: &[Dim]) -> Dim {
        let given = shape[self.axis];
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
        let last = shape.len() - 1;
        check_parts(cx, shape[last]);
        let n =
            if cx.has(1) { cx.elements(1).and_then(|e| e.first().copied().flatten()) } else { Some(self.default_length(cx.dims, &shape)) };
        if n.and_then(|n| cx.dims.value(n)).is_some_and(|n| n < 1) {
            return Err(OpError::invalid("the length of the transform must be positive"));
        }
        shape[self.axis] = n.map_or_else(|| cx.fresh(), |n| self.bins(cx.dims, n));
        shape[last] = cx.int(self.parts());
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, dims) = (cx.input(0)?, cx.dims());
        let shape = output_shape(cx, 0)?;
        let n = if cx.has(1) { read_ints(cx, 1, 1)?[0] } else { self.default_length(&dims, &x.shape) };
        require_dims(cx, &[n]);
        cx.set(&shape[self.axis..=self.axis], &[self.bins(&dims, n)]);
        let out = cx.output(0)?;
        let scratch = scratch(cx, n);
        let last = x.shape.len() - 1;
        let (outer, axis, inner) = around(&dims, &x.shape[..last], self.axis);
        let sizes = [outer, axis, inner, x.shape[last], n, shape[self.axis], shape[last]].map(Arg::Usize);
        let flags = [Arg::Bool(self.inverse), Arg::Bool(self.onesided)];
        let args = [out.write(), scratch.write(), x.read()].into_iter().chain(sizes).chain(flags).collect();
        cx.call(crate::kernel!(signal::dft(_, _, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
