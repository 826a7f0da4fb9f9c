//! Calls of the user's functions for custom operators: attributes, then a view for each input and each output.

use super::steps::list;
use super::views::Carving;
use super::{Emitter, literal};
use crate::ops::custom::{FUNCTION, SHAPE_FUNCTION};
use crate::program::{Arg, Attribute, Call, View};
use onnxc_runtime::element::DType;
use proc_macro2::TokenStream;
use quote::quote;

impl Emitter<'_> {
    /// The call, if it is one of a user's function.
    pub(super) fn custom(&mut self, call: &Call, carving: &mut Carving) -> Option<TokenStream> {
        let (Arg::Path(path), args) = call.args.split_first()? else { return None };
        let path: TokenStream = path.parse().ok()?;
        if call.kernel.path == SHAPE_FUNCTION.path {
            let [bind, attributes, shapes @ ..] = args else { return None };
            let (bound, attributes) = (self.arg(bind, carving), self.arg(attributes, carving));
            let shapes: Vec<TokenStream> = shapes.iter().map(|shape| self.arg(shape, carving)).collect();
            return Some(quote!(#path(#attributes, &[#(#shapes),*], #bound)));
        }
        if call.kernel.path != FUNCTION.path {
            return None;
        }
        let (attributes, operands) = args.split_first()?;
        let mut values = vec![self.arg(attributes, carving)];
        let mut rest = operands.iter();
        while let Some(operand) = rest.next() {
            values.push(match operand {
                Arg::Absent => quote!(None),
                _ => self.custom_operand(operand, rest.next()?, carving),
            });
        }
        Some(quote!(#path(#(#values),*)))
    }

    /// A view of an operand with its shape, in a form that also serves for an `Option`.
    fn custom_operand(&mut self, operand: &Arg, shape: &Arg, carving: &mut Carving) -> TokenStream {
        let runtime = self.runtime.clone();
        let Arg::Usizes(dims) = shape else { return quote!(compile_error!("onnxc: an operand without a shape")) };
        let dims: Vec<TokenStream> = dims.iter().map(|&d| self.usize(d)).collect();
        let boolean = |view: &View| self.program.buffers[view.buffer].dtype == DType::Bool;
        match operand {
            Arg::In(view) => {
                let boolean = boolean(view);
                let elements = self.read(*view, carving);
                let elements = if boolean { quote!(#runtime::view::bools_out(#elements)?) } else { elements };
                quote!(#runtime::custom::operand(#runtime::view::View::new(#elements, [#(#dims),*])?))
            }
            Arg::Out { view, .. } => {
                let boolean = boolean(view);
                let elements = self.write(*view, carving);
                let elements = if boolean { quote!(#runtime::custom::bools_mut(#elements)) } else { elements };
                quote!(#runtime::custom::ViewMut::new(#elements, [#(#dims),*])?)
            }
            _ => quote!(compile_error!("onnxc: an operand that is no tensor")),
        }
    }

    /// `Attributes(&[("axis", Attribute::Int(1))])`.
    pub(super) fn attributes(&self, attributes: &[(String, Attribute)]) -> TokenStream {
        let runtime = &self.runtime;
        let pairs = attributes.iter().map(|(name, value)| {
            let value = match value {
                Attribute::Int(x) => {
                    let x = proc_macro2::Literal::i64_unsuffixed(*x);
                    quote!(Int(#x))
                }
                Attribute::Float(x) => {
                    let x = literal::f32(*x);
                    quote!(Float(#x))
                }
                Attribute::Text(x) => quote!(Text(#x)),
                Attribute::Ints(xs) => {
                    let xs = list(xs, |&x| {
                        let x = proc_macro2::Literal::i64_unsuffixed(x);
                        quote!(#x)
                    });
                    quote!(Ints(#xs))
                }
                Attribute::Floats(xs) => {
                    let xs = list(xs, |&x| literal::f32(x));
                    quote!(Floats(#xs))
                }
                Attribute::Texts(xs) => quote!(Texts(&[#(#xs),*])),
            };
            quote!((#name, #runtime::custom::Attribute::#value))
        });
        quote!(#runtime::custom::Attributes(&[#(#pairs),*]))
    }
}
