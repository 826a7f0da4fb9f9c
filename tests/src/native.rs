//! Crates around generated code: written below cargo's folder for tests, built by cargo, run.
//!
//! All of them share one target folder and one profile with `compiler/tests/generated.rs`, so that the runtime is compiled once for each set of
//! features.

use crate::text;
use onnxc::emit::{BlobPath, EmitOptions};
use onnxc::generate::compile_file;
use onnxc::write::write_if_changed;
use onnxc::{Model, Options, emit, memory, write};
use onnxc_proto::ExternalFiles;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate under construction.
pub struct Crate {
    /// Its folder.
    pub dir: PathBuf,
    name: String,
    no_std: bool,
    modules: Vec<String>,
}

impl Crate {
    /// A crate in `folder`, which is `env!("CARGO_TARGET_TMPDIR")` of the test. With `no_std` it is a static library, and the runtime has no
    /// features at all.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new(folder: &str, name: &str, no_std: bool) -> Self {
        let dir = Path::new(folder).join(name);
        std::fs::create_dir_all(dir.join("src")).unwrap();
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-support");
        let (features, abort, library) = if no_std {
            (", default-features = false", "panic = \"abort\"\n", "[lib]\ncrate-type = [\"staticlib\"]\n")
        } else {
            ("", "", "")
        };
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{library}[dependencies]\nonnxc-runtime = {{ path = {:?}{features} }}\n\
             [workspace]\n[profile.dev]\nopt-level = 1\n{abort}[lints.rust]\nwarnings = \"deny\"\n",
            runtime.display().to_string()
        );
        write_if_changed(&dir.join("Cargo.toml"), manifest.as_bytes()).unwrap();
        onnxc::harness::cargo::copy_lock(&dir).unwrap();
        Self { dir, name: name.to_owned(), no_std, modules: Vec::new() }
    }

    fn options(&self, module: &str) -> EmitOptions {
        EmitOptions { blob: BlobPath::InPackage(format!("src/{module}.weights")), no_std: self.no_std, ..EmitOptions::default() }
    }

    fn place(&mut self, module: &str) -> PathBuf {
        self.modules.push(module.to_owned());
        self.dir.join(format!("src/{module}.rs"))
    }

    /// Adds a module made of a model in ONNX's textual syntax.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn text(&mut self, module: &str, source: &str) {
        let model = Model { proto: text::model(source), files: ExternalFiles::refused() };
        let program = onnxc::compile_to_program(model, &Options::default()).unwrap_or_else(|e| panic!("{module}: {e}"));
        let emitted = emit::emit(&program, &memory::place(&program), &self.options(module));
        let text = write::text(&emitted, module, "").unwrap_or_else(|e| panic!("{module}: {e}"));
        write::files(&text, &emitted, &self.place(module)).unwrap();
    }

    /// Adds a module made of a model file.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn file(&mut self, module: &str, model: &Path, options: &Options) {
        let generated = compile_file(model, options, &self.options(module)).unwrap_or_else(|e| panic!("{module}: {e}"));
        generated.write(&self.place(module)).unwrap();
    }

    /// Writes the root: the modules, then `rest`; builds; gives the executable or the static library.
    ///
    /// # Panics
    /// If cargo or rustc refuse, with what they say.
    pub fn build(&self, rest: &str) -> PathBuf {
        let head = if self.no_std { "#![no_std]\n" } else { "" };
        let modules: String = self.modules.iter().flat_map(|m| ["mod ", m, ";\n"]).collect();
        let root = if self.no_std { "src/lib.rs" } else { "src/main.rs" };
        write_if_changed(&self.dir.join(root), format!("{head}{modules}\n{rest}").as_bytes()).unwrap();
        let target = self.dir.with_file_name("target");
        let output = Command::new(env!("CARGO"))
            .args(["build", "-q"])
            .current_dir(&self.dir)
            .env("CARGO_TARGET_DIR", &target)
            .output()
            .unwrap_or_else(|e| panic!("cargo does not start: {e}"));
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let made = if self.no_std { format!("lib{}.a", self.name.replace('-', "_")) } else { self.name.clone() };
        target.join("debug").join(made)
    }
}

/// Runs a command; gives what it prints.
///
/// # Panics
/// If it fails, with what it says.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}
