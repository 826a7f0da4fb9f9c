//! A chain of f32 elementwise operators as one: made by the fusion pass, lowered to one loop.

use crate::ir::{DType, Fact};
use crate::lower::Lower;
use crate::ops::{Infer, Op, OpError, Operator};
use crate::program::formula::Formula;
use serde::{Deserialize, Serialize};

/// A formula of its inputs (f32), broadcast against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fused {
    /// The formula.
    pub formula: Formula,
}

impl Operator for Fused {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shapes = (0..cx.len()).map(|i| cx.shape(i)).collect::<Result<Vec<_>, _>>()?;
        let shape = cx.broadcast(&shapes);
        Ok(vec![Fact::tensor(DType::F32, shape)])
    }

    fn permuted(&self, _perm: &[usize], inputs: usize) -> Option<(Op, Vec<usize>)> {
        Some((self.clone().into(), (0..inputs).collect()))
    }

    fn reads_rows(&self, _i: usize, _rank: usize) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let inputs = (0..cx.input_count()).map(|i| Ok((cx.input(i)?, cx.input_pitch(i)?))).collect::<Result<Vec<_>, OpError>>()?;
        let out = cx.output(0)?;
        cx.fused(&out, &inputs, self.formula.clone());
        Ok(())
    }
}
