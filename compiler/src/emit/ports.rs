//! Inputs and outputs: their names and how they look in the signature of `run`.

use super::{literal, names::Scope};
use crate::ir::dim::{Dim, Dims};
use crate::program::{Port, PortType, Program};
use onnxc_runtime::element::DType;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// How a port is typed.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `&Value`.
    Object,
    /// A tensor of rank 0: a plain value.
    Scalar(DType),
    /// A tensor of known shape: `&[T; LEN]`.
    Fixed(DType, usize),
    /// A tensor of known rank: `View<'_, T, RANK>`.
    Ranked(DType, usize),
}

/// An input.
pub(super) struct InputPort {
    pub name: String,
    pub kind: Kind,
    /// A step reads its elements.
    pub used: bool,
}

/// An output.
pub(super) struct OutputPort {
    pub name: String,
    pub kind: Kind,
}

/// Names that would hide what the generated functions use.
pub(super) const SHADOWED: &[&str] = &[
    "self",
    "m",
    "d",
    "cx",
    "x",
    "array",
    "part",
    "truth",
    "bools_in",
    "bools_out",
    "outputs",
    "nothing",
    "clone",
    "fmt",
    "inputs",
    "run",
];

pub(super) fn inputs(program: &Program) -> Vec<InputPort> {
    let mut scope = Scope::new(SHADOWED);
    let port = |p: &Port| InputPort { name: scope.snake(&p.name, "input"), kind: Kind::of(&p.ty, &program.dims), used: false };
    program.inputs.iter().map(port).collect()
}

pub(super) fn outputs(program: &Program) -> Vec<OutputPort> {
    let mut scope = Scope::new(SHADOWED);
    let port = |p: &Port| OutputPort { name: scope.snake(&p.name, "output"), kind: Kind::of(&p.ty, &program.dims) };
    program.outputs.iter().map(port).collect()
}

impl Kind {
    fn of(ty: &PortType, dims: &Dims) -> Self {
        match ty {
            PortType::Object(_) => Self::Object,
            PortType::Tensor(dtype, shape) if shape.is_empty() => Self::Scalar(*dtype),
            PortType::Tensor(dtype, shape) => {
                fixed_len(shape, dims).map_or(Self::Ranked(*dtype, shape.len()), |len| Self::Fixed(*dtype, len))
            }
        }
    }

    pub fn dtype(&self) -> Option<DType> {
        match self {
            Self::Object => None,
            Self::Scalar(dtype) | Self::Fixed(dtype, _) | Self::Ranked(dtype, _) => Some(*dtype),
        }
    }

    /// The type of a parameter of `run`.
    pub fn parameter(&self) -> TokenStream {
        let element = match self.dtype() {
            Some(DType::String) => quote!(&str),
            Some(dtype) => outer_type(dtype),
            None => return quote!(&Value),
        };
        self.shaped(&element, &quote!('_))
    }

    /// The type of a getter of `Outputs`.
    pub fn getter(&self) -> TokenStream {
        match (self, self.dtype()) {
            (_, None) => quote!(&'a Value),
            (Self::Scalar(_), Some(DType::String)) => quote!(&'a str),
            (_, Some(dtype)) => self.shaped(&outer_type(dtype), &quote!('a)),
        }
    }

    fn shaped(&self, element: &TokenStream, lifetime: &TokenStream) -> TokenStream {
        match self {
            Self::Fixed(_, len) => {
                let len = literal::usize(*len);
                let lifetime = (lifetime.to_string() != "'_").then_some(lifetime);
                quote!(&#lifetime [#element; #len])
            }
            Self::Ranked(_, rank) => {
                let rank = literal::usize(*rank);
                quote!(View<#lifetime, #element, #rank>)
            }
            _ => element.clone(),
        }
    }
}

impl InputPort {
    pub fn ident(&self) -> Ident {
        format_ident!("{}", self.name)
    }

    /// The elements as steps read them, from the parameter.
    pub fn elements(&self) -> TokenStream {
        let name = self.ident();
        let plain = match self.kind {
            Kind::Object | Kind::Fixed(..) => quote!(#name),
            Kind::Scalar(_) => quote!(core::slice::from_ref(&#name)),
            Kind::Ranked(..) => quote!(#name.data()),
        };
        if self.kind.dtype() == Some(DType::Bool) { quote!(bools_in(#plain)) } else { plain }
    }
}

impl OutputPort {
    pub fn ident(&self) -> Ident {
        format_ident!("{}", self.name)
    }
}

/// An element's type as callers see it.
pub(super) fn outer_type(dtype: DType) -> TokenStream {
    if dtype == DType::Bool { quote!(bool) } else { literal::element_type(dtype) }
}

fn fixed_len(shape: &[Dim], dims: &Dims) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(dims.value(d)?).ok()?))
}
