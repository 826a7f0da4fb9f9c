//! `PROFILE`: what each timed step is and costs, beside the time that the module adds up.

use super::{Emitter, literal, names};
use crate::ir::dim::Dim;
use crate::program::{Action, Arg, Call, Fused, Step, View};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

impl Emitter<'_> {
    /// The call of a step, timed if the module is to be a profile.
    pub(super) fn timed(&mut self, step: &Step, node: &str, call: TokenStream) -> TokenStream {
        if !self.options.profile {
            return call;
        }
        let at = literal::usize(self.profile.len());
        let kernel = match &step.action {
            Action::Call(call) => call.kernel.path,
            _ => "fused::map",
        };
        let doc = names::line(&step.doc);
        let (flops, bytes) = (Literal::u64_unsuffixed(self.flops(&step.action)), Literal::u64_unsuffixed(self.bytes(&step.action)));
        self.profile.push(quote!(profile::Step::new(#node, #kernel, #doc, #flops, #bytes)));
        quote!(PROFILE[#at].time(|| #call))
    }

    /// `pub static PROFILE: [Step; …]`, if steps are timed.
    pub(super) fn profile_item(&self) -> TokenStream {
        if !self.options.profile {
            return TokenStream::new();
        }
        let (steps, n) = (&self.profile, literal::usize(self.profile.len()));
        quote! {
            /// The time of each step so far.
            pub static PROFILE: [profile::Step; #n] = [#(#steps),*];
        }
    }

    /// A dim as a number, 0 if it is not known.
    fn count(&self, dim: Dim) -> u64 {
        self.program.dims.value(dim).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// The bytes of all views of a step.
    fn bytes(&self, action: &Action) -> u64 {
        let size = |view: &View| self.count(view.len) * self.program.buffers[view.buffer].dtype.size() as u64;
        match action {
            Action::Call(call) => {
                let views = call.args.iter().filter_map(|arg| match arg {
                    Arg::In(view) | Arg::Out { view, .. } => Some(view),
                    Arg::Present(inner) => match &**inner {
                        Arg::In(view) => Some(view),
                        _ => None,
                    },
                    _ => None,
                });
                views.map(size).sum()
            }
            Action::Fused(fused) => size(&fused.out) + fused.inputs.iter().map(|(view, _)| size(view)).sum::<u64>(),
            _ => 0,
        }
    }

    /// The operations of a step: two a multiply-add of products and convolutions, one an instruction and element of fused loops.
    fn flops(&self, action: &Action) -> u64 {
        match action {
            Action::Call(call) => self.call_flops(call),
            Action::Fused(Fused { out, formula, .. }) => self.count(out.len) * formula.instrs.len() as u64,
            _ => 0,
        }
    }

    fn call_flops(&self, call: &Call) -> u64 {
        let sizes = call.args.iter().find_map(|arg| match arg {
            Arg::Struct(ty @ ("conv::Geometry" | "gemm::Product" | "few_columns::Sizes"), fields) => Some((*ty, fields)),
            _ => None,
        });
        let Some((ty, fields)) = sizes else { return 0 };
        let field = |name: &str| fields.iter().find(|f| f.0 == name).map_or(0, |f| self.volume(&f.1));
        match ty {
            "gemm::Product" => return 2 * field("batch") * field("m") * field("n") * field("k"),
            "few_columns::Sizes" => return 2 * field("rows") * field("features") * field("columns"),
            _ => {}
        }
        let pixels = if call.kernel.path.contains("conv_transpose") { field("input") } else { field("output") };
        let pooling = call.kernel.path.starts_with("pool::");
        let inner = if pooling { 1 } else { 2 * field("in_channels") / field("group").max(1) };
        field("batch") * pixels * field("out_channels") * field("kernel") * inner
    }

    /// The number, or the product of the numbers, that a field holds.
    fn volume(&self, arg: &Arg) -> u64 {
        match arg {
            Arg::Usize(dim) => self.count(*dim),
            Arg::Array(items) => items.iter().map(|item| self.volume(item)).product(),
            _ => 0,
        }
    }
}
