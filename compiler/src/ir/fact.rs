//! What is known of a value: its type, its shape, and as much of its contents as was found out.

use super::dim::{Dim, Dims};
use super::tensor::Tensor;
use onnxc_runtime::element::DType;
use std::fmt;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A tensor; the shape is `None` where not even the rank is known.
    Tensor(DType, Option<Vec<Dim>>),
    /// A sequence of values of one type.
    Sequence(Box<Type>),
    /// A value or nothing.
    Optional(Box<Type>),
    /// A map from int64 or string keys.
    Map(DType, Box<Type>),
}

/// What is known of a tensor's contents.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// Everything.
    Const(Tensor),
    /// The elements of an integer tensor of rank 0 or 1, as symbolic integers where known.
    Elements(Vec<Option<Dim>>),
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The type, with the shape.
    pub ty: Type,
    /// The contents.
    pub known: Known,
}

/// More elements than this are not followed symbolically.
pub const MAX_ELEMENTS: usize = 256;

impl Fact {
    /// A tensor of known rank.
    pub fn tensor(dtype: DType, shape: Vec<Dim>) -> Self {
        Self { ty: Type::Tensor(dtype, Some(shape)), known: Known::Nothing }
    }

    /// A tensor of unknown rank.
    pub fn unranked(dtype: DType) -> Self {
        Self { ty: Type::Tensor(dtype, None), known: Known::Nothing }
    }

    /// A value of a type, nothing known of its contents.
    pub fn of(ty: Type) -> Self {
        Self { ty, known: Known::Nothing }
    }

    /// A constant.
    pub fn constant(tensor: Tensor, dims: &Dims) -> Self {
        let shape = tensor.shape.iter().map(|&d| dims.int(d as i64)).collect();
        Self { ty: Type::Tensor(tensor.dtype, Some(shape)), known: Known::Const(tensor) }
    }

    /// An integer tensor of rank 0 or 1 with symbolic elements; a constant if all of them are.
    pub fn elements(dtype: DType, shape: Vec<Dim>, elements: Vec<Option<Dim>>, dims: &Dims) -> Self {
        let values: Option<Vec<i64>> = elements.iter().map(|e| e.and_then(|d| dims.value(d))).collect();
        let lengths: Option<Vec<usize>> = shape.iter().map(|&d| dims.value(d).and_then(|v| usize::try_from(v).ok())).collect();
        if let (Some(values), Some(lengths)) = (values, lengths)
            && let Some(tensor) = integer_tensor(dtype, &lengths, &values)
        {
            return Self::constant(tensor, dims);
        }
        let followed = elements.len() <= MAX_ELEMENTS && elements.iter().any(Option::is_some);
        Self { ty: Type::Tensor(dtype, Some(shape)), known: if followed { Known::Elements(elements) } else { Known::Nothing } }
    }

    /// The dtype, if it is a tensor.
    pub fn dtype(&self) -> Option<DType> {
        match self.ty {
            Type::Tensor(dtype, _) => Some(dtype),
            _ => None,
        }
    }

    /// The shape, if it is a tensor of known rank.
    pub fn shape(&self) -> Option<&[Dim]> {
        match &self.ty {
            Type::Tensor(_, Some(shape)) => Some(shape),
            _ => None,
        }
    }

    /// The contents, if it is a constant.
    pub fn as_const(&self) -> Option<&Tensor> {
        match &self.known {
            Known::Const(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The elements of an integer tensor of rank 0 or 1 as far as they are known.
    pub fn as_elements(&self, dims: &Dims) -> Option<Vec<Option<Dim>>> {
        match &self.known {
            Known::Elements(elements) => Some(elements.clone()),
            Known::Const(tensor) if tensor.shape.len() <= 1 && tensor.len() <= MAX_ELEMENTS && tensor.dtype.is_int() => {
                tensor.to_i64s().map(|v| v.into_iter().map(|x| Some(dims.int(x))).collect())
            }
            _ => {
                // Nothing is known of the contents, but the count may be.
                let count = match self.shape()? {
                    [] => 1,
                    [n] => usize::try_from(dims.value(*n)?).ok()?,
                    _ => return None,
                };
                (count <= MAX_ELEMENTS && self.dtype().is_some_and(DType::is_int)).then(|| vec![None; count])
            }
        }
    }

    /// The fact as text: `f32[batch, 3]`, `i64[2] = [batch, ?]`.
    pub fn show<'a>(&'a self, dims: &'a Dims) -> ShownFact<'a> {
        ShownFact { fact: self, dims }
    }
}

/// An integer tensor (int32, int64 and their kin) with these values.
pub fn integer_tensor(dtype: DType, shape: &[usize], values: &[i64]) -> Option<Tensor> {
    macro_rules! any {
        ($($variant:ident $ty:ty),*) => {
            match dtype {
                $(DType::$variant => Tensor::new(shape, &values.iter().map(|&x| <$ty>::try_from(x)).collect::<Result<Vec<_>, _>>().ok()?),)*
                _ => None,
            }
        };
    }
    any!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}

/// A fact on its way into a text.
pub struct ShownFact<'a> {
    fact: &'a Fact,
    dims: &'a Dims,
}

impl fmt::Display for ShownFact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", show_type(&self.fact.ty, self.dims))?;
        match &self.fact.known {
            Known::Elements(elements) => {
                let texts = elements.iter().map(|e| e.map_or("?".to_owned(), |d| self.dims.show(d).to_string()));
                write!(f, " = [{}]", texts.collect::<Vec<_>>().join(", "))
            }
            _ => Ok(()),
        }
    }
}

/// A type as text.
pub fn show_type(ty: &Type, dims: &Dims) -> String {
    type_text(ty, &|d| dims.show(d).to_string())
}

/// A type as text, with dims as they are shown by `dim`.
pub fn type_text(ty: &Type, dim: &dyn Fn(Dim) -> String) -> String {
    match ty {
        Type::Tensor(dtype, None) => format!("{dtype}[..]"),
        Type::Tensor(dtype, Some(shape)) => format!("{dtype}[{}]", shape.iter().map(|&d| dim(d)).collect::<Vec<_>>().join(", ")),
        Type::Sequence(inner) => format!("seq({})", type_text(inner, dim)),
        Type::Optional(inner) => format!("optional({})", type_text(inner, dim)),
        Type::Map(key, value) => format!("map({key}, {})", type_text(value, dim)),
    }
}

/// Dims as text, separated by commas.
pub fn show_dims(shape: &[Dim], dims: &Dims) -> String {
    shape.iter().map(|&d| dims.show(d).to_string()).collect::<Vec<_>>().join(", ")
}
