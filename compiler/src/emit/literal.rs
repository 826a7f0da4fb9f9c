//! Literals and type names of the generated code.

use onnxc_runtime::element::DType;
use onnxc_runtime::float::{BF16, F16};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// The Rust type of an element; strings have none here (their views need no type).
pub(super) fn element_type(dtype: DType) -> TokenStream {
    let float = |name: &str| {
        let name = format_ident!("{name}");
        quote!(float::#name)
    };
    let element = |name: &str| {
        let name = format_ident!("{name}");
        quote!(element::#name)
    };
    match dtype {
        DType::F16 => float("F16"),
        DType::BF16 => float("BF16"),
        DType::F8E4M3FN => float("F8E4M3FN"),
        DType::F8E4M3FNUZ => float("F8E4M3FNUZ"),
        DType::F8E5M2 => float("F8E5M2"),
        DType::F8E5M2FNUZ => float("F8E5M2FNUZ"),
        DType::F8E8M0 => float("F8E8M0"),
        DType::F4E2M1 => float("F4E2M1"),
        DType::I4 => element("I4"),
        DType::U4 => element("U4"),
        DType::I2 => element("I2"),
        DType::U2 => element("U2"),
        DType::Bool => element("Bool"),
        DType::C64 => quote!(element::Complex<f32>),
        DType::C128 => quote!(element::Complex<f64>),
        DType::String => quote!(door::String),
        _ => {
            let name = format_ident!("{}", dtype.name());
            quote!(#name)
        }
    }
}

/// An unsuffixed length or index.
pub(super) fn usize(n: usize) -> TokenStream {
    let n = Literal::usize_unsuffixed(n);
    quote!(#n)
}

/// An f32, exactly.
pub(super) fn f32(x: f32) -> TokenStream {
    if x.is_nan() {
        if x.to_bits() == f32::NAN.to_bits() {
            return quote!(f32::NAN);
        }
        let bits = Literal::u32_unsuffixed(x.to_bits());
        return quote!(f32::from_bits(#bits));
    }
    if x.is_infinite() {
        return if x > 0.0 { quote!(f32::INFINITY) } else { quote!(f32::NEG_INFINITY) };
    }
    number(x.is_sign_negative(), &format!("{:?}", x.abs()))
}

/// An f64, exactly.
pub(super) fn f64(x: f64) -> TokenStream {
    if x.is_nan() {
        if x.to_bits() == f64::NAN.to_bits() {
            return quote!(f64::NAN);
        }
        let bits = Literal::u64_unsuffixed(x.to_bits());
        return quote!(f64::from_bits(#bits));
    }
    if x.is_infinite() {
        return if x > 0.0 { quote!(f64::INFINITY) } else { quote!(f64::NEG_INFINITY) };
    }
    number(x.is_sign_negative(), &format!("{:?}", x.abs()))
}

/// A literal from its digits as Rust itself prints them: the shortest that reads back exactly.
fn number(negative: bool, digits: &str) -> TokenStream {
    let literal: Literal = digits.parse().unwrap_or_else(|_| Literal::f32_unsuffixed(0.0));
    if negative { quote!(-#literal) } else { quote!(#literal) }
}

/// The literals of a constant tensor's elements; `None` for strings.
pub(super) fn elements(tensor: &crate::ir::tensor::Tensor) -> Option<Vec<TokenStream>> {
    let wrapped = |ty: TokenStream| tensor.bytes().iter().map(|&b| literal_u8(&ty, b)).collect();
    Some(match tensor.dtype {
        DType::F32 => tensor.to_vec::<f32>()?.into_iter().map(f32).collect(),
        DType::F64 => tensor.to_vec::<f64>()?.into_iter().map(f64).collect(),
        DType::F16 => tensor.to_vec::<F16>()?.into_iter().map(|x| bits("F16", x.0)).collect(),
        DType::BF16 => tensor.to_vec::<BF16>()?.into_iter().map(|x| bits("BF16", x.0)).collect(),
        DType::U64 => tensor
            .to_vec::<u64>()?
            .into_iter()
            .map(|x| Literal::u64_unsuffixed(x).into())
            .map(|l: proc_macro2::TokenTree| l.into())
            .collect(),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::U8 | DType::U16 | DType::U32 => {
            tensor.to_i64s()?.into_iter().map(super::dims::integer).collect()
        }
        DType::Bool => tensor.bytes().iter().map(|&b| literal_u8(&element_type(DType::Bool), u8::from(b != 0))).collect(),
        DType::I4 | DType::I2 => {
            let ty = element_type(tensor.dtype);
            tensor
                .bytes()
                .iter()
                .map(|&b| {
                    let value = super::dims::integer(i64::from(b as i8));
                    quote!(#ty(#value))
                })
                .collect()
        }
        DType::String | DType::C64 | DType::C128 => return None,
        other => wrapped(element_type(other)),
    })
}

fn literal_u8(ty: &TokenStream, byte: u8) -> TokenStream {
    let byte = Literal::u8_unsuffixed(byte);
    quote!(#ty(#byte))
}

fn bits(name: &str, bits: u16) -> TokenStream {
    let (name, bits) = (format_ident!("{name}"), Literal::u16_unsuffixed(bits));
    quote!(float::#name(#bits))
}

/// A dtype's variant.
pub(super) fn dtype(dtype: DType) -> TokenStream {
    let variant = format_ident!("{}", format!("{dtype:?}"));
    quote!(DType::#variant)
}
