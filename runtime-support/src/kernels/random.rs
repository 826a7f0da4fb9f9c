//! Random numbers: a counter-based generator (SplitMix64), so that nothing is kept between calls but one counter.
//!
//! With a seed each call gives the same numbers. Without, each call of a process gives other ones.

use super::fmath;
use super::num::{Acc, Float, Num};
use crate::element::Bool;
use crate::error::Fault;

struct Generator(u64);

impl Generator {
    fn new(seed: i64, seeded: bool) -> Self {
        Self(seed as u64 ^ if seeded { 0 } else { fresh() })
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [0, 1), 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Another number at each call.
fn fresh() -> u64 {
    #[cfg(target_has_atomic = "ptr")]
    {
        use core::sync::atomic::{AtomicUsize, Ordering};
        static CALLS: AtomicUsize = AtomicUsize::new(1);
        Generator(CALLS.fetch_add(1, Ordering::Relaxed) as u64).next()
    }
    #[cfg(not(target_has_atomic = "ptr"))]
    0
}

/// Uniform in [low, high).
pub fn uniform<T: Float>(out: &mut [T], low: f32, high: f32, seed: i64, seeded: bool) -> Result<(), Fault> {
    let mut random = Generator::new(seed, seeded);
    let (low, width) = (low as f64, high as f64 - low as f64);
    out.iter_mut().for_each(|y| *y = T::narrow(low + width * random.unit()));
    Ok(())
}

/// Normal with that mean and standard deviation (Box and Muller).
pub fn normal<T: Float>(out: &mut [T], mean: f32, scale: f32, seed: i64, seeded: bool) -> Result<(), Fault> {
    let mut random = Generator::new(seed, seeded);
    for pair in out.chunks_mut(2) {
        // One minus a number below one: the logarithm is finite.
        let radius = fmath::sqrt(-2.0 * fmath::ln(1.0 - random.unit()));
        let angle = 2.0 * core::f64::consts::PI * random.unit();
        let (sine, cosine) = fmath::sin_cos(angle);
        let values = [radius * cosine, radius * sine];
        pair.iter_mut().zip(values).for_each(|(y, v)| *y = T::narrow(mean as f64 + scale as f64 * v));
    }
    Ok(())
}

/// 1 with the probability that `p` says for each element, else 0.
pub fn bernoulli<T: Num>(out: &mut [T], p: &[f32], seed: i64, seeded: bool) -> Result<(), Fault> {
    if out.len() != p.len() {
        return Err(Fault::Internal { what: "bernoulli: lengths" });
    }
    let mut random = Generator::new(seed, seeded);
    for (y, &p) in out.iter_mut().zip(p) {
        *y = T::narrow(if random.unit() < p as f64 { T::Acc::ONE } else { T::Acc::ZERO });
    }
    Ok(())
}

/// `samples` classes for each row of logarithms of (unnormalised) probabilities; `out` is `rows, samples`.
pub fn multinomial(out: &mut [i64], logits: &[f32], classes: usize, samples: usize, seed: i64, seeded: bool) -> Result<(), Fault> {
    if classes == 0 || !logits.len().is_multiple_of(classes) || out.len() != logits.len() / classes * samples {
        return Err(Fault::Internal { what: "multinomial: lengths" });
    }
    let mut random = Generator::new(seed, seeded);
    for (row, out) in logits.chunks_exact(classes).zip(out.chunks_mut(samples.max(1))) {
        let top = row.iter().fold(f32::NEG_INFINITY, |a, &v| if v > a { v } else { a }) as f64;
        let weight = |v: f32| if top == f64::NEG_INFINITY { 1.0 } else { fmath::exp(v as f64 - top) };
        let total: f64 = row.iter().map(|&v| weight(v)).sum();
        for y in out {
            let mut rest = random.unit() * total;
            let chosen = row.iter().position(|&v| {
                rest -= weight(v);
                rest < 0.0
            });
            *y = chosen.unwrap_or(classes - 1) as i64;
        }
    }
    Ok(())
}

/// The Mersenne Twister (MT19937, Matsumoto and Nishimura 1998), which the reference implementation of Dropout draws from.
struct Twister {
    state: [u32; 624],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let last = state[i - 1];
            state[i] = 1_812_433_253u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: 624 }
    }

    fn refill(&mut self) {
        for i in 0..624 {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + 397) % 624] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn next(&mut self) -> u32 {
        if self.next >= 624 {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// In [0, 1), 53 random bits of two draws.
    fn unit(&mut self) -> f64 {
        let (high, low) = (self.next() >> 5, self.next() >> 6);
        (high as f64 * 67_108_864.0 + low as f64) / (1u64 << 53) as f64
    }
}

/// Dropout: if `training`, each element is zero with probability `ratio`, else scaled by `1 / (1 - ratio)`; `mask` says which are kept. A seed
/// below 2^32 gives the mask that NumPy's `RandomState` gives.
pub fn dropout<T: Float>(
    out: &mut [T],
    mask: &mut [Bool],
    x: &[T],
    ratio: &[f64],
    training: &[Bool],
    seed: i64,
    seeded: bool,
) -> Result<(), Fault> {
    let (&[ratio], &[training]) = (ratio, training) else { return Err(Fault::Internal { what: "dropout: scalars" }) };
    if out.len() != x.len() || mask.len() != x.len() {
        return Err(Fault::Internal { what: "dropout: lengths" });
    }
    if training == Bool::from(false) || ratio == 0.0 {
        out.copy_from_slice(x);
        mask.fill(true.into());
        return Ok(());
    }
    let mut random = Twister::new(if seeded { seed } else { fresh() as i64 } as u32);
    let scale = 1.0 / (1.0 - ratio);
    for ((y, kept), x) in out.iter_mut().zip(mask).zip(x) {
        let keep = random.unit() >= ratio;
        *kept = keep.into();
        *y = T::narrow(if keep { x.widen() * scale } else { 0.0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twister() {
        // Of the authors' reference code, and of `numpy.random.RandomState(0).uniform()`.
        let mut random = Twister::new(5489);
        assert_eq!([random.next(), random.next()], [3_499_211_612, 581_869_302]);
        assert_eq!(Twister::new(0).unit(), 0.5488135039273248);
    }

    #[test]
    fn dropout_keeps_the_mean() {
        let (mut y, mut mask) = ([0f32; 10000], [Bool::from(false); 10000]);
        dropout(&mut y, &mut mask, &[2.0; 10000], &[0.75], &[true.into()], 3, true).unwrap();
        assert!(y.iter().zip(&mask).all(|(&y, &m)| y == if m == true.into() { 8.0 } else { 0.0 }));
        let kept = y.iter().filter(|&&y| y != 0.0).count();
        assert!((2300..2700).contains(&kept), "{kept}");
        dropout(&mut y, &mut mask, &[2.0; 10000], &[0.75], &[false.into()], 3, true).unwrap();
        assert!(y.iter().all(|&y| y == 2.0) && mask.iter().all(|&m| m == true.into()));
    }

    #[test]
    fn moments_and_seeds() {
        let mut x = [0f64; 20000];
        uniform(&mut x, -1.0, 3.0, 7, true).unwrap();
        assert!(x.iter().all(|v| (-1.0..3.0).contains(v)));
        assert!((x.iter().sum::<f64>() / 20000.0 - 1.0).abs() < 0.05);
        let first = x[0];
        uniform(&mut x, -1.0, 3.0, 7, true).unwrap();
        assert_eq!(x[0], first);
        uniform(&mut x, -1.0, 3.0, 7, false).unwrap();
        let other = x[0];
        uniform(&mut x, -1.0, 3.0, 7, false).unwrap();
        assert_ne!(x[0], other);
        normal(&mut x, 2.0, 3.0, 1, true).unwrap();
        let mean = x.iter().sum::<f64>() / 20000.0;
        let deviation = (x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 20000.0).sqrt();
        assert!((mean - 2.0).abs() < 0.1 && (deviation - 3.0).abs() < 0.1, "{mean} {deviation}");
    }

    #[test]
    fn choices() {
        let mut y = [9i32; 3000];
        let p: [f32; 3000] = core::array::from_fn(|i| [0.0, 1.0, 0.5][i % 3]);
        bernoulli(&mut y, &p, 3, true).unwrap();
        assert!(y.chunks(3).all(|c| c[0] == 0 && c[1] == 1));
        let ones: i32 = y.chunks(3).map(|c| c[2]).sum();
        assert!((400..600).contains(&ones));
        let mut chosen = [0i64; 4000];
        let row = [1f32.ln(), f32::NEG_INFINITY, 3f32.ln()];
        multinomial(&mut chosen, &[row, row].concat_pair(), 3, 2000, 5, true).unwrap();
        assert!(!chosen.contains(&1));
        assert!((2800..3200).contains(&chosen.iter().filter(|&&c| c == 2).count()));
    }

    /// Two rows one after the other, without an allocation.
    trait Pair {
        fn concat_pair(&self) -> [f32; 6];
    }
    impl Pair for [[f32; 3]; 2] {
        fn concat_pair(&self) -> [f32; 6] {
            core::array::from_fn(|i| self[i / 3][i % 3])
        }
    }
}
