//! Matrix products: packed panels of B, tiles of C in registers, and an epilogue (bias, residual, activation) while they are hot.
//!
//! [`gemm_packed`] takes a B that was packed by [`pack_b`] (weights, at compile time); [`gemm`] packs B itself into scratch.
//! f32 only; [`matmul`](super::matmul) is the loop nest for every element type.

mod bf16;
mod block;
mod epilogue;
mod matrix;
mod pack;
mod panels;
mod product;
mod row;
#[cfg(test)]
pub(crate) mod tests;
mod tile;

pub use bf16::{gemm_bf16, pack_bf16, to_bf16};
pub use epilogue::{Activation, ActivationKind};
pub use pack::{PANEL, pack_b, pack_len};
pub use panels::{Storage, Stored};
pub use product::Product;

pub(crate) use bf16::elements;
pub(crate) use block::{Column, PATCHES, Patches, ROWS, Segment, Shared, Source, Target, ZEROS, compute};
pub(crate) use epilogue::{Finish, activate};
pub(crate) use matrix::Matrix;
pub(crate) use panels::Panels;
pub(crate) use product::{extent, promise};
pub(crate) use tile::{Arithmetic, Bf16Pairs, Pairs, Real, load_up_to, store_up_to};

use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::parallel;
use crate::simd::dispatch;
use row::Row;

/// `C = activation(alpha * A · B + bias + row_bias + residual)` for each matrix of the batch, B packed.
///
/// `b` holds as many packed matrices ([`pack_len`] elements each) as `p.b_batch` reaches. `bias` has an element for each column, `row_bias`
/// one for each row, `residual` is laid out as C. Other elements of `c` (between its rows) are left alone.
pub fn gemm_packed<W: Stored>(
    cx: Cx,
    c: &mut [f32],
    a: &[f32],
    b: &[W],
    bias: Option<&[f32]>,
    row_bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    p: Product,
    alpha: f32,
    activation: Activation,
) -> Result<(), Fault> {
    gemm_panels(cx, c, a, Panels::of(b), bias, row_bias, residual, p, alpha, activation)
}

/// [`gemm_packed`] for whatever the panels are stored as: not generic, so that the kernel is compiled once, here, and not again with each model.
#[inline(never)]
pub(crate) fn gemm_panels(
    cx: Cx,
    c: &mut [f32],
    a: &[f32],
    b: Panels<'_>,
    bias: Option<&[f32]>,
    row_bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    p: Product,
    alpha: f32,
    activation: Activation,
) -> Result<(), Fault> {
    gemm_with::<Real>(cx, c, a, b, bias, row_bias, residual, p, alpha, activation)
}

/// [`gemm_packed`] for any meaning of the elements; only real ones have an epilogue.
pub(crate) fn gemm_with<A: Arithmetic>(
    cx: Cx,
    c: &mut [f32],
    a: &[f32],
    b: Panels<'_>,
    bias: Option<&[f32]>,
    row_bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    p: Product,
    alpha: f32,
    activation: Activation,
) -> Result<(), Fault> {
    let len = pack_len(p.k, p.n);
    let matrices = extent(&[(p.batch[0], p.b_batch[0]), (p.batch[1], p.b_batch[1])]).and_then(|e| e.checked_mul(len));
    promise(matrices.is_some_and(|e| e <= b.len()), "gemm: B is longer than its slice")?;
    promise(p.a_extent().is_some_and(|e| e <= a.len()), "gemm: A is longer than its slice")?;
    promise(p.c_extent().is_some_and(|e| e <= c.len()) && p.c_is_disjoint(), "gemm: C does not fit its slice")?;
    promise(residual.is_none_or(|r| r.len() >= p.c_extent().unwrap_or(usize::MAX)), "gemm: the residual is too short")?;
    promise(bias.is_none_or(|b| b.len() >= p.n) && row_bias.is_none_or(|b| b.len() >= p.m), "gemm: a bias is too short")?;
    let batches = p.batch[0] * p.batch[1];
    if batches == 0 || p.m == 0 || p.n == 0 {
        return Ok(());
    }
    let work = batches.saturating_mul(p.m).saturating_mul(p.n).saturating_mul(p.k);
    if A::SINGLE
        && batches == 1
        && p.m == 1
        && work <= row::MOST
        && let (1, Some(b)) = (p.a_col, b.as_f32())
    {
        let finish = Finish { alpha, bias, row_bias, residual: None, activation };
        dispatch(cx, Row { c: &mut c[..p.n], a: &a[..p.k], b, finish, residual });
        return Ok(());
    }
    let panels = p.n.div_ceil(PANEL);
    let (row_parts, panel_parts) = parallel::grid(parallel::tasks(cx, work).div_ceil(batches), p.m, ROWS, panels);
    let c = Shared(c.as_mut_ptr());
    parallel::each(cx, work, batches * row_parts * panel_parts, |task| {
        let (task, panel_part) = (task / panel_parts, task % panel_parts);
        let (batch, row_part) = (task / row_parts, task % row_parts);
        let at = |strides: [usize; 2]| batch / p.batch[1] * strides[0] + batch % p.batch[1] * strides[1];
        let finish =
            Finish { alpha, bias, row_bias, residual: residual.map(|r| (r.as_ptr().wrapping_add(at(p.c_batch)), p.c_row)), activation };
        let source = Matrix { a: a.get(at(p.a_batch)..).unwrap_or_default(), row: p.a_row, col: p.a_col, k: p.k };
        // SAFETY: the extents were checked above, each task has its own rectangle of C, and no two elements of C overlap.
        unsafe {
            let target = Target { b: b.from(at(p.b_batch) * len), c: c.at(at(p.c_batch)), c_row: p.c_row, n: p.n, finish: &finish };
            let rows = parallel::part(p.m, ROWS, row_part, row_parts);
            compute::<A>(cx, &source, &target, rows, parallel::part(panels, 1, panel_part, panel_parts));
        }
    });
    Ok(())
}

/// The scratch that [`gemm`] needs, in elements: the distinct matrices B, packed.
pub const fn gemm_scratch_len(p: Product) -> usize {
    distinct(p).saturating_mul(pack_len(p.k, p.n))
}

/// How many different matrices B there are.
const fn distinct(p: Product) -> usize {
    let d0 = if p.b_batch[0] == 0 && p.batch[0] > 0 { 1 } else { p.batch[0] };
    let d1 = if p.b_batch[1] == 0 && p.batch[1] > 0 { 1 } else { p.batch[1] };
    d0.saturating_mul(d1)
}

/// As [`gemm_packed`] for a B with strides, which is packed into `scratch` ([`gemm_scratch_len`] elements) first.
pub fn gemm(
    cx: Cx,
    c: &mut [f32],
    scratch: &mut [f32],
    a: &[f32],
    b: &[f32],
    bias: Option<&[f32]>,
    row_bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    p: Product,
    alpha: f32,
    activation: Activation,
) -> Result<(), Fault> {
    promise(p.b_extent().is_some_and(|e| e <= b.len()), "gemm: B is longer than its slice")?;
    promise(scratch.len() >= gemm_scratch_len(p), "gemm: the scratch is too short")?;
    let len = pack_len(p.k, p.n);
    let counts = [if p.b_batch[0] == 0 { 1 } else { p.batch[0] }, if p.b_batch[1] == 0 { 1 } else { p.batch[1] }];
    if len == 0 || counts[0] * counts[1] == 0 {
        return gemm_packed(cx, c, a, scratch, bias, row_bias, residual, Product { b_batch: [0, 0], ..p }, alpha, activation);
    }
    pack::pack_all(cx, &mut scratch[..counts[0] * counts[1] * len], p.k, p.n, p.b_row, p.b_col, |i| {
        &b[i / counts[1] * p.b_batch[0] + i % counts[1] * p.b_batch[1]..]
    });
    let strides = [if counts[0] > 1 { counts[1] } else { 0 }, usize::from(counts[1] > 1)];
    gemm_packed(cx, c, a, scratch, bias, row_bias, residual, Product { b_batch: strides, ..p }, alpha, activation)
}
