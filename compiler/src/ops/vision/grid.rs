//! `GridSample` and `AffineGrid`.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::slice::{known_or_fresh, output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(grid_sample::Sampling { Nearest, Linear, Cubic });
crate::param_enum!(grid_sample::Outside { Zeros, Border, Reflection });

/// ONNX `GridSample` (the modes have other names before opset 20).
pub fn parse_sample(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let sampling = match cx.string("mode", "linear")?.as_str() {
        "linear" | "bilinear" => "Linear",
        "nearest" => "Nearest",
        "cubic" | "bicubic" => "Cubic",
        other => return Err(OpError::invalid(format!("the mode is `{other}`"))),
    };
    let outside = match cx.string("padding_mode", "zeros")?.as_str() {
        "zeros" => "Zeros",
        "border" => "Border",
        "reflection" => "Reflection",
        other => return Err(OpError::invalid(format!("the padding mode is `{other}`"))),
    };
    let align = cx.flag("align_corners", false)?;
    let (x, grid) = (cx.input(0)?, cx.input(1)?);
    if cx.dtype(x)? == DType::String && sampling != "Nearest" {
        return Err(OpError::invalid("strings cannot be interpolated: the mode must be `nearest`"));
    }
    // Places are computed in f64 whatever they are given in.
    let grid = cast::to(cx, grid, DType::F64)?;
    cx.add(GridSample { sampling: sampling.to_owned(), outside: outside.to_owned(), align }, &[x, grid]).map(|v| vec![v])
}

/// ONNX `AffineGrid`.
pub fn parse_affine(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let align = cx.flag("align_corners", false)?;
    let (theta, size) = (cx.input(0)?, cx.input(1)?);
    cx.add(AffineGrid { align }, &[theta, size]).map(|v| vec![v])
}

/// `out[n, c, p] = x[n, c]` at the place `grid[n, p]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridSample {
    /// `Nearest`, `Linear` or `Cubic`.
    pub sampling: String,
    /// `Zeros`, `Border` or `Reflection`.
    pub outside: String,
    /// Whether -1 and 1 are the centres of the border elements, not their edges.
    pub align: bool,
}

impl Operator for GridSample {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (x, grid) = (cx.shape(0)?, cx.shape(1)?);
        if x.len() != grid.len() || x.len() < 3 {
            return Err(OpError::invalid(format!("the tensor has rank {}, the grid {}", x.len(), grid.len())));
        }
        if x.len() > 5 {
            return Err(OpError::unsupported("GridSample with more than three spatial axes"));
        }
        let rank = cx.int(x.len() as i64 - 2);
        let batch = cx.require_equal(x[0], grid[0], "the batches of the tensor and of the grid");
        cx.require_equal(grid[grid.len() - 1], rank, "the coordinates of a place and the spatial axes");
        Ok(vec![Fact::tensor(cx.dtype(0)?, [&[batch, x[1]], &grid[1..grid.len() - 1]].concat())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, grid) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let dims = cx.dims();
        let points = dims.product(&out.shape[2..]);
        let sizes = [x.shape[0], x.shape[1], points].map(Arg::Usize);
        let outside = match self.outside.as_str() {
            "Border" => "Border",
            "Reflection" => "Reflection",
            _ => "Zeros",
        };
        let (outside, align) = (Arg::Variant("grid_sample::Outside", outside), Arg::Bool(self.align));
        let args = [out.write(), x.read(), grid.read(), Arg::Usizes(x.shape[2..].to_vec())].into_iter().chain(sizes);
        if self.sampling == "Nearest" {
            let kernel = crate::kernel!(grid_sample::grid_nearest(_, _, _, _, _, _, _, _, _) for any(x.dtype));
            return cx.call(kernel, args.chain([outside, align]).collect());
        }
        let sampling = Arg::Variant("grid_sample::Sampling", if self.sampling == "Cubic" { "Cubic" } else { "Linear" });
        cx.call(
            crate::kernel!(grid_sample::grid_sample(_, _, _, _, _, _, _, _, _, _) for linear(x.dtype)),
            args.chain([sampling, outside, align]).collect(),
        )
    }
}

/// The places of the affine maps `theta` (input 0) for images of the size that input 1 says (batch, channels, spatial dims).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AffineGrid {
    align: bool,
}

impl Operator for AffineGrid {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let theta = cx.shape(0)?;
        let &[batch, rank, columns] = theta.as_slice() else { return Err(OpError::invalid("theta must have rank 3")) };
        let counted = cx.elements(1).map(|e| e.len() as i64 - 2);
        let Some(rank) = cx.dims.value(rank).or_else(|| cx.dims.value(columns).map(|c| c - 1)).or(counted) else {
            return Ok(vec![Fact::unranked(cx.dtype(0)?)]);
        };
        let size = match known_or_fresh(cx, 1) {
            Some(size) if size.len() as i64 == rank + 2 => size,
            None => (0..rank + 2).map(|_| cx.fresh()).collect(),
            Some(size) => return Err(OpError::invalid(format!("the size has {} numbers for {rank} axes", size.len()))),
        };
        let (rank_dim, next) = (cx.int(rank), cx.int(rank + 1));
        cx.require_equal(theta[1], rank_dim, "the rows of theta");
        cx.require_equal(columns, next, "the columns of theta");
        let batch =
            if cx.dims.at_entry(size[0]) { cx.require_equal(batch, size[0], "the batches of theta and of the size") } else { batch };
        Ok(vec![Fact::tensor(cx.dtype(0)?, [&[batch], &size[2..], &[rank_dim]].concat())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let theta = cx.input(0)?;
        let shape = output_shape(cx, 0)?;
        let spatial =
            shape.get(1..shape.len().saturating_sub(1)).ok_or_else(|| OpError::invalid("the result must have a batch and coordinates"))?;
        if cx.elements(1).is_none() {
            let size = read_ints(cx, 1, shape.len())?;
            let axes = cx.int(spatial.len() as i64);
            for (given, needed) in [(theta.shape[1], axes), (theta.shape[2], cx.int(spatial.len() as i64 + 1))] {
                cx.step(crate::program::Action::Require(crate::program::Condition::Equal(given, needed)));
            }
            cx.set(&shape, &[&[theta.shape[0]], &size[2..], &[axes]].concat());
            cx.step(crate::program::Action::Require(crate::program::Condition::Equal(size[0], theta.shape[0])));
            require_dims(cx, spatial);
        }
        let out = cx.output(0)?;
        cx.call(
            crate::kernel!(grid_sample::affine_grid(_, _, _, _) for float(theta.dtype)),
            vec![out.write(), theta.read(), Arg::Usizes(spatial.to_vec()), Arg::Bool(self.align)],
        )
    }
}
