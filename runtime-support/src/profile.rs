//! Time per step, for modules that were generated with `EmitOptions::profile`; others do not mention any of this.

use crate::cx::Cx;
use crate::simd::{MAX_LANES, Simd, WithSimd, dispatch};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::vec;

/// One step of a model: what is known of it, and the time it took so far.
#[derive(Debug)]
pub struct Step {
    /// The model's name of the node.
    pub node: &'static str,
    /// What the step calls: `conv::conv`.
    pub kernel: &'static str,
    /// Operator and shapes.
    pub doc: &'static str,
    /// Floating-point operations of one call; 0 if not known.
    pub flops: u64,
    /// Bytes that one call reads and writes at least; 0 if not known.
    pub bytes: u64,
    nanos: AtomicU64,
    fastest: AtomicU64,
    calls: AtomicU64,
}

/// The time of a step since the last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Nanoseconds of all calls.
    pub nanos: u64,
    /// Nanoseconds of the fastest call: what others on the machine disturb least.
    pub fastest: u64,
    /// Calls.
    pub calls: u64,
}

impl Step {
    /// A step that took no time yet.
    pub const fn new(node: &'static str, kernel: &'static str, doc: &'static str, flops: u64, bytes: u64) -> Self {
        Self { node, kernel, doc, flops, bytes, nanos: AtomicU64::new(0), fastest: AtomicU64::new(u64::MAX), calls: AtomicU64::new(0) }
    }

    /// Runs the step and adds the time it took.
    #[inline(always)]
    pub fn time<R>(&self, run: impl FnOnce() -> R) -> R {
        let clock = Instant::now();
        let result = run();
        let nanos = clock.elapsed().as_nanos() as u64;
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.fastest.fetch_min(nanos, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// The time since the last reset; the fastest of no calls took no time.
    pub fn spent(&self) -> Spent {
        let calls = self.calls.load(Ordering::Relaxed);
        let fastest = if calls == 0 { 0 } else { self.fastest.load(Ordering::Relaxed) };
        Spent { nanos: self.nanos.load(Ordering::Relaxed), fastest, calls }
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        self.nanos.store(0, Ordering::Relaxed);
        self.fastest.store(u64::MAX, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
    }
}

/// What one thread of this machine can do at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Floating-point operations a second: multiply-adds on registers.
    pub flops: f64,
    /// Bytes a second read from memory that is in no cache.
    pub bytes: f64,
}

/// Measures the limits, in about 50 ms: the best of several short windows.
pub fn limits(cx: Cx) -> Limits {
    let (mut flops, mut bytes) = (0.0f64, 0.0f64);
    let memory = vec![1.0f32; 16 << 20];
    for _ in 0..5 {
        let clock = Instant::now();
        let done = dispatch(cx, Multiply);
        flops = flops.max(done as f64 / clock.elapsed().as_secs_f64());
        let clock = Instant::now();
        black_box(dispatch(cx, Read(&memory)));
        bytes = bytes.max((memory.len() * size_of::<f32>()) as f64 / clock.elapsed().as_secs_f64());
    }
    Limits { flops, bytes }
}

/// Independent multiply-adds, enough of them to hide their latency; gives the number of operations.
struct Multiply;

impl WithSimd for Multiply {
    type Output = usize;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> usize {
        const CHAINS: usize = 12;
        const ROUNDS: usize = 100_000;
        let (factor, term) = (s.splat(black_box(0.5)), s.splat(black_box(1.0)));
        let mut sums = [s.zero(); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, factor, term);
            }
        }
        let mut out = [0.0; MAX_LANES];
        for sum in sums {
            s.store_head(&mut out[..S::LANES], sum);
            black_box(&out);
        }
        2 * ROUNDS * CHAINS * S::LANES
    }
}

/// The sum of all elements.
struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = f32;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> f32 {
        const CHAINS: usize = 8;
        let mut sums = [s.zero(); CHAINS];
        for line in self.0.chunks_exact(CHAINS * S::LANES) {
            for (sum, x) in sums.iter_mut().zip(line.chunks_exact(S::LANES)) {
                *sum = s.add(*sum, s.load(x));
            }
        }
        sums.into_iter().map(|sum| s.reduce_sum(sum)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_time_and_calls() {
        static STEP: Step = Step::new("n", "k", "d", 1, 2);
        assert_eq!(STEP.time(|| std::thread::sleep(std::time::Duration::from_millis(2))), ());
        STEP.time(|| ());
        let Spent { nanos, fastest, calls } = STEP.spent();
        assert!(nanos >= 2_000_000 && fastest < nanos && calls == 2, "{nanos} {fastest} {calls}");
        STEP.reset();
        assert_eq!(STEP.spent(), Spent { nanos: 0, fastest: 0, calls: 0 });
    }
}
