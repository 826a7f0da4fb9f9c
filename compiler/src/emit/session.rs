//! The implementation of `Session`: values that know their type → the typed inputs of `run`, and back.

use super::Emitter;
use super::ports::{InputPort, Kind};
use crate::program::PortType;
use onnxc_runtime::element::DType;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

impl Emitter<'_> {
    pub(super) fn session_item(&self) -> Vec<TokenStream> {
        if self.options.no_std {
            return Vec::new();
        }
        let n = super::literal::usize(self.inputs.len());
        let values: Vec<_> = (0..self.inputs.len()).map(|i| format_ident!("v{i}")).collect();
        let take = if values.is_empty() {
            quote!([] = session::take::<#n>(inputs)?)
        } else {
            quote!([#(#values),*] = session::take::<#n>(inputs)?)
        };
        let strings = self.inputs.iter().zip(&values).enumerate().filter(|(_, (input, _))| input.kind.dtype() == Some(DType::String));
        let strings = strings.map(|(i, (_, value))| {
            let (name, i) = (format_ident!("t{i}"), super::literal::usize(i));
            quote!(let #name = session::strings(#value, &Self::INPUTS[#i])?;)
        });
        let arguments = self.inputs.iter().enumerate().map(|(i, input)| argument(i, input));
        let results = self.outputs.iter().zip(&self.program.outputs).map(|(output, port)| {
            let name = output.ident();
            let PortType::Tensor(dtype, dims) = &port.ty else { return quote!(outputs.#name().clone()) };
            let ranked = matches!(output.kind, Kind::Ranked(..));
            let make = match dtype {
                DType::String => "strings_",
                DType::Bool => "bools_",
                _ => "",
            };
            let make = format_ident!("{make}{}", if ranked { "view_value" } else { "value" });
            if ranked {
                return quote!(session::#make(outputs.#name())?);
            }
            let dims = dims.iter().map(|&d| self.usize(d));
            quote!(session::#make(&[#(#dims),*], outputs.#name)?)
        });
        let results: Vec<TokenStream> = results.collect();
        let outputs =
            if results.is_empty() { quote!(self.run(#(#arguments),*)?;) } else { quote!(let outputs = self.run(#(#arguments),*)?;) };
        vec![quote! {
            impl Session for Model<'_> {
                fn inputs(&self) -> &'static [Port] {
                    &Self::INPUTS
                }

                fn outputs(&self) -> &'static [Port] {
                    &Self::OUTPUTS
                }

                fn run(&mut self, inputs: &[Value]) -> Result<session::Values, RunError> {
                    let #take;
                    #(#strings)*
                    #outputs
                    let values = [#(#results),*];
                    Ok(session::Values::from(values))
                }
            }
        }]
    }
}

/// The argument of `run` for one input.
fn argument(index: usize, input: &InputPort) -> TokenStream {
    let (value, text, index) = (format_ident!("v{index}"), format_ident!("t{index}"), super::literal::usize(index));
    let port = quote!(&Self::INPUTS[#index]);
    match (&input.kind, input.kind.dtype()) {
        (Kind::Scalar(_), Some(DType::String)) => quote!(array::<_, 1>(&#text).map_err(|f| f.at("(inputs)"))?[0]),
        (Kind::Fixed(..), Some(DType::String)) => quote!(array(&#text).map_err(|f| f.at("(inputs)"))?),
        (Kind::Ranked(..), Some(DType::String)) => quote!(session::strings_view(#value, &#text, #port)?),
        (Kind::Object, _) => quote!(#value),
        (Kind::Scalar(_), Some(DType::Bool)) => quote!(session::fixed_bools::<1>(#value, #port)?[0]),
        (Kind::Fixed(..), Some(DType::Bool)) => quote!(session::fixed_bools(#value, #port)?),
        (Kind::Ranked(..), Some(DType::Bool)) => quote!(session::ranked_bools(#value, #port)?),
        (Kind::Scalar(_), _) => quote!(session::fixed::<_, 1>(#value, #port)?[0]),
        (Kind::Fixed(..), _) => quote!(session::fixed(#value, #port)?),
        (Kind::Ranked(..), _) => quote!(session::ranked(#value, #port)?),
    }
}
