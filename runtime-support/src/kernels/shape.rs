//! Shapes that only the data tells: reading dims from integer tensors, and writing dims to them.

use crate::error::Fault;

/// Writes values that the program knows, such as the dims that `Shape` gives.
pub fn literal(out: &mut [i64], values: &[i64]) -> Result<(), Fault> {
    if out.len() != values.len() {
        return Err(Fault::Internal { what: "shape::literal: lengths differ" });
    }
    out.copy_from_slice(values);
    Ok(())
}

/// Reads the first elements of an integer tensor into symbols.
pub fn read(bind: &mut [i64], x: &[i64]) -> Result<(), Fault> {
    let x = x.get(..bind.len()).ok_or(Fault::Dim { expected: bind.len() as i64, got: x.len() as i64 })?;
    bind.copy_from_slice(x);
    Ok(())
}

/// The dims of `Reshape`: `target` says them, 0 copies the input's dim (unless `allow_zero`), one -1 takes what is left.
pub fn reshape(bind: &mut [i64], shape: &[usize], target: &[i64], allow_zero: bool) -> Result<(), Fault> {
    if target.len() != bind.len() {
        return Err(Fault::Value { what: "the shape's length is not the rank the model declares", got: target.len() as i64 });
    }
    let total = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or(Fault::Memory { bytes: usize::MAX })? as i64;
    let (mut known, mut wildcard) = (1i64, None);
    for (i, &t) in target.iter().enumerate() {
        bind[i] = match t {
            0 if !allow_zero => *shape.get(i).ok_or(Fault::Index { index: i as i64, len: shape.len() })? as i64,
            -1 if wildcard.is_none() => {
                wildcard = Some(i);
                continue;
            }
            t if t < 0 => return Err(Fault::Value { what: "a shape has a negative element", got: t }),
            t => t,
        };
        known = known.checked_mul(bind[i]).ok_or(Fault::Memory { bytes: usize::MAX })?;
    }
    if let Some(i) = wildcard {
        bind[i] = if known == 0 { 0 } else { total / known };
        known *= bind[i];
    }
    if known == total { Ok(()) } else { Err(Fault::Dim { expected: total, got: known }) }
}

/// The dims of `Expand`: the broadcast of the input's shape and `target`.
pub fn expand(bind: &mut [i64], shape: &[usize], target: &[i64]) -> Result<(), Fault> {
    if shape.len().max(target.len()) != bind.len() {
        return Err(Fault::Value { what: "the shape's length is not the rank the model declares", got: target.len() as i64 });
    }
    let rank = bind.len();
    for (i, dim) in bind.iter_mut().enumerate() {
        let own = (i + shape.len()).checked_sub(rank).map_or(1, |j| shape[j] as i64);
        let wanted = (i + target.len()).checked_sub(rank).map_or(1, |j| target[j]);
        *dim = match (own, wanted) {
            (a, b) if a == b || b == 1 => a,
            (1, b) if b >= 0 => b,
            (a, b) => return Err(Fault::Dim { expected: a, got: b }),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_resolves_zero_and_minus_one() {
        let mut bind = [0; 3];
        reshape(&mut bind, &[2, 3, 4], &[0, -1, 2], false).unwrap();
        assert_eq!(bind, [2, 6, 2]);
        assert!(reshape(&mut bind, &[2, 3, 4], &[5, -1, 2], false).is_err());
        assert!(reshape(&mut bind, &[2, 3, 4], &[i64::MAX, i64::MAX, 2], false).is_err());
        expand(&mut bind, &[3, 1], &[2, 1, 4]).unwrap();
        assert_eq!(bind, [2, 3, 4]);
    }
}
