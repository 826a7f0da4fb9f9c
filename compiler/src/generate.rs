//! The whole way, model file → text: what all three doors call.

use crate::emit::{self, Blob, EmitOptions};
use crate::options::Options;
use crate::report::{Diagnostic, Report};
use crate::{Model, compile_to_program, memory, program, write};
use onnxc_proto::{GraphProto, ModelProto, TensorProto};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A generated module.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The source.
    pub source: String,
    /// The file of constants, unless all are literals in the source.
    pub blob: Option<Blob>,
    /// The files that the result depends on: the model, and its external data.
    pub read: Vec<PathBuf>,
    /// Bytes of planned scratch memory.
    pub scratch: usize,
}

impl Generated {
    /// Writes the source to `path` and the constants, if any, beside it; equal files are left alone.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(blob) = &self.blob {
            write::write_if_changed(&path.with_file_name(&blob.file), &blob.bytes)?;
        }
        write::write_if_changed(path, self.source.as_bytes())
    }
}

/// Compiles a model file to a module. The options' `model_hash` is filled in here.
pub fn compile_file(model: &Path, options: &Options, emit_options: &EmitOptions) -> Result<Generated, Report> {
    let hash = hash(model).map_err(|e| error(format!("{}: {e}", model.display())))?;
    let parsed = Model::read(model)?;
    let mut read = vec![model.to_owned()];
    read.extend(external_files(&parsed.proto, model.parent().unwrap_or(Path::new(""))));
    let mut program = compile_to_program(parsed, options)?;
    program::state::keep(&mut program, &options.states)?;
    let placement = memory::place(&program);
    if emit_options.no_std && placement.needs_heap() {
        let help = "give every dim a value (--dim, --input-shape), or build with an allocator";
        return Err(Report::from(Diagnostic::error("without an allocator, all shapes must be known when compiling").help(help)));
    }
    let emit_options = EmitOptions { model_hash: hash, ..emit_options.clone() };
    let emitted = emit::emit(&program, &placement, &emit_options);
    let name = model.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let source = write::text(&emitted, &name, &emit_options.model_hash)
        .map_err(|e| error(format!("internal error, please report it: the generated code does not parse: {e}")))?;
    Ok(Generated { source, blob: emitted.blob, read, scratch: placement.arena })
}

fn error(message: String) -> Report {
    Report::from(Diagnostic::error(message))
}

/// The SHA-256 of a file, in hexadecimal.
fn hash(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// The files of external data that the model names and that exist in its folder.
fn external_files(model: &ModelProto, folder: &Path) -> Vec<PathBuf> {
    let mut names = BTreeSet::new();
    if let Some(graph) = &model.graph {
        graph_files(graph, &mut names);
    }
    names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

fn graph_files(graph: &GraphProto, names: &mut BTreeSet<String>) {
    graph.initializer.iter().for_each(|tensor| tensor_files(tensor, names));
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.t.iter().for_each(|tensor| tensor_files(tensor, names));
        attribute.tensors.iter().for_each(|tensor| tensor_files(tensor, names));
        attribute.g.iter().for_each(|graph| graph_files(graph, names));
        attribute.graphs.iter().for_each(|graph| graph_files(graph, names));
    }
}

fn tensor_files(tensor: &TensorProto, names: &mut BTreeSet<String>) {
    let location = tensor.external_data.iter().find(|entry| entry.key == "location");
    names.extend(location.map(|entry| entry.value.clone()));
}
