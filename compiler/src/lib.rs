//! onnxc: an ahead-of-time compiler from ONNX to native Rust.
//!
//! The rooms, in order: proto → [`import`] → [`verify`] → [`passes`] → [`lower`] → memory → emit → write. See ARCHITECTURE.md.
#![forbid(unsafe_code)]

pub mod build;
pub mod emit;
pub mod generate;
pub mod grad;
#[cfg(feature = "cli")]
pub mod harness;
pub mod import;
pub mod ir;
pub mod lower;
pub mod memory;
pub mod ops;
pub mod options;
pub mod passes;
pub mod program;
pub mod report;
pub mod verify;
pub mod write;

pub use build::Build;
use onnxc_proto::{Bytes, ExternalFiles, Limits};
pub use options::Options;
use report::Diagnostic;
pub use report::Report;
use std::path::Path;

/// A model file as it was read: the decoded message and what identifies it.
pub struct Model {
    /// The decoded file.
    pub proto: onnxc_proto::ModelProto,
    /// The files that external data is read from.
    pub files: ExternalFiles,
}

/// What to do about a file that does not decode.
const NO_MODEL: &str = "is it an ONNX model? A Git LFS pointer or a web page under that name is none";

impl Model {
    /// Reads a model file; external data is taken from its folder only.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let limits = Limits::default();
        let error = |message: String| Diagnostic::error(format!("{}: {message}", path.display()));
        let proto = onnxc_proto::decode_model_file(path, &limits).map_err(|e| error(e.to_string()).help(NO_MODEL))?;
        let files = ExternalFiles::beside(path).map_err(|e| error(e.to_string()))?;
        Ok(Self { proto, files })
    }

    /// A model in memory; it cannot have external data.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Report> {
        let proto =
            onnxc_proto::decode_model(bytes.into(), &Limits::default()).map_err(|e| Report::from(Diagnostic::error(e.to_string())))?;
        Ok(Self { proto, files: ExternalFiles::refused() })
    }

    /// The producer, as generated code names it.
    pub fn producer(&self) -> String {
        format!("{} {}", self.proto.producer_name, self.proto.producer_version).trim().to_owned()
    }
}

/// What leaves a room: its name (or that of a pass) and its text, made when asked for.
pub type Watch<'a> = &'a mut dyn FnMut(&str, &dyn Fn() -> String);

/// The first rooms: a model as a program.
pub fn compile_to_program(model: Model, options: &Options) -> Result<program::Program, Report> {
    compile_watched(model, options, &mut |_, _| ())
}

/// The first rooms, showing what leaves each (`--dump ROOM`).
pub fn compile_watched(model: Model, options: &Options, watch: Watch<'_>) -> Result<program::Program, Report> {
    let producer = model.producer();
    let graph = import::import(&model.proto, model.files, options)?;
    // What a large ensemble is in the file takes more memory than all that follows.
    drop(model.proto);
    compile_graph(graph, &producer, options, watch)
}

/// From the graph on; [`ir::parse`] reads one from a text.
pub fn compile_graph(graph: ir::Graph, producer: &str, options: &Options, watch: Watch<'_>) -> Result<program::Program, Report> {
    watch("import", &|| ir::text::graph(&graph));
    verify::verify(&graph)?;
    let graph = passes::run(graph, options, &mut |pass, graph| watch(pass, &|| ir::text::graph(graph)))?;
    watch("passes", &|| ir::text::graph(&graph));
    let program = lower::lower(&graph, producer, options)?;
    memory::check_size(&program)?;
    watch("lower", &|| program::text::program(&program));
    Ok(program)
}
