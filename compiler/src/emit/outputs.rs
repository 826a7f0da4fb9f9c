//! `Outputs`: one method an output, by the model's name of it.

use super::ports::{Kind, OutputPort};
use super::views::Carving;
use super::{Emitter, Uses, literal};
use crate::program::{PortType, View};
use onnxc_runtime::element::DType;
use proc_macro2::TokenStream;
use quote::quote;

impl Emitter<'_> {
    /// The struct, its methods, and the function that makes it after the last step.
    pub(super) fn outputs_items(&mut self) -> Vec<TokenStream> {
        self.uses.set(Uses::default());
        let ports = std::mem::take(&mut self.outputs);
        let mut carving = Carving::default();
        let values: Vec<TokenStream> = ports.iter().enumerate().map(|(i, port)| self.output_value(i, port, &mut carving)).collect();
        let parameters = self.outputs_parameters();
        let views = carving.statement();
        let names: Vec<_> = ports.iter().map(OutputPort::ident).collect();
        let types = ports.iter().map(|port| stored(&port.kind));
        let fields: Vec<TokenStream> = if ports.is_empty() {
            vec![quote!(nothing: core::marker::PhantomData<&'a ()>)]
        } else {
            names.iter().zip(types).map(|(name, ty)| quote!(#name: #ty)).collect()
        };
        let inits: Vec<TokenStream> = if ports.is_empty() {
            vec![quote!(nothing: core::marker::PhantomData)]
        } else {
            names.iter().zip(&values).map(|(name, value)| quote!(#name: #value)).collect()
        };
        let getters = ports.iter().zip(&self.program.outputs).map(|(port, of)| {
            let (name, ty, doc) = (port.ident(), port.kind.getter(), format!(" {}", self.port_text(&of.name, &of.ty)));
            let value = match port.kind {
                Kind::Scalar(DType::String) => quote!(self.#name[0].as_str()),
                Kind::Scalar(_) => quote!(self.#name[0]),
                _ => quote!(self.#name),
            };
            quote! {
                #[doc = #doc]
                pub fn #name(&self) -> #ty {
                    #value
                }
            }
        });
        let items = vec![
            quote! {
                /// What a run gives.
                #[derive(Clone, Debug)]
                pub struct Outputs<'a> { #(#fields),* }
            },
            quote! {
                #[allow(dead_code)]
                impl<'a> Outputs<'a> { #(#getters)* }
            },
            quote! {
                /// The outputs, from where the steps left them.
                fn outputs<'a>(#parameters) -> Result<Outputs<'a>, Fault> {
                    #views
                    Ok(Outputs { #(#inits),* })
                }
            },
        ];
        self.outputs = ports;
        items
    }

    fn output_value(&mut self, index: usize, port: &OutputPort, carving: &mut Carving) -> TokenStream {
        let of = &self.program.outputs[index];
        let PortType::Tensor(_, dims) = &of.ty else { return self.object(of.buffer, false, carving) };
        let buffer = &self.program.buffers[of.buffer];
        let view = View { buffer: of.buffer, offset: self.program.dims.int(0), len: buffer.len };
        let elements = self.read(view, carving);
        let elements = if port.kind.dtype() == Some(DType::Bool) { quote!(bools_out(#elements)?) } else { elements };
        if let Kind::Ranked(..) = port.kind {
            let dims = dims.iter().map(|&d| self.usize(d));
            quote!(View::new(#elements, [#(#dims),*])?)
        } else {
            quote!(array(#elements)?)
        }
    }

    /// What the function `outputs` uses: the memory always (its lifetime is the outputs').
    pub(super) fn outputs_uses(&self) -> Uses {
        let dims = self.program.outputs.iter().any(|port| match &port.ty {
            PortType::Tensor(_, dims) => {
                dims.iter().any(|&d| self.program.dims.value(d).is_none())
                    || self.program.dims.value(self.program.buffers[port.buffer].len).is_none()
            }
            PortType::Object(_) => false,
        });
        Uses { memory: true, dims, ..Uses::default() }
    }

    fn outputs_parameters(&self) -> TokenStream {
        let dims = self.outputs_uses().dims.then(|| quote!(, d: &Dims));
        let name = if self.uses.get().memory { quote!(m) } else { quote!(_m) };
        quote!(#name: &'a mut Memory<'_> #dims)
    }
}

/// The type of the field that holds an output.
fn stored(kind: &Kind) -> TokenStream {
    match kind {
        Kind::Scalar(dtype) => {
            let ty = super::ports::outer_type(*dtype);
            let one = literal::usize(1);
            quote!(&'a [#ty; #one])
        }
        _ => kind.getter(),
    }
}
