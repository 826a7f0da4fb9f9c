//! `Identity`: the input as it is, of any type. Also what `Dropout` is when a model runs.

use crate::import::Parse;
use crate::ir::{Fact, Type, ValueId};
use crate::lower::Lower;
use crate::ops::shape::rank::OfRank;
use crate::ops::{Infer, OpError, Operator};
use serde::{Deserialize, Serialize};

/// ONNX `Identity`: the value passes through, no node remains. Where the model declares the rank of a tensor that has none, the run checks it.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    match (cx.fact(x).ty, cx.declared_output(0)) {
        (Type::Tensor(_, None), Some(Type::Tensor(_, Some(shape)))) => cx.add(OfRank { rank: shape.len() }, &[x]).map(|v| vec![v]),
        _ => Ok(vec![x]),
    }
}

/// A value under another name. Passes use it to keep a place; lowering makes no step of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity;

impl Operator for Identity {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(vec![cx.fact(0)?.clone()])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let place = cx.place(0)?;
        cx.alias(0, place);
        Ok(())
    }
}
