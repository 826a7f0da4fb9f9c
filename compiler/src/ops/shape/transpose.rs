//! `Transpose`: axes in another order.

use crate::import::Parse;
use crate::ir::{Dim, Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Transpose`: without `perm` the axes are reversed.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let rank = cx.rank(x)?;
    let perm = match cx.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.into_iter().map(|p| crate::ops::infer::resolve_axis(p, rank)).collect::<Result<Vec<_>, _>>()?,
    };
    cx.add(Transpose { perm }, &[x]).map(|v| vec![v])
}

/// Axis `i` of the result is axis `perm[i]` of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transpose {
    /// The permutation.
    pub perm: Vec<usize>,
}

impl Operator for Transpose {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        let mut seen = vec![false; shape.len()];
        self.perm.iter().for_each(|&p| seen[p.min(shape.len().saturating_sub(1))] = true);
        if self.perm.len() != shape.len() || seen.contains(&false) {
            return Err(OpError::invalid(format!("perm {:?} is not a permutation of {} axes", self.perm, shape.len())));
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, self.perm.iter().map(|&p| shape[p]).collect())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        if keeps_order(&x.shape, &self.perm, cx.int(1)) {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let out = cx.output(0)?;
        let perm = self.perm.iter().map(|&p| cx.int(p as i64)).collect();
        cx.call(
            crate::kernel!(transpose::transpose(_, _, _, _, _) for any(x.dtype)),
            vec![Arg::Cx, out.write(), x.read(), Arg::Usizes(x.shape.clone()), Arg::Usizes(perm)],
        )
    }
}

/// Whether only axes of one change places, so that the elements stay where they are.
fn keeps_order(shape: &[Dim], perm: &[usize], one: Dim) -> bool {
    let moved: Vec<usize> = perm.iter().copied().filter(|&p| shape[p] != one).collect();
    moved.is_sorted()
}
