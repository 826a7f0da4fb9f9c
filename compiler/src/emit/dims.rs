//! Dims → Rust expressions over the fields of `Dims`: literals where the value is known, saturating arithmetic elsewhere.

use super::Emitter;
use crate::ir::dim::{Atom, Dim, Expr, Symbol};
use crate::program::Condition;
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

impl Emitter<'_> {
    /// An expression of the runtime's type `Dim`.
    pub(super) fn dim(&self, dim: Dim) -> TokenStream {
        match self.program.dims.value(dim) {
            Some(value) => {
                let value = integer(value);
                quote!(Dim(#value))
            }
            None => self.sum(&self.program.dims.expr(dim)),
        }
    }

    /// An operand: a literal, or an expression of type `Dim`.
    fn operand(&self, dim: Dim) -> TokenStream {
        self.program.dims.value(dim).map_or_else(|| self.dim(dim), integer)
    }

    /// An expression of type `usize`; faults if the dim is negative.
    pub(super) fn usize(&self, dim: Dim) -> TokenStream {
        match self.program.dims.value(dim) {
            Some(value) if value >= 0 => integer(value),
            _ => {
                let dim = self.grouped(dim);
                quote!(#dim.len()?)
            }
        }
    }

    /// An expression of type `i64`.
    pub(super) fn i64(&self, dim: Dim) -> TokenStream {
        if let Some(value) = self.program.dims.value(dim) {
            integer(value)
        } else {
            let dim = self.grouped(dim);
            quote!(#dim.get())
        }
    }

    /// The field of a symbol.
    pub(super) fn symbol(&self, symbol: Symbol) -> TokenStream {
        self.with_uses(|u| u.dims = true);
        self.used_symbols.borrow_mut().insert(symbol);
        let field = format_ident!("{}", self.symbols.get(&symbol).map_or("unknown", String::as_str));
        quote!(d.#field)
    }

    /// Ready for a method call: in parentheses unless it is one path or call.
    fn grouped(&self, dim: Dim) -> TokenStream {
        let tokens = self.dim(dim);
        let expr = self.program.dims.expr(dim);
        let simple = expr.terms.is_empty() || expr.constant == 0 && matches!(expr.terms.as_slice(), [(atoms, 1)] if atoms.len() == 1);
        if simple { tokens } else { quote!((#tokens)) }
    }

    fn sum(&self, expr: &Expr) -> TokenStream {
        // A positive term first, so that the rest can be subtracted.
        let mut terms: Vec<_> = expr.terms.iter().collect();
        terms.sort_by_key(|t| t.1 < 0);
        let mut out = TokenStream::new();
        for (i, (atoms, coefficient)) in terms.into_iter().enumerate() {
            let negative = *coefficient < 0;
            let mut product = atoms.iter().map(|&a| self.atom(a)).reduce(|a, b| quote!(#a * #b)).unwrap_or_default();
            let magnitude = i64::try_from(coefficient.unsigned_abs()).unwrap_or(i64::MAX);
            if magnitude != 1 {
                let magnitude = integer(magnitude);
                product = quote!(#product * #magnitude);
            }
            out = match (i, negative) {
                (0, false) => product,
                (0, true) => quote!(-(#product)),
                (_, false) => quote!(#out + #product),
                (_, true) => quote!(#out - #product),
            };
        }
        let constant = expr.constant;
        match constant.signum() {
            0 => out,
            1 => {
                let n = integer(constant);
                quote!(#out + #n)
            }
            _ => {
                let n = integer(constant.checked_neg().unwrap_or(i64::MAX));
                quote!(#out - #n)
            }
        }
    }

    fn atom(&self, atom: Atom) -> TokenStream {
        let (name, a, b) = match atom {
            Atom::Symbol(s) => return self.symbol(s),
            Atom::FloorDiv(a, b) => ("floor_div", a, b),
            Atom::Min(a, b) => ("min", a, b),
            Atom::Max(a, b) => ("max", a, b),
            Atom::Broadcast(a, b) => ("broadcast", a, b),
        };
        let (name, a, b) = (format_ident!("{name}"), self.grouped(a), self.operand(b));
        quote!(#a.#name(#b))
    }

    /// A boolean expression.
    pub(super) fn condition(&self, condition: Condition) -> TokenStream {
        let (name, a, b) = match condition {
            Condition::Equal(a, b) => ("equals", a, b),
            Condition::Broadcast(a, b) => ("broadcasts", a, b),
            Condition::AtMost(a, b) => ("at_most", a, b),
        };
        let (name, a, b) = (format_ident!("{name}"), self.grouped(a), self.operand(b));
        quote!(#a.#name(#b))
    }

    /// A condition as the model's user reads it.
    pub(super) fn condition_text(&self, condition: Condition) -> String {
        let show = |d| super::names::line(&self.program.dims.show(d).to_string());
        match condition {
            Condition::Equal(a, b) => format!("{} = {}", show(a), show(b)),
            Condition::Broadcast(a, b) => format!("{} = {} (or one of them 1)", show(a), show(b)),
            Condition::AtMost(a, b) => format!("{} <= {}", show(a), show(b)),
        }
    }
}

/// An unsuffixed literal, negative ones in parentheses-free prefix form.
pub(super) fn integer(value: i64) -> TokenStream {
    if value < 0 {
        if value == i64::MIN {
            return quote!(i64::MIN);
        }
        let magnitude = Literal::i64_unsuffixed(-value);
        quote!(-#magnitude)
    } else {
        let value = Literal::i64_unsuffixed(value);
        quote!(#value)
    }
}
