//! Views → expressions: constants and inputs by name, everything else carved out of the model's memory in one `views` call.

use super::{Emitter, literal};
use crate::memory::Place;
use crate::program::{BufferId, View};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// The views that one step takes of memory.
#[derive(Default)]
pub(super) struct Carving {
    names: Vec<Ident>,
    specs: Vec<TokenStream>,
    reads: usize,
    writes: usize,
}

/// The letters that read views are called by; `d`, `m`, `s`, `x` and `y` mean something else.
const LETTERS: [char; 18] = ['a', 'b', 'c', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'n', 'o', 'p', 'q', 'r', 't', 'u'];

impl Carving {
    fn add(&mut self, spec: TokenStream, write: bool) -> TokenStream {
        let name = if write {
            self.writes += 1;
            if self.writes == 1 { format_ident!("y") } else { format_ident!("y{}", self.writes) }
        } else {
            self.reads += 1;
            LETTERS.get(self.reads - 1).map_or_else(|| format_ident!("a{}", self.reads), |c| format_ident!("{c}"))
        };
        self.names.push(name.clone());
        self.specs.push(spec);
        quote!(#name)
    }

    /// `let (y, a) = m.views((…))?;`
    pub fn statement(&self) -> TokenStream {
        if self.names.is_empty() {
            return TokenStream::new();
        }
        let (names, specs) = (tuples(&self.names), tuples(&self.specs));
        quote!(let #names = m.views(#specs)?;)
    }
}

/// The most views that one tuple has: the runtime implements `Carve` up to there.
const MAX_TUPLE: usize = 23;

/// `(a, b, …)`, or `Both((…), …)` of as many as needed.
fn tuples<T: quote::ToTokens>(items: &[T]) -> TokenStream {
    let (first, rest) = items.split_at(items.len().min(MAX_TUPLE));
    let first = quote!((#(#first,)*));
    if rest.is_empty() {
        return first;
    }
    let rest = tuples(rest);
    quote!(Both(#first, #rest))
}

impl Emitter<'_> {
    /// An expression of type `&[T]`.
    pub(super) fn read(&mut self, view: View, carving: &mut Carving) -> TokenStream {
        let whole = match self.memory.place(view.buffer) {
            Place::Input(n) => self.input(n),
            Place::Weight(w) => self.weight(w),
            _ => {
                let spec = self.spec("In", view);
                return carving.add(spec, false);
            }
        };
        if self.is_whole(view) {
            return whole;
        }
        let (offset, len) = (self.usize(view.offset), self.usize(view.len));
        quote!(part(#whole, #offset, #len)?)
    }

    /// An expression of type `&mut [T]`.
    pub(super) fn write(&mut self, view: View, carving: &mut Carving) -> TokenStream {
        let spec = self.spec("Out", view);
        carving.add(spec, true)
    }

    /// An expression of type `&Value` or `&mut Value`.
    pub(super) fn object(&mut self, buffer: BufferId, write: bool, carving: &mut Carving) -> TokenStream {
        match self.memory.place(buffer) {
            Place::Input(n) => self.input(n),
            Place::Object(n) => {
                self.with_uses(|u| u.memory = true);
                let n = literal::usize(n);
                carving.add(if write { quote!(OutObject(#n)) } else { quote!(InObject(#n)) }, write)
            }
            _ => quote!(compile_error!("onnxc: a tensor where an object should be")),
        }
    }

    fn input(&mut self, n: usize) -> TokenStream {
        self.with_uses(|u| u.inputs = true);
        self.inputs[n].used = true;
        let name = format_ident!("{}", self.inputs[n].name);
        quote!(x.#name)
    }

    fn is_whole(&self, view: View) -> bool {
        self.program.dims.value(view.offset) == Some(0) && view.len == self.program.buffers[view.buffer].len
    }

    /// `In::<f32>::arena(64, 10)`.
    pub(super) fn spec(&mut self, direction: &str, view: View) -> TokenStream {
        self.with_uses(|u| u.memory = true);
        let buffer = &self.program.buffers[view.buffer];
        let (direction, ty) = (format_ident!("{direction}"), literal::element_type(buffer.dtype));
        let known = |d| self.program.dims.value(d).and_then(|n| usize::try_from(n).ok());
        let place = self.memory.place(view.buffer);
        if let (Place::Arena(start), Some(offset), Some(len), Some(limit)) = (place, known(view.offset), known(view.len), known(buffer.len))
            && offset + len <= limit
        {
            let (start, len) = (literal::usize(start + offset * buffer.dtype.size()), literal::usize(len));
            return quote!(#direction::<#ty>::arena(#start, #len));
        }
        let limit = self.usize(buffer.len);
        let whole = match place {
            Place::Arena(start) => {
                let start = literal::usize(start);
                quote!(#direction::<#ty>::arena(#start, #limit))
            }
            Place::Slot(n) => {
                let n = literal::usize(n);
                quote!(#direction::<#ty>::slot(#n, #limit))
            }
            Place::Strings(n) => {
                let n = literal::usize(n);
                quote!(#direction::strings(#n, #limit))
            }
            _ => quote!(compile_error!("onnxc: a step uses a buffer that has no place")),
        };
        if self.is_whole(view) {
            return whole;
        }
        let (offset, len) = (self.usize(view.offset), self.usize(view.len));
        quote!(#whole.part(#offset, #len))
    }
}
