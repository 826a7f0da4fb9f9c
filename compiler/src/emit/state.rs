//! What a model keeps between calls: its shape in a field of `Model`, its elements in memory that nothing else uses.

use super::names;
use super::ports::SHADOWED;
use super::views::Carving;
use super::{Emitter, Uses, literal};
use crate::ir::dim::Dim;
use crate::memory::Place;
use crate::program::state::State;
use crate::program::{BufferId, Program, View};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The fields of `Model` that hold the states' shapes.
pub(super) fn fields(program: &Program) -> Vec<String> {
    let mut scope = names::Scope::new(SHADOWED);
    ["memory", "cx"].iter().for_each(|taken| drop(scope.snake(taken, "")));
    program.states.iter().map(|state| scope.snake(&state.name, "state")).collect()
}

impl Emitter<'_> {
    fn state_fields(&self) -> impl Iterator<Item = (Ident, &State)> {
        self.state_fields.iter().map(|name| format_ident!("{name}")).zip(&self.program.states)
    }

    /// `h: Option<[usize; 3]>,` for each state.
    pub(super) fn state_declarations(&self) -> TokenStream {
        let fields = self.state_fields().map(|(field, state)| {
            let (rank, doc) =
                (literal::usize(state.shape.len()), format!(" The shape of {}, unless it is fresh.", names::code(&state.name)));
            quote!(#[doc = #doc] #field: Option<[usize; #rank]>,)
        });
        fields.collect()
    }

    /// `, h: None` for each state.
    pub(super) fn state_inits(&self) -> TokenStream {
        self.state_fields().map(|(field, _)| quote!(, #field: None)).collect()
    }

    /// `reset_state`, if there is any state.
    pub(super) fn reset_item(&self) -> TokenStream {
        if self.state_fields.is_empty() {
            return TokenStream::new();
        }
        let fields = self.state_fields().map(|(field, _)| quote!(self.#field = None;));
        let names: Vec<String> = self.program.states.iter().map(|s| names::code(&s.name)).collect();
        let doc = format!(" Makes what is kept between runs zero again: {}.", names.join(", "));
        quote! {
            #[doc = #doc]
            pub fn reset_state(&mut self) {
                #(#fields)*
            }
        }
    }

    /// The statements of `run` before the first step and after the last.
    pub(super) fn state_statements(&mut self) -> (TokenStream, TokenStream) {
        let (mut before, mut after) = (TokenStream::new(), TokenStream::new());
        for (i, state) in self.program.states.iter().enumerate() {
            let field = format_ident!("{}", self.state_fields[i]);
            let (begin, arguments) = self.begin(&field, state);
            before.extend(quote!(#begin(#arguments self.#field)?;));
            let (keep, arguments) = self.keep(&field, state);
            let node = format!("(state {})", names::line(&state.name));
            after.extend(quote!(self.#field = Some(#keep(#arguments).map_err(|f| f.at(#node))?);));
        }
        (before, after)
    }

    fn whole(&self, buffer: BufferId) -> View {
        View { buffer, offset: self.program.dims.int(0), len: self.program.buffers[buffer].len }
    }

    /// A function that checks what is kept against this run's dims, or makes it zero.
    fn begin(&mut self, field: &Ident, state: &State) -> (Ident, TokenStream) {
        self.uses.set(Uses::default());
        let name = format_ident!("{}", self.module.snake(&format!("begin_{field}"), "begin"));
        let text = names::line(&state.name);
        let checks: TokenStream = self.shape_checks(&text, &state.shape);
        let check_uses = self.uses.get();
        self.uses.set(Uses::default());
        let fresh = self.fresh(field, state);
        let uses = check_uses.and(self.uses.get());
        let (rank, parameters) = (literal::usize(state.shape.len()), uses.parameters());
        let comma = (!parameters.is_empty()).then(|| quote!(,));
        let doc = format!(" What is kept as {} fits this run, or is made zero.", names::code(&state.name));
        let kept = if checks.is_empty() {
            quote!(if kept.is_none() { #fresh })
        } else {
            quote!(match kept { Some(kept) => { #checks } None => { #fresh } })
        };
        self.functions.push(quote! {
            #[doc = #doc]
            fn #name(#parameters #comma kept: Option<[usize; #rank]>) -> Result<(), RunError> {
                #kept
                Ok(())
            }
        });
        let arguments = uses.arguments();
        (name, quote!(#arguments #comma))
    }

    /// The call of a function that makes a state zero.
    fn fresh(&mut self, field: &Ident, state: &State) -> TokenStream {
        if matches!(self.memory.place(state.buffer), Place::Unused) {
            return TokenStream::new();
        }
        let mut carving = Carving::default();
        let view = self.write(self.whole(state.buffer), &mut carving);
        let (statement, uses) = (carving.statement(), self.uses.get());
        let name = format_ident!("{}", self.module.snake(&format!("fresh_{field}"), "fresh"));
        let (parameters, arguments) = (uses.parameters(), uses.arguments());
        let (doc, node) = (format!(" Zeros as {}.", names::code(&state.name)), format!("(state {})", names::line(&state.name)));
        self.functions.push(quote! {
            #[doc = #doc]
            fn #name(#parameters) -> Result<(), Fault> {
                #statement
                #view.fill(Default::default());
                Ok(())
            }
        });
        quote!(#name(#arguments).map_err(|f| f.at(#node))?;)
    }

    fn shape_checks(&self, input: &str, shape: &[Dim]) -> TokenStream {
        let checks = shape.iter().enumerate().map(|(axis, &dim)| {
            let (text, expected, axis) = (names::line(&self.program.dims.show(dim).to_string()), self.dim(dim), literal::usize(axis));
            quote!(door::input_dim(#input, #axis, #text, #expected, kept[#axis])?;)
        });
        // Known dims never change.
        if shape.iter().all(|&d| self.program.dims.value(d).is_some()) { TokenStream::new() } else { checks.collect() }
    }

    /// A function that moves what this run leaves to where the next reads it, and gives its shape.
    fn keep(&mut self, field: &Ident, state: &State) -> (Ident, TokenStream) {
        self.uses.set(Uses::default());
        let name = format_ident!("{}", self.module.snake(&format!("keep_{field}"), "keep"));
        let body = match (self.memory.place(state.buffer), self.memory.place(state.next)) {
            (Place::Slot(a), Place::Slot(b)) => {
                self.with_uses(|u| u.memory = true);
                let (a, b) = (literal::usize(a), literal::usize(b));
                quote!(m.swap_slots(#a, #b)?;)
            }
            (Place::Unused, _) => TokenStream::new(),
            _ => {
                let mut carving = Carving::default();
                let to = self.write(self.whole(state.buffer), &mut carving);
                let from = self.read(self.whole(state.next), &mut carving);
                let statement = carving.statement();
                quote!(#statement kernels::copy::copy(#to, #from)?;)
            }
        };
        let dims: Vec<TokenStream> = state.next_shape.iter().map(|&d| self.usize(d)).collect();
        let (rank, uses) = (literal::usize(dims.len()), self.uses.get());
        let parameters = uses.parameters();
        let doc = format!(" This run's result becomes the next run's {}.", names::code(&state.name));
        self.functions.push(quote! {
            #[doc = #doc]
            fn #name(#parameters) -> Result<[usize; #rank], Fault> {
                #body
                Ok([#(#dims),*])
            }
        });
        (name, uses.arguments())
    }
}
