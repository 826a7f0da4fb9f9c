//! What the doors decide about the generated code beyond the program.

/// What `emit` needs to know beyond the program. The same options and program give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmitOptions {
    /// The path of the runtime crate in the generated code.
    pub runtime_path: String,
    /// How the constants get into the binary.
    pub embed: Embed,
    /// How the source names the file of constants.
    pub blob: BlobPath,
    /// Leave out what needs an allocator: `Model::new` and `Session`. Only for models of static shapes.
    pub no_std: bool,
    /// The SHA-256 of the model file, in hexadecimal.
    pub model_hash: String,
    /// Measure the time of each step (`PROFILE` in the module, see `onnxc_runtime::profile`). Needs std.
    pub profile: bool,
}

impl Default for EmitOptions {
    fn default() -> Self {
        Self {
            runtime_path: "::onnxc_runtime".to_owned(),
            embed: Embed::Incbin,
            blob: BlobPath::Beside("model.weights".to_owned()),
            no_std: false,
            model_hash: String::new(),
            profile: false,
        }
    }
}

/// How the constants get into the binary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Embed {
    /// By the assembler's `.incbin` where the path allows it: an order of magnitude faster to build than [`Embed::Bytes`],
    /// at the price of one `unsafe extern` block.
    #[default]
    Incbin,
    /// By `include_bytes!`: for crates that forbid unsafe code, and for targets whose assembler has no `.incbin`.
    Bytes,
}

impl std::str::FromStr for Embed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "incbin" => Ok(Self::Incbin),
            "bytes" => Ok(Self::Bytes),
            _ => Err(format!("`{text}` is no way to embed constants: there are `incbin` and `bytes`")),
        }
    }
}

/// How the generated code names the file of constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobPath {
    /// A file beside the source, by name; only `include_bytes!` can find it.
    Beside(String),
    /// A path inside the package of the source, from `CARGO_MANIFEST_DIR`.
    InPackage(String),
    /// A file in the build script's `OUT_DIR`.
    OutDir(String),
    /// A file in that absolute directory, named after its content.
    InDir(std::path::PathBuf),
}
