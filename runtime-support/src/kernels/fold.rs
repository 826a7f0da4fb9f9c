//! Folding contiguous runs of f32 to one number: the inner loops of reductions, norms and softmax.

use crate::cx::Cx;
use crate::kernels::parallel::{self, Parts};
use crate::simd::{MAX_LANES, Simd};

/// One way to fold. Sums are kept in several vectors and in two levels, so that rounding errors grow with the logarithm rather than the length.
pub(crate) trait Fold: Copy {
    /// The fold of nothing.
    fn start<S: Simd>(self, s: S) -> S::F32;
    /// Takes in one vector of elements.
    fn step<S: Simd>(self, s: S, acc: S::F32, x: S::F32) -> S::F32;
    /// Two folds as one.
    fn join<S: Simd>(self, s: S, a: S::F32, b: S::F32) -> S::F32;
}

macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident $(($field:ident))?: $start:expr, |$s:ident, $acc:ident, $x:ident| $step:expr, $join:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name $((pub $field))?;
        impl Fold for $name {
            #[inline(always)]
            fn start<S: Simd>(self, s: S) -> S::F32 {
                s.splat($start)
            }
            #[inline(always)]
            fn step<S: Simd>(self, $s: S, $acc: S::F32, $x: S::F32) -> S::F32 {
                $step
            }
            #[inline(always)]
            fn join<S: Simd>(self, s: S, a: S::F32, b: S::F32) -> S::F32 {
                s.$join(a, b)
            }
        }
    )*};
}
folds! {
    /// The sum.
    Sum: 0.0, |s, acc, x| s.add(acc, x), add;
    /// The sum of magnitudes.
    SumAbs: 0.0, |s, acc, x| s.add(acc, s.abs(x)), add;
    /// The sum of squares.
    SumSquare: 0.0, |s, acc, x| s.mul_add(x, x, acc), add;
    /// The product.
    Prod: 1.0, |s, acc, x| s.mul(acc, x), mul;
    /// The greatest, NaN if there is one.
    Max: f32::NEG_INFINITY, |s, acc, x| s.max_nan(x, acc), max_nan;
    /// The least, NaN if there is one.
    Min: f32::INFINITY, |s, acc, x| s.min_nan(x, acc), min_nan;
}

/// The sum of squared distances from a value.
#[derive(Clone, Copy)]
pub(crate) struct SumSquareFrom(pub f32);
impl Fold for SumSquareFrom {
    #[inline(always)]
    fn start<S: Simd>(self, s: S) -> S::F32 {
        s.zero()
    }
    #[inline(always)]
    fn step<S: Simd>(self, s: S, acc: S::F32, x: S::F32) -> S::F32 {
        let d = s.sub(x, s.splat(self.0));
        s.mul_add(d, d, acc)
    }
    #[inline(always)]
    fn join<S: Simd>(self, s: S, a: S::F32, b: S::F32) -> S::F32 {
        s.add(a, b)
    }
}

/// How many vectors a block of the first level has.
const BLOCK: usize = 64;

/// Folds a contiguous run, blocks pairwise.
#[inline(always)]
pub(crate) fn run<S: Simd, F: Fold>(s: S, f: F, x: &[f32]) -> f32 {
    if x.len() <= BLOCK * S::LANES {
        return lanes(s, f, block(s, f, x));
    }
    // Slot k holds the fold of 2^k blocks if bit k of the count is set: a carry joins two of a size.
    let mut slots = [f.start(s); usize::BITS as usize];
    let mut count = 0usize;
    for part in x.chunks(BLOCK * S::LANES) {
        let mut v = block(s, f, part);
        let carries = count.trailing_ones() as usize;
        for slot in &slots[..carries] {
            v = f.join(s, *slot, v);
        }
        slots[carries] = v;
        count += 1;
    }
    let mut total = f.start(s);
    for (k, slot) in slots.iter().enumerate() {
        if count >> k & 1 == 1 {
            total = f.join(s, *slot, total);
        }
    }
    lanes(s, f, total)
}

#[inline(always)]
fn block<S: Simd, F: Fold>(s: S, f: F, x: &[f32]) -> S::F32 {
    let (mut a, mut b, mut c, mut d) = (f.start(s), f.start(s), f.start(s), f.start(s));
    let mut fours = x.chunks_exact(4 * S::LANES);
    for four in &mut fours {
        a = f.step(s, a, s.load(four));
        b = f.step(s, b, s.load(&four[S::LANES..]));
        c = f.step(s, c, s.load(&four[2 * S::LANES..]));
        d = f.step(s, d, s.load(&four[3 * S::LANES..]));
    }
    let mut ones = fours.remainder().chunks_exact(S::LANES);
    for one in &mut ones {
        a = f.step(s, a, s.load(one));
    }
    let tail = ones.remainder();
    if !tail.is_empty() {
        b = s.select(s.head_mask(tail.len()), f.step(s, b, s.load_head(tail)), b);
    }
    f.join(s, f.join(s, a, b), f.join(s, c, d))
}

/// Folds the lanes of a vector, as a tree.
#[inline(always)]
fn lanes<S: Simd, F: Fold>(s: S, f: F, mut v: S::F32) -> f32 {
    let mut buffer = [0f32; 2 * MAX_LANES];
    let mut half = S::LANES / 2;
    while half > 0 {
        s.store(&mut buffer, v);
        v = f.join(s, v, s.load(&buffer[half..]));
        half /= 2;
    }
    s.store(&mut buffer, v);
    buffer[0]
}

/// Elements that are worth another thread (about 10 µs of a simple loop).
const GRAIN: usize = 1 << 15;

/// Calls `f(first_row, rows of out, rows of x)` for all rows, on several threads if there is work for them.
///
/// A row is `out.len() / rows` elements of `out` and `x.len() / rows` of `x`.
pub(crate) fn by_rows<T: Send + Sync, F: Fn(usize, &mut [T], &[T]) + Sync>(cx: Cx, rows: usize, out: &mut [T], x: &[T], f: F) {
    by_rows_of(cx, rows, x.len().max(out.len()), out, x, f);
}

/// As [`by_rows`], for work that is worth `work` elements.
pub(crate) fn by_rows_of<T: Send + Sync, F: Fn(usize, &mut [T], &[T]) + Sync>(
    cx: Cx,
    rows: usize,
    work: usize,
    out: &mut [T],
    x: &[T],
    f: F,
) {
    let tasks = cx.threads().min(work / GRAIN).min(rows).max(1);
    let Some(width) = out.len().checked_div(rows) else { return };
    let x_width = x.len() / rows;
    let out = Parts::new(out);
    parallel::each(cx, work.saturating_mul(parallel::GRAIN / GRAIN), tasks, |task| {
        let range = parallel::part(rows, 1, task, tasks);
        // SAFETY: rows of different tasks are different.
        let out = unsafe { out.part(range.start * width..range.end * width) };
        f(range.start, out, &x[range.start * x_width..range.end * x_width]);
    });
}
