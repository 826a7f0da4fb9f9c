//! `STFT`: the Fourier transforms of frames that slide over a signal.

use super::dft::{check_parts, half, scratch};
use crate::import::Parse;
use crate::ir::{Dim, Dims, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::{output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Action, Arg, Condition};
use serde::{Deserialize, Serialize};

/// ONNX `STFT`: inputs the signal, the step, the window and the length of a frame (the last two optional).
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let onesided = cx.flag("onesided", true)?;
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), cx.opt_input(2)?, cx.opt_input(3)?];
    cx.add_n(Stft { onesided }, &inputs)
}

/// Inputs: the signal (batch, length, parts), the step between frames, the window (optional, of the length of a frame), the length of a frame
/// (optional: that of the window, or of the signal). The result is (batch, frames, bins, 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stft {
    /// Whether only the first half of each spectrum is given.
    pub onesided: bool,
}

impl Stft {
    /// The dims of a result but the batch: frames, bins and parts.
    fn sizes(&self, dims: &Dims, len: Dim, frame: Dim, step: Dim) -> [Dim; 3] {
        let frames = dims.offset(dims.floor_div(dims.sub(len, frame), step), 1);
        [dims.max(frames, dims.int(0)), self.bins(dims, frame), dims.int(2)]
    }

    fn bins(&self, dims: &Dims, frame: Dim) -> Dim {
        if self.onesided { half(dims, frame) } else { frame }
    }
}

impl Operator for Stft {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let &[batch, len, parts] = shape.as_slice() else { return Err(OpError::invalid("the signal must have rank 3")) };
        check_parts(cx, parts);
        let one = |i: usize| cx.elements(i).and_then(|e| e.first().copied().flatten());
        let (step, given) = (one(1), one(3));
        if step.into_iter().chain(given).any(|d| cx.dims.value(d).is_some_and(|v| v < 1)) {
            return Err(OpError::invalid("the step and the length of a frame must be positive"));
        }
        let window = if cx.has(2) { cx.shape(2)?.first().copied() } else { None };
        let frame = if cx.has(3) { given } else { window.or(Some(len)) };
        if let (Some(window), Some(frame)) = (window, frame) {
            cx.require_equal(window, frame, "the lengths of the window and of a frame");
        }
        let sizes = match (frame, step) {
            (Some(frame), Some(step)) if cx.dims.bounds(step).0 > 0 => self.sizes(cx.dims, len, frame, step),
            (Some(frame), _) => [cx.fresh(), self.bins(cx.dims, frame), cx.int(2)],
            _ => [cx.fresh(), cx.fresh(), cx.int(2)],
        };
        Ok(vec![Fact::tensor(cx.dtype(0)?, [&[batch][..], &sizes].concat())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, dims, one) = (cx.input(0)?, cx.dims(), cx.int(1));
        let shape = output_shape(cx, 0)?;
        let step = read_ints(cx, 1, 1)?[0];
        let window = if cx.has(2) { Some(cx.input(2)?) } else { None };
        let frame = match &window {
            _ if cx.has(3) => read_ints(cx, 3, 1)?[0],
            Some(window) => window.view.len,
            None => x.shape[1],
        };
        for d in [step, frame] {
            if dims.bounds(d).0 < 1 {
                cx.step(Action::Require(Condition::AtMost(one, d)));
            }
        }
        if let Some(window) = window.as_ref().filter(|w| w.view.len != frame) {
            cx.step(Action::Require(Condition::Equal(window.view.len, frame)));
        }
        let step = dims.max(step, one);
        let sizes = self.sizes(&dims, x.shape[1], frame, step);
        cx.set(&shape[1..], &sizes);
        require_dims(cx, &shape[1..]);
        let out = cx.output(0)?;
        let scratch = scratch(cx, frame);
        let window = window.map_or(Arg::Absent, |w| Arg::Present(Box::new(w.read())));
        let sizes = [x.shape[0], x.shape[1], x.shape[2], shape[1], frame, step, shape[2]].map(Arg::Usize);
        let args = [out.write(), scratch.write(), x.read(), window].into_iter().chain(sizes).collect();
        cx.call(crate::kernel!(signal::stft(_, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
