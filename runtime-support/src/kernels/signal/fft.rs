//! The discrete Fourier transform of any length, in f64 on interleaved complex numbers.
//!
//! Lengths whose prime factors are small go by mixed radix (Cooley and Tukey, 1965); others as a convolution of a power of two (Bluestein, 1970).

use crate::error::Fault;
use crate::kernels::fmath::sin_cos_turn;

/// Prime factors up to this go by the definition within the mixed radix.
const LARGEST_PRIME: usize = 61;

/// The smallest prime factor of `n`, which is at least 2.
const fn smallest_factor(n: usize) -> usize {
    let mut p = 2;
    while p * p <= n {
        if n.is_multiple_of(p) {
            return p;
        }
        p += 1;
    }
    n
}

const fn is_smooth(mut n: usize) -> bool {
    while n > 1 {
        let p = smallest_factor(n);
        if p > LARGEST_PRIME {
            return false;
        }
        n /= p;
    }
    true
}

/// The f64 that a transform of length `n` needs, its line of `2 n` included.
pub const fn plan_len(n: usize) -> usize {
    if is_smooth(n) { 6 * n } else { 4 * n + 8 * (2 * n).next_power_of_two() }
}

type Complex = (f64, f64);

#[inline(always)]
fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

#[inline(always)]
fn at(x: &[f64], i: usize) -> Complex {
    (x[2 * i], x[2 * i + 1])
}

#[inline(always)]
fn put(x: &mut [f64], i: usize, v: Complex) {
    (x[2 * i], x[2 * i + 1]) = v;
}

/// A transform of one length and direction; its tables are in borrowed scratch.
pub struct Plan<'a> {
    n: usize,
    /// Mixed radix: e^(-+2 pi i j / n). Bluestein: e^(-+pi i j^2 / n).
    table: &'a mut [f64],
    /// The line to transform, in place.
    line: &'a mut [f64],
    work: &'a mut [f64],
    /// Bluestein: the convolution's length (0 for mixed radix), its roots of unity, and the transformed chirp.
    m: usize,
    roots: &'a mut [f64],
    chirp: &'a mut [f64],
    spare: &'a mut [f64],
}

/// Fills in e^(sign 2 pi i j / n).
fn roots_of_unity(table: &mut [f64], n: usize, sign: f64) {
    for j in 0..n {
        let (s, c) = sin_cos_turn(j as u64, n as u64);
        put(table, j, (c, sign * s));
    }
}

impl<'a> Plan<'a> {
    /// Prepares; `scratch` has [`plan_len`] elements or more.
    pub fn new(n: usize, inverse: bool, scratch: &'a mut [f64]) -> Result<Self, Fault> {
        let scratch = scratch.get_mut(..plan_len(n)).ok_or(Fault::Internal { what: "dft: scratch" })?;
        let sign = if inverse { 1.0 } else { -1.0 };
        let (table, rest) = scratch.split_at_mut(2 * n);
        let (line, rest) = rest.split_at_mut(2 * n);
        if is_smooth(n) {
            roots_of_unity(table, n, sign);
            return Ok(Self { n, table, line, work: rest, m: 0, roots: &mut [], chirp: &mut [], spare: &mut [] });
        }
        let m = (2 * n).next_power_of_two();
        let (roots, rest) = rest.split_at_mut(2 * m);
        let (chirp, rest) = rest.split_at_mut(2 * m);
        let (work, spare) = rest.split_at_mut(2 * m);
        roots_of_unity(roots, m, -1.0);
        work.fill(0.0);
        for j in 0..n {
            // j^2 / 2n of a turn.
            let (s, c) = sin_cos_turn(((j as u128 * j as u128) % (2 * n as u128)) as u64, 2 * n as u64);
            put(table, j, (c, sign * s));
            put(work, j, (c, -sign * s));
            if j > 0 {
                put(work, m - j, (c, -sign * s));
            }
        }
        transform(chirp, work, (m, 1), roots, m);
        Ok(Self { n, table, line, work, m, roots, chirp, spare })
    }

    /// The line, to be filled before [`Plan::run`] and read after it.
    pub fn line(&mut self) -> &mut [f64] {
        self.line
    }

    /// Transforms the line, without scaling.
    pub fn run(&mut self) {
        let n = self.n;
        if self.m == 0 {
            self.work[..2 * n].copy_from_slice(self.line);
            transform(self.line, self.work, (n, 1), self.table, n);
            return;
        }
        self.work.fill(0.0);
        for j in 0..n {
            put(self.work, j, times(at(self.line, j), at(self.table, j)));
        }
        transform(self.spare, self.work, (self.m, 1), self.roots, self.m);
        for j in 0..self.m {
            // The conjugate, so that the forward transform serves as the inverse.
            let v = times(at(self.spare, j), at(self.chirp, j));
            put(self.work, j, (v.0, -v.1));
        }
        transform(self.spare, self.work, (self.m, 1), self.roots, self.m);
        let scale = 1.0 / self.m as f64;
        for j in 0..n {
            let v = at(self.spare, j);
            put(self.line, j, times((v.0 * scale, -v.1 * scale), at(self.table, j)));
        }
    }
}

/// The transform of `n` elements of `x`, `stride` apart, into `out`. `table` holds the roots of unity of `whole`, a multiple of `n`.
fn transform(out: &mut [f64], x: &[f64], (n, stride): (usize, usize), table: &[f64], whole: usize) {
    if n <= 1 {
        if n == 1 {
            put(out, 0, at(x, 0));
        }
        return;
    }
    let p = if n.is_multiple_of(4) { 4 } else { smallest_factor(n) };
    let m = n / p;
    for (r, out) in out[..2 * n].chunks_exact_mut(2 * m).enumerate() {
        transform(out, &x[2 * r * stride..], (m, stride * p), table, whole);
    }
    let step = whole / n;
    for k in 0..m {
        match p {
            2 => {
                let (a, b) = (at(out, k), times(at(out, m + k), at(table, k * step)));
                put(out, k, (a.0 + b.0, a.1 + b.1));
                put(out, m + k, (a.0 - b.0, a.1 - b.1));
            }
            4 => radix_four(out, (k, m), table, (step, whole)),
            _ => butterfly(out, (k, m, p), table, (step, whole)),
        }
    }
}

#[inline(always)]
fn radix_four(out: &mut [f64], (k, m): (usize, usize), table: &[f64], (step, whole): (usize, usize)) {
    let a = at(out, k);
    let b = times(at(out, m + k), at(table, k * step));
    let c = times(at(out, 2 * m + k), at(table, 2 * k * step));
    let d = times(at(out, 3 * m + k), at(table, 3 * k * step % whole));
    // The quarter root is -i forwards, i backwards: its imaginary part is the table's.
    let quarter = at(table, whole / 4).1;
    let (even, odd) = ((a.0 + c.0, a.1 + c.1), (b.0 + d.0, b.1 + d.1));
    let (differ, turned) = ((a.0 - c.0, a.1 - c.1), (-quarter * (b.1 - d.1), quarter * (b.0 - d.0)));
    put(out, k, (even.0 + odd.0, even.1 + odd.1));
    put(out, m + k, (differ.0 + turned.0, differ.1 + turned.1));
    put(out, 2 * m + k, (even.0 - odd.0, even.1 - odd.1));
    put(out, 3 * m + k, (differ.0 - turned.0, differ.1 - turned.1));
}

/// Any radix, by the definition.
fn butterfly(out: &mut [f64], (k, m, p): (usize, usize, usize), table: &[f64], (step, whole): (usize, usize)) {
    let mut parts = [(0.0, 0.0); LARGEST_PRIME];
    let Some(parts) = parts.get_mut(..p) else { return };
    for (r, part) in parts.iter_mut().enumerate() {
        *part = times(at(out, r * m + k), at(table, r * k % whole * step % whole));
    }
    for q in 0..p {
        let mut sum = (0.0, 0.0);
        for (r, part) in parts.iter().enumerate() {
            let v = times(*part, at(table, r * q % p * (whole / p)));
            sum = (sum.0 + v.0, sum.1 + v.1);
        }
        put(out, q * m + k, sum);
    }
}
