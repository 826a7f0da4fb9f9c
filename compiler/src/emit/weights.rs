//! Constants: small ones as literals, the others in one little-endian blob, 64-byte aligned entries in the order of first use.

use super::options::{BlobPath, Embed};
use super::{Emitter, literal, names};
use crate::ir::tensor::{Data, Tensor};
use crate::program::WeightId;
use bytes::Bytes;
use onnxc_runtime::element::DType;
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Tensors with at most that many elements are literals in the source.
const LITERAL_LIMIT: usize = 32;
const ALIGN: usize = 64;

/// The file of constants that belongs to a generated source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The file's name (no directory).
    pub file: String,
    /// The contents.
    pub bytes: Vec<u8>,
}

/// What was emitted of the constants so far.
#[derive(Default)]
pub(super) struct Table {
    /// The expression of each weight: the name of a constant, or a call.
    names: HashMap<WeightId, TokenStream>,
    /// The same tensor under another id is the same constant.
    seen: HashMap<(DType, Bytes), TokenStream>,
    /// The items, in order of first use.
    pub items: Vec<TokenStream>,
    blob: Vec<u8>,
    literal_bytes: usize,
}

impl Emitter<'_> {
    /// An expression of type `&'static [T]` (not for strings, which live in memory).
    pub(super) fn weight(&mut self, id: WeightId) -> TokenStream {
        if let Some(name) = self.weights.names.get(&id) {
            return name.clone();
        }
        let weight = &self.program.weights[id];
        let Data::Bytes(bytes) = &weight.tensor.data else { return quote!(&[]) };
        let key = (weight.tensor.dtype, bytes.clone());
        let name = if let Some(name) = self.weights.seen.get(&key) {
            name.clone()
        } else {
            let name = self.new_weight(&weight.name, &weight.tensor);
            self.weights.seen.insert(key, name.clone());
            name
        };
        self.weights.names.insert(id, name.clone());
        name
    }

    fn new_weight(&mut self, name: &str, tensor: &Tensor) -> TokenStream {
        let ty = literal::element_type(tensor.dtype);
        let doc = format!(" {}: {}{:?}", names::code(name), tensor.dtype, tensor.shape);
        let small = (tensor.len() <= LITERAL_LIMIT).then(|| literal::elements(tensor)).flatten();
        if let Some(elements) = small {
            let ident = format_ident!("{}", self.module.upper(name, "constant"));
            let allow = tensor.dtype.is_float().then(|| quote!(#[allow(clippy::approx_constant, clippy::excessive_precision)]));
            self.weights.literal_bytes += tensor.bytes().len();
            self.weights.items.push(quote! {
                #[doc = #doc]
                #allow
                const #ident: &[#ty] = &[#(#elements),*];
            });
            return quote!(#ident);
        }
        let ident = format_ident!("{}", self.module.snake(name, "constant"));
        let blob = &mut self.weights.blob;
        blob.resize(blob.len().next_multiple_of(ALIGN), 0);
        let (offset, len) = (Literal::usize_unsuffixed(blob.len()), Literal::usize_unsuffixed(tensor.len()));
        match tensor.dtype {
            // What the file says is true is 1, so that the byte is a valid `bool`.
            DType::Bool => blob.extend(tensor.bytes().iter().map(|&b| u8::from(b != 0))),
            _ => blob.extend_from_slice(tensor.bytes()),
        }
        self.weights.items.push(quote! {
            #[doc = #doc]
            fn #ident() -> &'static [#ty] {
                WEIGHTS.slice::<#ty, #offset, #len>()
            }
        });
        quote!(#ident())
    }

    /// The blob, and the item that takes it into the binary.
    pub(super) fn blob(&mut self) -> (Option<Blob>, TokenStream) {
        if self.weights.blob.is_empty() {
            return (None, TokenStream::new());
        }
        let mut bytes = std::mem::take(&mut self.weights.blob);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        let hash: String = Sha256::digest(&bytes).iter().take(8).map(|b| format!("{b:02x}")).collect();
        let (file, base, path) = match &self.options.blob {
            BlobPath::Beside(file) => (file.clone(), None, file.clone()),
            BlobPath::InPackage(path) => (path.rsplit('/').next().unwrap_or(path).to_owned(), Some("package"), path.clone()),
            BlobPath::OutDir(file) => (file.clone(), Some("out_dir"), file.clone()),
            BlobPath::InDir(dir) => {
                let file = format!("onnxc-{hash}.weights");
                let path = dir.join(&file).display().to_string();
                (file, Some("path"), path)
            }
        };
        let len = Literal::usize_unsuffixed(bytes.len());
        let runtime = &self.runtime;
        let symbol = format!("onnxc_{hash}");
        let item = match base.map(|base| format_ident!("{base}")) {
            Some(base) if self.options.embed == Embed::Incbin => quote!(#runtime::embed_weights!(#symbol, #base #path, #len);),
            Some(base) => quote!(#runtime::include_weights!(#base #path, #len);),
            None => quote! {
                /// All constants that are not literals.
                static WEIGHTS: Blob<#len> = Blob(*include_bytes!(#path));
            },
        };
        (Some(Blob { file, bytes }), item)
    }

    /// The bytes of all constants.
    pub(super) fn weight_bytes(&self) -> usize {
        self.weights.blob.len() + self.weights.literal_bytes
    }
}
