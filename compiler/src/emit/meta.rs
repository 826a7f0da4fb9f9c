//! Metadata as constants, and the imports that the items need.

use super::door::mentions;
use super::{Emitter, literal, names};
use crate::program::{Port, PortType};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// The arena's alignment may cost the caller's memory that much.
const SLACK: usize = 63;

impl Emitter<'_> {
    pub(super) fn meta_item(&self, weight_bytes: usize) -> TokenStream {
        let (name, producer) = (names::line(&self.program.name), names::line(&self.program.producer));
        let hash = &self.options.model_hash;
        let list = |ports: &[Port]| {
            let n = literal::usize(ports.len());
            let ports = ports.iter().map(|port| self.port(port));
            quote!([Port; #n] = [#(#ports),*])
        };
        let (inputs, outputs) = (list(&self.program.inputs), list(&self.program.outputs));
        let (scratch, weights) = (literal::usize((self.memory.arena + SLACK).next_multiple_of(64)), literal::usize(weight_bytes));
        quote! {
            #[allow(dead_code)]
            impl Model<'_> {
                /// The name of the graph.
                pub const NAME: &'static str = #name;
                /// What made the model file.
                pub const PRODUCER: &'static str = #producer;
                /// The SHA-256 of the model file.
                pub const MODEL_HASH: &'static str = #hash;
                /// The inputs, in the model's order.
                pub const INPUTS: #inputs;
                /// The outputs, in the model's order.
                pub const OUTPUTS: #outputs;
                /// Bytes of scratch memory whose size does not depend on the inputs.
                pub const SCRATCH_BYTES: usize = #scratch;
                /// Bytes of constants.
                pub const WEIGHT_BYTES: usize = #weights;
            }
        }
    }

    fn port(&self, port: &Port) -> TokenStream {
        let name = names::line(&port.name);
        let ty = match &port.ty {
            PortType::Object(text) => {
                let text = names::line(text);
                quote!(PortType::Object(#text))
            }
            PortType::Tensor(dtype, dims) => {
                let dtype = literal::dtype(*dtype);
                let dims = dims.iter().map(|&d| {
                    if let Some(n) = self.program.dims.value(d).and_then(|n| usize::try_from(n).ok()) {
                        let n = literal::usize(n);
                        quote!(Axis::Fixed(#n))
                    } else {
                        let text = names::line(&self.program.dims.show(d).to_string());
                        quote!(Axis::Named(#text))
                    }
                });
                quote!(PortType::Tensor(#dtype, &[#(#dims),*]))
            }
        };
        quote!(Port { name: #name, ty: #ty })
    }
}

/// What generated code may import: path below the runtime, names.
const IMPORTS: &[(&str, &[&str])] = &[
    ("cx", &["Cx"]),
    ("dims", &["Dim"]),
    ("door", &["Axis", "Port", "PortType"]),
    ("element", &["DType"]),
    ("error", &["Fault", "RunError"]),
    ("kernels::fused", &["Formula"]),
    ("memory", &["Both", "In", "InObject", "Out", "OutObject"]),
    ("session", &["Session"]),
    ("simd", &["Simd"]),
    ("value", &["MapView", "Value"]),
    ("view", &["View", "array", "bools_in", "bools_out", "part", "truth"]),
    ("weights", &["Blob"]),
];

/// Modules of the runtime that generated code names by their last part.
const MODULES: &[&str] = &["dims", "door", "element", "float", "kernels", "memory", "profile", "session"];

/// One `use` line for each path that the items mention.
pub(super) fn imports(items: &[TokenStream], runtime: &str, math: bool) -> Vec<TokenStream> {
    let all: TokenStream = items.iter().cloned().collect();
    let runtime: TokenStream = runtime.parse().unwrap_or_else(|_| quote!(::onnxc_runtime));
    let modules: Vec<_> = MODULES.iter().filter(|m| path_starts(&all, m)).map(|m| format_ident!("{m}")).collect();
    let mut lines = Vec::new();
    for (path, names) in IMPORTS {
        // `Math` is a trait whose methods formulas call, next to those of `Simd`.
        if *path == "memory" && math {
            lines.push(quote!(use #runtime::math::Math;));
        }
        let names: Vec<_> = names.iter().filter(|name| mentions(&all, name)).map(|n| format_ident!("{n}")).collect();
        let path = path.split("::").map(|p| format_ident!("{p}"));
        match names.as_slice() {
            [] => {}
            [name] => lines.push(quote!(use #runtime::#(#path)::*::#name;)),
            names => lines.push(quote!(use #runtime::#(#path)::*::{#(#names),*};)),
        }
    }
    if mentions(&all, "MaybeUninit") {
        lines.insert(
            0,
            quote!(
                use core::mem::MaybeUninit;
            ),
        );
    }
    match modules.as_slice() {
        [] => {}
        [name] => lines.push(quote!(use #runtime::#name;)),
        names => lines.push(quote!(use #runtime::{#(#names),*};)),
    }
    vec![quote!(#(#lines)*)]
}

/// Whether `name::` occurs, at the start of a path.
fn path_starts(tokens: &TokenStream, name: &str) -> bool {
    use proc_macro2::{Spacing, TokenTree};
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let colons = |at: Option<&TokenTree>| matches!(at, Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint);
    let separated = |at: usize| at >= 2 && colons(trees.get(at - 2));
    trees.iter().enumerate().any(|(i, tree)| match tree {
        TokenTree::Ident(ident) => ident == name && colons(trees.get(i + 1)) && !separated(i),
        TokenTree::Group(group) => path_starts(&group.stream(), name),
        _ => false,
    })
}
