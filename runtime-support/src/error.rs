//! What can go wrong while a compiled model runs. Errors are values: no input makes generated code panic.

use core::fmt;

/// A fault as a kernel sees it: numbers only, no allocation. The generated code adds the node's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An index points outside its axis.
    Index {
        /// The index as given.
        index: i64,
        /// The length of the axis.
        len: usize,
    },
    /// Two dims that must agree do not.
    Dim {
        /// The dim the model needs.
        expected: i64,
        /// The dim it was given.
        got: i64,
    },
    /// A value outside its domain, such as a negative repeat count or a step of zero.
    Value {
        /// What is wrong, as a sentence fragment.
        what: &'static str,
        /// The offending value.
        got: i64,
    },
    /// A text value that cannot be read as what the operator needs.
    Text {
        /// What is wrong, as a sentence fragment.
        what: &'static str,
    },
    /// More memory would be needed than can be addressed or allocated.
    Memory {
        /// Bytes asked for, saturated.
        bytes: usize,
    },
    /// A value of another type than the model declares.
    Type {
        /// What was expected, in ONNX terms.
        expected: &'static str,
    },
    /// A broken promise between compiler and runtime: please report it.
    Internal {
        /// Which promise.
        what: &'static str,
    },
}

impl Fault {
    /// Names the node at which the fault happened.
    #[cold]
    pub fn at(self, node: &'static str) -> RunError {
        RunError::Node { node, fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { index, len } => write!(f, "index {index} is out of range for an axis of length {len}"),
            Self::Dim { expected, got } => {
                write!(f, "a dimension is {got} where {expected} is needed")
            }
            Self::Value { what, got } => write!(f, "{what} (got {got})"),
            Self::Text { what } => f.write_str(what),
            Self::Memory { bytes } => write!(f, "cannot get {bytes} bytes of memory"),
            Self::Type { expected } => write!(f, "a value is not {expected}"),
            Self::Internal { what } => write!(f, "internal error, please report it: {what}"),
        }
    }
}

/// Why a run of a compiled model failed, in the model's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The wrong number of inputs was given to `Session::run`.
    InputCount {
        /// Inputs the model declares.
        expected: usize,
        /// Inputs given.
        got: usize,
    },
    /// An input is of another type, or has another number of dims, than the model declares.
    InputType {
        /// The model's name of the input.
        input: &'static str,
        /// The declared type, in ONNX terms.
        expected: &'static str,
    },
    /// A dim of an input differs from what the model (or another input) says.
    InputDim {
        /// The model's name of the input.
        input: &'static str,
        /// Which axis, from 0.
        axis: usize,
        /// What was expected, in the model's terms, such as `3`, `batch` or `batch + 1`; empty for a size that is fixed.
        expected: &'static str,
        /// The value expected in this run.
        expected_value: i64,
        /// The value given.
        got: usize,
    },
    /// What the compiler had to assume of the inputs' dims does not hold in this run.
    Requirement {
        /// The assumption, in the model's names, such as `height = 4 * (height / 4)`.
        what: &'static str,
        /// The node that needs it.
        node: &'static str,
    },
    /// A node failed on its data.
    Node {
        /// The node's name in the model.
        node: &'static str,
        /// What happened.
        fault: Fault,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputCount { expected, got } => {
                write!(f, "the model takes {expected} inputs, {got} were given")
            }
            Self::InputType { input, expected } => write!(f, "input `{input}` must be {expected}"),
            Self::InputDim { input, axis, expected, expected_value, got } => {
                write!(f, "input `{input}`: dimension {axis} is {got}, the model needs ")?;
                let fixed = expected.is_empty() || expected.parse::<i64>().is_ok();
                if fixed { write!(f, "{expected_value}") } else { write!(f, "{expected}, here {expected_value}") }
            }
            Self::Requirement { what, node } => write!(f, "node `{node}` needs {what}, which these inputs do not give"),
            Self::Node { node, fault } => write!(f, "node `{node}`: {fault}"),
        }
    }
}

impl core::error::Error for Fault {}
impl core::error::Error for RunError {}
