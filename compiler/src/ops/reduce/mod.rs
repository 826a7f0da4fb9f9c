//! Operators that fold axes away.

pub mod arg_reduce;
#[allow(clippy::module_inception)] // The family's namesake.
pub mod reduce;

use crate::ir::dim::{Dim, Dims};
use crate::program::Arg;

/// A shape as the three sizes that kernels over one axis take: what is before it, the axis, what is after it.
pub fn around(dims: &Dims, shape: &[Dim], axis: usize) -> [Dim; 3] {
    let after = shape.get(axis + 1..).unwrap_or_default();
    [dims.product(&shape[..axis]), shape.get(axis).copied().unwrap_or_else(|| dims.int(1)), dims.product(after)]
}

/// The same as arguments.
pub fn around_args(dims: &Dims, shape: &[Dim], axis: usize) -> Vec<Arg> {
    around(dims, shape, axis).map(Arg::Usize).to_vec()
}
