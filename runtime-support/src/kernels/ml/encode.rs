//! Keys to integers.

use crate::error::Fault;
use crate::kernels::arith::Order;
use crate::kernels::walk::promise;
use core::cmp::Ordering;

/// `out[i] = results[k]` where `keys[k] == x[i]`. The keys ascend (NaN is the greatest and equals itself). If `results` has one more element than
/// there are keys, it is for what is not among them; else that is a fault.
pub fn lookup<T: Order>(out: &mut [i64], x: &[T], keys: &[T], results: &[i64]) -> Result<(), Fault> {
    promise(out.len() == x.len() && results.len() >= keys.len(), "lookup: lengths")?;
    let missing = results.get(keys.len());
    for (to, x) in out.iter_mut().zip(x) {
        let at = keys.partition_point(|k| k.order(x) == Ordering::Less);
        let found = keys.get(at).filter(|k| k.order(x) == Ordering::Equal).and_then(|_| results.get(at));
        *to = *found.or(missing).ok_or(Fault::Text { what: "a value is none of the categories" })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn keys_and_others() {
        let mut out = [0; 4];
        lookup(&mut out, &[2.0f32, f32::NAN, -0.0, 7.0], &[0.0, 2.0, f32::NAN], &[5, 6, 7, -1]).unwrap();
        assert_eq!(out, [6, 7, 5, -1]);
        assert!(lookup(&mut out[..1], &[1i64], &[0, 2], &[5, 6]).is_err());
        lookup(&mut out[..1], &["b".to_string()], &["a".to_string(), "b".to_string()], &[5, 6]).unwrap();
        assert_eq!(out[0], 6);
    }
}
