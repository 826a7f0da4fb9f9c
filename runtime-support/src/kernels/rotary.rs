//! Rotary position embedding: pairs of elements of each head turned by an angle that depends on the position.

use super::num::Float;
use crate::error::Fault;

/// How the operand lies and what is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotary {
    /// Independent samples.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Positions.
    pub len: usize,
    /// Elements of a head's position.
    pub size: usize,
    /// How many of them, from the first on, are turned; even.
    pub turned: usize,
    /// Strides of batch, head and position.
    pub strides: [usize; 3],
    /// Whether a pair is two neighbours, rather than one of the first and one of the second half.
    pub interleaved: bool,
}

/// Turns each pair `(a, b)` to `(a cos - b sin, a sin + b cos)`. The rows (of `turned / 2`) of `cos` and `sin` are chosen by `positions` (`batch,
/// len`), or are one a position of each sample.
pub fn rotary<T: Float>(out: &mut [T], x: &[T], cos: &[T], sin: &[T], positions: Option<&[i64]>, p: Rotary) -> Result<(), Fault> {
    let half = p.turned / 2;
    let total = p.batch * p.heads * p.len * p.size;
    let fits = out.len() == total && x.len() == total && cos.len() == sin.len() && 2 * half == p.turned && p.turned <= p.size;
    let reach = [p.batch, p.heads, p.len].iter().zip(p.strides).map(|(&d, s)| d.saturating_sub(1) * s).sum::<usize>() + p.size;
    let rows = cos.len().checked_div(half).unwrap_or(usize::MAX);
    let enough = positions.map_or(rows >= p.batch * p.len, |r| r.len() == p.batch * p.len);
    if !fits || !enough || (total > 0 && reach > total) {
        return Err(Fault::Internal { what: "rotary embedding: lengths" });
    }
    for at in 0..p.batch * p.heads * p.len {
        let (b, h, i) = (at / p.len / p.heads, at / p.len % p.heads, at % p.len);
        let row = match positions.map(|r| r[b * p.len + i]) {
            None => b * p.len + i,
            Some(given) => usize::try_from(given).ok().filter(|&r| r < rows).ok_or(Fault::Index { index: given, len: rows })?,
        };
        let (cos, sin) = (&cos[row * half..][..half], &sin[row * half..][..half]);
        let start = b * p.strides[0] + h * p.strides[1] + i * p.strides[2];
        let (out, x) = (&mut out[start..start + p.size], &x[start..start + p.size]);
        for (k, (c, s)) in cos.iter().zip(sin).enumerate() {
            let (first, second) = if p.interleaved { (2 * k, 2 * k + 1) } else { (k, k + half) };
            let (a, b, c, s) = (x[first].widen(), x[second].widen(), c.widen(), s.widen());
            out[first] = T::narrow(a * c - b * s);
            out[second] = T::narrow(a * s + b * c);
        }
        out[p.turned..].copy_from_slice(&x[p.turned..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_neighbours_and_positions() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        let mut y = [0f64; 5];
        let p = Rotary { batch: 1, heads: 1, len: 1, size: 5, turned: 4, strides: [5, 5, 5], interleaved: false };
        // A quarter turn and none.
        rotary(&mut y, &x, &[0.0, 1.0], &[1.0, 0.0], None, p).unwrap();
        assert_eq!(y, [-3.0, 2.0, 1.0, 4.0, 5.0]);
        rotary(&mut y, &x, &[0.0, 1.0], &[1.0, 0.0], None, Rotary { interleaved: true, ..p }).unwrap();
        assert_eq!(y, [-2.0, 1.0, 3.0, 4.0, 5.0]);
        let tables = ([1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]);
        rotary(&mut y, &x, &tables.0, &tables.1, Some(&[1]), p).unwrap();
        assert_eq!(y, [-3.0, 2.0, 1.0, 4.0, 5.0]);
        let fault = rotary(&mut y, &x, &tables.0, &tables.1, Some(&[2]), p);
        assert_eq!(fault, Err(Fault::Index { index: 2, len: 2 }));
    }
}
