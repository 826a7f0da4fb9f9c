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

/// The shape around an axis (one element, from the end if negative): the product of the dims before it, its own, the product of those after it.
pub fn around(bind: &mut [i64], shape: &[usize], axis: &[i64]) -> Result<(), Fault> {
    let ([outer, len, inner], [axis]) = (bind, axis) else {
        return Err(Fault::Internal { what: "shape::around: one axis, three results" });
    };
    let axis = super::walk::wrap(*axis, shape.len())?;
    let product = |dims: &[usize]| super::walk::count(dims).map(|n| n as i64);
    (*outer, *len, *inner) = (product(&shape[..axis])?, shape[axis] as i64, product(&shape[axis + 1..])?);
    Ok(())
}

/// The dims of `Squeeze`: `shape` without `axes`, which must be of one.
pub fn squeeze(bind: &mut [i64], shape: &[usize], axes: &[i64]) -> Result<(), Fault> {
    let mut dropped = [false; super::walk::MAX_RANK];
    super::walk::promise(shape.len() <= dropped.len(), "rank above 16")?;
    for &axis in axes {
        let axis = super::walk::wrap(axis, shape.len())?;
        if shape[axis] != 1 {
            return Err(Fault::Dim { expected: 1, got: shape[axis] as i64 });
        }
        dropped[axis] = true;
    }
    fill(bind, shape.iter().zip(dropped).filter(|(_, dropped)| !dropped).map(|(&d, _)| d))
}

/// The dims of `Unsqueeze`: `shape` with dims of one at `axes` of the result.
pub fn unsqueeze(bind: &mut [i64], shape: &[usize], axes: &[i64]) -> Result<(), Fault> {
    let rank = bind.len();
    let mut new = [false; super::walk::MAX_RANK];
    super::walk::promise(rank <= new.len(), "rank above 16")?;
    for &axis in axes {
        let axis = super::walk::wrap(axis, rank)?;
        if core::mem::replace(&mut new[axis], true) {
            return Err(Fault::Value { what: "an axis is named twice", got: axis as i64 });
        }
    }
    let mut old = shape.iter();
    if new[..rank].iter().filter(|n| !**n).count() != shape.len() {
        return Err(Fault::Value { what: "the result has another rank than the model declares", got: (shape.len() + axes.len()) as i64 });
    }
    fill(bind, new[..rank].iter().map(|&new| if new { 1 } else { old.next().copied().unwrap_or(1) }))
}

/// Writes exactly as many dims as there is room for.
fn fill(bind: &mut [i64], dims: impl Iterator<Item = usize>) -> Result<(), Fault> {
    let (mut dims, rank) = (dims, bind.len());
    for b in bind {
        *b = dims.next().ok_or(Fault::Value { what: "the result has a lower rank than the model declares", got: rank as i64 })? as i64;
    }
    if dims.next().is_some() {
        return Err(Fault::Value { what: "the result has a higher rank than the model declares", got: rank as i64 });
    }
    Ok(())
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
