//! The models of examples/identify and examples/vad, out of the Python packages that carry them.

use crate::data::{root, run};
use clap::Args;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Fetches the models of the examples from PyPI (a few megabytes; needs python3 with pip).
#[derive(Args)]
pub struct FetchExamples {}

/// A model in a package.
struct Model {
    /// The package, with the version that the example's answers are of.
    requirement: &'static str,
    /// Where in the package.
    member: &'static str,
    /// Where in the repository.
    target: &'static str,
    /// Its length, so that another file under the same name is noticed.
    bytes: u64,
}

const MODELS: [Model; 2] = [
    Model {
        requirement: "magika==1.0.3",
        member: "magika/models/standard_v3_3/model.onnx",
        target: "examples/identify/models/magika.onnx",
        bytes: 3163737,
    },
    Model {
        requirement: "silero-vad==6.2.3",
        member: "silero_vad/data/silero_vad.onnx",
        target: "examples/vad/models/silero_vad.onnx",
        bytes: 2327524,
    },
];

impl FetchExamples {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        for model in &MODELS {
            let target = root().join(model.target);
            if length(&target) == Some(model.bytes) {
                println!("{} is there", model.target);
                continue;
            }
            fetch(model, &target)?;
            println!("{} fetched from {}", model.target, model.requirement);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The package is unpacked under target/; the model is put in place in one step, so that a build never sees half of it.
fn fetch(model: &Model, target: &Path) -> Result<(), String> {
    let folder = root().join("target/fetch").join(model.requirement);
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"])
        .arg(&folder)
        .arg(model.requirement))?;
    let member = folder.join(model.member);
    if length(&member) != Some(model.bytes) {
        return Err(format!("{} has no {} of {} bytes", model.requirement, model.member, model.bytes));
    }
    let partial = target.with_extension("partial");
    std::fs::copy(&member, &partial).and_then(|_| std::fs::rename(&partial, target)).map_err(|e| format!("{}: {e}", target.display()))
}

fn length(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|m| m.len())
}
