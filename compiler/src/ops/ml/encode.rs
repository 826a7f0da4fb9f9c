//! Keys to integers: the core operator under the encoders.

use crate::import::Parse;
use crate::ir::{DType, Fact, Tensor, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::element::Element;
use onnxc_runtime::kernels::arith::Order;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What to do with a key that occurs more than once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// The first counts.
    First,
    /// The last counts.
    Last,
}

/// The numbers of the keys in ascending order, each key once.
fn order<T: Order>(keys: &[T], duplicates: Duplicates) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|&a, &b| {
        let tie = if duplicates == Duplicates::First { a.cmp(&b) } else { b.cmp(&a) };
        keys[a].order(&keys[b]).then(tie)
    });
    order.dedup_by(|a, b| keys[*a].order(&keys[*b]) == Ordering::Equal);
    order
}

fn plain<T: Element + Order>(keys: &Tensor, duplicates: Duplicates) -> Option<(Tensor, Vec<usize>)> {
    let keys = keys.to_vec::<T>()?;
    let order = order(&keys, duplicates);
    Some((Tensor::vector(&order.iter().map(|&i| keys[i]).collect::<Vec<T>>()), order))
}

/// The keys in ascending order, each once, and where each stood.
pub(crate) fn sorted(keys: &Tensor, duplicates: Duplicates) -> Result<(Tensor, Vec<usize>), OpError> {
    let sorted = match keys.dtype {
        DType::String => keys.as_strings().and_then(|keys| {
            let order = order(keys, duplicates);
            Some((Tensor::strings(vec![order.len()], order.iter().map(|&i| keys[i].clone()).collect())?, order))
        }),
        DType::I64 => plain::<i64>(keys, duplicates),
        DType::I32 => plain::<i32>(keys, duplicates),
        DType::I16 => plain::<i16>(keys, duplicates),
        DType::F32 => plain::<f32>(keys, duplicates),
        DType::F64 => plain::<f64>(keys, duplicates),
        _ => None,
    };
    sorted.ok_or_else(|| OpError::unsupported(format!("keys of dtype {}", keys.dtype)))
}

/// Looks each element up among keys: gives `results[i]` for key `i`, for others `missing`, without which they are an error of the run.
pub(crate) fn lookup(
    cx: &mut Parse<'_>,
    x: ValueId,
    keys: &Tensor,
    results: &[i64],
    missing: Option<i64>,
    duplicates: Duplicates,
) -> Result<ValueId, OpError> {
    if keys.len() != results.len() {
        return Err(OpError::invalid(format!("there are {} keys and {} values", keys.len(), results.len())));
    }
    if cx.dtype(x)? != keys.dtype {
        return Err(OpError::invalid(format!("the keys are {}, the input is {}", keys.dtype, cx.dtype(x)?)));
    }
    let (keys, order) = sorted(keys, duplicates)?;
    let results: Vec<i64> = order.iter().map(|&i| results[i]).chain(missing).collect();
    let (keys, results) = (cx.constant(keys), cx.i64s(&results));
    cx.add(Lookup, &[x, keys, results])
}

/// Input 0 looked up among input 1, keys in ascending order; the result, an i64, is the element of input 2 at that place. If input 2 has one
/// element more than there are keys, it is for what is not among them; else that is an error of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lookup;

impl Operator for Lookup {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(0)? != cx.dtype(1)? {
            return Err(OpError::invalid("the keys are of another dtype"));
        }
        Ok(vec![Fact::tensor(DType::I64, cx.shape(0)?)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, keys, results) = (cx.input(0)?, cx.input(1)?, cx.input_i64(2)?);
        let out = cx.output(0)?;
        let args: Vec<Arg> = vec![out.write(), x.read(), keys.read(), results.read()];
        cx.call(crate::kernel!(ml::encode::lookup(_, _, _, _) for order(x.dtype)), args)
    }
}
