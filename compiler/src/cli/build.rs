//! `onnxc build`: model → Rust source and a file of constants.

use super::CompileArgs;
use super::generate::{dump, generate};
use super::style::Spinner;
use onnxc::emit::{BlobPath, Embed, EmitOptions};
use onnxc::write::write_if_changed;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compile a model to a Rust module
///
/// The module needs the crate `onnxc-runtime` and nothing else. Constants that are not small go to a file beside it, which the module takes
/// into the binary.
#[derive(clap::Args)]
pub struct Build {
    /// The model
    model: PathBuf,
    /// The Rust file to write
    #[arg(long, short, required_unless_present = "dump")]
    output: Option<PathBuf>,
    /// Instead of writing a file, print what leaves a room of the compiler: import, the name of a pass, passes, lower, memory, emit
    #[arg(long, value_name = "ROOM")]
    dump: Option<String>,
    /// How the constants get into the binary: incbin (by the assembler: fast, one unsafe block) or bytes (by include_bytes!)
    #[arg(long, default_value = "incbin")]
    embed: Embed,
    /// The path of the runtime crate in the generated code
    #[arg(long, default_value = "::onnxc_runtime")]
    runtime_path: String,
    /// Leave out what needs an allocator (only models of static shapes)
    #[arg(long)]
    no_std: bool,
    #[command(flatten)]
    compile: CompileArgs,
}

impl Build {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        if let Some(room) = &self.dump {
            print!("{}", dump(&self.model, &self.compile, room)?);
            return Ok(ExitCode::SUCCESS);
        }
        let output = self.output.as_deref().ok_or("the option --output is missing")?;
        let blob = blob_path(output)?;
        let options =
            EmitOptions { runtime_path: self.runtime_path.clone(), embed: self.embed, blob, no_std: self.no_std, ..EmitOptions::default() };
        let spinner = Spinner::new("onnxc compiles the model");
        let generated = generate(&self.model, &self.compile, options);
        drop(spinner);
        let generated = generated?;
        let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        let folder = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        if let Some(blob) = &generated.blob {
            let path = folder.join(&blob.file);
            write_if_changed(&path, &blob.bytes).map_err(|e| failed(&path, e))?;
        }
        write_if_changed(output, generated.source.as_bytes()).map_err(|e| failed(output, e))?;
        let constants = generated.blob.as_ref().map_or(0, |b| b.bytes.len());
        eprintln!("{}: {} lines, {constants} bytes of constants", output.display(), generated.source.lines().count());
        Ok(ExitCode::SUCCESS)
    }
}

/// How the module names its constants: by its package, if the file lies in one (then the assembler can take them in), else beside it.
fn blob_path(output: &Path) -> Result<BlobPath, String> {
    let output = std::path::absolute(output).map_err(|e| e.to_string())?;
    let stem = output.file_stem().and_then(|s| s.to_str()).ok_or("the output has no name")?;
    let file = format!("{stem}.weights");
    let package = output.ancestors().skip(1).find(|dir| dir.join("Cargo.toml").is_file());
    let inside =
        package.and_then(|package| output.with_file_name(&file).strip_prefix(package).ok().and_then(Path::to_str).map(str::to_owned));
    Ok(inside.map_or(BlobPath::Beside(file), |path| BlobPath::InPackage(path.replace('\\', "/"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_found_from_the_package() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(blob_path(&dir.path().join("src/net.rs")).unwrap(), BlobPath::Beside("net.weights".into()));
        std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
        assert_eq!(blob_path(&dir.path().join("src/net.rs")).unwrap(), BlobPath::InPackage("src/net.weights".into()));
    }
}
