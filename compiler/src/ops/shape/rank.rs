//! Tensors of which only the run knows the rank: what it is, and the tensor once it is decided.
//!
//! Such a tensor is an object to the program, like a sequence. `import/ranks.rs` makes these operators, no operator of ONNX is one of them.

use crate::ir::fact::Type;
use crate::ir::{DType, Fact};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use serde::{Deserialize, Serialize};

/// The rank of a tensor, a scalar of i64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankOf;

impl Operator for RankOf {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        cx.dtype(0)?;
        let rank = cx.fact(0)?.shape().map(|s| cx.int(s.len() as i64));
        Ok(vec![Fact::elements(DType::I64, Vec::new(), vec![rank], cx.dims)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let out = cx.output(0)?;
        if let Some(known) = cx.output_fact(0)?.as_elements(&cx.dims()).and_then(|e| e.first().copied().flatten()) {
            return cx.call(crate::kernel!(shape::literal(_, _)), vec![out.write(), crate::program::Arg::I64s(vec![known])]);
        }
        let x = cx.object(0)?;
        cx.call(crate::kernel!(object::rank(_, _)), vec![out.write(), crate::program::Arg::InObject(x)])
    }
}

/// The input, which has this rank: another one is an error of the run, or of the model if it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfRank {
    /// The rank.
    pub rank: usize,
}

impl Operator for OfRank {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, fact) = (cx.dtype(0)?, cx.fact(0)?);
        match fact.shape().map(<[_]>::len) {
            None => Ok(vec![Fact::tensor(dtype, (0..self.rank).map(|_| cx.fresh()).collect())]),
            Some(rank) if rank == self.rank => Ok(vec![fact.clone()]),
            Some(rank) => Err(OpError::invalid(format!("the tensor has rank {rank}, not {}", self.rank))),
        }
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let place = cx.place(0)?;
        if matches!(cx.fact(0)?.ty, Type::Tensor(_, Some(_))) {
            cx.alias(0, place);
            return Ok(());
        }
        cx.unpack(0, place)
    }
}
