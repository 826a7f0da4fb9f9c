//! Runs a program in the compiler: folding, `onnxc run --interpret`, and the oracle of tests.

use super::kernel::CallError;

/// The evaluated arguments of a kernel call, taken in order.
pub struct Args<'a> {
    rest: std::vec::IntoIter<Value<'a>>,
}

enum Value<'a> {
    Usize(&'a usize),
}

/// A type that a kernel can take as an argument.
pub trait FromArg<'a>: Sized {
    /// Reads it from an evaluated argument.
    fn from_arg(args: &mut Args<'a>) -> Result<Self, CallError>;
}

impl<'a> Args<'a> {
    /// The next argument.
    pub fn take<T: FromArg<'a>>(&mut self) -> Result<T, CallError> {
        T::from_arg(self)
    }
}
