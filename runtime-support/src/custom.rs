//! What the user's functions for custom operators are called with: typed views and the node's attributes.
//!
//! ```
//! use onnxc_runtime::custom::{Attributes, ViewMut};
//! use onnxc_runtime::error::Fault;
//! use onnxc_runtime::view::View;
//!
//! /// `my.domain:Scale`: each element times the attribute `factor`.
//! fn scale(attributes: Attributes<'_>, x: View<'_, f32, 2>, mut y: ViewMut<'_, f32, 2>) -> Result<(), Fault> {
//!     let factor = attributes.float("factor").unwrap_or(1.0);
//!     y.data().iter_mut().zip(x.data()).for_each(|(y, x)| *y = x * factor);
//!     Ok(())
//! }
//! ```

use crate::element::Bool;
use crate::error::Fault;

/// An input as its parameter wants it: the view itself, or `Some` of it.
pub fn operand<V, P: From<V>>(view: V) -> P {
    view.into()
}

/// An attribute of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // ONNX's kinds.
pub enum Attribute<'a> {
    Int(i64),
    Float(f32),
    Text(&'a str),
    Ints(&'a [i64]),
    Floats(&'a [f32]),
    Texts(&'a [&'a str]),
}

/// The attributes of a node, by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attributes<'a>(pub &'a [(&'a str, Attribute<'a>)]);

macro_rules! getters {
    ($($name:ident $variant:ident $ty:ty, $doc:literal;)*) => {$(
        #[doc = concat!("The attribute of that name, if it is given and ", $doc, ".")]
        pub fn $name(&self, name: &str) -> Option<$ty> {
            match self.get(name) {
                Some(Attribute::$variant(value)) => Some(value),
                _ => None,
            }
        }
    )*};
}

impl<'a> Attributes<'a> {
    /// The attribute of that name, if it is given.
    pub fn get(&self, name: &str) -> Option<Attribute<'a>> {
        self.0.iter().find(|a| a.0 == name).map(|a| a.1)
    }

    getters! {
        int Int i64, "an integer";
        float Float f32, "a float";
        text Text &'a str, "a string";
        ints Ints &'a [i64], "a list of integers";
        floats Floats &'a [f32], "a list of floats";
        texts Texts &'a [&'a str], "a list of strings";
    }
}

/// Elements to be written, and their shape; the number of elements is the product of the shape. What they are at first is not said.
#[derive(Debug, PartialEq)]
pub struct ViewMut<'a, T, const RANK: usize> {
    data: &'a mut [T],
    shape: [usize; RANK],
}

impl<'a, T, const RANK: usize> ViewMut<'a, T, RANK> {
    /// Elements in row-major order; [`Fault::Dim`] if their number is not the product of `shape`.
    pub fn new(data: &'a mut [T], shape: [usize; RANK]) -> Result<Self, Fault> {
        crate::view::View::new(data, shape)?;
        Ok(Self { data, shape })
    }

    /// The elements, in row-major order.
    pub fn data(&mut self) -> &mut [T] {
        self.data
    }

    /// The shape.
    pub const fn shape(&self) -> [usize; RANK] {
        self.shape
    }
}

/// Booleans as the user's functions write them, all false at first.
pub fn bools_mut(x: &mut [Bool]) -> &mut [bool] {
    x.fill(Bool(0));
    // SAFETY: `Bool` is a transparent u8 of the size and alignment of `bool`; all bytes are 0 now, and a `bool` written through the reference
    // leaves a byte of 0 or 1, which is a valid `Bool`.
    unsafe { core::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_kinds() {
        let attributes = Attributes(&[("axis", Attribute::Int(-1)), ("scales", Attribute::Floats(&[0.5, 2.0]))]);
        assert_eq!((attributes.int("axis"), attributes.float("axis")), (Some(-1), None));
        assert_eq!(attributes.floats("scales"), Some(&[0.5, 2.0][..]));
        assert_eq!(attributes.get("none"), None);
    }

    #[test]
    fn views_are_written() {
        let mut data = [Bool(7), Bool(1)];
        let mut view = ViewMut::new(bools_mut(&mut data), [1, 2]).unwrap();
        assert_eq!((view.data(), [1, 2]), (&mut [false, false][..], [1, 2]));
        view.data()[1] = true;
        assert_eq!(data, [Bool(0), Bool(1)]);
        assert!(ViewMut::new(&mut data, [3]).is_err());
    }
}
