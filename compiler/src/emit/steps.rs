//! Steps → functions: each documented step is one function that takes its views and calls one kernel; blocks are functions that call steps.

use super::views::Carving;
use super::{Emitter, Uses, literal, names};
use crate::program::{Action, Arg, Call, Condition, Fused, Step, View};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The most statements in one function; longer blocks are cut into parts, so that no function is huge for rustc or the stack.
const PART: usize = 64;

/// A statement of a block, and which of the block's variables it needs.
pub(super) struct Statement {
    pub tokens: TokenStream,
    pub uses: Uses,
}

impl Emitter<'_> {
    /// The statements that run these steps; their functions are added to the module.
    pub(super) fn block(&mut self, steps: &[Step], name: &str) -> Vec<Statement> {
        let statements: Vec<Statement> = steps.iter().map(|step| self.step(step)).collect();
        self.parts(statements, name)
    }

    fn parts(&mut self, statements: Vec<Statement>, name: &str) -> Vec<Statement> {
        if statements.len() <= PART {
            return statements;
        }
        let mut rest = statements.into_iter().peekable();
        let mut parts = Vec::new();
        while rest.peek().is_some() {
            let part: Vec<Statement> = rest.by_ref().take(PART).collect();
            let ident = format_ident!("{}", self.module.snake(&format!("{name}_part_{}", parts.len() + 1), "part"));
            let uses = part.iter().fold(Uses::default(), |all, s| all.and(s.uses));
            let doc = format!(" Part {} of `{name}`.", parts.len() + 1);
            self.function(&ident, &[doc], uses, &quote!((), RunError), &statements_tokens(&part), &quote!(Ok(())));
            let args = uses.arguments();
            parts.push(Statement { tokens: quote!(#ident(#args)?;), uses });
        }
        // A part of parts, if there are that many.
        self.parts(parts, name)
    }

    /// Adds a function to the module.
    fn function(&mut self, name: &Ident, docs: &[String], uses: Uses, result: &TokenStream, body: &TokenStream, last: &TokenStream) {
        let parameters = uses.parameters();
        self.functions.push(quote! {
            #(#[doc = #docs])*
            fn #name(#parameters) -> Result<#result> {
                #body
                #last
            }
        });
    }

    fn step(&mut self, step: &Step) -> Statement {
        let node = names::line(if step.node.is_empty() { "(unnamed)" } else { &step.node });
        self.uses.set(Uses::default());
        match &step.action {
            Action::Assign(pairs) => {
                let (to, from): (Vec<_>, Vec<_>) = pairs.iter().map(|&(s, d)| (self.symbol(s), self.dim(d))).unzip();
                self.with_uses(|u| u.dims_mut = true);
                let tokens = if to.len() == 1 { quote!(#(#to = #from;)*) } else { quote!((#(#to,)*) = (#(#from,)*);) };
                Statement { tokens, uses: self.uses.get() }
            }
            Action::Require(condition) => {
                let holds = self.condition(*condition);
                let (Condition::Equal(a, b) | Condition::Broadcast(a, b) | Condition::AtMost(a, b)) = *condition;
                let (got, expected) = (self.dim(a), self.dim(b));
                let tokens = quote!(dims::require(#holds, #expected, #got).map_err(|f| f.at(#node))?;);
                Statement { tokens, uses: self.uses.get() }
            }
            Action::Call(call) => self.call_step(step, &node, |e, carving| e.call(call, carving)),
            Action::Fused(fused) => self.call_step(step, &node, |e, carving| e.fused(fused, carving)),
            Action::If { condition, then, otherwise } => {
                let name = self.function_name(step, "branch");
                let (test, mut uses) = self.truth(*condition, &name, &node);
                let then = self.block(then, &format!("{name}_then"));
                let otherwise = self.block(otherwise, &format!("{name}_otherwise"));
                uses = then.iter().chain(&otherwise).fold(uses, |all, s| all.and(s.uses));
                let (then, otherwise) = (statements_tokens(&then), statements_tokens(&otherwise));
                let rest = (!otherwise.is_empty()).then(|| quote!(else { #otherwise }));
                let body = quote!(if #test { #then } #rest);
                self.block_function(step, &name, uses, &body, &quote!(Ok(())))
            }
            Action::Loop { counter, trips, condition, body } => {
                let name = self.function_name(step, "repeat");
                let limit = trips.map(|trips| self.dim(trips));
                let counter = self.symbol(*counter);
                let mut uses = self.uses.get();
                uses.dims_mut = true;
                let test = condition.map(|view| {
                    let (test, more) = self.truth(view, &name, &node);
                    uses = uses.and(more);
                    test
                });
                let statements = self.block(body, &format!("{name}_body"));
                uses = statements.iter().fold(uses, |all, s| all.and(s.uses));
                let inner = statements_tokens(&statements);
                let limited = limit.as_ref().map(|limit| quote!(let trips = #limit;));
                let start = quote!(#limited #counter = Dim(0););
                let next = quote!(#counter = #counter + 1;);
                let (body, last) = match (limit, test) {
                    (Some(_), Some(test)) => (quote!(#start while #counter < trips && #test { #inner #next }), quote!(Ok(()))),
                    (Some(_), None) => (quote!(#start while #counter < trips { #inner #next }), quote!(Ok(()))),
                    (None, Some(test)) => (quote!(#start while #test { #inner #next }), quote!(Ok(()))),
                    (None, None) => (start, quote!(loop { #inner #next })),
                };
                self.block_function(step, &name, uses, &body, &last)
            }
        }
    }

    fn function_name(&mut self, step: &Step, fallback: &str) -> String {
        self.module.snake(&step.node, fallback)
    }

    fn block_function(&mut self, step: &Step, name: &str, uses: Uses, body: &TokenStream, last: &TokenStream) -> Statement {
        let ident = format_ident!("{name}");
        self.function(&ident, &docs(step), uses, &quote!((), RunError), body, last);
        let args = uses.arguments();
        Statement { tokens: quote!(#ident(#args)?;), uses }
    }

    /// A function that reads a condition, called.
    fn truth(&mut self, view: View, name: &str, node: &str) -> (TokenStream, Uses) {
        self.uses.set(Uses::default());
        let mut carving = Carving::default();
        let value = self.read(view, &mut carving);
        let uses = self.uses.get();
        let ident = format_ident!("{}", self.module.snake(&format!("{name}_condition"), "condition"));
        let doc = format!(" The condition of `{name}`.");
        self.function(&ident, &[doc], uses, &quote!(bool, Fault), &carving.statement(), &quote!(truth(#value)));
        let args = uses.arguments();
        (quote!(#ident(#args).map_err(|f| f.at(#node))?), uses)
    }

    /// A step that is one call: a function of its own.
    fn call_step(
        &mut self,
        step: &Step,
        node: &str,
        call: impl FnOnce(&mut Self, &mut Carving) -> (TokenStream, TokenStream),
    ) -> Statement {
        let fallback = match &step.action {
            Action::Call(call) => call.kernel.path.rsplit("::").next().unwrap_or("step"),
            _ => "fused",
        };
        let name = format_ident!("{}", self.function_name(step, fallback));
        let mut carving = Carving::default();
        let (call, after) = call(self, &mut carving);
        let uses = self.uses.get();
        let views = carving.statement();
        let (body, last) = if after.is_empty() { (views, call) } else { (quote!(#views #call?; #after), quote!(Ok(()))) };
        let (binds, last) = (self.take_binds(), last);
        self.function(&name, &docs(step), uses, &quote!((), Fault), &quote!(#binds #body), &last);
        let args = uses.arguments();
        let call = self.timed(step, node, quote!(#name(#args)));
        Statement { tokens: quote!(#call.map_err(|f| f.at(#node))?;), uses }
    }

    /// The statements before a call that make room for what it binds.
    fn take_binds(&mut self) -> TokenStream {
        match std::mem::take(&mut self.bound) {
            0 => TokenStream::new(),
            n => {
                let n = literal::usize(n);
                quote!(let mut bound = [0; #n];)
            }
        }
    }

    /// The call, and what to do after it succeeded.
    fn call(&mut self, call: &Call, carving: &mut Carving) -> (TokenStream, TokenStream) {
        let called = self.custom(call, carving).unwrap_or_else(|| {
            let args: Vec<TokenStream> = call.args.iter().map(|arg| self.arg(arg, carving)).collect();
            let path = path(call.kernel.path);
            quote!(kernels::#path(#(#args),*))
        });
        let after = call.args.iter().filter_map(|arg| match arg {
            Arg::Bind(symbols) => Some(symbols),
            _ => None,
        });
        let after: TokenStream = after
            .flatten()
            .enumerate()
            .map(|(i, &symbol)| {
                let (to, i) = (self.symbol(symbol), literal::usize(i));
                quote!(#to = Dim(bound[#i]);)
            })
            .collect();
        (called, after)
    }

    fn fused(&mut self, fused: &Fused, carving: &mut Carving) -> (TokenStream, TokenStream) {
        self.with_uses(|u| u.cx = true);
        let out = self.write(fused.out, carving);
        let inputs: Vec<TokenStream> = fused.inputs.iter().map(|(view, _)| self.read(*view, carving)).collect();
        let sizes = |e: &Self, dims: &[crate::ir::dim::Dim]| {
            let dims: Vec<TokenStream> = dims.iter().map(|&d| e.usize(d)).collect();
            quote!(&[#(#dims),*])
        };
        let shape = sizes(self, &fused.shape);
        let strides: Vec<TokenStream> = fused.inputs.iter().map(|(_, strides)| sizes(self, strides)).collect();
        let formula = self.formula(&fused.formula);
        (quote!(kernels::fused::map(cx, &#formula, #out, [#(#inputs),*], #shape, [#(#strides),*])), TokenStream::new())
    }

    pub(super) fn arg(&mut self, arg: &Arg, carving: &mut Carving) -> TokenStream {
        match arg {
            Arg::Cx => {
                self.with_uses(|u| u.cx = true);
                quote!(cx)
            }
            Arg::In(view) => self.read(*view, carving),
            Arg::Out { view, .. } => self.write(*view, carving),
            Arg::InObject(buffer) => self.object(*buffer, false, carving),
            Arg::OutObject { buffer, .. } => self.object(*buffer, true, carving),
            Arg::Usize(dim) => self.usize(*dim),
            Arg::I64(dim) => self.i64(*dim),
            Arg::Usizes(dims) => list(dims, |&d| self.usize(d)),
            Arg::I64s(dims) => list(dims, |&d| self.i64(d)),
            Arg::F32(x) => literal::f32(*x),
            Arg::F64(x) => literal::f64(*x),
            Arg::Bool(b) => quote!(#b),
            Arg::Str(text) => quote!(#text),
            Arg::Strs(texts) => quote!(&[#(#texts),*]),
            Arg::F32s(xs) => list(xs, |&x| literal::f32(x)),
            Arg::Bools(bs) => quote!(&[#(#bs),*]),
            Arg::Variant(ty, name) => {
                let (ty, name) = (path(ty), format_ident!("{name}"));
                quote!(kernels::#ty::#name)
            }
            Arg::Struct(ty, fields) => {
                let ty = path(ty);
                let fields = fields.iter().map(|(name, value)| {
                    let (name, value) = (format_ident!("{name}"), self.arg(value, carving));
                    quote!(#name: #value)
                });
                quote!(kernels::#ty { #(#fields),* })
            }
            Arg::Array(items) => {
                let items = items.iter().map(|item| self.arg(item, carving));
                quote!([#(#items),*])
            }
            Arg::Absent => quote!(None),
            Arg::Present(inner) => {
                let inner = self.arg(inner, carving);
                quote!(Some(#inner))
            }
            // The shape of a scalar.
            Arg::Bind(symbols) if symbols.is_empty() => quote!(&mut []),
            Arg::Bind(symbols) => {
                self.with_uses(|u| u.dims_mut = true);
                self.bound = symbols.len();
                quote!(&mut bound)
            }
            Arg::DType(dtype) => literal::dtype(*dtype),
            Arg::Path(text) => text.parse().unwrap_or_default(),
            Arg::Attributes(attributes) => self.attributes(attributes),
        }
    }
}

pub(super) fn list<T>(items: &[T], each: impl FnMut(&T) -> TokenStream) -> TokenStream {
    let items = items.iter().map(each);
    quote!(&[#(#items),*])
}

/// `gather::gather` as tokens; the text is ours.
fn path(text: &str) -> TokenStream {
    let parts = text.split("::").map(|part| format_ident!("{}", part.trim()));
    quote!(#(#parts)::*)
}

fn docs(step: &Step) -> Vec<String> {
    let mut docs: Vec<String> = step.doc.lines().map(|text| format!(" {}", names::line(text))).collect();
    if !step.node.is_empty() {
        docs.insert(0, format!(" {}", names::code(&step.node)));
        if docs.len() > 1 {
            docs.insert(1, String::new());
        }
    }
    docs
}

pub(super) fn statements_tokens(statements: &[Statement]) -> TokenStream {
    statements.iter().map(|s| s.tokens.clone()).collect()
}
