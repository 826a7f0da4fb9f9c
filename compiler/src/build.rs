//! The door for build scripts.
//!
//! ```no_run
//! // in the main function of build.rs
//! onnxc::Build::new().model("models/digits.onnx").dim("batch", 1).compile();
//! ```
//! and in the crate: `mod digits { include!(concat!(env!("OUT_DIR"), "/digits.rs")); }`.

use crate::emit::{BlobPath, Embed, EmitOptions};
use crate::generate::compile_file;
use crate::options::Options;
use crate::options::{Precision, WeightType};
use crate::report::{Diagnostic, Report};
use std::path::{Path, PathBuf};

/// Compiles a model in a build script; the module is written to `OUT_DIR`, named after the model.
#[derive(Clone, Debug, Default)]
pub struct Build {
    model: PathBuf,
    name: Option<String>,
    options: Options,
    emit: EmitOptions,
}

impl Build {
    /// A build of no model yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The model file; a relative path is from the package's folder.
    pub fn model(self, path: impl Into<PathBuf>) -> Self {
        Self { model: path.into(), ..self }
    }

    /// The name of the module's file, without `.rs`; the model's by default.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// A value for one of the model's named dims.
    pub fn dim(mut self, name: impl Into<String>, value: i64) -> Self {
        self.options.dims.push((name.into(), value));
        self
    }

    /// The shape of an input; what is not a number names a dim.
    pub fn input_shape<D: ToString>(mut self, input: impl Into<String>, shape: impl IntoIterator<Item = D>) -> Self {
        self.options.input_shapes.push((input.into(), shape.into_iter().map(|d| d.to_string()).collect()));
        self
    }

    /// Makes an output the next call's input.
    pub fn state(mut self, input: impl Into<String>, output: impl Into<String>) -> Self {
        self.options.states.push((input.into(), output.into()));
        self
    }

    /// Lets a function of the crate compute an operator: `my.domain:Foo=crate::path::foo`, with `,crate::path::foo_shape` after it if the model
    /// does not declare the output's shape. See docs/custom-operators.md.
    ///
    /// # Panics
    /// If the text is not of that form: a build script ends there.
    pub fn custom_op(mut self, spec: &str) -> Self {
        let op = spec.parse().unwrap_or_else(|message| panic!("custom_op({spec:?}): {message}"));
        self.options.custom_ops.push(op);
        self
    }

    /// Sums convolutions as the definition says, never with fewer multiplications (Winograd): slower, and closer to other runtimes.
    pub fn exact_conv(mut self) -> Self {
        self.options.exact_conv = true;
        self
    }

    /// What the weights of products and convolutions are stored as: in 16 bits they take half the room, and lose precision.
    pub fn weights(mut self, weights: WeightType) -> Self {
        self.options.weights = weights;
        self
    }

    /// What products and convolutions multiply: numbers rounded to bf16 are faster on machines with AVX512-BF16, and lose precision.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.options.precision = precision;
        self
    }

    /// How the constants get into the binary.
    pub fn embed(mut self, embed: Embed) -> Self {
        self.emit.embed = embed;
        self
    }

    /// Generates code that needs no allocator.
    pub fn no_std(mut self) -> Self {
        self.emit.no_std = true;
        self
    }

    /// All options, for what has no method here.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Compiles, and tells cargo what to watch. A model that does not compile ends the build with the whole report as cargo's error.
    pub fn compile(self) {
        if let Err(report) = self.try_compile() {
            for line in report.to_string().lines() {
                println!("cargo::error={line}");
            }
            std::process::exit(1);
        }
    }

    /// Compiles, and tells cargo what to watch; gives the path of the module.
    pub fn try_compile(self) -> Result<PathBuf, Report> {
        let error = |message: String| Report::from(Diagnostic::error(message));
        let out_dir =
            std::env::var_os("OUT_DIR").ok_or_else(|| error("OUT_DIR is not set: onnxc::Build is for build scripts".to_owned()))?;
        let stem = self.model.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let name = self.name.unwrap_or(stem);
        // Even if the model does not compile: it may be mended.
        println!("cargo::rerun-if-changed={}", self.model.display());
        let emit = EmitOptions { blob: BlobPath::OutDir(format!("{name}.weights")), ..self.emit };
        let generated = compile_file(&self.model, &self.options, &emit)?;
        generated.read.iter().for_each(|path| println!("cargo::rerun-if-changed={}", path.display()));
        let path = Path::new(&out_dir).join(format!("{name}.rs"));
        generated.write(&path).map_err(|e| error(format!("{}: {e}", path.display())))?;
        Ok(path)
    }
}
