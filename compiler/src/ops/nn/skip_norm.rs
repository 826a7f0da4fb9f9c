//! com.microsoft `SkipLayerNormalization` and `SkipSimplifiedLayerNormalization`: a sum, then its norm.

use super::norm::LayerNorm;
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::binary::{Binary, BinaryFn};

/// Inputs x, skip, gamma, and beta (not of the simplified one) and a bias; outputs the result, mean and inverse deviation (not supported where
/// they are wanted), and the sum of x, skip and bias.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let rms = cx.op_type() == "SkipSimplifiedLayerNormalization";
    if cx.wants(1) || cx.wants(2) {
        return Err(OpError::unsupported("the outputs mean and inv_std_var"));
    }
    let (x, skip, gamma) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (beta, bias) = if rms { (None, cx.opt_input(3)?) } else { (cx.opt_input(3)?, cx.opt_input(4)?) };
    let mut sum = cx.add(Binary { f: BinaryFn::Add }, &[x, skip])?;
    if let Some(bias) = bias {
        sum = cx.add(Binary { f: BinaryFn::Add }, &[sum, bias])?;
    }
    let axis = cx.rank(sum)?.checked_sub(1).ok_or_else(|| OpError::invalid("the input must not be a scalar"))?;
    let op = LayerNorm { axis, epsilon: cx.float("epsilon", 1e-12)?, rms, stash: DType::F32 };
    let y = cx.add_n(op, &[Some(sum), Some(gamma), beta])?[0];
    Ok(vec![y, sum, sum, sum])
}
