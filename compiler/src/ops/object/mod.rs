//! Sequences and optionals.

pub mod optional;
pub mod sequence;

use crate::ir::dim::Dim;
use crate::ir::{Dims, Fact, Type};
use crate::ops::{Infer, OpError};

/// The fact of an item taken out of an object whose items have this type: dims that need not be those of all items are new.
pub fn taken(cx: &Infer<'_>, ty: &Type) -> Fact {
    match ty {
        Type::Tensor(dtype, Some(shape)) => Fact::tensor(*dtype, loose(cx.dims, shape)),
        other => Fact::of(other.clone()),
    }
}

/// A shape with new dims in place of those that steps bind.
fn loose(dims: &Dims, shape: &[Dim]) -> Vec<Dim> {
    shape.iter().map(|&d| if dims.at_entry(d) { d } else { dims.fresh(0).1 }).collect()
}

/// The type of items of which some have this type and others that one.
pub fn common(cx: &Infer<'_>, a: &Type, b: &Type) -> Result<Type, OpError> {
    match (a, b) {
        (Type::Tensor(x, s), Type::Tensor(y, t)) if x == y => Ok(Type::Tensor(
            *x,
            match (s, t) {
                (Some(s), Some(t)) if s.len() == t.len() => {
                    Some(s.iter().zip(t).map(|(&p, &q)| if p == q { p } else { cx.fresh() }).collect())
                }
                // Items of another rank are an error when they are taken out.
                (Some(s), None) | (None, Some(s)) => Some(loose(cx.dims, s)),
                _ => None,
            },
        )),
        _ => Err(OpError::invalid("the items of a sequence must be tensors of one dtype")),
    }
}
