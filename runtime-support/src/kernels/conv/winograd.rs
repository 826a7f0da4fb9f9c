//! 3×3 convolutions of stride 1 with fewer multiplications (Winograd 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks",
//! 2016): the output is cut into square tiles of `t × t`, each of which needs `(t + 2)²` products per pair of channels instead of `9 t²`.
//!
//! F(2×2, 3×3) saves a factor of 2.25, F(4×4, 3×3) of 4. The weights are transformed when they are packed. A block of tiles is transformed,
//! multiplied (one matrix product for each of the `(t + 2)²` positions) and transformed back while it stays in the cache.
//!
//! The sums are not those of the definition: with inputs and weights of random signs, the error of F(2×2) is about that of the direct sum, that of
//! F(4×4) ten times as large (a test holds it below 2e-6 of the sum of the products' magnitudes).

use super::Geometry;
use crate::cx::Cx;
use crate::error::Fault;
use crate::kernels::gemm::{
    Activation, Finish, Matrix, PANEL, Panels, ROWS, Real, Shared, Target, activate, compute, load_up_to, pack_len, promise, store_up_to,
};
use crate::kernels::parallel;
use crate::simd::{Simd, WithSimd, dispatch};
use core::ops::Range;

/// The most positions along an axis of a transformed tile.
const MOST: usize = 6;
/// The tasks that there is scratch for.
const SLOTS: usize = 8;
/// What a block's transformed inputs and products should take at most, in elements: half of a usual L2 cache.
const BLOCK: usize = 128 << 10;
/// Weights of so many elements do not stay in the L2 cache.
const STREAMED: usize = 512 << 10;

/// A square tile of outputs and its transforms, each along one axis.
trait Tile: Sync {
    /// Outputs.
    const OUT: usize;
    /// Inputs, and positions of the transformed tile.
    const IN: usize = Self::OUT + 2;
    /// The transform of the weights.
    const WEIGHTS: [[f64; 3]; MOST];
    /// The transform of the inputs.
    fn input<S: Simd>(s: S, d: [S::F32; MOST]) -> [S::F32; MOST];
    /// The transform to the outputs.
    fn output<S: Simd>(s: S, m: [S::F32; MOST]) -> [S::F32; MOST];
}

/// F(2×2, 3×3): interpolation at 0, 1, -1 and infinity.
struct Two;
/// F(4×4, 3×3): interpolation at 0, 1, -1, 2, -2 and infinity.
struct Four;

impl Tile for Two {
    const OUT: usize = 2;
    const WEIGHTS: [[f64; 3]; MOST] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0], [0.0; 3], [0.0; 3]];

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::F32; MOST]) -> [S::F32; MOST] {
        let zero = s.zero();
        [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[1], d[3]), zero, zero]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::F32; MOST]) -> [S::F32; MOST] {
        let zero = s.zero();
        let first = s.add(s.add(m[0], m[1]), m[2]);
        [first, s.sub(s.sub(m[1], m[2]), m[3]), zero, zero, zero, zero]
    }
}

impl Tile for Four {
    const OUT: usize = 4;
    const WEIGHTS: [[f64; 3]; MOST] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<S: Simd>(s: S, d: [S::F32; MOST]) -> [S::F32; MOST] {
        let (two, four, five) = (s.splat(2.0), s.splat(4.0), s.splat(5.0));
        let (even, odd) = (s.neg_mul_add(four, d[2], d[4]), s.neg_mul_add(four, d[1], d[3]));
        let (near, far) = (s.sub(d[4], d[2]), s.sub(d[3], d[1]));
        [
            s.mul_add(four, d[0], s.neg_mul_add(five, d[2], d[4])),
            s.add(even, odd),
            s.sub(even, odd),
            s.mul_add(two, far, near),
            s.neg_mul_add(two, far, near),
            s.mul_add(four, d[1], s.neg_mul_add(five, d[3], d[5])),
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(s: S, m: [S::F32; MOST]) -> [S::F32; MOST] {
        let (a, b) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
        let (c, d) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
        let zero = s.zero();
        [
            s.add(s.add(m[0], a), c),
            s.mul_add(s.splat(2.0), d, b),
            s.mul_add(s.splat(4.0), c, a),
            s.add(s.mul_add(s.splat(8.0), d, b), m[5]),
            zero,
            zero,
        ]
    }
}

/// The elements of the weights packed by [`pack_winograd`].
pub const fn pack_winograd_len(out_channels: usize, in_channels: usize, tile: usize) -> usize {
    let positions = tile.saturating_add(2);
    positions.saturating_mul(positions).saturating_mul(pack_len(in_channels, out_channels))
}

/// Transforms ONNX weights `w[out_channels][in_channels][3][3]` for [`winograd`] with tiles of 2 or 4, computed in f64; each position's matrix
/// `[in_channels][out_channels]` is packed as for [`gemm_packed`](crate::kernels::gemm::gemm_packed).
pub fn pack_winograd(out: &mut [f32], w: &[f32], out_channels: usize, in_channels: usize, tile: usize) -> Result<(), Fault> {
    promise(
        out_channels.checked_mul(in_channels).and_then(|n| n.checked_mul(9)) == Some(w.len()),
        "pack_winograd: wrong number of weights",
    )?;
    promise(out.len() == pack_winograd_len(out_channels, in_channels, tile), "pack_winograd: wrong length of the packed weights")?;
    match tile {
        2 => transform_weights::<Two>(out, w, out_channels, in_channels),
        4 => transform_weights::<Four>(out, w, out_channels, in_channels),
        _ => return Err(TILE),
    }
    Ok(())
}

const TILE: Fault = Fault::Internal { what: "winograd: tiles are 2 or 4" };

fn transform_weights<T: Tile>(out: &mut [f32], w: &[f32], out_channels: usize, in_channels: usize) {
    out.fill(0.0);
    let matrix = pack_len(in_channels, out_channels);
    for (i, taps) in w.chunks_exact(9).enumerate() {
        let (o, c) = (i / in_channels, i % in_channels);
        let at = (o / PANEL * in_channels + c) * PANEL + o % PANEL;
        let row = |k: usize, b: &[f64; 3]| (0..3).map(|j| f64::from(taps[3 * k + j]) * b[j]).sum::<f64>();
        for (q, b) in T::WEIGHTS[..T::IN].iter().enumerate() {
            let rows = [row(0, b), row(1, b), row(2, b)];
            for (p, a) in T::WEIGHTS[..T::IN].iter().enumerate() {
                out[(p * T::IN + q) * matrix + at] = (a[0] * rows[0] + a[1] * rows[1] + a[2] * rows[2]) as f32;
            }
        }
    }
}

/// How tiles are cut into blocks, and where a block's numbers are.
#[derive(Clone, Copy)]
struct Plan {
    /// Tiles in a block at most.
    block: usize,
    /// From the transformed inputs of a position to those of the next.
    inputs: usize,
    /// The same for the products.
    products: usize,
    /// Positions of a transformed tile.
    positions: usize,
}

/// What lies between two positions besides their numbers: a cache line, lest they share cache sets.
const GAP: usize = 16;

impl Plan {
    /// For blocks of the best size, if `tiles` are enough.
    const fn new(in_channels: usize, out_channels: usize, tile: usize, tiles: usize) -> Self {
        let positions = tile.saturating_add(2).saturating_mul(tile.saturating_add(2));
        let each = positions.saturating_mul(in_channels.saturating_add(out_channels));
        let weights = positions.saturating_mul(in_channels).saturating_mul(out_channels);
        // Every block reads all weights: where those come from memory, blocks are large.
        let (least, most) = if weights > STREAMED { (96, 96) } else { (24, 48) };
        let fitting = BLOCK / if each == 0 { 1 } else { each } / ROWS * ROWS;
        let block = if fitting < least {
            least
        } else if fitting > most {
            most
        } else {
            fitting
        };
        Self { block: if block < tiles { block } else { tiles }, inputs: 0, products: 0, positions }.laid_out(in_channels, out_channels)
    }

    const fn laid_out(self, in_channels: usize, out_channels: usize) -> Self {
        let inputs = self.block.saturating_mul(in_channels).saturating_add(GAP);
        Self { inputs, products: self.block.saturating_mul(out_channels).saturating_add(GAP), ..self }
    }

    /// Elements of scratch for one task.
    const fn scratch(&self) -> usize {
        self.inputs.saturating_add(self.products).saturating_mul(self.positions)
    }
}

/// The scratch of [`winograd`], in elements, for so many tiles (of all images; `usize::MAX` if that is not known).
pub const fn winograd_scratch_len(in_channels: usize, out_channels: usize, tile: usize, tiles: usize) -> usize {
    let whole = Plan::new(in_channels, out_channels, tile, tiles);
    let most = whole.block.saturating_mul(SLOTS);
    // Tasks that share few tiles have smaller blocks; cutting leaves each less than one more.
    let shared = tiles.saturating_add(SLOTS);
    let shared = if shared < most { shared } else { most };
    let channels = in_channels.saturating_add(out_channels);
    shared.saturating_mul(channels).saturating_add(SLOTS * 2 * GAP).saturating_mul(whole.positions)
}

/// `y = activation(conv(x, w) + bias + residual)` for windows of 3×3 with stride 1, no dilation and no groups; weights by [`pack_winograd`] for
/// the same `tile` (2 or 4), scratch of [`winograd_scratch_len`] elements.
///
/// A NaN or an infinity in the input reaches all outputs of its tile, not only those whose window holds it.
pub fn winograd(
    cx: Cx,
    y: &mut [f32],
    scratch: &mut [f32],
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    g: Geometry,
    activation: Activation,
    tile: usize,
) -> Result<(), Fault> {
    g.check(y.len(), x.len(), residual.map(<[f32]>::len))?;
    let fits = g.kernel == [1, 3, 3] && g.stride == [1; 3] && g.dilation == [1; 3] && g.group == 1 && g.pads[0] == 0;
    promise(fits && g.input[0] == g.output[0], "winograd: only 3×3 windows of stride 1")?;
    promise(w.len() >= pack_winograd_len(g.out_channels, g.in_channels, tile), "winograd: the packed weights are too short")?;
    promise(bias.is_none_or(|b| b.len() >= g.out_channels), "winograd: the bias is too short")?;
    if g.out_pixels() == 0 || g.out_channels == 0 {
        return Ok(());
    }
    let grid = [g.output[1].div_ceil(tile.max(1)), g.output[2].div_ceil(tile.max(1))];
    let tiles = g.batch * g.input[0] * grid[0] * grid[1];
    promise(scratch.len() >= winograd_scratch_len(g.in_channels, g.out_channels, tile, tiles), "winograd: the scratch is too short")?;
    let plan = Plan::new(g.in_channels, g.out_channels, tile, tiles);
    let work = tiles.saturating_mul(plan.positions).saturating_mul(g.in_channels).saturating_mul(g.out_channels);
    let tasks = parallel::tasks(cx, work).min(SLOTS).min(tiles);
    let plan = Plan { block: plan.block.min(tiles.div_ceil(tasks)), ..plan }.laid_out(g.in_channels, g.out_channels);
    let job = Job {
        y: Shared(y.as_mut_ptr()),
        scratch: Shared(scratch.as_mut_ptr()),
        x: x.as_ptr(),
        w: Panels::of(w),
        bias,
        residual: residual.map(<[f32]>::as_ptr),
        g: &g,
        activation,
        plan,
        grid,
        tiles,
        tasks,
    };
    match tile {
        2 => job.run::<Two>(cx, work),
        4 => job.run::<Four>(cx, work),
        _ => return Err(TILE),
    }
    Ok(())
}

/// The operands. The slices behind the pointers fit the geometry and the plan.
struct Job<'a> {
    y: Shared,
    scratch: Shared,
    x: *const f32,
    w: Panels<'a>,
    bias: Option<&'a [f32]>,
    residual: Option<*const f32>,
    g: &'a Geometry,
    activation: Activation,
    plan: Plan,
    /// Tiles along a column and a row of an image.
    grid: [usize; 2],
    /// Tiles of all images.
    tiles: usize,
    tasks: usize,
}

// SAFETY: the pointers are those of slices that the kernel's entry point borrows while threads run; tasks write disjoint tiles of y, and each
// has its own slot of the scratch.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    fn run<T: Tile>(&self, cx: Cx, work: usize) {
        let plan = self.plan;
        let blocks = self.tiles.div_ceil(plan.block);
        parallel::each(cx, work, self.tasks, |task| {
            for block in parallel::part(blocks, 1, task, self.tasks) {
                // Blocks of nearly equal size.
                let range = parallel::part(self.tiles, 1, block, blocks);
                // SAFETY: `winograd` compared the slices with the geometry and the plan; a task has its own slot, and a block has at most
                // `plan.block` tiles, since it is one of as many as that takes.
                unsafe {
                    let inputs = self.scratch.at(task * plan.scratch());
                    let products = inputs.add(plan.inputs * plan.positions);
                    dispatch(cx, Inputs::<T>(self, inputs, range.clone(), core::marker::PhantomData));
                    self.multiply(cx, inputs, products, range.len());
                    dispatch(cx, Outputs::<T>(self, products, range, core::marker::PhantomData));
                }
            }
        });
    }

    /// The matrix product of each position.
    ///
    /// # Safety
    /// The pointers are the two parts of a slot, the inputs are transformed, and nobody else uses the slot.
    unsafe fn multiply(&self, cx: Cx, inputs: *const f32, products: *mut f32, tiles: usize) {
        let (g, plan) = (self.g, self.plan);
        let finish = Finish { alpha: 1.0, bias: None, row_bias: None, residual: None, activation: Activation::NONE };
        for position in 0..plan.positions {
            // SAFETY: within the slot and the packed weights.
            unsafe {
                let a = core::slice::from_raw_parts(inputs.add(position * plan.inputs), tiles * g.in_channels);
                let source = Matrix { a, row: g.in_channels, col: 1, k: g.in_channels };
                let b = self.w.from(position * pack_len(g.in_channels, g.out_channels));
                let c = products.add(position * plan.products);
                let target = Target { b, c, c_row: g.out_channels, n: g.out_channels, finish: &finish };
                compute::<Real>(cx, &source, &target, 0..tiles, 0..g.out_channels.div_ceil(PANEL));
            }
        }
    }

    /// Image (of all depths), row and column of the first output of a tile.
    #[inline(always)]
    fn place<T: Tile>(&self, tile: usize) -> (usize, usize, usize) {
        let [rows, columns] = self.grid;
        (tile / (rows * columns), tile / columns % rows * T::OUT, tile % columns * T::OUT)
    }
}

/// Transforms the inputs of some tiles.
struct Inputs<'j, 'a, T>(&'j Job<'a>, *mut f32, Range<usize>, core::marker::PhantomData<T>);

impl<T: Tile> WithSimd for Inputs<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self(job, to, tiles, _) = self;
        let (g, plan) = (job.g, job.plan);
        for (i, tile) in tiles.enumerate() {
            let (image, row, column) = job.place::<T>(tile);
            let (top, left) = (g.start(1, row), g.start(2, column));
            let lines = inside(top, g.input[1], T::IN);
            let columns = inside(left, g.input[2], T::IN);
            let origin = ((image * g.input[1]) as isize + top) * g.input[2] as isize + left;
            let from = job.x.wrapping_offset(origin * g.in_pitch as isize);
            let line = g.input[2] * g.in_pitch;
            let tile = Source { from, line, pitch: g.in_pitch, lines, columns };
            let to = to.wrapping_add(i * g.in_channels);
            let whole = tile.lines.len() == T::IN && tile.columns.len() == T::IN;
            for channel in (0..g.in_channels).step_by(S::LANES) {
                let lanes = (g.in_channels - channel).min(S::LANES);
                // SAFETY: the pixels of these lines and columns are inside the image and have these channels; the block has room for as many
                // tiles.
                unsafe {
                    if whole && lanes == S::LANES {
                        tile.transform::<T, S, true>(s, to.add(channel), plan.inputs, channel, S::LANES);
                    } else {
                        tile.transform::<T, S, false>(s, to.add(channel), plan.inputs, channel, lanes);
                    }
                }
            }
        }
    }
}

/// The inputs of a tile.
struct Source {
    /// The first one, which may lie outside the image.
    from: *const f32,
    /// From a line to the next.
    line: usize,
    /// From a pixel to the next.
    pitch: usize,
    /// The lines inside the image.
    lines: Range<usize>,
    /// The columns inside the image.
    columns: Range<usize>,
}

impl Source {
    /// Transforms a vector of channels; `WHOLE` if all lines, columns and lanes are there.
    ///
    /// # Safety
    /// The pixels have `channel + lanes` channels, and `to` has room for `lanes` elements at each position, `step` apart.
    #[inline(always)]
    unsafe fn transform<T: Tile, S: Simd, const WHOLE: bool>(&self, s: S, to: *mut f32, step: usize, channel: usize, lanes: usize) {
        let mut half = [[s.zero(); MOST]; MOST];
        for (q, column) in half[..T::IN].iter_mut().enumerate() {
            let mut d = [s.zero(); MOST];
            for (p, d) in d[..T::IN].iter_mut().enumerate() {
                if WHOLE || (self.lines.contains(&p) && self.columns.contains(&q)) {
                    let pixel = self.from.wrapping_add(p * self.line + q * self.pitch + channel);
                    // SAFETY: the pixel is inside the image, and has these channels.
                    *d = unsafe { if WHOLE { s.load_ptr(pixel) } else { load_up_to(s, pixel, lanes) } };
                }
            }
            *column = T::input(s, d);
        }
        for p in 0..T::IN {
            let row = T::input(s, core::array::from_fn(|q| half[q][p]));
            for (q, &v) in row[..T::IN].iter().enumerate() {
                // SAFETY: as the function's.
                unsafe {
                    let to = to.add((p * T::IN + q) * step);
                    if WHOLE { s.store_ptr(to, v) } else { store_up_to(s, to, lanes, v) }
                }
            }
        }
    }
}

/// The positions from `start` on, of `count`, that lie in `0..len`.
#[inline(always)]
fn inside(start: isize, len: usize, count: usize) -> Range<usize> {
    let first = start.min(0).unsigned_abs().min(count);
    let last = (len as isize - start).clamp(0, count as isize) as usize;
    first..last.max(first)
}

/// Transforms the products of some tiles to outputs.
struct Outputs<'j, 'a, T>(&'j Job<'a>, *const f32, Range<usize>, core::marker::PhantomData<T>);

impl<T: Tile> WithSimd for Outputs<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self(job, from, tiles, _) = self;
        let g = job.g;
        for (i, tile) in tiles.enumerate() {
            let (image, row, column) = job.place::<T>(tile);
            let (rows, columns) = ((g.output[1] - row).min(T::OUT), (g.output[2] - column).min(T::OUT));
            let pixel = (image * g.output[1] + row) * g.output[2] + column;
            let whole = rows == T::OUT && columns == T::OUT;
            for channel in (0..g.out_channels).step_by(S::LANES) {
                let lanes = (g.out_channels - channel).min(S::LANES);
                let at = Strip { pixel, rows, columns, channel, lanes };
                // SAFETY: the block has as many tiles; the outputs are those of this tile alone.
                unsafe {
                    let from = from.add(i * g.out_channels + channel);
                    if whole && lanes == S::LANES {
                        job.finish::<T, S, true>(s, from, &at);
                    } else {
                        job.finish::<T, S, false>(s, from, &at);
                    }
                }
            }
            if job.activation.is_costly() {
                for p in 0..rows {
                    // SAFETY: the pixels that were just written.
                    let line = unsafe { job.y.at((pixel + p * g.output[2]) * g.out_pitch) };
                    // SAFETY: as above.
                    unsafe { activate(s, job.activation, line, g.out_pitch, columns, g.out_channels) };
                }
            }
        }
    }
}

/// A vector of channels of a tile of outputs.
struct Strip {
    /// The first pixel.
    pixel: usize,
    /// The pixels along each axis.
    rows: usize,
    columns: usize,
    /// The first channel, and how many.
    channel: usize,
    lanes: usize,
}

impl Job<'_> {
    /// Transforms and stores the outputs of a tile for a vector of channels; `WHOLE` if the tile and the vector are whole.
    ///
    /// # Safety
    /// From `from` on, each position has as many products; nobody else touches the outputs.
    #[inline(always)]
    unsafe fn finish<T: Tile, S: Simd, const WHOLE: bool>(&self, s: S, from: *const f32, at: &Strip) {
        let g = self.g;
        let lanes = if WHOLE { S::LANES } else { at.lanes };
        let mut half = [[s.zero(); MOST]; MOST];
        for (q, column) in half[..T::IN].iter_mut().enumerate() {
            let mut m = [s.zero(); MOST];
            for (p, m) in m[..T::IN].iter_mut().enumerate() {
                // SAFETY: as the function's.
                *m = unsafe { load_up_to(s, from.add((p * T::IN + q) * self.plan.products), lanes) };
            }
            *column = T::output(s, m);
        }
        let bias = self.bias.map_or(s.zero(), |b| s.load_head(&b[at.channel..]));
        let clamp = self.activation.as_clamp().map(|(low, high)| (s.splat(low), s.splat(high)));
        for p in 0..T::OUT {
            let row = T::output(s, core::array::from_fn(|q| half[q][p]));
            for (q, &v) in row[..T::OUT].iter().enumerate() {
                if !WHOLE && (p >= at.rows || q >= at.columns) {
                    continue;
                }
                let pixel = at.pixel + p * g.output[2] + q;
                let mut v = s.add(v, bias);
                // SAFETY: a pixel of the output and of the residual, which have these channels.
                unsafe {
                    if let Some(residual) = self.residual {
                        v = s.add(v, load_up_to(s, residual.add(pixel * g.residual_pitch + at.channel), lanes));
                    }
                    if let Some((low, high)) = clamp {
                        // `min` and `max` give their second argument if either is NaN, so NaN goes through.
                        v = s.min(high, s.max(low, v));
                    }
                    store_up_to(s, self.y.at(pixel * g.out_pitch + at.channel), lanes, v);
                }
            }
        }
    }
}
