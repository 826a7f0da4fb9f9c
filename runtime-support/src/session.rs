//! Models behind one object-safe trait, for programs that pick a model at run time; and the conversions its implementations use.

use crate::door::{Axis, Port, PortType};
use crate::element::{Bool, DType, Element};
use crate::error::{Fault, RunError};
use crate::value::{Tensor, Value};
use crate::view::{View, bools_in, bools_out};
use alloc::string::String;
use alloc::vec::Vec;

/// What a session gives: a value for each output.
pub type Values = Vec<Value>;

/// A compiled model that takes and gives values that know their type. Generated code implements it; unlike a model's own `run`, it allocates.
pub trait Session: Send {
    /// The inputs, in order.
    fn inputs(&self) -> &'static [Port];
    /// The outputs, in order.
    fn outputs(&self) -> &'static [Port];
    /// Runs the model.
    fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, RunError>;
}

/// Exactly `N` inputs.
pub fn take<const N: usize>(inputs: &[Value]) -> Result<&[Value; N], RunError> {
    inputs.try_into().map_err(|_| RunError::InputCount { expected: N, got: inputs.len() })
}

fn wrong_type(port: &'static Port) -> RunError {
    let expected = match port.ty {
        PortType::Tensor(dtype, _) => dtype.name(),
        PortType::Object(text) => text,
    };
    RunError::InputType { input: port.name, expected }
}

/// The tensor of an input, of the declared dtype and rank, with the declared fixed dims.
fn tensor<'v>(value: &'v Value, port: &'static Port) -> Result<&'v Tensor, RunError> {
    let (Value::Tensor(tensor), PortType::Tensor(dtype, axes)) = (value, port.ty) else { return Err(wrong_type(port)) };
    if tensor.dtype() != dtype || tensor.shape().len() != axes.len() {
        return Err(wrong_type(port));
    }
    for (axis, (&got, declared)) in tensor.shape().iter().zip(axes).enumerate() {
        if let Axis::Fixed(n) = *declared
            && n != got
        {
            let expected_value = i64::try_from(n).unwrap_or(i64::MAX);
            return Err(RunError::InputDim { input: port.name, axis, expected: "", expected_value, got });
        }
    }
    Ok(tensor)
}

fn elements<'v, T: Element>(value: &'v Value, port: &'static Port) -> Result<&'v [T], RunError> {
    tensor(value, port)?.as_slice().ok_or_else(|| wrong_type(port))
}

fn bools<'v>(value: &'v Value, port: &'static Port) -> Result<&'v [bool], RunError> {
    bools_out(elements::<Bool>(value, port)?).map_err(|_| wrong_type(port))
}

fn array<'v, T, const N: usize>(x: &'v [T], port: &'static Port) -> Result<&'v [T; N], RunError> {
    x.try_into().map_err(|_| wrong_type(port))
}

fn view<'v, T, const RANK: usize>(x: &'v [T], value: &Value, port: &'static Port) -> Result<View<'v, T, RANK>, RunError> {
    let shape = tensor(value, port)?.shape().try_into().map_err(|_| wrong_type(port))?;
    View::new(x, shape).map_err(|_| wrong_type(port))
}

/// An input of known shape.
pub fn fixed<'v, T: Element, const N: usize>(value: &'v Value, port: &'static Port) -> Result<&'v [T; N], RunError> {
    array(elements(value, port)?, port)
}

/// An input of known rank.
pub fn ranked<'v, T: Element, const RANK: usize>(value: &'v Value, port: &'static Port) -> Result<View<'v, T, RANK>, RunError> {
    view(elements(value, port)?, value, port)
}

/// A boolean input of known shape.
pub fn fixed_bools<'v, const N: usize>(value: &'v Value, port: &'static Port) -> Result<&'v [bool; N], RunError> {
    array(bools(value, port)?, port)
}

/// A boolean input of known rank.
pub fn ranked_bools<'v, const RANK: usize>(value: &'v Value, port: &'static Port) -> Result<View<'v, bool, RANK>, RunError> {
    view(bools(value, port)?, value, port)
}

/// The texts of a string input.
pub fn strings<'v>(value: &'v Value, port: &'static Port) -> Result<Vec<&'v str>, RunError> {
    Ok(tensor(value, port)?.as_strings().ok_or_else(|| wrong_type(port))?.iter().map(String::as_str).collect())
}

/// A string input of known rank, from its texts.
pub fn strings_view<'v, 's, const RANK: usize>(
    value: &Value,
    texts: &'v [&'s str],
    port: &'static Port,
) -> Result<View<'v, &'s str, RANK>, RunError> {
    view(texts, value, port)
}

fn output(made: Result<Tensor, Fault>) -> Result<Value, RunError> {
    made.map(Value::Tensor).map_err(|fault| fault.at("(outputs)"))
}

/// An output of known shape.
pub fn value<T: Element>(shape: &[usize], data: &[T]) -> Result<Value, RunError> {
    output(Tensor::from_slice(shape, data))
}

/// A boolean output of known shape.
pub fn bools_value(shape: &[usize], data: &[bool]) -> Result<Value, RunError> {
    output(Tensor::from_raw(DType::Bool, shape, crate::element::as_bytes(bools_in(data))))
}

/// An output of strings of known shape.
pub fn strings_value(shape: &[usize], data: &[String]) -> Result<Value, RunError> {
    output(Tensor::from_strings(shape, data.to_vec()))
}

/// An output of known rank.
pub fn view_value<T: Element, const RANK: usize>(view: View<'_, T, RANK>) -> Result<Value, RunError> {
    value(&view.shape(), view.data())
}

/// A boolean output of known rank.
pub fn bools_view_value<const RANK: usize>(view: View<'_, bool, RANK>) -> Result<Value, RunError> {
    bools_value(&view.shape(), view.data())
}

/// An output of strings of known rank.
pub fn strings_view_value<const RANK: usize>(view: View<'_, String, RANK>) -> Result<Value, RunError> {
    strings_value(&view.shape(), view.data())
}

#[cfg(test)]
mod tests {
    use super::*;

    static PORT: Port = Port { name: "p", ty: PortType::Tensor(DType::Bool, &[Axis::Named("n"), Axis::Fixed(2)]) };

    #[test]
    fn inputs_are_checked() {
        let good = bools_value(&[1, 2], &[true, false]).unwrap();
        assert_eq!(ranked_bools::<2>(&good, &PORT).unwrap().data(), &[true, false]);
        assert_eq!(fixed_bools::<2>(&good, &PORT).unwrap(), &[true, false]);
        assert!(matches!(take::<2>(&[good]), Err(RunError::InputCount { expected: 2, got: 1 })));
        let wide = bools_value(&[2, 1], &[true, false]).unwrap();
        assert!(matches!(ranked_bools::<2>(&wide, &PORT), Err(RunError::InputDim { axis: 1, got: 1, .. })));
        let other = value(&[1, 2], &[1u8, 0]).unwrap();
        assert!(matches!(ranked_bools::<2>(&other, &PORT), Err(RunError::InputType { input: "p", .. })));
        let odd = Tensor::from_raw(DType::Bool, &[1, 2], &[1, 2]).unwrap().into();
        assert!(ranked_bools::<2>(&odd, &PORT).is_err());
        assert!(ranked_bools::<2>(&Value::default(), &PORT).is_err());
    }
}
