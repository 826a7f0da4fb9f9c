//! The tuned f32 cells: a few sequences at a time, the recurrent product on packed weights, gates as vectors.
//!
//! Scratch holds a block for each direction and sequence: the gates' sums, then the states h and c and a spare vector, each `padded(hidden)` long.
//! Blocks are independent, so directions and sequences are split over threads.

use super::function::{Function, functions};
use super::panels::{packed_len, padded};
use super::{Layer, Operands};
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::fold;
use crate::kernels::quantize::Quantized;
use crate::kernels::thin::{PANEL, Thin, accumulate};
use crate::simd::{Simd, WithSimd, dispatch};

/// The scratch that the tuned kernels need.
pub const fn scratch_len(layer: Layer, gates: usize) -> usize {
    layer.directions() * layer.batch * (gates + 3) * padded(layer.hidden)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Rnn,
    Gru { linear_before_reset: bool },
    Lstm { input_forget: bool },
}

impl Kind {
    const fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
        }
    }
}

/// An output whose rows are written by different threads, each row by one.
#[derive(Clone, Copy)]
struct Out {
    start: *mut f32,
    len: usize,
}
// SAFETY: the rows that tasks write are disjoint, see `Out::write`.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Out {
    fn new(out: &mut [f32]) -> Self {
        Self { start: out.as_mut_ptr(), len: out.len() }
    }

    /// Fills row `row`, `values.len()` wide, if the output is wanted.
    /// # Safety
    /// Nobody else touches that row meanwhile.
    unsafe fn write(self, row: usize, values: &[f32]) {
        if (row + 1) * values.len() <= self.len {
            // SAFETY: within the slice that this was made of, whose borrow outlives the tasks; the row is the caller's.
            unsafe { core::ptr::copy_nonoverlapping(values.as_ptr(), self.start.add(row * values.len()), values.len()) }
        }
    }

    /// Fills row `row`, `width` wide, with zeros.
    /// # Safety
    /// As [`Out::write`].
    unsafe fn clear(self, row: usize, width: usize) {
        if (row + 1) * width <= self.len {
            // SAFETY: as in `write`.
            unsafe { core::ptr::write_bytes(self.start.add(row * width), 0, width) }
        }
    }
}

/// What all tasks share.
#[derive(Clone, Copy)]
struct Plan<'a> {
    kind: Kind,
    layer: Layer,
    operands: Operands<'a, f32>,
    packed: &'a [f32],
    functions: [[Function; 3]; 2],
    clip: f32,
    y: Out,
    y_h: Out,
    y_c: Out,
}

/// Some neighbouring blocks of scratch, the first of which is `first`.
struct Task<'a, 'b> {
    plan: &'a Plan<'a>,
    first: usize,
    scratch: &'b mut [f32],
}

fn run(
    cx: Cx,
    [y, y_h, y_c]: [&mut [f32]; 3],
    scratch: &mut [f32],
    packed: &[f32],
    (kind, layer): (Kind, Layer),
    mut operands: Operands<'_, f32>,
    functions: [[Function; 3]; 2],
    clip: f32,
) -> Result<(), Fault> {
    let gates = kind.gates();
    operands.outputs = [y.len(), y_h.len(), y_c.len()];
    layer.check(gates, &operands)?;
    if packed.len() != packed_len(layer.directions() * gates, layer.hidden) || scratch.len() != scratch_len(layer, gates) {
        return Err(Fault::Internal { what: "recurrent layer: weights or scratch" });
    }
    if scratch.is_empty() {
        return Ok(());
    }
    let plan = Plan { kind, layer, operands, packed, functions, clip, y: Out::new(y), y_h: Out::new(y_h), y_c: Out::new(y_c) };
    // Sequences whose states are rounded together stay together.
    let each = if layer.rounded { layer.batch } else { 1 };
    let blocks = layer.directions() * layer.batch / each;
    // A block's step costs as much as reading its weights; an element of the work estimate is a handful of multiply-adds.
    let work = layer.seq * blocks * each * gates * layer.hidden * layer.hidden / 8;
    fold::by_rows_of(cx, blocks, work, scratch, &[], |first, scratch, _| dispatch(cx, Task { plan: &plan, first: first * each, scratch }));
    Ok(())
}

impl WithSimd for Task<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { plan, mut first, mut scratch } = self;
        let layer = plan.layer;
        let block = (plan.kind.gates() + 3) * padded(layer.hidden);
        while !scratch.is_empty() {
            let (d, b) = (first / layer.batch, first % layer.batch);
            let count = (layer.batch - b).min(scratch.len() / block);
            let (part, rest) = scratch.split_at_mut(count * block);
            plan.segment(s, part, d, b);
            (scratch, first) = (rest, first + count);
        }
    }
}

/// Writes the states of all blocks to `to`, rounded to 8 bits with the scale and zero point that `DynamicQuantizeLinear` finds for all of them.
fn round_states(scratch: &mut [f32], block: usize, from: core::ops::Range<usize>, to: usize) {
    let (mut low, mut high) = (0f32, 0f32);
    for row in scratch.chunks_exact(block) {
        for &v in &row[from.clone()] {
            (low, high) = (low.min(v), high.max(v));
        }
    }
    let scale = if high > low { (high - low) / 255.0 } else { 1.0 };
    let zero = f32::from(u8::quantize(-low / scale, 0, true));
    for row in scratch.chunks_exact_mut(block) {
        for i in from.clone() {
            let rounded = f32::from(u8::quantize(row[i] / scale, zero as u8, true));
            row[to + i - from.start] = (rounded - zero) * scale;
        }
    }
}

impl Plan<'_> {
    /// All steps of the sequences from `b` on of one direction, as many as `scratch` has blocks for.
    #[inline(always)]
    fn segment<S: Simd>(&self, s: S, scratch: &mut [f32], d: usize, b: usize) {
        let (layer, gates) = (self.layer, self.kind.gates());
        let (hidden, pad) = (layer.hidden, padded(layer.hidden));
        let block = (gates + 3) * pad;
        scratch.fill(0.0);
        let mut longest = 0;
        for (i, row) in scratch.chunks_exact_mut(block).enumerate() {
            longest = longest.max(self.operands.len(b + i, layer.seq));
            let from = layer.state_row(d, b + i) * hidden;
            if let Some(h) = self.operands.h {
                row[gates * pad..][..hidden].copy_from_slice(&h[from..from + hidden]);
            }
            if let Some(c) = self.operands.c {
                row[(gates + 1) * pad..][..hidden].copy_from_slice(&c[from..from + hidden]);
            }
        }
        for step in 0..layer.seq {
            if step < longest {
                self.step(s, scratch, (d, b, step));
            }
            for (i, row) in scratch.chunks_exact(block).enumerate() {
                let len = self.operands.len(b + i, layer.seq);
                // SAFETY: this task alone has this direction of this sequence.
                unsafe {
                    if step < len {
                        self.y.write(layer.y_row(self.time(step, len, d), d, b + i), &row[gates * pad..][..hidden]);
                    } else {
                        self.y.clear(layer.y_row(step, d, b + i), hidden);
                    }
                }
            }
        }
        for (i, row) in scratch.chunks_exact(block).enumerate() {
            let to = layer.state_row(d, b + i);
            // SAFETY: as above.
            unsafe {
                self.y_h.write(to, &row[gates * pad..][..hidden]);
                self.y_c.write(to, &row[(gates + 1) * pad..][..hidden]);
            }
        }
    }

    const fn time(&self, step: usize, len: usize, d: usize) -> usize {
        if self.layer.reversed(d) { len - 1 - step } else { step }
    }

    /// One step of all sequences of a segment.
    #[inline(always)]
    fn step<S: Simd>(&self, s: S, scratch: &mut [f32], (d, b, step): (usize, usize, usize)) {
        let (layer, gates) = (self.layer, self.kind.gates());
        let (hidden, pad) = (layer.hidden, padded(layer.hidden));
        let block = (gates + 3) * pad;
        for (i, row) in scratch.chunks_exact_mut(block).enumerate() {
            let len = self.operands.len(b + i, layer.seq);
            if step < len {
                self.start_row(s, &mut row[..gates * pad], (d, b + i, self.time(step, len, d)));
            }
        }
        let matrix = pad * hidden;
        let packed = &self.packed[d * gates * matrix..][..gates * matrix];
        // Every cell is two stages of product, activations and a combination: one place for each keeps the machine code small.
        for stage in 0..2 {
            if let Some((first, count, mut factors)) = self.product(stage) {
                if layer.rounded && factors == gates {
                    factors = gates + 2;
                    round_states(scratch, block, gates * pad..gates * pad + hidden, factors * pad);
                }
                let base = scratch.as_mut_ptr();
                let product = Thin {
                    a: base.wrapping_add(factors * pad),
                    a_stride: block,
                    out: base.wrapping_add(first * pad),
                    out_stride: block,
                    rows: scratch.len() / block,
                    k: hidden,
                    columns: count * pad,
                    b: packed[first * matrix..].as_ptr(),
                    b_row: PANEL,
                    b_panel: hidden * PANEL,
                };
                // SAFETY: a block is the gates' sums, then vectors of `pad`, of which `hidden` are read; `packed` has a matrix for each gate.
                unsafe { accumulate(s, product) };
            }
            for (i, row) in scratch.chunks_exact_mut(block).enumerate() {
                let len = self.operands.len(b + i, layer.seq);
                if step < len {
                    self.before(s, row, stage, (d, b + i, self.time(step, len, d)));
                    for (from, to, function) in self.activations(stage) {
                        self.activate(s, self.functions[d][function], &mut row[from * pad..to * pad]);
                    }
                    self.after(s, row, stage);
                }
            }
        }
    }

    /// A stage's product: the first gate, the number of gates, and where in a block the factors are.
    const fn product(&self, stage: usize) -> Option<(usize, usize, usize)> {
        match (self.kind, stage) {
            (Kind::Gru { linear_before_reset: false }, 0) => Some((0, 2, 3)),
            (Kind::Gru { linear_before_reset: false }, _) => Some((2, 1, 5)),
            (_, 0) => Some((0, self.kind.gates(), self.kind.gates())),
            _ => None,
        }
    }

    /// A stage's activations: from which to which vector of a block, and which function.
    const fn activations(&self, stage: usize) -> [(usize, usize, usize); 3] {
        match (self.kind, stage) {
            (Kind::Rnn, 0) => [(0, 1, 0), (0, 0, 0), (0, 0, 0)],
            (Kind::Rnn, _) => [(0, 0, 0); 3],
            (Kind::Gru { .. }, 0) => [(0, 2, 0), (0, 0, 0), (0, 0, 0)],
            (Kind::Gru { .. }, _) => [(2, 3, 1), (0, 0, 0), (0, 0, 0)],
            (Kind::Lstm { .. }, 0) => [(0, 1, 0), (2, 3, 0), (3, 4, 1)],
            (Kind::Lstm { .. }, _) => [(1, 2, 0), (6, 7, 2), (0, 0, 0)],
        }
    }

    /// The row of `xw` of a direction of a sequence at a time, and the biases of W and R of that direction.
    #[inline(always)]
    fn inputs(&self, d: usize, b: usize, t: usize) -> (&[f32], Option<(&[f32], &[f32])>) {
        let width = self.kind.gates() * self.layer.hidden;
        let row = self.layer.x_row(t, b) * self.layer.directions() + d;
        let bias = self.operands.bias.map(|bias| bias[2 * d * width..][..2 * width].split_at(width));
        (&self.operands.xw[row * width..][..width], bias)
    }

    /// Starts the gates' sums with the input's part and the biases.
    #[inline(always)]
    fn start_row<S: Simd>(&self, s: S, sums: &mut [f32], (d, b, t): (usize, usize, usize)) {
        let (xw, bias) = self.inputs(d, b, t);
        let (hidden, pad) = (self.layer.hidden, padded(self.layer.hidden));
        for (gate, sums) in sums.chunks_exact_mut(pad).enumerate() {
            let alone = gate == 2 && self.kind == Kind::Gru { linear_before_reset: true };
            let (sums, at) = (&mut sums[..hidden], gate * hidden);
            for (i, y) in sums.chunks_mut(S::LANES).enumerate() {
                let at = at + i * S::LANES..at + i * S::LANES + y.len();
                let mut v = if alone { s.zero() } else { s.load_head(&xw[at.clone()]) };
                if let Some((w, r)) = bias {
                    v = s.add(v, s.load_head(&r[at.clone()]));
                    v = if alone { v } else { s.add(v, s.load_head(&w[at])) };
                }
                s.store_head(y, v);
            }
        }
    }

    #[inline(always)]
    fn activate<S: Simd>(&self, s: S, function: Function, x: &mut [f32]) {
        let (clip, clips) = (s.splat(self.clip), self.clip > 0.0);
        for x in x.chunks_exact_mut(S::LANES) {
            let v = s.load(x);
            let v = if clips { s.max(s.min(v, clip), s.neg(clip)) } else { v };
            s.store(x, function.vector(s, v));
        }
    }

    /// What comes between a stage's product and its activations.
    #[inline(always)]
    fn before<S: Simd>(&self, s: S, row: &mut [f32], stage: usize, (d, b, t): (usize, usize, usize)) {
        let (hidden, pad) = (self.layer.hidden, padded(self.layer.hidden));
        match (self.kind, stage) {
            (Kind::Gru { linear_before_reset: true }, 1) => {
                // candidate = xw + Wb + r (R h + Rb).
                let (xw, bias) = self.inputs(d, b, t);
                let (gates, candidate) = row.split_at_mut(2 * pad);
                for (i, y) in candidate[..hidden].chunks_mut(S::LANES).enumerate() {
                    let at = i * S::LANES..i * S::LANES + y.len();
                    let input = s.load_head(&xw[2 * hidden..][at.clone()]);
                    let input = bias.map_or(input, |bias| s.add(input, s.load_head(&bias.0[2 * hidden..][at.clone()])));
                    s.store_head(y, s.mul_add(s.load_head(&gates[pad..][at]), s.load_head(y), input));
                }
            }
            (Kind::Lstm { .. }, _) => {
                let Some(p) = self.operands.peepholes else { return };
                let p = &p[d * 3 * hidden..][..3 * hidden];
                // P's order is i o f; the output gate looks at the new cell.
                let gates: &[(usize, usize)] = if stage == 0 { &[(0, 0), (2, 2)] } else { &[(1, 1)] };
                for &(gate, peephole) in gates {
                    let (sums, states) = row.split_at_mut(4 * pad);
                    for (i, y) in sums[gate * pad..][..hidden].chunks_mut(S::LANES).enumerate() {
                        let at = i * S::LANES..i * S::LANES + y.len();
                        let cell = s.load_head(&states[pad..][at.clone()]);
                        s.store_head(y, s.mul_add(s.load_head(&p[peephole * hidden..][at]), cell, s.load_head(y)));
                    }
                }
            }
            _ => {}
        }
    }

    /// What comes after a stage's activations: the states.
    #[inline(always)]
    fn after<S: Simd>(&self, s: S, row: &mut [f32], stage: usize) {
        let pad = padded(self.layer.hidden);
        let (sums, states) = row.split_at_mut(self.kind.gates() * pad);
        let (h, rest) = states.split_at_mut(pad);
        let (c, spare) = rest.split_at_mut(pad);
        let vectors = h.chunks_exact_mut(S::LANES).zip(c.chunks_exact_mut(S::LANES)).zip(spare.chunks_exact_mut(S::LANES));
        for (i, ((h, c), spare)) in vectors.enumerate() {
            let gate = |g: usize| &sums[g * pad + i * S::LANES..];
            match (self.kind, stage) {
                (Kind::Rnn, 0) => s.store(h, s.load(gate(0))),
                (Kind::Rnn, _) => {}
                (Kind::Gru { .. }, 0) => s.store(spare, s.mul(s.load(gate(1)), s.load(h))),
                (Kind::Gru { .. }, _) => {
                    // (1 - z) candidate + z h.
                    let candidate = s.load(gate(2));
                    s.store(h, s.mul_add(s.load(gate(0)), s.sub(s.load(h), candidate), candidate));
                }
                (Kind::Lstm { input_forget }, 0) => {
                    let input = s.load(gate(0));
                    let forget = if input_forget { s.sub(s.splat(1.0), input) } else { s.load(gate(2)) };
                    let new = s.mul_add(forget, s.load(c), s.mul(input, s.load(gate(3))));
                    s.store(c, new);
                    s.store(spare, new);
                }
                (Kind::Lstm { .. }, _) => s.store(h, s.mul(s.load(gate(1)), s.load(spare))),
            }
        }
    }
}

/// Functions padded to three a direction.
fn three<const N: usize>(names: &[&str], parameters: &[f32], layer: Layer) -> Result<[[Function; 3]; 2], Fault> {
    Ok(functions::<N>(names, parameters, layer.directions())?.map(|f| [f[0], f[1 % N], f[2 % N]]))
}

/// RNN in f32 on weights packed by [`pack`](super::pack); see the [module](super) for the operands and [`scratch_len`] for the scratch.
pub fn rnn(
    cx: Cx,
    y: &mut [f32],
    y_h: &mut [f32],
    scratch: &mut [f32],
    xw: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[f32]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: None, peepholes: None, lens, outputs: [0; 3] };
    let functions = three::<1>(activations, parameters, layer)?;
    run(cx, [y, y_h, &mut []], scratch, packed, (Kind::Rnn, layer), operands, functions, clip)
}

/// GRU in f32 on weights packed by [`pack`](super::pack); see the [module](super) for the operands and [`scratch_len`] for the scratch.
pub fn gru(
    cx: Cx,
    y: &mut [f32],
    y_h: &mut [f32],
    scratch: &mut [f32],
    xw: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[f32]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
    linear_before_reset: bool,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: None, peepholes: None, lens, outputs: [0; 3] };
    let functions = three::<2>(activations, parameters, layer)?;
    run(cx, [y, y_h, &mut []], scratch, packed, (Kind::Gru { linear_before_reset }, layer), operands, functions, clip)
}

/// LSTM in f32 on weights packed by [`pack`](super::pack); see the [module](super) for the operands and [`scratch_len`] for the scratch.
pub fn lstm(
    cx: Cx,
    y: &mut [f32],
    y_h: &mut [f32],
    y_c: &mut [f32],
    scratch: &mut [f32],
    xw: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
    lens: Option<&[i64]>,
    initial_h: Option<&[f32]>,
    initial_c: Option<&[f32]>,
    peepholes: Option<&[f32]>,
    layer: Layer,
    activations: &[&str],
    parameters: &[f32],
    clip: f32,
    input_forget: bool,
) -> Result<(), Fault> {
    let operands = Operands { xw, bias, h: initial_h, c: initial_c, peepholes, lens, outputs: [0; 3] };
    let functions = three::<3>(activations, parameters, layer)?;
    run(cx, [y, y_h, y_c], scratch, packed, (Kind::Lstm { input_forget }, layer), operands, functions, clip)
}
