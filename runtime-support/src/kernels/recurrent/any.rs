//! The recurrent cells for every float type, in f64, one sequence at a time.

use super::function::{Function, functions};
use super::{Layer, Operands};
use crate::error::Fault;
use crate::kernels::num::Float;

/// The scratch (of f64) that the `_any` kernels need: gates, two states and their product, for one sequence.
pub const fn scratch_len_any(layer: Layer, gates: usize) -> usize {
    (gates + 3) * layer.hidden
}

/// One direction of one sequence.
struct Sequence<'a, T> {
    layer: Layer,
    operands: Operands<'a, T>,
    r: &'a [T],
    gates: usize,
    d: usize,
    b: usize,
    clip: f64,
}

impl<T: Float> Sequence<'_, T> {
    /// Bias `i` of `kind` 0 (W) or 1 (R).
    fn bias(&self, kind: usize, i: usize) -> f64 {
        let width = self.gates * self.layer.hidden;
        self.operands.bias.map_or(0.0, |b| b[(self.d * 2 + kind) * width + i].widen())
    }

    /// Row `i` of R times a state.
    fn product(&self, i: usize, h: &[f64]) -> f64 {
        let hidden = self.layer.hidden;
        let row = &self.r[(self.d * self.gates * hidden + i) * hidden..][..hidden];
        row.iter().zip(h).map(|(r, h)| r.widen() * h).sum()
    }

    fn xw(&self, t: usize, i: usize) -> f64 {
        let width = self.gates * self.layer.hidden;
        let row = self.layer.x_row(t, self.b) * self.layer.directions() + self.d;
        self.operands.xw[row * width + i].widen()
    }

    fn peephole(&self, gate: usize, j: usize) -> f64 {
        let hidden = self.layer.hidden;
        self.operands.peepholes.map_or(0.0, |p| p[(self.d * 3 + gate) * hidden + j].widen())
    }

    fn clipped(&self, x: f64) -> f64 {
        if self.clip > 0.0 { x.clamp(-self.clip, self.clip) } else { x }
    }
}

fn initial<T: Float>(state: Option<&[T]>, layer: Layer, (d, b): (usize, usize), to: &mut [f64]) {
    to.fill(0.0);
    if let Some(state) = state {
        let from = &state[layer.state_row(d, b) * layer.hidden..][..layer.hidden];
        to.iter_mut().zip(from).for_each(|(y, x)| *y = x.widen());
    }
}

fn narrow_into<T: Float>(out: &mut [T], row: usize, values: &[f64]) {
    if let Some(out) = out.get_mut(row * values.len()..(row + 1) * values.len()) {
        out.iter_mut().zip(values).for_each(|(y, v)| *y = T::narrow(*v));
    }
}

/// Runs `step(sequence, functions, t, gates, h, c, spare)` over all directions, sequences and times. `outputs` are y, y_h, y_c.
fn run<T: Float, const N: usize>(
    outputs: [&mut [T]; 3],
    scratch: &mut [f64],
    r: &[T],
    (layer, gates): (Layer, usize),
    mut operands: Operands<'_, T>,
    (names, parameters, clip): (&[&str], &[f32], f32),
    step: impl Fn(&Sequence<'_, T>, &[Function; N], usize, &mut [f64], [&mut [f64]; 3]),
) -> Result<(), Fault> {
    let [y, y_h, y_c] = outputs;
    operands.outputs = [y.len(), y_h.len(), y_c.len()];
    layer.check(gates, &operands)?;
    let hidden = layer.hidden;
    if r.len() != layer.directions() * gates * hidden * hidden || scratch.len() != scratch_len_any(layer, gates) {
        return Err(Fault::Internal { what: "recurrent layer: weights or scratch" });
    }
    let functions = functions::<N>(names, parameters, layer.directions())?;
    let (gate_values, states) = scratch.split_at_mut(gates * hidden);
    let (h, rest) = states.split_at_mut(hidden);
    let (c, spare) = rest.split_at_mut(hidden);
    for (d, b) in (0..layer.directions()).flat_map(|d| (0..layer.batch).map(move |b| (d, b))) {
        initial(operands.h, layer, (d, b), h);
        initial(operands.c, layer, (d, b), c);
        let sequence = Sequence { layer, operands, r, gates, d, b, clip: clip as f64 };
        let len = operands.len(b, layer.seq);
        for i in 0..layer.seq {
            let t = if layer.reversed(d) && i < len { len - 1 - i } else { i };
            if i < len {
                step(&sequence, &functions[d], t, gate_values, [&mut *h, &mut *c, &mut *spare]);
                narrow_into(y, layer.y_row(t, d, b), h);
            } else {
                spare.fill(0.0);
                narrow_into(y, layer.y_row(t, d, b), spare);
            }
        }
        narrow_into(y_h, layer.state_row(d, b), h);
        narrow_into(y_c, layer.state_row(d, b), c);
    }
    Ok(())
}

/// RNN: H = f(xw + R h + bias). See the [module](super) for the operands; `r` is ONNX's R.
pub fn rnn_any<T: Float>(
    y: &mut [T],
    y_h: &mut [T],
    scratch: &mut [f64],
    xw: &[T],
    r: &[T],
    bias: Option<&[T]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[T]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: None, peepholes: None, lens, outputs: [0; 3] };
    let activation = (activations, parameters, clip);
    run([y, y_h, &mut []], scratch, r, (layer, 1), operands, activation, |s, [f]: &[Function; 1], t, gates, [h, _, _]| {
        for (j, gate) in gates.iter_mut().enumerate() {
            *gate = f.scalar(s.clipped(s.xw(t, j) + s.bias(0, j) + s.bias(1, j) + s.product(j, h)));
        }
        h.copy_from_slice(gates);
    })
}

/// GRU, gates z r h. See the [module](super) for the operands; `r` is ONNX's R.
pub fn gru_any<T: Float>(
    y: &mut [T],
    y_h: &mut [T],
    scratch: &mut [f64],
    xw: &[T],
    r: &[T],
    bias: Option<&[T]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[T]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
    linear_before_reset: bool,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: None, peepholes: None, lens, outputs: [0; 3] };
    let activation = (activations, parameters, clip);
    let n = layer.hidden;
    run([y, y_h, &mut []], scratch, r, (layer, 3), operands, activation, |s, [f, g]: &[Function; 2], t, gates, [h, _, spare]| {
        for (i, gate) in gates[..2 * n].iter_mut().enumerate() {
            *gate = f.scalar(s.clipped(s.xw(t, i) + s.bias(0, i) + s.bias(1, i) + s.product(i, h)));
        }
        let (zr, candidate) = gates.split_at_mut(2 * n);
        let (z, r) = zr.split_at(n);
        spare.iter_mut().zip(h.iter().zip(r)).for_each(|(y, (h, r))| *y = h * r);
        for (j, y) in candidate.iter_mut().enumerate() {
            let i = 2 * n + j;
            let from_state = if linear_before_reset { r[j] * (s.product(i, h) + s.bias(1, i)) } else { s.product(i, spare) + s.bias(1, i) };
            *y = g.scalar(s.clipped(s.xw(t, i) + s.bias(0, i) + from_state));
        }
        for ((h, z), c) in h.iter_mut().zip(z).zip(candidate) {
            *h = (1.0 - z) * *c + z * *h;
        }
    })
}

/// LSTM, gates i o f c. See the [module](super) for the operands; `r` is ONNX's R.
pub fn lstm_any<T: Float>(
    y: &mut [T],
    y_h: &mut [T],
    y_c: &mut [T],
    scratch: &mut [f64],
    xw: &[T],
    r: &[T],
    bias: Option<&[T]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[T]>,
    initial_c: Option<&[T]>,
    peepholes: Option<&[T]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
    input_forget: bool,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: initial_c, peepholes, lens, outputs: [0; 3] };
    let activation = (activations, parameters, clip);
    let n = layer.hidden;
    run([y, y_h, y_c], scratch, r, (layer, 4), operands, activation, |s, [f, g, k]: &[Function; 3], t, gates, [h, c, _]| {
        for (i, gate) in gates.iter_mut().enumerate() {
            *gate = s.xw(t, i) + s.bias(0, i) + s.bias(1, i) + s.product(i, h);
        }
        for j in 0..n {
            let input = f.scalar(s.clipped(gates[j] + s.peephole(0, j) * c[j]));
            let forget = f.scalar(s.clipped(gates[2 * n + j] + s.peephole(2, j) * c[j]));
            let forget = if input_forget { 1.0 - input } else { forget };
            c[j] = forget * c[j] + input * g.scalar(s.clipped(gates[3 * n + j]));
            let output = f.scalar(s.clipped(gates[n + j] + s.peephole(1, j) * c[j]));
            h[j] = output * k.scalar(s.clipped(c[j]));
        }
    })
}
