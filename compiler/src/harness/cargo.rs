//! Running cargo: crates around generated code, and what cargo and rustc say about them.

use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The runtime's folder beside the compiler's, in a checkout.
fn runtime_folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-support");
    folder.join("Cargo.toml").is_file().then(|| folder.canonicalize().unwrap_or(folder))
}

/// The dependency of generated code as TOML: the crate beside the compiler in a checkout, else the published one of the same version; with its
/// default features or without, and those given.
pub fn runtime_dependency(default: bool, features: &[&str]) -> String {
    let list = features.iter().map(|f| format!("\"{f}\"")).collect::<Vec<_>>().join(", ");
    let features = if features.is_empty() { String::new() } else { format!(", features = [{list}]") };
    let default = if default { "" } else { ", default-features = false" };
    match runtime_folder() {
        Some(folder) => format!("{{ path = {:?}{default}{features} }}", folder.display().to_string()),
        None => format!("{{ version = \"{}\"{default}{features} }}", env!("CARGO_PKG_VERSION")),
    }
}

/// The optional features of the runtime that a generated source asks for.
pub fn features_of(source: &str) -> &'static [&'static str] {
    if source.contains("image::AVAILABLE") { &["image"] } else { &[] }
}

/// Pins the dependencies of a crate in `dir` to those that this compiler was tested with.
pub fn copy_lock(dir: &Path) -> Result<(), String> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let theirs = dir.join("Cargo.lock");
    if ours.is_file() && !theirs.exists() {
        std::fs::copy(&ours, &theirs).map_err(|e| format!("{}: {e}", theirs.display()))?;
    }
    Ok(())
}

/// Writes a file, and the folders above it, unless it already has that content: cargo looks at times.
pub fn write_if_new(path: &Path, content: &[u8]) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let same =
        std::fs::metadata(path).is_ok_and(|m| m.len() == content.len() as u64) && std::fs::read(path).is_ok_and(|old| old == content);
    if same {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, content).map_err(failed)
}

/// `cargo build` in `dir` with JSON messages: those messages and the text for people. A failed build is no error here.
pub fn build(dir: &Path, target: &Path, args: &[&str], on_message: &mut dyn FnMut(&Json)) -> Result<(Vec<Json>, String), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(dir).env("CARGO_TARGET_DIR", target).args(["build", "--message-format=json"]).args(args);
    // What the outer cargo says about the outer crate is not about this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("cargo does not start: {e}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let log = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut messages = Vec::new();
    for line in stdout.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
        if let Ok(message) = serde_json::from_str::<Json>(&line) {
            on_message(&message);
            messages.push(message);
        }
    }
    child.wait().map_err(|e| e.to_string())?;
    Ok((messages, log.join().unwrap_or_default()))
}

/// Builds one crate with one binary in release; gives its executable, or what rustc said.
pub fn build_one(dir: &Path, target: &Path, name: &str) -> Result<PathBuf, String> {
    let (messages, log) = build(dir, target, &["--release"], &mut |_| {})?;
    let exe = messages.iter().filter(|m| m["target"]["name"] == name).find_map(|m| m["executable"].as_str());
    exe.map(PathBuf::from).ok_or_else(|| {
        let errors: Vec<&str> =
            messages.iter().filter(|m| m["message"]["level"] == "error").filter_map(|m| m["message"]["rendered"].as_str()).collect();
        if errors.is_empty() { log } else { errors.concat() }
    })
}

/// The files that a compiler message points at: its own spans, those of its notes, and those inside macro expansions.
pub fn files_of(message: &Json) -> Vec<String> {
    let mut files = Vec::new();
    let mut spans: Vec<&Json> = message["spans"].as_array().into_iter().flatten().collect();
    spans.extend(message["children"].as_array().into_iter().flatten().flat_map(|c| c["spans"].as_array().into_iter().flatten()));
    for mut span in spans {
        loop {
            files.extend(span["file_name"].as_str().map(str::to_owned));
            span = match &span["expansion"]["span"] {
                Json::Null => break,
                outer => outer,
            };
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn complaints_lead_to_files() {
        let message = json!({
            "spans": [{ "file_name": "core/macros.rs", "expansion": { "span": { "file_name": "b/src/m_1.rs", "expansion": null } } }],
            "children": [{ "spans": [{ "file_name": "b/src/m_2.rs" }] }],
        });
        assert_eq!(files_of(&message), ["core/macros.rs", "b/src/m_1.rs", "b/src/m_2.rs"]);
    }

    #[test]
    fn unchanged_files_keep_their_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        write_if_new(&path, b"x").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        write_if_new(&path, b"x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), time);
        write_if_new(&path, b"y").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"y");
    }
}
