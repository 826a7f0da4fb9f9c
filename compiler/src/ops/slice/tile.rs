//! `Tile`: a tensor repeated along its axes.

use super::{known_or_fresh, output_shape, read_ints};
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::{Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Tile`: opset 1 names one axis and its repeats.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let repeats = if cx.opset() < 6 {
        let rank = cx.rank(x)?;
        let tiles = cx.constant_ints(1, "the repeats of Tile")?.and_then(|t| t.first().copied());
        let axis = cx.constant_ints(2, "the axis of Tile")?.and_then(|t| t.first().copied());
        let (Some(tiles), Some(axis)) = (tiles, axis) else { return Err(OpError::invalid("tiles and axis are missing")) };
        let mut repeats = vec![1; rank];
        repeats[crate::ops::infer::resolve_axis(axis, rank)?] = tiles;
        cx.i64s(&repeats)
    } else {
        cx.input(1)?
    };
    cx.add(Tile, &[x, repeats]).map(|v| vec![v])
}

/// Input 0 repeated as often along each axis as input 1 says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tile;

impl Operator for Tile {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let new: Vec<Dim> = match known_or_fresh(cx, 1) {
            Some(known) if known.len() != shape.len() => {
                return Err(OpError::invalid(format!("{} repeats for rank {}", known.len(), shape.len())));
            }
            Some(_) => {
                let repeats = cx.elements(1).unwrap_or_default();
                shape.iter().zip(repeats).map(|(&d, r)| r.map_or_else(|| cx.fresh(), |r| cx.dims.mul(d, r))).collect()
            }
            None => shape.iter().map(|_| cx.fresh()).collect(),
        };
        if new.iter().any(|&d| cx.dims.bounds(d).1 < 0) {
            return Err(OpError::invalid("a repeat count is negative"));
        }
        Ok(vec![Fact::tensor(dtype, new)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let repeats = read_ints(cx, 1, x.shape.len())?;
        let target: Vec<Dim> = x.shape.iter().zip(&repeats).map(|(&d, &r)| dims.mul(d, r)).collect();
        let shape = output_shape(cx, 0)?;
        cx.set(&shape, &target);
        let one = cx.int(1);
        if repeats.iter().all(|&r| r == one) {
            cx.alias(0, Place::Tensor(x.view));
            return Ok(());
        }
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(tile::tile(_, _, _, _) for any(x.dtype)),
            vec![out.write(), x.read(), Arg::Usizes(x.shape.clone()), Arg::Usizes(repeats)],
        )
    }
}
