//! What the door of a generated model needs: the description of its inputs and outputs, and the checks of their dims.

use crate::dims::Dim;
use crate::element::DType;
use crate::error::RunError;
#[cfg(feature = "alloc")]
pub use alloc::string::String;

/// An input or output, as the model declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The model's name of it.
    pub name: &'static str,
    /// What it holds.
    pub ty: PortType,
}

/// What an input or output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortType {
    /// A tensor of that dtype and these dims.
    Tensor(DType, &'static [Axis]),
    /// A sequence, optional or map, in ONNX's notation.
    Object(&'static str),
}

/// A dim of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Always that long.
    Fixed(usize),
    /// As long as that expression, in the model's names, says: `batch`, `2*seq`.
    Named(&'static str),
}

/// Checks a dim of an input.
#[inline]
pub fn input_dim(input: &'static str, axis: usize, expected: &'static str, expected_value: Dim, got: usize) -> Result<(), RunError> {
    if Dim::of(got) == expected_value {
        return Ok(());
    }
    Err(RunError::InputDim { input, axis, expected, expected_value: expected_value.get(), got })
}

/// Checks what the compiler assumed of the inputs' dims.
#[inline]
pub fn requirement(holds: bool, what: &'static str, node: &'static str) -> Result<(), RunError> {
    if holds { Ok(()) } else { Err(RunError::Requirement { what, node }) }
}
