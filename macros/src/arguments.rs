//! The arguments of `include_onnx!`.

use onnxc::Options;
use onnxc::emit::Embed;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, LitInt, LitStr, Token, bracketed, parenthesized};

/// A path and the options after it.
pub struct Arguments {
    pub path: LitStr,
    pub options: Options,
    pub embed: Embed,
    pub no_std: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut arguments = Self { path: input.parse()?, options: Options::default(), embed: Embed::default(), no_std: false };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if !input.is_empty() {
                arguments.option(input)?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn option(&mut self, input: ParseStream) -> syn::Result<()> {
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "dim" => {
                for (name, value) in pairs(input, |value| value.parse::<LitInt>()?.base10_parse())? {
                    self.options.dims.push((name, value));
                }
            }
            "input_shape" => self.options.input_shapes.extend(pairs(input, shape)?),
            "state" => self.options.states.extend(pairs(input, name)?),
            "weights" => self.options.weights = choice(input)?,
            "precision" => self.options.precision = choice(input)?,
            "embed" => self.embed = choice(input)?,
            "custom_op" => {
                input.parse::<Token![=]>()?;
                let spec: LitStr = input.parse()?;
                let op = spec.value().parse().map_err(|message: String| syn::Error::new(spec.span(), message))?;
                self.options.custom_ops.push(op);
            }
            "exact_conv" => self.options.exact_conv = true,
            "no_std" => self.no_std = true,
            other => {
                let message = format!(
                    "`{other}` is no option: there are `dim`, `input_shape`, `state`, `weights`, `precision`, `embed`, `custom_op`, `exact_conv` and `no_std`"
                );
                return Err(syn::Error::new(key.span(), message));
            }
        }
        Ok(())
    }
}

/// An identifier, or a string for the names that are none.
fn name(input: ParseStream) -> syn::Result<String> {
    if input.peek(LitStr) { Ok(input.parse::<LitStr>()?.value()) } else { Ok(input.parse::<Ident>()?.to_string()) }
}

/// `= word`, one of those that the option knows.
fn choice<T: std::str::FromStr<Err = String>>(input: ParseStream) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    let value: Ident = input.parse()?;
    value.to_string().parse().map_err(|message: String| syn::Error::new(value.span(), message))
}

/// `(a = 1, "b:0" = 2)`.
fn pairs<T>(input: ParseStream, value: fn(ParseStream) -> syn::Result<T>) -> syn::Result<Vec<(String, T)>> {
    let inside;
    parenthesized!(inside in input);
    let mut found = Vec::new();
    while !inside.is_empty() {
        let name = name(&inside)?;
        inside.parse::<Token![=]>()?;
        found.push((name, value(&inside)?));
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    Ok(found)
}

/// `[1, 3, height, width]`.
fn shape(input: ParseStream) -> syn::Result<Vec<String>> {
    fn dim(input: ParseStream) -> syn::Result<String> {
        if input.peek(LitInt) { Ok(input.parse::<LitInt>()?.base10_digits().to_owned()) } else { name(input) }
    }
    let inside;
    bracketed!(inside in input);
    Ok(Punctuated::<_, Token![,]>::parse_terminated_with(&inside, dim)?.into_iter().collect())
}
