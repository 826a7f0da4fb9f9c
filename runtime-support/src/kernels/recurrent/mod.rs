//! RNN, GRU and LSTM as ONNX has them: both directions, sequence lengths, initial states, peepholes, clipping, any activation, both layouts.
//!
//! The product of the input with W does not depend on time: the compiler makes it one matrix product, `xw`, of shape
//! `seq, batch, directions * gates * hidden` (or `batch, seq, ..` if `batch_first`), without biases, gates in ONNX's order (LSTM: i o f c;
//! GRU: z r h). These kernels do the rest. [`lstm`], [`gru`] and [`rnn`] are f32 on weights packed by [`pack`]; the `_any` ones are for every
//! float on weights as they come, computed in f64.
//!
//! Conventions shared by all of them:
//! - `y` is `seq, directions, batch, hidden` (`batch, seq, directions, hidden` if `batch_first`); `y_h` and `y_c` are `directions, batch, hidden`
//!   (`batch, directions, hidden`), as are the initial states. Outputs that are not wanted are empty slices.
//! - `bias` is ONNX's B, `directions, 2 * gates * hidden`; `peepholes` is P, `directions, 3 * hidden` (i o f).
//! - Past a sequence's length `y` is 0 and the states stay; the reverse direction starts at the sequence's own end.
//! - `activations` names ONNX's functions, each direction's after the other's (RNN one, GRU two, LSTM three each); `parameters` holds alpha and
//!   beta of each. `clip` bounds the arguments of activations; 0 means none.

mod any;
mod cell;
mod function;
mod panels;

pub use any::{gru_any, lstm_any, rnn_any, scratch_len_any};
pub use cell::{gru, lstm, rnn, scratch_len};
pub use panels::{pack, packed_len};

use crate::error::Fault;

/// Which way time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Reverse,
    /// Both, with weights of their own: direction 0 is forward, 1 is reverse.
    Bidirectional,
}

/// The sizes of a recurrent layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layer {
    /// Time steps.
    pub seq: usize,
    /// Sequences.
    pub batch: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Which way time goes.
    pub direction: Direction,
    /// ONNX's `layout = 1`.
    pub batch_first: bool,
    /// Whether the state of an LSTM is rounded to 8 bits, as `DynamicQuantizeLinear` does it, before each product: what a quantised layer computes.
    pub rounded: bool,
}

impl Layer {
    /// 1 or 2.
    pub const fn directions(&self) -> usize {
        if matches!(self.direction, Direction::Bidirectional) { 2 } else { 1 }
    }

    const fn reversed(&self, direction: usize) -> bool {
        match self.direction {
            Direction::Forward => false,
            Direction::Reverse => true,
            Direction::Bidirectional => direction == 1,
        }
    }

    /// The row of `xw` at a step of a sequence.
    const fn x_row(&self, t: usize, b: usize) -> usize {
        if self.batch_first { b * self.seq + t } else { t * self.batch + b }
    }

    /// The row (of `hidden`) of `y`.
    const fn y_row(&self, t: usize, d: usize, b: usize) -> usize {
        if self.batch_first { (b * self.seq + t) * self.directions() + d } else { (t * self.directions() + d) * self.batch + b }
    }

    /// The row (of `hidden`) of a state.
    const fn state_row(&self, d: usize, b: usize) -> usize {
        if self.batch_first { b * self.directions() + d } else { d * self.batch + b }
    }

    /// Checks the lengths that all three have in common. `r` and `scratch` are checked by their users.
    fn check(&self, gates: usize, operands: &Operands<'_, impl Copy>) -> Result<(), Fault> {
        let Self { seq, batch, hidden, .. } = *self;
        let d = self.directions();
        let state = d * batch * hidden;
        let empty_or = |len: usize, want: usize| len == 0 || len == want;
        let none_or = |len: Option<usize>, want: usize| len.is_none_or(|l| l == want);
        let fits = operands.xw.len() == seq * batch * d * gates * hidden
            && empty_or(operands.outputs[0], seq * state)
            && empty_or(operands.outputs[1], state)
            && empty_or(operands.outputs[2], state)
            && none_or(operands.bias.map(<[_]>::len), d * 2 * gates * hidden)
            && none_or(operands.h.map(<[_]>::len), state)
            && none_or(operands.c.map(<[_]>::len), state)
            && none_or(operands.peepholes.map(<[_]>::len), d * 3 * hidden)
            && none_or(operands.lens.map(<[_]>::len), batch);
        if !fits {
            return Err(Fault::Internal { what: "recurrent layer: lengths" });
        }
        for &len in operands.lens.unwrap_or_default() {
            if len < 0 || len as u64 > seq as u64 {
                return Err(Fault::Value { what: "a sequence length outside the sequence", got: len });
            }
        }
        Ok(())
    }
}

/// What the kernels read, besides the recurrent weights, and the lengths of what they write.
#[derive(Clone, Copy)]
struct Operands<'a, T> {
    xw: &'a [T],
    bias: Option<&'a [T]>,
    h: Option<&'a [T]>,
    c: Option<&'a [T]>,
    peepholes: Option<&'a [T]>,
    lens: Option<&'a [i64]>,
    outputs: [usize; 3],
}

impl<T> Operands<'_, T> {
    fn len(&self, b: usize, seq: usize) -> usize {
        self.lens.and_then(|l| l.get(b)).map_or(seq, |&l| l as usize)
    }
}

#[cfg(test)]
mod tests;
