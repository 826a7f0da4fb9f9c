//! `include_onnx!`: compile an ONNX model in place.
//!
//! ```ignore
//! mod digits { onnxc_macros::include_onnx!("models/digits.onnx", dim(batch = 1)); }
//! ```
#![forbid(unsafe_code)]

mod arguments;

use arguments::Arguments;
use onnxc::Report;
use onnxc::emit::{BlobPath, EmitOptions};
use onnxc::generate::{Generated, compile_file};
use proc_macro::TokenStream;
use quote::quote;
use std::io;
use std::path::{Path, PathBuf};

/// Compiles a model and puts the generated items here. The path is relative to the package's folder; options follow it:
///
/// - `dim(batch = 1, seq = 128)`: values for the model's named dims; a name that is no identifier in quotes
/// - `input_shape(image = [1, 3, 224, 224])`: the shape of an input; what is not a number names a dim
/// - `state(h = hn)`: the output `hn` becomes the next call's input `h`
/// - `weights = f16`, `weights = bf16`: weights of products and convolutions stored in 16 bits
/// - `embed = bytes`: constants by `include_bytes!`, for crates that forbid unsafe code
/// - `custom_op = "my.domain:Foo=crate::path::foo"`: a function of the crate computes an operator (docs/custom-operators.md)
/// - `precision = bf16`: products and convolutions of numbers rounded to bf16, summed as f32
/// - `exact_conv`: convolutions summed as the definition says, never with fewer multiplications
/// - `no_std`: no `Model::new`, no `Session`
///
/// The crate that uses it depends on `onnxc-macros` and `onnxc-runtime`.
#[proc_macro]
pub fn include_onnx(input: TokenStream) -> TokenStream {
    let arguments = syn::parse_macro_input!(input as Arguments);
    let span = arguments.path.span();
    expand(&arguments).unwrap_or_else(|message| syn::Error::new(span, message).to_compile_error()).into()
}

fn expand(arguments: &Arguments) -> Result<proc_macro2::TokenStream, String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let model = package.join(arguments.path.value());
    if !model.is_file() {
        let help = "the path is relative to the package's folder, the one of Cargo.toml";
        return Err(format!("there is no file `{}`\n   = help: {help}", arguments.path.value()));
    }
    let directory = blob_directory().map_err(|e| format!("no folder for the constants: {e}"))?;
    let emit = EmitOptions {
        embed: arguments.embed,
        no_std: arguments.no_std,
        blob: BlobPath::InDir(directory.clone()),
        ..EmitOptions::default()
    };
    let generated = compile_file(&model, &arguments.options, &emit).map_err(|report| readable(report, &package))?;
    write_blob(&generated, &directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let items: proc_macro2::TokenStream = generated.source.parse().map_err(|e| format!("internal error, please report it: {e}"))?;
    let watched = watch(&generated.read)?;
    Ok(quote!(#items #watched))
}

/// The report as rustc shows it: paths as the user wrote them.
fn readable(mut report: Report, package: &Path) -> String {
    let folder = format!("{}/", package.display());
    report.diagnostics.iter_mut().for_each(|d| d.message = d.message.replace(&folder, ""));
    format!("onnxc cannot compile this model\n{report}")
}

/// rustc rebuilds the crate when a file changes that an `include_bytes!` names; what is never used is not in the binary.
fn watch(files: &[PathBuf]) -> Result<proc_macro2::TokenStream, String> {
    let paths = files.iter().map(|path| {
        let path = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
        path.into_os_string().into_string().map_err(|p| format!("the path {} is not UTF-8", p.display()))
    });
    let paths: Vec<String> = paths.collect::<Result<_, _>>()?;
    Ok(quote!(#(const _: &[u8] = include_bytes!(#paths);)*))
}

/// Beside what this rustc process makes, so that `cargo clean` removes it; where there is no such folder (an IDE), a cache.
fn blob_directory() -> io::Result<PathBuf> {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let joined = args.iter().find_map(|a| a.to_str()?.strip_prefix("--out-dir=").map(PathBuf::from));
    let split = || args.iter().position(|a| a == "--out-dir").and_then(|i| args.get(i + 1)).map(PathBuf::from);
    let directory = joined.or_else(split).unwrap_or_else(|| std::env::temp_dir().join("onnxc-cache"));
    std::fs::create_dir_all(&directory)?;
    directory.canonicalize()
}

/// Written under a name of its own first: another rustc may want the same file at the same time.
fn write_blob(generated: &Generated, directory: &Path) -> io::Result<()> {
    let Some(blob) = &generated.blob else { return Ok(()) };
    let path = directory.join(&blob.file);
    if std::fs::metadata(&path).is_ok_and(|m| m.len() == blob.bytes.len() as u64) {
        return Ok(());
    }
    let partial = directory.join(format!("{}.{}", blob.file, std::process::id()));
    std::fs::write(&partial, &blob.bytes)?;
    std::fs::rename(partial, path)
}
