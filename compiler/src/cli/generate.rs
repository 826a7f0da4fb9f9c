//! Model file → generated module, for the subcommands that need one.

use super::CompileArgs;
use onnxc::emit::{Blob, BlobPath, EmitOptions, emit};
use onnxc::program::{self, Program};
use onnxc::{Model, memory, write};
use sha2::{Digest, Sha256};
use std::path::Path;

/// A compiled model.
pub struct Generated {
    /// The first language's end: what `emit` printed.
    pub program: Program,
    /// The source.
    pub source: String,
    /// The file of constants.
    pub blob: Option<Blob>,
}

/// A model as a program.
pub fn program(model: &Path, args: &CompileArgs) -> Result<Program, String> {
    onnxc::compile_to_program(Model::read(model).map_err(|e| e.to_string())?, &args.options()).map_err(|e| e.to_string())
}

/// A model as a module that finds its constants at `blob`.
pub fn generate(model: &Path, args: &CompileArgs, mut options: EmitOptions) -> Result<Generated, String> {
    let program = program(model, args)?;
    let bytes = std::fs::read(model).map_err(|e| format!("{}: {e}", model.display()))?;
    options.model_hash = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let placement = memory::place(&program);
    let emitted = emit(&program, &placement, &options);
    let name = model.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let source = write::text(&emitted, &name, &options.model_hash).map_err(|e| format!("internal error, please report it: {e}"))?;
    Ok(Generated { program, source, blob: emitted.blob })
}

/// The options for a module in the package of that folder, with its constants beside it.
pub fn in_package(blob: &str) -> EmitOptions {
    EmitOptions { blob: BlobPath::InPackage(blob.to_owned()), ..EmitOptions::default() }
}

/// What leaves a room, as text.
pub fn dump(model: &Path, args: &CompileArgs, room: &str) -> Result<String, String> {
    let (mut found, mut rooms) = (None, Vec::new());
    let parsed = Model::read(model).map_err(|e| e.to_string())?;
    let program = onnxc::compile_watched(parsed, &args.options(), &mut |name, text| {
        rooms.push(name.to_owned());
        if name == room {
            found = Some(text());
        }
    });
    // What left a room counts even if a later one fails.
    if let Some(text) = found {
        return Ok(text);
    }
    let mut program = program.map_err(|e| e.to_string())?;
    match room {
        "memory" => Ok(memory::place(&program).to_string()),
        "emit" => {
            program::state::keep(&mut program, &args.options().states).map_err(|e| e.to_string())?;
            let emitted = emit(&program, &memory::place(&program), &EmitOptions::default());
            write::text(&emitted, &model.display().to_string(), "").map_err(|e| e.to_string())
        }
        _ => Err(format!("there is no room `{room}`: there are {}, memory, emit", rooms.join(", "))),
    }
}
