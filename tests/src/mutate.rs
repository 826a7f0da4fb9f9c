//! Broken files, made of good ones, the same every time.

/// A small generator of pseudo-random numbers.
pub struct Random(u64);

impl Random {
    /// One that starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % n.max(1) as u64) as usize
    }
}

/// A file with a few bytes changed, removed, repeated, or cut off.
pub fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        if out.is_empty() {
            break;
        }
        let at = random.below(out.len());
        match random.below(7) {
            0 => out.truncate(at),
            1 => drop(out.remove(at)),
            2 => out.insert(at, random.below(256) as u8),
            3 => out[at] ^= 1 << random.below(8),
            // Lengths, tags and small integers are single bytes: the interesting values are few.
            4 => out[at] = [0, 1, 2, 0x7f, 0x80, 0xff][random.below(6)],
            5 => {
                let end = (at + 1 + random.below(16)).min(out.len());
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            _ => out[at] = random.below(256) as u8,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_differ_and_repeat() {
        let good: Vec<u8> = (0..100).collect();
        let all = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| mutate(&good, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert!(all(1).iter().filter(|m| **m != good).count() > 40);
    }
}
