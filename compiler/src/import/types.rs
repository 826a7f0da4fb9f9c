//! Declared types of values → facts.

use super::DTYPES;
use crate::ir::dim::{Dim, Dims, Source};
use crate::ir::{DType, Fact, Type};
use crate::options::Options;
use onnxc_proto::{DimensionValue, GraphProto, TypeKind, TypeProto, ValueInfoProto};

/// The dtype of an ONNX number.
pub fn dtype_of(number: i32) -> Option<DType> {
    if number == 26 {
        return Some(DType::I2);
    }
    DTYPES.iter().find(|d| d.0 == number).map(|d| d.1)
}

/// What Paddle and others call each dim that they know nothing of: dims of this name need not be equal.
const UNNAMED: &str = "?";

/// The fact of a model's input, with the user's shapes and dims put in.
pub fn input_fact(input: &ValueInfoProto, index: usize, dims: &Dims, options: &Options) -> Result<Fact, String> {
    let ty = input.r#type.as_ref().ok_or_else(|| format!("input `{}` has no type", input.name))?;
    let mut unnamed = 0;
    let prefix = identifier(&input.name).unwrap_or_else(|| format!("input{index}"));
    let named = |name: &str| options.dim(name).map_or_else(|| dims.named(name), |v| dims.int(v));
    let mut dim = |value: Option<&DimensionValue>| match value {
        Some(DimensionValue::DimValue(v)) if *v >= 0 => dims.int(*v),
        Some(DimensionValue::DimParam(name)) if !name.is_empty() && name != UNNAMED => named(name),
        _ => {
            unnamed += 1;
            named(&format!("{prefix}_{}", unnamed - 1))
        }
    };
    // The elements of a sequence, and what an optional holds, are only seen when they are taken out.
    let tensor = matches!(ty.value, Some(TypeKind::Tensor(_)));
    let mut any = |_: Option<&DimensionValue>| dims.fresh(0).1;
    let dim: &mut dyn FnMut(Option<&DimensionValue>) -> Dim = if tensor { &mut dim } else { &mut any };
    let mut fact = Fact::of(convert(ty, dim).ok_or_else(|| format!("input `{}` has a type that onnxc does not know", input.name))?);
    if let Some(given) = options.input_shape(&input.name) {
        let Type::Tensor(_, shape) = &mut fact.ty else {
            return Err(format!("--input-shape names `{}`, which is not a tensor", input.name));
        };
        if let Some(shape) = shape.as_ref().filter(|s| s.len() != given.len()) {
            return Err(format!("--input-shape gives `{}` {} dims, the model declares {}", input.name, given.len(), shape.len()));
        }
        let new = given.iter().map(|text| text.parse::<u32>().map_or_else(|_| named(text), |v| dims.int(i64::from(v)))).collect::<Vec<_>>();
        for (declared, new) in shape.iter().flatten().zip(&new) {
            if let (Some(a), Some(b)) = (dims.value(*declared), dims.value(*new))
                && a != b
            {
                return Err(format!("--input-shape gives `{}` a dim of {b} where the model declares {a}", input.name));
            }
        }
        *shape = Some(new);
    }
    Ok(fact)
}

/// A name that can stand in a dim's name, or nothing.
fn identifier(name: &str) -> Option<String> {
    let text: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    (!text.is_empty() && text.len() <= 40).then_some(text)
}

/// The declared type of an inner value or output. Only custom operators trust more than its rank: the dims that are numbers, and those named as
/// a dim of an input is; the others are negative.
pub fn declared(value: &ValueInfoProto, dims: &Dims) -> Option<Type> {
    let symbol = |name: &str| dims.symbols().into_iter().find(|&s| dims.info(s).name == name && dims.info(s).source == Source::Entry);
    convert(value.r#type.as_ref()?, &mut |dim| match dim {
        Some(DimensionValue::DimValue(v)) if *v >= 0 => dims.int(*v),
        Some(DimensionValue::DimParam(name)) => symbol(name).map_or_else(|| dims.int(-1), |s| dims.symbol(s)),
        _ => dims.int(-1),
    })
}

/// The names of the symbolic dims of a model's inputs.
pub fn symbols(graph: &GraphProto, options: &Options) -> Vec<String> {
    let dims = Dims::default();
    let bare = Options { dims: Vec::new(), ..options.clone() };
    for (i, input) in graph.input.iter().enumerate() {
        // Errors are reported when the inputs are imported.
        let _ = input_fact(input, i, &dims, &bare);
    }
    dims.symbols().into_iter().map(|s| dims.info(s).name).collect()
}

/// A declared type.
pub fn convert(ty: &TypeProto, dim: &mut dyn FnMut(Option<&DimensionValue>) -> Dim) -> Option<Type> {
    Some(match ty.value.as_ref()? {
        TypeKind::Tensor(tensor) => {
            let shape = tensor.shape.as_ref().map(|s| s.dim.iter().map(|d| dim(d.value.as_ref())).collect());
            Type::Tensor(dtype_of(tensor.elem_type)?, shape)
        }
        TypeKind::SparseTensor(_) | TypeKind::Opaque(_) => return None,
        TypeKind::Sequence(inner) => Type::Sequence(Box::new(convert(inner.elem_type.as_deref()?, dim)?)),
        TypeKind::Optional(inner) => Type::Optional(Box::new(convert(inner.elem_type.as_deref()?, dim)?)),
        TypeKind::Map(map) => Type::Map(dtype_of(map.key_type)?, Box::new(convert(map.value_type.as_deref()?, dim)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc_proto::{Dimension, TensorShapeProto, TensorType};

    /// An f32 tensor whose dims have these names.
    fn input(dims: &[&str]) -> ValueInfoProto {
        let dim = |name: &&str| Dimension { value: Some(DimensionValue::DimParam((*name).to_owned())), ..Dimension::default() };
        let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: 1, shape };
        ValueInfoProto {
            name: "x".to_owned(),
            r#type: Some(TypeProto { value: Some(TypeKind::Tensor(tensor)), ..TypeProto::default() }),
            ..ValueInfoProto::default()
        }
    }

    #[test]
    fn dims_of_one_name_are_equal_unless_they_have_none() {
        let dims = Dims::default();
        let fact = input_fact(&input(&["n", "n", "?", "?", ""]), 0, &dims, &Options::default()).unwrap();
        let shape = fact.shape().unwrap();
        assert_eq!(shape[0], shape[1]);
        let shown: Vec<String> = shape.iter().map(|&d| dims.show(d).to_string()).collect();
        assert_eq!(shown, ["n", "n", "x_0", "x_1", "x_2"]);
    }
}
