//! Crates of many generated modules: written, built by cargo, and the compiler's complaints brought back to the module they are about.

use super::cargo;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Generated modules, by name, that become one crate and one executable. The sources are there already: see [`write_module`].
#[derive(Clone, Debug)]
pub struct Batch {
    /// The package's name.
    pub name: String,
    /// rustc's optimisation level for the generated code.
    pub opt_level: u8,
    /// The modules: Rust identifiers, unique in the whole build.
    pub modules: Vec<String>,
}

/// How the runtime crate of the batches is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// As this repository's own dev profile builds it for the compiler (see the workspace's Cargo.toml), and so already there when the target
    /// directory is the workspace's: for many small cases.
    Shared,
    /// As a user's release build has it, threads included: for models.
    Optimised,
}

impl Runtime {
    fn profile(self) -> &'static str {
        match self {
            Self::Shared => {
                "[profile.dev]\ndebug = \"none\"\n\n[profile.dev.package.onnxc-runtime]\nopt-level = 1\ndebug-assertions = false\noverflow-checks = false\n"
            }
            Self::Optimised => {
                "[profile.dev]\ndebug = \"none\"\nincremental = false\n\n\
                 [profile.dev.package.\"*\"]\nopt-level = 3\ndebug-assertions = false\noverflow-checks = false\n"
            }
        }
    }

    /// The dependency on it of a batch with these sources.
    fn dependency(self, mut sources: impl Iterator<Item = String>) -> String {
        match self {
            // As the compiler itself has it.
            Self::Shared => cargo::runtime_dependency(false, &["std", "image"]),
            Self::Optimised => {
                let features = sources.find_map(|source| Some(cargo::features_of(&source)).filter(|f| !f.is_empty()));
                cargo::runtime_dependency(true, features.unwrap_or_default())
            }
        }
    }
}

/// What became of a module.
#[derive(Clone, Debug)]
pub enum Built {
    /// It is model `index` of that executable.
    Ready {
        /// The executable.
        exe: PathBuf,
        /// The number that the executable knows it by.
        index: usize,
    },
    /// rustc refused it, with this message.
    Refused(String),
}

/// The main function of an executable that runs jobs.
pub const RUNNER: &str = include_str!("templates/runner.rs");

/// Builds the batches in `dir` (kept between calls, so that what did not change is not built again) with cargo's target directory `target`.
/// `runtime` says how the runtime is built. `progress` is called after each crate. The result has an entry for each module.
pub fn build(
    dir: &Path,
    target: &Path,
    runtime: Runtime,
    mut batches: Vec<Batch>,
    progress: &dyn Fn(usize, usize),
) -> Result<HashMap<String, Built>, String> {
    let mut built = HashMap::new();
    while !batches.is_empty() {
        let outcome = attempt(dir, target, runtime, &batches, progress)?;
        let mut again = Vec::new();
        for batch in batches {
            match outcome.executables.get(&batch.name) {
                Some(exe) => {
                    let ready = |(index, module)| (module, Built::Ready { exe: exe.clone(), index });
                    built.extend(batch.modules.into_iter().enumerate().map(ready));
                }
                None => again.extend(sort_out(batch, &outcome.complaints, &outcome.log, &mut built)),
            }
        }
        batches = again;
    }
    Ok(built)
}

/// What the names of the packages in `dir` begin with. Cargo tells crates of one name in one target directory apart by their place below the
/// workspace only: each run needs names of its own.
pub fn package_names(dir: &Path) -> String {
    let folder = dir.file_name().map(|f| f.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-")).unwrap_or_default();
    format!("onnxc-batch-{folder}-")
}

/// Removes what [`build`] has left in `dir` and of its packages in `target`, several gigabytes for many models.
pub fn discard(dir: &Path, target: &Path) -> Result<(), String> {
    let remove = |path: &Path| {
        let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.map_err(|e| format!("{}: {e}", path.display()))
    };
    // Packages are named with hyphens, crates with underscores.
    let names = package_names(dir);
    let crates = names.replace('-', "_");
    for folder in ["", "deps", "incremental", ".fingerprint"] {
        for entry in std::fs::read_dir(target.join("debug").join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if [&names, &crates].iter().any(|n| name.to_string_lossy().starts_with(n.as_str())) {
                remove(&entry.path())?;
            }
        }
    }
    remove(dir)
}

/// What is left to build of a batch that failed: without the modules complained about, or in halves if nobody knows which are at fault.
fn sort_out(batch: Batch, complaints: &BTreeMap<String, String>, log: &str, built: &mut HashMap<String, Built>) -> Vec<Batch> {
    let (bad, good): (Vec<String>, Vec<String>) = batch.modules.into_iter().partition(|m| complaints.contains_key(m));
    if bad.is_empty() {
        return halves(&batch.name, batch.opt_level, good, log, built);
    }
    for module in bad {
        let complaint = complaints.get(&module).cloned().unwrap_or_default();
        built.insert(module, Built::Refused(complaint));
    }
    if good.is_empty() { Vec::new() } else { vec![Batch { modules: good, ..batch }] }
}

fn halves(name: &str, opt_level: u8, mut modules: Vec<String>, log: &str, built: &mut HashMap<String, Built>) -> Vec<Batch> {
    if modules.len() <= 1 {
        let tail: String = log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        built.extend(modules.into_iter().map(|m| (m, Built::Refused(tail.clone()))));
        return Vec::new();
    }
    let second = modules.split_off(modules.len() / 2);
    let half = |suffix: &str, modules| Batch { name: format!("{name}{suffix}"), opt_level, modules };
    vec![half("a", modules), half("b", second)]
}

struct Outcome {
    executables: HashMap<String, PathBuf>,
    /// Per module, what rustc said.
    complaints: BTreeMap<String, String>,
    log: String,
}

fn attempt(dir: &Path, target: &Path, runtime: Runtime, batches: &[Batch], progress: &dyn Fn(usize, usize)) -> Result<Outcome, String> {
    write_workspace(dir, runtime, batches)?;
    let names: Vec<&str> = batches.iter().map(|b| b.name.as_str()).collect();
    let mut done = 0;
    progress(0, names.len());
    let (messages, log) = cargo::build(dir, target, &["--workspace", "--keep-going"], &mut |message| {
        let finished = message["reason"] == "compiler-artifact" && names.iter().any(|n| message["target"]["name"] == **n);
        if finished {
            done += 1;
            progress(done, names.len());
        }
    })?;
    let mut outcome = Outcome { executables: HashMap::new(), complaints: BTreeMap::new(), log };
    let modules: HashSet<&str> = batches.iter().flat_map(|b| &b.modules).map(String::as_str).collect();
    for message in &messages {
        let target = message["target"]["name"].as_str().unwrap_or_default();
        if let (Some(exe), true) = (message["executable"].as_str(), names.contains(&target)) {
            outcome.executables.insert(target.to_owned(), PathBuf::from(exe));
        }
        if message["message"]["level"] != "error" {
            continue;
        }
        let files = cargo::files_of(&message["message"]);
        if let Some(name) = files.iter().find_map(|file| modules.get(Path::new(file).file_stem()?.to_str()?)) {
            let rendered = message["message"]["rendered"].as_str().unwrap_or_default();
            let text = outcome.complaints.entry((*name).to_owned()).or_default();
            if text.len() < 2000 {
                text.push_str(rendered);
            }
        }
    }
    if outcome.executables.is_empty()
        && outcome.complaints.is_empty()
        && messages.iter().all(|m| m["message"]["level"] != "error")
        && batches.len() > 1
    {
        // Cargo itself failed, or the runtime did not compile: no module is at fault.
        return Err(format!("cargo could not build the batches:\n{}", outcome.log));
    }
    Ok(outcome)
}

fn write_workspace(dir: &Path, runtime: Runtime, batches: &[Batch]) -> Result<(), String> {
    let members: String = batches.iter().map(|b| format!("\"{}\", ", b.name)).collect();
    let levels: String = batches.iter().map(|b| format!("[profile.dev.package.{}]\nopt-level = {}\n", b.name, b.opt_level)).collect();
    let manifest = format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n{}\n{levels}", runtime.profile());
    cargo::write_if_new(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    cargo::copy_lock(dir)?;
    batches.iter().try_for_each(|batch| write_batch(dir, runtime, batch))
}

fn write_batch(workspace: &Path, runtime: Runtime, batch: &Batch) -> Result<(), String> {
    let dir = workspace.join(&batch.name);
    let sources = batch.modules.iter().filter_map(|m| std::fs::read_to_string(source_path(workspace, m)).ok());
    let manifest = format!(
        "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\nonnxc-runtime = {}\n",
        batch.name,
        runtime.dependency(sources)
    );
    let mods: String = batch.modules.iter().map(|m| format!("#[path = \"../../{MODULES}/{m}.rs\"]\nmod {m};\n")).collect();
    let rows: String = batch.modules.iter().map(|m| format!("    || Box::new({m}::Model::new()),\n")).collect();
    let main = format!("#![deny(warnings)]\n{mods}\nconst MODELS: &[fn() -> Box<dyn Session>] = &[\n{rows}];\n\n{RUNNER}");
    cargo::write_if_new(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    cargo::write_if_new(&dir.join("src/main.rs"), main.as_bytes())
}

/// The folder of the generated modules, beside the packages.
const MODULES: &str = "modules";

fn source_path(workspace: &Path, module: &str) -> PathBuf {
    workspace.join(MODULES).join(format!("{module}.rs"))
}

/// Puts a generated module where the batches of `dir` look for it, with its file of constants if it has one.
pub fn write_module(dir: &Path, name: &str, source: &str, blob: Option<&[u8]>) -> Result<(), String> {
    cargo::write_if_new(&source_path(dir, name), source.as_bytes())?;
    blob.map_or(Ok(()), |blob| cargo::write_if_new(&dir.join(MODULES).join(format!("{name}.weights")), blob))
}

/// Where the file of constants of a module lies, from a package of a batch.
pub fn blob_path(module: &str) -> String {
    format!("../{MODULES}/{module}.weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discard_takes_what_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let (dir, other, target) = (root.path().join("models-static"), root.path().join("models-static-2"), root.path().join("target"));
        let own = ["onnxc-batch-models-static-0", "deps/onnxc_batch_models_static_0-1a", ".fingerprint/onnxc-batch-models-static-0-1a/x"];
        let others = ["onnxc-batch-models-dynamic-0", "deps/libonnxc_runtime-2b.rlib", "deps/onnxc_batch_models_2-1a"];
        for file in own.iter().chain(&others) {
            let path = target.join("debug").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        [&dir, &other].into_iter().for_each(|d| std::fs::create_dir(d).unwrap());
        discard(&dir, &target).unwrap();
        assert!(!dir.exists() && other.exists());
        assert!(own.iter().all(|f| !target.join("debug").join(f).exists()));
        assert!(others.iter().all(|f| target.join("debug").join(f).exists()));
    }
}
