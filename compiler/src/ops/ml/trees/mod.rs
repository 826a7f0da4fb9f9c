//! `TreeEnsemble`, `TreeEnsembleClassifier`, `TreeEnsembleRegressor`: parsed into one checked form ([`ensemble`]), which the core operator
//! [`Trees`](op::Trees) carries as constant tensors.

pub mod classic;
pub mod ensemble;
pub mod modern;
pub mod op;
pub mod plan;

use crate::ops::OpError;

/// What a tree operator's attributes must agree on, as an error that names both.
fn same_length(a: (&str, usize), b: (&str, usize)) -> Result<(), OpError> {
    if a.1 == b.1 {
        return Ok(());
    }
    Err(OpError::invalid(format!("{} has {} elements, {} has {}", a.0, a.1, b.0, b.1)))
}
