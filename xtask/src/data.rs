//! The official ONNX test cases, made by the onnx package of a release.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that the repository is held to.
pub const RELEASE: &str = "1.23.2";
/// Its number of cases: 1,884 node, 23 simple, 82 converted from PyTorch modules, 35 from PyTorch operators.
pub const CASES: usize = 2024;

const GENERATOR: &str = include_str!("generate.py");

/// The root of the repository.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// The folder of a release's cases, made first if it is not there: in `$ONNXC_DATA/RELEASE`, else in `target/onnx-data/RELEASE`.
pub fn cases(release: &str) -> Result<PathBuf, String> {
    let base = std::env::var_os("ONNXC_DATA").map_or_else(|| root().join("target/onnx-data"), PathBuf::from);
    let folder = base.join(release);
    if folder.join(".complete").is_file() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&base).map_err(|e| format!("{}: {e}", base.display()))?;
    let python = environment(&base.join(format!("venv-{release}")), release)?;
    eprintln!("making the test cases of onnx {release} (half a minute)");
    let script = base.join("generate.py");
    std::fs::write(&script, GENERATOR).map_err(|e| e.to_string())?;
    run(Command::new(&python).args(["-W", "ignore"]).arg(&script).arg(&folder))?;
    std::fs::write(folder.join(".complete"), "").map_err(|e| e.to_string())?;
    Ok(folder)
}

/// The Python of a virtual environment with that release of onnx.
fn environment(folder: &Path, release: &str) -> Result<PathBuf, String> {
    let python = folder.join("bin/python");
    if folder.join(".complete").is_file() {
        return Ok(python);
    }
    eprintln!("installing onnx {release} into {}", folder.display());
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(format!("onnx=={release}")))?;
    std::fs::write(folder.join(".complete"), "").map_err(|e| e.to_string())?;
    Ok(python)
}

/// Runs a command; a failure is an error.
pub fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", command.get_program().display())) }
}
