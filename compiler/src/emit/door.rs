//! `Model`: how it is made, and `run`: check the inputs, walk the steps, hand out the outputs.

use super::ports::Kind;
use super::steps::{Statement, statements_tokens};
use super::{Emitter, literal, names};
use crate::ir::dim::{Source, Symbol};
use crate::memory::Place;
use crate::program::{PortType, Storage};
use onnxc_runtime::element::DType;
use proc_macro2::{TokenStream, TokenTree};
use quote::{format_ident, quote};

impl Emitter<'_> {
    /// Where each entry symbol gets its value: the first input dim that is just it, else that of a state. States are numbered after the inputs.
    fn entries(&self) -> Vec<(Symbol, usize, usize)> {
        let mut found: Vec<(Symbol, usize, usize)> = Vec::new();
        let inputs = self.program.inputs.iter().map(|port| match &port.ty {
            PortType::Tensor(_, dims) => dims.as_slice(),
            PortType::Object(_) => &[],
        });
        let shapes = inputs.chain(self.program.states.iter().map(|s| s.shape.as_slice()));
        for (i, dims) in shapes.enumerate() {
            for (axis, &dim) in dims.iter().enumerate() {
                if let Some(symbol) = self.program.dims.as_symbol(dim)
                    && found.iter().all(|f| f.0 != symbol)
                {
                    found.push((symbol, i, axis));
                }
            }
        }
        found
    }

    /// The statements that check the inputs' dims, and what the compiler assumed of them.
    pub(super) fn checks(&self) -> TokenStream {
        let entries = self.entries();
        let mut out = TokenStream::new();
        for (i, port) in self.program.inputs.iter().enumerate() {
            let (PortType::Tensor(_, dims), Kind::Ranked(..)) = (&port.ty, &self.inputs[i].kind) else { continue };
            for (axis, &dim) in dims.iter().enumerate() {
                if entries.iter().any(|e| (e.1, e.2) == (i, axis)) {
                    continue;
                }
                let (name, text) = (names::line(&port.name), names::line(&self.program.dims.show(dim).to_string()));
                let (ident, expected, axis) = (self.inputs[i].ident(), self.dim(dim), literal::usize(axis));
                out.extend(quote!(door::input_dim(#name, #axis, #text, #expected, #ident.shape()[#axis])?;));
            }
        }
        for check in &self.program.checks {
            let (holds, text, node) = (self.condition(check.condition), self.condition_text(check.condition), names::line(&check.node));
            out.extend(quote!(door::requirement(#holds, #text, #node)?;));
        }
        out
    }

    /// `let d = …;`, if the module has dims.
    fn dims_statement(&self) -> TokenStream {
        let used = self.used_symbols.borrow();
        if used.is_empty() {
            return TokenStream::new();
        }
        let fields = self.entries().into_iter().filter(|e| used.contains(&e.0)).map(|(symbol, input, axis)| {
            let (field, axis) = (format_ident!("{}", self.symbols[&symbol]), literal::usize(axis));
            if let Some(input) = self.inputs.get(input).map(super::ports::InputPort::ident) {
                return quote!(#field: Dim::of(#input.shape()[#axis]));
            }
            let state = format_ident!("{}", self.state_fields[input - self.inputs.len()]);
            quote!(#field: Dim::of(self.#state.map_or(0, |kept| kept[#axis])))
        });
        let fields: Vec<_> = fields.collect();
        let rest = (fields.len() < used.len()).then(|| quote!(..Dims::default()));
        quote!(let d = &mut Dims { #(#fields,)* #rest };)
    }

    /// The `Dims` struct, if there are any.
    pub(super) fn dims_item(&self) -> Vec<TokenStream> {
        let used = self.used_symbols.borrow();
        if used.is_empty() {
            return Vec::new();
        }
        let fields = used.iter().map(|symbol| {
            let info = self.program.dims.info(*symbol);
            let doc = match info.source {
                Source::Entry => format!(" {}, from the inputs.", names::code(&info.name)),
                Source::Step => " Known while the model runs.".to_owned(),
            };
            let field = format_ident!("{}", self.symbols[symbol]);
            quote!(#[doc = #doc] #field: Dim)
        });
        vec![quote! {
            /// The dims of this run.
            #[allow(dead_code)]
            #[derive(Clone, Copy, Default)]
            struct Dims { #(#fields),* }
        }]
    }

    /// The `Inputs` struct, if any step reads an input.
    pub(super) fn inputs_item(&self) -> Vec<TokenStream> {
        let fields: Vec<_> = self
            .inputs
            .iter()
            .filter(|i| i.used)
            .map(|input| {
                let name = input.ident();
                match input.kind.dtype() {
                    None => quote!(#name: &'a Value),
                    Some(dtype) => {
                        let ty = literal::element_type(dtype);
                        quote!(#name: &'a [#ty])
                    }
                }
            })
            .collect();
        if fields.is_empty() {
            return Vec::new();
        }
        vec![quote! {
            /// The inputs of this run, as the steps read them.
            struct Inputs<'a> { #(#fields),* }
        }]
    }

    /// `type Memory`, `struct Model` and its functions.
    pub(super) fn model_items(
        &mut self,
        body: &[Statement],
        checks: &TokenStream,
        states: &(TokenStream, TokenStream),
    ) -> Vec<TokenStream> {
        let arena = literal::usize(self.memory.arena);
        let title = format!(
            " {}",
            if self.program.name.is_empty() { "The model.".to_owned() } else { format!("The model {}.", names::code(&self.program.name)) }
        );
        let run = self.run(body, checks, states);
        let (kept, fresh, reset) = (self.state_declarations(), self.state_inits(), self.reset_item());
        let strings = self.string_constants();
        let mut constructors = TokenStream::new();
        let mut items = vec![
            quote! {
                type Memory<'m> = memory::Memory<'m, #arena>;
            },
            quote! {
                #[doc = #title]
                #[derive(Clone, Debug)]
                pub struct Model<'m> {
                    memory: Memory<'m>,
                    cx: Cx,
                    #kept
                }
            },
        ];
        let with_memory = !self.options.no_std;
        if with_memory {
            let (slots, texts, objects) =
                (literal::usize(self.memory.slots), literal::usize(self.memory.strings), literal::usize(self.memory.objects));
            let loads = strings.iter().map(|(place, name)| {
                let place = literal::usize(*place);
                quote!(.with_strings(#place, #name))
            });
            constructors.extend(quote! {
                /// A model with its own scratch memory, for this machine's best instruction set and one thread.
                pub fn new() -> Self {
                    Self { memory: memory::Memory::new(#slots, #texts, #objects) #(#loads)*, cx: Cx::detect() #fresh }
                }
            });
            items.push(quote! {
                impl Default for Model<'_> {
                    fn default() -> Self {
                        Self::new()
                    }
                }
            });
        } else {
            items[1] = quote! {
                #[doc = #title]
                #[derive(Debug)]
                pub struct Model<'m> {
                    memory: Memory<'m>,
                    cx: Cx,
                    #kept
                }
            };
        }
        let mut lifetime = quote!('_);
        if !self.memory.needs_heap() {
            lifetime = quote!('m);
            constructors.extend(quote! {
                /// A model whose scratch memory is the caller's.
                pub fn new_in(scratch: &'m mut [MaybeUninit<u8>; Model::SCRATCH_BYTES]) -> Self {
                    Self { memory: memory::Memory::new_in(scratch), cx: Cx::detect() #fresh }
                }
            });
        }
        let generics = (lifetime.to_string() == "'m").then(|| quote!(<'m>));
        items.push(quote! {
            #[allow(dead_code)]
            impl #generics Model<#lifetime> {
                #constructors

                /// Lets each step use up to that many threads.
                pub fn with_threads(self, threads: usize) -> Self {
                    Self { cx: self.cx.with_threads(threads), ..self }
                }

                /// Uses that instruction set and number of threads.
                pub fn with_cx(self, cx: Cx) -> Self {
                    Self { cx, ..self }
                }

                /// The instruction set and the number of threads.
                pub fn cx(&self) -> Cx {
                    self.cx
                }

                #reset

                #run
            }
        });
        items
    }

    /// Constant tensors of strings: their places, and the constants with their texts.
    fn string_constants(&mut self) -> Vec<(usize, proc_macro2::Ident)> {
        let mut found = Vec::new();
        for (id, buffer) in self.program.buffers.iter() {
            let (Storage::Weight(w), Place::Strings(place)) = (buffer.storage, self.memory.place(id)) else { continue };
            let weight = &self.program.weights[w];
            let Some(strings) = weight.tensor.as_strings() else { continue };
            let name = format_ident!("{}", self.module.upper(&weight.name, "strings"));
            let doc = format!(" {}: string{:?}", names::code(&weight.name), weight.tensor.shape);
            self.weights.items.push(quote! {
                #[doc = #doc]
                const #name: &[&str] = &[#(#strings),*];
            });
            found.push((place, name));
        }
        found
    }

    fn run(&self, body: &[Statement], checks: &TokenStream, states: &(TokenStream, TokenStream)) -> TokenStream {
        let (begin, keep) = states;
        let parameters = self.inputs.iter().map(|input| {
            let (name, ty) = (input.ident(), input.kind.parameter());
            quote!(#name: #ty)
        });
        let uses = body.iter().fold(super::Uses::default(), |all, s| all.and(s.uses));
        let fields: Vec<_> = self
            .inputs
            .iter()
            .filter(|i| i.used)
            .map(|input| {
                let (name, elements) = (input.ident(), input.elements());
                if elements.to_string() == input.name { quote!(#name) } else { quote!(#name: #elements) }
            })
            .collect();
        let inputs = (uses.inputs && !fields.is_empty()).then(|| quote!(let x = &Inputs { #(#fields),* };));
        let cx = uses.cx.then(|| quote!(let cx = self.cx;));
        let dims = self.dims_statement();
        let strings = self.string_inputs();
        let steps = statements_tokens(body);
        let args = self.outputs_uses().arguments();
        let tokens = quote! {
            #dims
            #checks
            let m = &mut self.memory;
            #cx
            #inputs
            #strings
            #begin
            #steps
            #keep
            outputs(#args).map_err(|f| f.at("(outputs)"))
        };
        let unused = self.inputs.iter().filter(|i| !mentions(&tokens, &i.name)).map(|input| {
            let name = input.ident();
            quote!(let _ = #name;)
        });
        let unused: TokenStream = unused.collect();
        let allow = (self.inputs.len() > 6).then(|| quote!(#[allow(clippy::too_many_arguments)]));
        let docs = self.run_docs();
        quote! {
            #(#[doc = #docs])*
            #allow
            pub fn run(&mut self, #(#parameters),*) -> Result<Outputs<'_>, RunError> {
                #unused
                #tokens
            }
        }
    }

    fn run_docs(&self) -> Vec<String> {
        let mut docs = vec![" Runs the model; the outputs live in its memory until the next run.".to_owned()];
        if !self.inputs.is_empty() {
            docs.push(String::new());
        }
        for (input, port) in self.inputs.iter().zip(&self.program.inputs) {
            docs.push(format!(" - `{}`: {}", input.name, self.port_text(&port.name, &port.ty)));
        }
        docs
    }

    /// `f32[batch, 3]`, with the model's name of it.
    pub(super) fn port_text(&self, name: &str, ty: &PortType) -> String {
        let text = match ty {
            PortType::Object(text) => names::line(text),
            PortType::Tensor(dtype, dims) => {
                let dims: Vec<String> = dims.iter().map(|&d| self.program.dims.show(d).to_string()).collect();
                names::line(&format!("{dtype}[{}]", dims.join(", ")))
            }
        };
        format!("{} {}", names::code(name), names::code(&text))
    }

    /// String inputs are copied into the model's memory, because steps read `String`s.
    fn string_inputs(&self) -> TokenStream {
        let mut out = TokenStream::new();
        for (i, (input, port)) in self.inputs.iter().zip(&self.program.inputs).enumerate() {
            let Place::Strings(place) = self.memory.place(port.buffer) else { continue };
            if self.program.buffers[port.buffer].storage != Storage::Input(i) || input.kind.dtype() != Some(DType::String) {
                continue;
            }
            let (name, place, node) = (input.ident(), literal::usize(place), format!("(input {})", names::line(&port.name)));
            let strings = match input.kind {
                Kind::Scalar(_) => quote!(&[#name]),
                Kind::Ranked(..) => quote!(#name.data()),
                _ => quote!(#name),
            };
            out.extend(quote!(m.set_strings(#place, #strings).map_err(|f| f.at(#node))?;));
        }
        out
    }
}

/// Whether an identifier occurs in the tokens, other than as a field or method.
pub(super) fn mentions(tokens: &TokenStream, name: &str) -> bool {
    let mut after_dot = false;
    tokens.clone().into_iter().any(|tree| {
        let member = std::mem::replace(&mut after_dot, matches!(&tree, TokenTree::Punct(p) if p.as_char() == '.'));
        match tree {
            TokenTree::Ident(ident) => ident == name && !member,
            TokenTree::Group(group) => mentions(&group.stream(), name),
            _ => false,
        }
    })
}
