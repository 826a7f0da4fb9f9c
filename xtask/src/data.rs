//! The official ONNX test cases of a release.
//!
//! Releases up to 1.20 carry all cases in their wheels, which are for Pythons long gone: the wheel is downloaded and unpacked, not installed.
//! Later ones have the node cases as Python code only: the package is installed and its own collection written out.

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

/// Where releases are kept: `$ONNXC_DATA`, else `target/onnx-data`.
fn base() -> PathBuf {
    std::env::var_os("ONNXC_DATA").map_or_else(|| root().join("target/onnx-data"), PathBuf::from)
}

/// A Python that has that release of onnx, made first if there is none.
pub fn python(release: &str) -> Result<PathBuf, String> {
    environment(&base().join(format!("venv-{release}")), release)
}

/// The folder of a release's cases, made first if it is not there: in `$ONNXC_DATA/RELEASE`, else in `target/onnx-data/RELEASE`.
pub fn cases(release: &str) -> Result<PathBuf, String> {
    let base = base();
    let folder = base.join(release);
    if folder.join(".complete").is_file() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&base).map_err(|e| format!("{}: {e}", base.display()))?;
    if in_wheel(release) {
        eprintln!("unpacking the test cases of onnx {release}");
        unpack(&base, release, &folder)?;
        std::fs::write(folder.join(".complete"), "").map_err(|e| e.to_string())?;
        return Ok(folder);
    }
    let python = python(release)?;
    eprintln!("making the test cases of onnx {release} (half a minute)");
    let script = base.join("generate.py");
    std::fs::write(&script, GENERATOR).map_err(|e| e.to_string())?;
    run(Command::new(&python).args(["-W", "ignore"]).arg(&script).arg(&folder))?;
    std::fs::write(folder.join(".complete"), "").map_err(|e| e.to_string())?;
    Ok(folder)
}

/// Whether a release's wheel holds all cases.
fn in_wheel(release: &str) -> bool {
    let mut numbers = release.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) <= (Some(1), Some(20))
}

/// The Python versions and ABIs that wheels were made for, newest first.
const PYTHONS: [(&str, &str); 7] =
    [("312", "cp312"), ("311", "cp311"), ("310", "cp310"), ("39", "cp39"), ("38", "cp38"), ("37", "cp37m"), ("36", "cp36m")];
/// The platforms of those wheels. The cases are the same in all; so one is asked for whatever this machine is.
const PLATFORMS: [&str; 6] = ["manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_12", "manylinux_2_17", "manylinux_2_28"];

/// Downloads the wheel of a release and takes the cases out of it.
fn unpack(base: &Path, release: &str, folder: &Path) -> Result<(), String> {
    let wheels = base.join(format!("wheel-{release}"));
    let downloaded = PYTHONS.iter().any(|(version, abi)| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]);
        pip.args(["--implementation", "cp", "--python-version", version, "--abi", abi]);
        for platform in PLATFORMS {
            pip.arg("--platform").arg(format!("{platform}_x86_64"));
        }
        pip.arg("--dest").arg(&wheels).arg(format!("onnx=={release}"));
        pip.stderr(std::process::Stdio::null()).status().is_ok_and(|s| s.success())
    });
    let wheel =
        std::fs::read_dir(&wheels).into_iter().flatten().flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "whl"));
    let (true, Some(wheel)) = (downloaded, wheel) else { return Err(format!("pip found no wheel of onnx {release} for any Python")) };
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&wheels))?;
    let _ = std::fs::remove_dir_all(folder);
    std::fs::rename(wheels.join("onnx/backend/test/data"), folder).map_err(|e| format!("{}: {e}", wheel.display()))?;
    std::fs::remove_dir_all(&wheels).map_err(|e| format!("{}: {e}", wheels.display()))
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
