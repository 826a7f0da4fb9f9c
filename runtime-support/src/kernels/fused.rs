//! Elementwise loops over f32: one pass over memory for a whole formula, with broadcasting.
//!
//! Generated code implements [`Formula`] for a struct (usually a unit) and calls [`map`]. All operands are made to look alike for one vector loop:
//! an input that does not move along the innermost dim is spread over a vector on the stack that the loop reads again and again (step 0); one
//! that moves by more than one element is first gathered, block by block, into a buffer on the stack.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::parallel;
use crate::kernels::walk::{dense, promise};
use crate::simd::{MAX_LANES, Simd, WithSimd, dispatch};
use core::mem::MaybeUninit;

/// A function of `N` f32, written over the vector vocabulary. Mark `eval` `#[inline(always)]` and use no closures in it.
pub trait Formula<const N: usize>: Sync {
    /// The value for a vector of each input.
    fn eval<S: Simd>(&self, s: S, x: [S::F32; N]) -> S::F32;
}

/// Elements that are gathered at a time.
const BLOCK: usize = 128;
/// Loops shorter than this are not worth a second thread.
const GRAIN: usize = 1 << 15;
/// Dims that a plan holds, after merging; the ones outside them are walked by recursion.
const PLAN_RANK: usize = 8;

/// `out[i] = formula(inputs[0][i], …)` for every position `i` of `shape`: `out` is dense and row-major, each input has an element stride for
/// each dim of `shape` (0 where it is broadcast).
#[inline]
pub fn map<F: Formula<N>, const N: usize>(
    cx: Cx,
    formula: &F,
    out: &mut [f32],
    inputs: [&[f32]; N],
    shape: &[usize],
    strides: [&[usize]; N],
) -> Result<(), Fault> {
    let lens = inputs.map(<[f32]>::len);
    // SAFETY: the pointers are those of the slices; the output is borrowed mutably, and so no input overlaps it.
    unsafe { run(cx, formula, out.as_mut_ptr(), out.len(), inputs.map(<[f32]>::as_ptr), lens, shape, strides) }
}

/// `out[i] = formula(out[i], inputs[0][i], …)`: the same in place; `N` is one more than `M`.
#[inline]
pub fn update<F: Formula<N>, const N: usize, const M: usize>(
    cx: Cx,
    formula: &F,
    out: &mut [f32],
    inputs: [&[f32]; M],
    shape: &[usize],
    strides: [&[usize]; M],
) -> Result<(), Fault> {
    const { assert!(N == M + 1) };
    let dense = dense(shape)?;
    let (len, base) = (out.len(), out.as_mut_ptr());
    let (mut pointers, mut lens, mut steps) = ([base.cast_const(); N], [len; N], [&dense[..shape.len()]; N]);
    for j in 0..M {
        (pointers[j + 1], lens[j + 1], steps[j + 1]) = (inputs[j].as_ptr(), inputs[j].len(), strides[j]);
    }
    // SAFETY: as in `map`; the first input is the output itself, with its steps.
    unsafe { run(cx, formula, base, len, pointers, lens, shape, steps) }
}

/// # Safety
/// Each pointer is valid for its length; an input that overlaps the output is the output itself with its steps.
#[inline]
unsafe fn run<F: Formula<N>, const N: usize>(
    cx: Cx,
    formula: &F,
    out: *mut f32,
    out_len: usize,
    inputs: [*const f32; N],
    lens: [usize; N],
    shape: &[usize],
    strides: [&[usize]; N],
) -> Result<(), Fault> {
    if let &[n] = shape
        && n > 0
        && !worth_threads(cx, n)
    {
        // The compiler merges dims where it can, so this is the usual case, and nothing has to be planned.
        let mut steps = [0; N];
        let mut fits = n == out_len;
        for j in 0..N {
            steps[j] = strides[j].first().copied().unwrap_or(0);
            fits &= strides[j].len() == 1 && (n - 1).saturating_mul(steps[j]) < lens[j];
        }
        promise(fits, "a fused loop's operands do not fit its shape")?;
        dispatch(cx, Loop { formula, out, inputs, n, steps, plan: None });
        return Ok(());
    }
    let mut plan = Plan::<N> { rank: 0, dims: [1; PLAN_RANK], out: [0; PLAN_RANK], steps: [[0; N]; PLAN_RANK] };
    let merged = merge(shape, &strides, &lens, out_len, &mut plan.dims, &mut plan.out, plan.steps.as_flattened_mut())?;
    match merged {
        Merged::Nothing => {}
        Merged::Rank(rank) => {
            plan.rank = rank;
            // SAFETY: the plan has checked that every position lies inside its operand; the rest is the caller's promise.
            unsafe { plan.run(cx, formula, Pointers { out, inputs }) };
        }
        Merged::TooDeep => {
            let inner: [&[usize]; N] = strides.map(|s| &s[1..]);
            let step = out_len / shape[0];
            for i in 0..shape[0] {
                let at = core::array::from_fn(|j| inputs[j].wrapping_add(i * strides[j][0]));
                let rest = core::array::from_fn(|j| lens[j] - i * strides[j][0]);
                // SAFETY: the offsets were checked with the whole shape.
                unsafe { run(cx, formula, out.add(i * step), step, at, rest, &shape[1..], inner)? };
            }
        }
    }
    Ok(())
}

/// Whether a loop of `n` elements is worth more than one thread.
#[inline(always)]
fn worth_threads(cx: Cx, n: usize) -> bool {
    cx.threads() > 1 && n >= 2 * GRAIN
}

/// What is left of a shape.
enum Merged {
    /// No elements.
    Nothing,
    /// That many dims, at least one.
    Rank(usize),
    /// More dims than a plan holds.
    TooDeep,
}

/// Merges dims and checks that every operand holds its positions: writes the dims, the output's strides, and all inputs' strides dim by dim.
/// Compiled once, not for each formula.
#[inline(never)]
fn merge(
    shape: &[usize],
    strides: &[&[usize]],
    lens: &[usize],
    out_len: usize,
    dims: &mut [usize; PLAN_RANK],
    out: &mut [usize; PLAN_RANK],
    steps: &mut [usize],
) -> Result<Merged, Fault> {
    let n = strides.len();
    let elements = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    promise(elements == out_len, "a fused loop's output has another length than its shape")?;
    promise(strides.iter().all(|s| s.len() == shape.len()), "a fused loop's strides have another rank than its shape")?;
    if elements == 0 {
        return Ok(Merged::Nothing);
    }
    for (strides, &len) in strides.iter().zip(lens) {
        let reach = shape.iter().zip(*strides).fold(0usize, |sum, (d, s)| sum.saturating_add((d - 1).saturating_mul(*s)));
        promise(reach < len, "a fused loop's input is too short")?;
    }
    let mut rank = 0;
    for (axis, &dim) in shape.iter().enumerate() {
        if dim == 1 {
            continue;
        }
        let merges = rank > 0 && (0..n).all(|j| steps[(rank - 1) * n + j] == strides[j][axis].saturating_mul(dim));
        if !merges {
            if rank == PLAN_RANK {
                return Ok(Merged::TooDeep);
            }
            rank += 1;
            dims[rank - 1] = 1;
        }
        dims[rank - 1] *= dim;
        for j in 0..n {
            steps[(rank - 1) * n + j] = strides[j][axis];
        }
    }
    rank = rank.max(1);
    let mut step = 1;
    for axis in (0..rank).rev() {
        out[axis] = step;
        step *= dims[axis];
    }
    Ok(Merged::Rank(rank))
}

/// How to walk: dims outermost first, with the strides of the output and of each input.
#[derive(Clone, Copy)]
struct Plan<const N: usize> {
    rank: usize,
    dims: [usize; PLAN_RANK],
    out: [usize; PLAN_RANK],
    steps: [[usize; N]; PLAN_RANK],
}

/// Where the first position is.
#[derive(Clone, Copy)]
struct Pointers<const N: usize> {
    out: *mut f32,
    inputs: [*const f32; N],
}

// SAFETY: tasks start from there at disjoint parts of the output, and read what nobody writes (or what only they write).
unsafe impl<const N: usize> Sync for Pointers<N> {}

impl<const N: usize> Pointers<N> {
    /// `count` steps further.
    #[inline]
    fn moved(&self, count: usize, out: usize, steps: [usize; N]) -> Self {
        let inputs = core::array::from_fn(|j| self.inputs[j].wrapping_add(count * steps[j]));
        Self { out: self.out.wrapping_add(count * out), inputs }
    }
}

impl<const N: usize> Plan<N> {
    /// # Safety
    /// Every position of the plan lies inside the operands, the output is this call's alone, and an input that overlaps it is the output itself
    /// with the same steps.
    #[inline]
    unsafe fn run<F: Formula<N>>(&self, cx: Cx, formula: &F, at: Pointers<N>) {
        let elements = self.out[0] * self.dims[0];
        if worth_threads(cx, elements) {
            self.split(elements, cx, formula, at);
        } else {
            self.walk(cx, formula, at);
        }
    }

    #[inline]
    fn walk<F: Formula<N>>(&self, cx: Cx, formula: &F, at: Pointers<N>) {
        let inner = self.rank - 1;
        let (n, steps) = (self.dims[inner], self.steps[inner]);
        dispatch(cx, Loop { formula, out: at.out, inputs: at.inputs, n, steps, plan: Some(self) });
    }

    /// Cuts the first dim that has enough positions in parts, one a thread: disjoint positions of the output.
    #[cold]
    fn split<F: Formula<N>>(&self, elements: usize, cx: Cx, formula: &F, at: Pointers<N>) {
        let parts = cx.threads().min(elements / GRAIN);
        let axis = self.dims[..self.rank].iter().position(|&d| d >= 4 * parts).unwrap_or(0);
        // Whole vectors in each part where the dim is the innermost.
        let step = if axis + 1 == self.rank { MAX_LANES } else { 1 };
        parallel::each(cx, elements.saturating_mul(parallel::GRAIN / GRAIN), parts, |i| {
            let range = parallel::part(self.dims[axis], step, i, parts);
            if !range.is_empty() {
                let mut part = *self;
                part.dims[axis] = range.len();
                part.walk(cx, formula, at.moved(range.start, self.out[axis], self.steps[axis]));
            }
        });
    }
}

/// The loop as a kernel: a row of `n` positions, and the rows that the plan has beside it. All positions lie inside the operands.
struct Loop<'a, F, const N: usize> {
    formula: &'a F,
    out: *mut f32,
    inputs: [*const f32; N],
    n: usize,
    steps: [usize; N],
    plan: Option<&'a Plan<N>>,
}

impl<F: Formula<N>, const N: usize> WithSimd for Loop<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let mut index = [0usize; PLAN_RANK];
        'rows: loop {
            // SAFETY: one row of positions that lie inside the operands.
            unsafe { self.row(s) };
            let Some(plan) = self.plan else { return };
            // The odometer: the innermost outer dim that is not at its end moves on, those inside it go back.
            let mut axis = plan.rank - 1;
            while axis > 0 {
                axis -= 1;
                index[axis] += 1;
                let moved = index[axis] < plan.dims[axis];
                let by = if moved { 1 } else { 1usize.wrapping_sub(plan.dims[axis]) };
                self.out = self.out.wrapping_add(by.wrapping_mul(plan.out[axis]));
                let mut j = 0;
                while j < N {
                    self.inputs[j] = self.inputs[j].wrapping_add(by.wrapping_mul(plan.steps[axis][j]));
                    j += 1;
                }
                if moved {
                    continue 'rows;
                }
                index[axis] = 0;
            }
            return;
        }
    }
}

impl<F: Formula<N>, const N: usize> Loop<'_, F, N> {
    /// One row.
    /// # Safety
    /// Its positions lie inside the operands.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, s: S) {
        let mut buffers = [const { MaybeUninit::<[f32; BLOCK]>::uninit() }; N];
        let mut gathers = false;
        let mut j = 0;
        while j < N {
            gathers |= self.steps[j] > 1;
            j += 1;
        }
        let block = if gathers { BLOCK } else { self.n };
        let mut start = 0;
        while start < self.n {
            let len = if gathers { block.min(self.n - start) } else { self.n };
            let (mut from, mut step) = (self.inputs, [0; N]);
            let mut j = 0;
            while j < N {
                // SAFETY: the positions lie inside the operand; a block fits the buffer, and so does a vector.
                unsafe {
                    let first = self.inputs[j].add(start * self.steps[j]);
                    let buffer = buffers[j].as_mut_ptr().cast::<f32>();
                    if self.steps[j] == 1 {
                        (from[j], step[j]) = (first, S::LANES);
                    } else if self.steps[j] == 0 {
                        s.store_ptr(buffer, s.splat(*first));
                        (from[j], step[j]) = (buffer.cast_const(), 0);
                    } else {
                        gather(buffer, first, self.steps[j], len);
                        (from[j], step[j]) = (buffer.cast_const(), S::LANES);
                    }
                }
                j += 1;
            }
            // SAFETY: `len` positions inside every operand.
            unsafe { self.vectors(s, self.out.add(start), from, step, len) };
            start += len;
        }
    }

    /// The vector loop: `n > 0` elements, each input moving by `step` elements a vector. The formula stands here once, for whole vectors and the
    /// last, so that generated code stays small.
    /// # Safety
    /// `out` and the inputs with a step hold `n` elements, the others a vector.
    #[inline(always)]
    unsafe fn vectors<S: Simd>(&self, s: S, mut out: *mut f32, mut from: [*const f32; N], step: [usize; N], n: usize) {
        let mut left = n;
        let mut x = [s.zero(); N];
        loop {
            let mut j = 0;
            while j < N {
                // SAFETY: there are `left` elements left, as the caller vouches.
                x[j] = unsafe { if left >= S::LANES { s.load_ptr(from[j]) } else { s.load_head_ptr(from[j], left) } };
                from[j] = from[j].wrapping_add(step[j]);
                j += 1;
            }
            let y = self.formula.eval(s, x);
            // SAFETY: see above.
            unsafe {
                if left < S::LANES {
                    return s.store_head_ptr(out, y, left);
                }
                s.store_ptr(out, y);
            }
            out = out.wrapping_add(S::LANES);
            left -= S::LANES;
            if left == 0 {
                return;
            }
        }
    }
}

/// Copies every `step`-th element.
/// # Safety
/// `to` holds `n` elements, `from` `(n - 1) step + 1`.
#[inline(never)]
unsafe fn gather(to: *mut f32, from: *const f32, step: usize, n: usize) {
    for i in 0..n {
        // SAFETY: as the caller's.
        unsafe { *to.add(i) = *from.add(i * step) };
    }
}

#[cfg(test)]
mod tests;
