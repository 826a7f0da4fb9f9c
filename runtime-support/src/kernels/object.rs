//! Sequences, optionals and maps as wholes.

use crate::error::Fault;
use crate::value::Value;

/// Copies an object.
pub fn copy(out: &mut Value, x: &Value) -> Result<(), Fault> {
    out.clone_from(x);
    Ok(())
}
