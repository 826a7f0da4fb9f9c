//! Linear and cubic interpolation: a table of weights an axis, a pass over memory an axis.

use super::axis::{Axis, axes as resized};
use super::{Filter, Options};
use crate::element::Element;
use crate::error::Fault;
use crate::float::{BF16, F16};
use crate::kernels::fmath::{floor, round};
use crate::kernels::walk::{MAX_RANK, count, promise};
use core::ops::{Add, Mul};

/// f32 or f64: what weights and intermediate results are kept in.
pub trait Work: Element + Add<Output = Self> + Mul<Output = Self> + Sample<Self> {
    /// The nearest value.
    fn from_f64(x: f64) -> Self;
}

/// An element type as seen by passes that work in `W`.
pub trait Sample<W>: Copy {
    /// The value.
    fn load(self) -> W;
    /// The nearest value; integers round ties to even and saturate.
    fn store(x: W) -> Self;
}

/// An element type that can be interpolated: halves and f32 in f32, f64 and integers in f64.
pub trait Resizable: Element + Sample<Self::Work> {
    /// What it is computed in.
    type Work: Work;
}

impl Work for f32 {
    fn from_f64(x: f64) -> Self {
        x as Self
    }
}
impl Work for f64 {
    fn from_f64(x: f64) -> Self {
        x
    }
}

macro_rules! samples {
    ($($t:ty as $work:ty, $load:expr, $store:expr;)*) => {$(
        impl Sample<$work> for $t {
            #[inline(always)]
            fn load(self) -> $work {
                $load(self)
            }
            #[inline(always)]
            fn store(x: $work) -> Self {
                $store(x)
            }
        }
        impl Resizable for $t {
            type Work = $work;
        }
    )*};
}
samples! {
    f32 as f32, same, same;
    f64 as f64, same, same;
    F16 as f32, Self::to_f32, Self::from_f32;
    BF16 as f32, Self::to_f32, Self::from_f32;
    i8 as f64, f64::from, |x| round(x) as Self;
    i16 as f64, f64::from, |x| round(x) as Self;
    i32 as f64, f64::from, |x| round(x) as Self;
    i64 as f64, |x| x as f64, |x| round(x) as Self;
    u8 as f64, f64::from, |x| round(x) as Self;
    u16 as f64, f64::from, |x| round(x) as Self;
    u32 as f64, f64::from, |x| round(x) as Self;
    u64 as f64, |x| x as f64, |x| round(x) as Self;
}

#[inline(always)]
fn same<T>(x: T) -> T {
    x
}

/// Elements of `work` that [`interpolate`] needs: tables, and up to two intermediate results of one slice (everything inside the first of `axes`).
pub fn interpolate_work_len(in_shape: &[usize], out_shape: &[usize], axes: &[usize]) -> usize {
    let dims = || in_shape.iter().zip(out_shape);
    let tables = axes.iter().filter_map(|&a| dims().nth(a)).fold(0usize, |n, (&i, &o)| n.saturating_add(table_len(i, o)));
    let first = axes.iter().copied().min().unwrap_or(0);
    let slice = dims().skip(first).fold(1usize, |n, (&i, &o)| n.saturating_mul(i.max(o)));
    tables.saturating_add(slice.saturating_mul(axes.len().saturating_sub(1).min(2)))
}

/// Room for the weights of one axis: a filter of `2 + 4 / scale` taps an output index, bounded in terms of the lengths.
const fn table_len(input: usize, output: usize) -> usize {
    output.saturating_mul(4).saturating_add(input.saturating_mul(8)).saturating_add(8)
}

/// Resizes `x` to `out_shape`. `axes`, `scales`, `sizes` and `roi` as for [`super::nearest`].
///
/// Scratch: `work` of [`interpolate_work_len`] elements of `T::Work`, `starts` of the sum of the output lengths of `axes`.
pub fn interpolate<T: Resizable>(
    out: &mut [T],
    work: &mut [T::Work],
    starts: &mut [i64],
    x: &[T],
    in_shape: &[usize],
    out_shape: &[usize],
    axes: &[usize],
    scales: &[f32],
    sizes: &[i64],
    roi: &[f32],
    options: Options,
) -> Result<(), Fault> {
    promise(out.len() == count(out_shape)? && x.len() == count(in_shape)?, "resize: lengths differ")?;
    promise(work.len() >= interpolate_work_len(in_shape, out_shape, axes), "resize: too little scratch")?;
    let changed = resized(in_shape, out_shape, axes, scales, sizes, roi, options.policy)?;
    promise(starts.len() >= changed.iter().flatten().map(|a| a.output).sum(), "resize: too little scratch")?;
    if out.is_empty() {
        return Ok(());
    }
    let Some(first) = changed.iter().position(Option::is_some) else {
        out.clone_from_slice(x);
        return Ok(());
    };
    let mut tables = [const { None }; MAX_RANK];
    let (mut work, mut starts) = (work, starts);
    for (axis, table) in changed.iter().zip(&mut tables) {
        let Some(axis) = axis else { continue };
        let (these, rest) = starts.split_at_mut(axis.output);
        let taps = tabulate(axis, these, work, options)?;
        let (weights, after) = work.split_at_mut(axis.output * taps);
        (starts, work) = (rest, after);
        let inside = these.iter().all(|&s| s >= 0 && s as usize + taps <= axis.input);
        *table = Some(Table { starts: these, weights, taps, input: axis.input, inside });
    }
    let outer = in_shape[..first].iter().product::<usize>();
    let slices = out.chunks_exact_mut(out.len() / outer).zip(x.chunks_exact(x.len() / outer));
    for (to, from) in slices {
        slice(to, from, work, &in_shape[first..], &tables[first..], T::Work::from_f64(options.extrapolation_value as f64));
    }
    Ok(())
}

/// The weights of one axis: output index `y` is the sum of `x[starts[y] + t] * weights[y * taps + t]`; a negative start means the value outside.
struct Table<'a, W> {
    starts: &'a [i64],
    weights: &'a [W],
    taps: usize,
    /// The length of the axis in `x`.
    input: usize,
    /// Whether `0 <= start` and `start + taps <= input` for every start (checked when the table was made).
    inside: bool,
}

/// Fills the table of one axis; gives the number of taps.
fn tabulate<W: Work>(axis: &Axis, starts: &mut [i64], weights: &mut [W], options: Options) -> Result<usize, Fault> {
    let scale = if options.antialias { axis.scale.min(1.0) } else { 1.0 };
    let radius = if options.filter == Filter::Linear { 1.0 } else { 2.0 };
    // Taps reach from `-reach` to `reach + 1` around the pixel left of the coordinate.
    let reach = -floor(-radius / scale) - 1.0;
    let limit = weights.len() as f64;
    promise((2.0 * reach + 2.0) * axis.output as f64 <= limit, "resize: the scale does not fit the sizes")?;
    let reach = reach as i64;
    let wanted = 2 * reach + 2;
    let taps = wanted.min(axis.input as i64);
    for (y, (start, weights)) in starts.iter_mut().zip(weights.chunks_exact_mut(taps as usize)).enumerate() {
        let Some(x) = axis.coordinate(y, options.coordinates) else {
            *start = -1;
            continue;
        };
        let below = floor(x);
        // A coordinate on a pixel counts as the right end of the interval left of it.
        let (left, ratio) = if x == below { (below - 1.0, 1.0) } else { (below, x - below) };
        let lowest = (left.clamp(-1e15, 1e15) as i64) - reach;
        let weight = |t: i64| {
            let outside = !(0..axis.input as i64).contains(&(lowest + t));
            let at = ((t - reach) as f64 - ratio) * scale;
            if options.exclude_outside && outside { 0.0 } else { kernel(at.abs(), options) }
        };
        let sum = if options.antialias || options.exclude_outside { (0..wanted).map(weight).sum::<f64>() } else { 1.0 };
        let norm = if sum == 0.0 { 1.0 } else { sum };
        *start = lowest.clamp(0, axis.input as i64 - taps);
        weights.fill(W::from_f64(0.0));
        for t in 0..wanted {
            // A neighbour outside is the border's pixel.
            let at = (lowest + t).clamp(0, axis.input as i64 - 1) - *start;
            let w = &mut weights[at as usize];
            *w = *w + W::from_f64(weight(t) / norm);
        }
    }
    Ok(taps as usize)
}

/// The filter at a distance.
fn kernel(x: f64, options: Options) -> f64 {
    let a = options.cubic_coeff_a as f64;
    match options.filter {
        Filter::Linear => (1.0 - x).clamp(0.0, 1.0),
        Filter::Cubic if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        Filter::Cubic if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
        Filter::Cubic => 0.0,
    }
}

/// One slice: a pass for each changed axis, the first from `x`, the last to `out`, between them from one half of `work` to the other.
fn slice<T: Resizable>(
    out: &mut [T],
    x: &[T],
    work: &mut [T::Work],
    shape: &[usize],
    tables: &[Option<Table<'_, T::Work>>],
    outside: T::Work,
) {
    let mut shape_now = [1; MAX_RANK];
    shape_now[..shape.len()].copy_from_slice(shape);
    let half = work.len() / 2;
    let passes = tables.iter().flatten().count();
    // With one intermediate result all of `work` is its place.
    let (mut source, mut target) = if passes > 2 { work.split_at_mut(half) } else { work.split_at_mut(0) };
    let mut filled = 0;
    for (pass, (axis, table)) in tables.iter().enumerate().filter_map(|(a, t)| t.as_ref().map(|t| (a, t))).enumerate() {
        let inner = shape_now[axis + 1..shape.len()].iter().product::<usize>();
        shape_now[axis] = table.starts.len();
        let result = shape_now[..shape.len()].iter().product::<usize>();
        match (pass == 0, pass + 1 == passes) {
            (true, true) => apply(out, x, inner, table, outside),
            (true, false) => apply(&mut target[..result], x, inner, table, outside),
            (false, true) => apply(out, &source[..filled], inner, table, outside),
            (false, false) => apply(&mut target[..result], &source[..filled], inner, table, outside),
        }
        (source, target, filled) = (target, source, result);
    }
}

/// One pass: `x` is `outer × table.input × inner`, `out` is `outer × table.starts.len() × inner`.
fn apply<W: Work, I: Sample<W>, O: Sample<W>>(out: &mut [O], x: &[I], inner: usize, table: &Table<'_, W>, outside: W) {
    let blocks = out.chunks_exact_mut(table.starts.len() * inner).zip(x.chunks_exact(table.input * inner));
    for (to, from) in blocks {
        match (inner, table.taps) {
            (1, 2) => elements::<W, I, O, 2>(to, from, table, outside),
            (1, 4) => elements::<W, I, O, 4>(to, from, table, outside),
            (_, 2) => rows::<W, I, O, 2>(to, from, inner, table, outside),
            (_, 4) => rows::<W, I, O, 4>(to, from, inner, table, outside),
            _ => any_rows(to, from, inner, table, outside),
        }
    }
}

/// Rows of one element, a few taps.
fn elements<W: Work, I: Sample<W>, O: Sample<W>, const N: usize>(out: &mut [O], x: &[I], table: &Table<'_, W>, outside: W) {
    let (weights, _) = table.weights.as_chunks::<N>();
    if table.inside && x.len() == table.input {
        for ((v, &start), w) in out.iter_mut().zip(table.starts).zip(weights) {
            // SAFETY: `Table::inside` says that every start leaves room for the taps, which are N, in `input` elements.
            let x = unsafe { &*x.as_ptr().add(start as usize).cast::<[I; N]>() };
            *v = O::store(dot::<W, N>(|t| x[t].load() * w[t]));
        }
        return;
    }
    for ((v, &start), w) in out.iter_mut().zip(table.starts).zip(weights) {
        let taps = usize::try_from(start).ok().and_then(|s| x.get(s..)).and_then(|x| x.first_chunk::<N>());
        *v = O::store(taps.map_or(outside, |x| dot::<W, N>(|t| x[t].load() * w[t])));
    }
}

/// The sum of N terms.
#[inline(always)]
fn dot<W: Work, const N: usize>(term: impl Fn(usize) -> W) -> W {
    (1..N).fold(term(0), |sum, t| sum + term(t))
}

/// Rows of several elements, a few taps.
fn rows<W: Work, I: Sample<W>, O: Sample<W>, const N: usize>(out: &mut [O], x: &[I], inner: usize, table: &Table<'_, W>, outside: W) {
    let (weights, _) = table.weights.as_chunks::<N>();
    for ((to, &start), w) in out.chunks_exact_mut(inner).zip(table.starts).zip(weights) {
        let Ok(start) = usize::try_from(start) else {
            to.fill(O::store(outside));
            continue;
        };
        let from: [&[I]; N] = core::array::from_fn(|t| &x[(start + t) * inner..][..inner]);
        for i in 0..inner {
            to[i] = O::store(dot::<W, N>(|t| from[t][i].load() * w[t]));
        }
    }
}

/// Any number of taps: sums of up to 64 columns at a time.
fn any_rows<W: Work, I: Sample<W>, O: Sample<W>>(out: &mut [O], x: &[I], inner: usize, table: &Table<'_, W>, outside: W) {
    const COLUMNS: usize = 64;
    let weights = table.weights.chunks_exact(table.taps);
    for ((to, &start), weights) in out.chunks_exact_mut(inner).zip(table.starts).zip(weights) {
        let Ok(start) = usize::try_from(start) else {
            to.fill(O::store(outside));
            continue;
        };
        for (chunk, to) in to.chunks_mut(COLUMNS).enumerate() {
            let mut sums = [W::default(); COLUMNS];
            for (t, &w) in weights.iter().enumerate() {
                let from = &x[(start + t) * inner + chunk * COLUMNS..][..to.len()];
                for (sum, v) in sums.iter_mut().zip(from) {
                    *sum = *sum + v.load() * w;
                }
            }
            for (v, sum) in to.iter_mut().zip(sums) {
                *v = O::store(sum);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::excessive_precision)]
mod tests;
