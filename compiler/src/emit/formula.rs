//! Fused formulas: each a zero-sized struct whose `eval` is the formula as straight-line code over the vector vocabulary.

use super::{Emitter, literal};
use crate::program::formula::{Binary, Formula, Instr, Unary};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

impl Emitter<'_> {
    /// The struct of a formula; made once for equal formulas.
    pub(super) fn formula(&mut self, formula: &Formula) -> proc_macro2::Ident {
        if let Some((_, name)) = self.formulas.iter().find(|(f, _)| f == formula) {
            return format_ident!("{name}");
        }
        let words: Vec<String> = formula.instrs.iter().filter_map(word).take(4).collect();
        let name = self.module.camel(&words.join("_"), "copy");
        self.math |= formula.instrs.iter().any(needs_math);
        let item = item(formula, &name);
        self.formula_items.push(item);
        let ident = format_ident!("{name}");
        self.formulas.push((formula.clone(), name));
        ident
    }
}

/// Whether an instruction is a function of `Math`, not a word of `Simd`.
fn needs_math(instr: &Instr) -> bool {
    match instr {
        Instr::Const(_) | Instr::MulAdd(..) => false,
        Instr::Select(..) => true,
        Instr::Unary(f, _) => !matches!(f, Unary::Abs | Unary::Neg | Unary::Sqrt | Unary::Floor | Unary::Ceil | Unary::Trunc),
        Instr::Binary(f, _, _) => !matches!(f, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Min | Binary::Max),
    }
}

fn word(instr: &Instr) -> Option<String> {
    Some(match instr {
        Instr::Const(_) => return None,
        Instr::Unary(f, _) => format!("{f:?}"),
        Instr::Binary(f, _, _) => format!("{f:?}"),
        Instr::MulAdd(..) => "MulAdd".to_owned(),
        Instr::Select(..) => "Select".to_owned(),
    })
}

/// How a value is written: constants in place, results by name.
fn operand(formula: &Formula, index: usize) -> TokenStream {
    match index.checked_sub(formula.inputs).map(|i| formula.instrs.get(i)) {
        None => {
            let index = proc_macro2::Literal::usize_unsuffixed(index);
            quote!(x[#index])
        }
        Some(Some(Instr::Const(c))) => {
            let c = literal::f32(*c);
            quote!(s.splat(#c))
        }
        Some(_) => {
            let name = format_ident!("v{}", index - formula.inputs);
            quote!(#name)
        }
    }
}

fn item(formula: &Formula, name: &str) -> TokenStream {
    let mut lets = TokenStream::new();
    for (i, instr) in formula.instrs.iter().enumerate() {
        let at = |index| operand(formula, index);
        let value = match *instr {
            Instr::Const(_) => continue,
            Instr::Unary(f, a) => unary(f, &at(a)),
            Instr::Binary(f, a, b) => binary(f, &at(a), &at(b)),
            Instr::MulAdd(a, b, c) => {
                let (a, b, c) = (at(a), at(b), at(c));
                quote!(s.mul_add(#a, #b, #c))
            }
            Instr::Select(a, b, c) => {
                let (a, b, c) = (at(a), at(b), at(c));
                quote!(s.choose(#a, #b, #c))
            }
        };
        let last = i + 1 == formula.instrs.len();
        let local = format_ident!("v{i}");
        lets.extend(if last { value } else { quote!(let #local = #value;) });
    }
    if !matches!(formula.instrs.last(), Some(i) if !matches!(i, Instr::Const(_))) {
        lets.extend(operand(formula, (formula.inputs + formula.instrs.len()).saturating_sub(1)));
    }
    let (name, n) = (format_ident!("{name}"), proc_macro2::Literal::usize_unsuffixed(formula.inputs));
    let allow = formula
        .instrs
        .iter()
        .any(|i| matches!(i, Instr::Const(_)))
        .then(|| quote!(#[allow(clippy::approx_constant, clippy::excessive_precision)]));
    quote! {
        struct #name;

        #allow
        impl Formula<#n> for #name {
            #[inline(always)]
            fn eval<S: Simd>(&self, s: S, x: [S::F32; #n]) -> S::F32 {
                #lets
            }
        }
    }
}

fn unary(f: Unary, a: &TokenStream) -> TokenStream {
    let name = format_ident!("{}", snake(&format!("{f:?}")));
    quote!(s.#name(#a))
}

fn binary(f: Binary, a: &TokenStream, b: &TokenStream) -> TokenStream {
    match f {
        Binary::Min => quote!(s.min_nan(#a, #b)),
        Binary::Max => quote!(s.max_nan(#a, #b)),
        Binary::Mod => quote!(s.modulo(#a, #b)),
        _ => {
            let name = format_ident!("{}", snake(&format!("{f:?}")));
            quote!(s.#name(#a, #b))
        }
    }
}

fn snake(camel: &str) -> String {
    let mut out = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
