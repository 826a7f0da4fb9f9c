//! Elementwise loops over f32: one pass over memory for a whole formula, with broadcasting.
//!
//! Generated code implements [`Formula`] for a struct (usually a unit) and calls [`map`]. All operands are made to look alike for one vector loop:
//! an input that does not move along the innermost dim is spread over a vector on the stack that the loop reads again and again (step 0); one
//! that moves by more than one element is first gathered, block by block, into a buffer on the stack.

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::walk::{MAX_RANK, promise};
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
const GRAIN: usize = 1 << 16;

/// `out[i] = formula(inputs[0][i], …)` for every position `i` of `shape`: `out` is dense and row-major, each input has an element stride for
/// each dim of `shape` (0 where it is broadcast). Rank up to 16 after merging dims.
#[inline]
pub fn map<F: Formula<N>, const N: usize>(
    cx: Cx,
    formula: &F,
    out: &mut [f32],
    inputs: [&[f32]; N],
    shape: &[usize],
    strides: [&[usize]; N],
) -> Result<(), Fault> {
    let mut plan = Plan::<N>::EMPTY;
    let lens = inputs.map(<[f32]>::len);
    if plan.outer.build(&mut plan.steps, shape, &strides, &lens, out.len())? {
        let inputs = inputs.map(<[f32]>::as_ptr);
        // SAFETY: the plan has checked that every position lies inside its operand; `out` is borrowed mutably and so meets no input.
        unsafe { plan.run(cx, formula, out.as_mut_ptr(), inputs) };
    }
    Ok(())
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
    promise(shape.len() <= MAX_RANK, "rank above 16")?;
    let mut dense = [0; MAX_RANK];
    let mut step = 1usize;
    for (d, &dim) in dense[..shape.len()].iter_mut().zip(shape).rev() {
        *d = step;
        step = step.saturating_mul(dim);
    }
    let all_strides: [&[usize]; N] = core::array::from_fn(|j| if j == 0 { &dense[..shape.len()] } else { strides[j - 1] });
    let lens: [usize; N] = core::array::from_fn(|j| if j == 0 { out.len() } else { inputs[j - 1].len() });
    let mut plan = Plan::<N>::EMPTY;
    if plan.outer.build(&mut plan.steps, shape, &all_strides, &lens, out.len())? {
        let base = out.as_mut_ptr();
        let pointers: [*const f32; N] = core::array::from_fn(|j| if j == 0 { base.cast_const() } else { inputs[j - 1].as_ptr() });
        // SAFETY: as in `map`; the input that is `out` itself is read where it is then written, and not later.
        unsafe { plan.run(cx, formula, base, pointers) };
    }
    Ok(())
}

/// The merged dims and the output's strides: what does not depend on the number of inputs.
#[derive(Clone, Copy)]
struct Outer {
    rank: usize,
    dims: [usize; MAX_RANK],
    out: [usize; MAX_RANK],
}

/// How to walk: dims outermost first, and each input's step in each.
#[derive(Clone, Copy)]
struct Plan<const N: usize> {
    outer: Outer,
    steps: [[usize; MAX_RANK]; N],
}

impl Outer {
    /// Merges dims and checks that every operand holds its positions. False if there is nothing to do. Compiled once, not for each formula.
    #[inline(never)]
    fn build(
        &mut self,
        steps: &mut [[usize; MAX_RANK]],
        shape: &[usize],
        strides: &[&[usize]],
        lens: &[usize],
        out_len: usize,
    ) -> Result<bool, Fault> {
        let elements = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
        promise(elements == out_len, "a fused loop's output has another length than its shape")?;
        promise(strides.iter().all(|s| s.len() == shape.len()), "a fused loop's strides have another rank than its shape")?;
        if elements == 0 {
            return Ok(false);
        }
        let mut rank = 0;
        for (axis, &dim) in shape.iter().enumerate() {
            if dim == 1 {
                continue;
            }
            let merges = rank > 0 && (0..strides.len()).all(|j| steps[j][rank - 1] == strides[j][axis].saturating_mul(dim));
            if merges {
                self.dims[rank - 1] *= dim;
                rank -= 1;
            } else {
                promise(rank < MAX_RANK, "rank above 16")?;
                self.dims[rank] = dim;
            }
            for (steps, strides) in steps.iter_mut().zip(strides) {
                steps[rank] = strides[axis];
            }
            rank += 1;
        }
        self.rank = rank.max(1);
        let mut step = 1;
        for axis in (0..self.rank).rev() {
            self.out[axis] = step;
            step *= self.dims[axis];
        }
        for (steps, &len) in steps.iter().zip(lens) {
            let reach = |last: usize, axis: usize| last.saturating_add((self.dims[axis] - 1).saturating_mul(steps[axis]));
            promise((0..self.rank).fold(0, reach) < len, "a fused loop's input is too short")?;
        }
        Ok(true)
    }
}

impl<const N: usize> Plan<N> {
    const EMPTY: Self = Self { outer: Outer { rank: 0, dims: [1; MAX_RANK], out: [0; MAX_RANK] }, steps: [[0; MAX_RANK]; N] };

    /// # Safety
    /// Every position of the plan lies inside the operands, `out` is this call's alone, and an input that overlaps it is `out` itself with the
    /// same steps.
    #[inline]
    unsafe fn run<F: Formula<N>>(self, cx: Cx, formula: &F, out: *mut f32, inputs: [*const f32; N]) {
        #[cfg(feature = "rayon")]
        if cx.threads() > 1 {
            let elements = self.outer.out[0] * self.outer.dims[0];
            let parts = cx.threads().min(elements / GRAIN);
            if parts > 1 {
                // SAFETY: as the caller's.
                return unsafe { self.split(parts, cx, formula, Pointers { out, inputs }) };
            }
        }
        dispatch(cx, Loop { plan: &self, formula, out, inputs });
    }

    /// Cuts the first dim that has enough positions in two, for half the threads each.
    /// # Safety
    /// As `run`.
    #[cfg(feature = "rayon")]
    #[cold]
    unsafe fn split<F: Formula<N>>(self, parts: usize, cx: Cx, formula: &F, at: Pointers<N>) {
        let dims = &self.outer.dims[..self.outer.rank];
        let axis = dims.iter().position(|&d| d >= 4 * parts).unwrap_or(0);
        if parts <= 1 || dims[axis] < 2 {
            dispatch(cx, Loop { plan: &self, formula, out: at.out, inputs: at.inputs });
            return;
        }
        // Whole vectors in each half where the dim is the innermost.
        let half = dims[axis] * (parts / 2) / parts;
        let half = if half > MAX_LANES { half / MAX_LANES * MAX_LANES } else { half.max(1) };
        let (mut low, mut high) = (self, self);
        low.outer.dims[axis] = half;
        high.outer.dims[axis] -= half;
        // SAFETY: the first position of the second half, which exists.
        let next = unsafe {
            let mut inputs = at.inputs;
            for (p, steps) in inputs.iter_mut().zip(&self.steps) {
                *p = p.add(half * steps[axis]);
            }
            Pointers { out: at.out.add(half * self.outer.out[axis]), inputs }
        };
        rayon::join(
            // SAFETY: the halves are disjoint positions of the output, so each is its call's alone.
            move || unsafe { low.split(parts / 2, cx, formula, at) },
            // SAFETY: see above.
            move || unsafe { high.split(parts - parts / 2, cx, formula, next) },
        );
    }
}

/// Pointers that may go to another thread.
#[cfg(feature = "rayon")]
#[derive(Clone, Copy)]
struct Pointers<const N: usize> {
    out: *mut f32,
    inputs: [*const f32; N],
}

// SAFETY: the halves of a split write disjoint elements and read what nobody writes (or what only they write).
#[cfg(feature = "rayon")]
unsafe impl<const N: usize> Send for Pointers<N> {}

/// The loop as a kernel.
struct Loop<'a, F, const N: usize> {
    plan: &'a Plan<N>,
    formula: &'a F,
    out: *mut f32,
    inputs: [*const f32; N],
}

impl<F: Formula<N>, const N: usize> WithSimd for Loop<'_, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { plan, formula, mut out, mut inputs } = self;
        let inner = plan.outer.rank - 1;
        let n = plan.outer.dims[inner];
        let mut index = [0usize; MAX_RANK];
        loop {
            // SAFETY: one row of positions that lie inside the operands.
            unsafe { row(s, plan, formula, out, inputs, n) };
            // The odometer: the innermost outer dim that is not at its end moves on, those inside it go back.
            let mut axis = inner;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                let moved = index[axis] < plan.outer.dims[axis];
                let by = if moved { 1 } else { 1usize.wrapping_sub(plan.outer.dims[axis]) };
                out = out.wrapping_add(by.wrapping_mul(plan.outer.out[axis]));
                for (p, steps) in inputs.iter_mut().zip(&plan.steps) {
                    *p = p.wrapping_add(by.wrapping_mul(steps[axis]));
                }
                if moved {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

/// One row of `n` positions.
/// # Safety
/// They lie inside the operands.
#[inline(always)]
unsafe fn row<S: Simd, F: Formula<N>, const N: usize>(s: S, plan: &Plan<N>, f: &F, out: *mut f32, inputs: [*const f32; N], n: usize) {
    let inner = plan.outer.rank - 1;
    let mut buffers = [const { MaybeUninit::<[f32; BLOCK]>::uninit() }; N];
    let mut gathers = false;
    for steps in &plan.steps {
        gathers |= steps[inner] > 1;
    }
    let block = if gathers { BLOCK } else { n };
    let mut start = 0;
    while start < n {
        let len = block.min(n - start);
        let (mut from, mut step) = (inputs, [0; N]);
        let mut j = 0;
        while j < N {
            let stride = plan.steps[j][inner];
            let buffer = buffers[j].as_mut_ptr().cast::<f32>();
            // SAFETY: the positions lie inside the operand; a block fits the buffer, and a vector does.
            unsafe {
                let first = inputs[j].add(start * stride);
                if stride == 1 {
                    (from[j], step[j]) = (first, S::LANES);
                } else if stride == 0 {
                    s.store_ptr(buffer, s.splat(*first));
                    (from[j], step[j]) = (buffer.cast_const(), 0);
                } else {
                    let mut i = 0;
                    while i < len {
                        *buffer.add(i) = *first.add(i * stride);
                        i += 1;
                    }
                    (from[j], step[j]) = (buffer.cast_const(), S::LANES);
                }
            }
            j += 1;
        }
        // SAFETY: `len` positions inside every operand.
        unsafe { vectors(s, f, out.add(start), from, step, len) };
        start += len;
    }
}

/// The vector loop: `n` elements, each input moving by `step` elements a vector.
/// # Safety
/// `out` and the inputs with a step hold `n` elements, the others a vector.
#[inline(always)]
unsafe fn vectors<S: Simd, F: Formula<N>, const N: usize>(
    s: S,
    f: &F,
    mut out: *mut f32,
    mut from: [*const f32; N],
    step: [usize; N],
    n: usize,
) {
    let mut left = n;
    let mut x = [s.zero(); N];
    // SAFETY: there are `left` elements left, as the caller vouches; pointers move past the end only to be unused.
    unsafe {
        while left >= S::LANES {
            let mut j = 0;
            while j < N {
                x[j] = s.load_ptr(from[j]);
                from[j] = from[j].wrapping_add(step[j]);
                j += 1;
            }
            s.store_ptr(out, f.eval(s, x));
            out = out.wrapping_add(S::LANES);
            left -= S::LANES;
        }
        if left > 0 {
            let mut j = 0;
            while j < N {
                x[j] = s.load_head_ptr(from[j], left);
                j += 1;
            }
            s.store_head_ptr(out, f.eval(s, x), left);
        }
    }
}

#[cfg(test)]
mod tests;
