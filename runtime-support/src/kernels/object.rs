//! Sequences, optionals and maps as wholes, and tensors of which only the run knows the rank.

use super::sequence::{Item, write_shape};
use crate::element::DType;
use crate::error::Fault;
use crate::value::{Tensor, Value};

/// Copies an object.
pub fn copy(out: &mut Value, x: &Value) -> Result<(), Fault> {
    out.clone_from(x);
    Ok(())
}

/// `out` is the tensor of these elements.
pub fn pack<T: Item>(out: &mut Value, x: &[T], shape: &[usize], dtype: DType) -> Result<(), Fault> {
    *out = Value::Tensor(T::store(dtype, shape, x)?);
    Ok(())
}

/// The shape of a tensor, to `bind`; a fault if it has another rank.
pub fn shape(bind: &mut [i64], x: &Value) -> Result<(), Fault> {
    write_shape(bind, x.tensor()?.shape())
}

/// The elements of a tensor, of which [`shape`] tells how many there are.
pub fn unpack<T: Item>(out: &mut [T], x: &Value, dtype: DType) -> Result<(), Fault> {
    T::load(out, dtype, x.tensor()?)
}

/// The rank of a tensor, to `out[0]`.
pub fn rank(out: &mut [i64], x: &Value) -> Result<(), Fault> {
    let rank = x.tensor().map(Tensor::shape)?.len() as i64;
    let [out] = out else { return Err(Fault::Internal { what: "rank: one result" }) };
    *out = rank;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_there_and_back() {
        let mut object = Value::default();
        pack(&mut object, &[1i32, 2, 3, 4, 5, 6], &[2, 3], DType::I32).unwrap();
        let (mut of, mut bind, mut elements) = ([0], [0; 2], [0i32; 6]);
        rank(&mut of, &object).unwrap();
        shape(&mut bind, &object).unwrap();
        unpack(&mut elements, &object, DType::I32).unwrap();
        assert_eq!((of, bind, elements), ([2], [2, 3], [1, 2, 3, 4, 5, 6]));
        assert!(shape(&mut [0; 3], &object).is_err());
        assert!(unpack(&mut [0f32; 6], &object, DType::F32).is_err());
        assert!(rank(&mut of, &Value::Optional(None)).is_err());
    }
}
