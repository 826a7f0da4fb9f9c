//! `cargo xtask models`: the model folders beside the repository.

use crate::data;
use crate::tolerances;
use crate::trial::{Suite, Trial};
use onnxc::harness::batch::Runtime;
use onnxc::harness::cases::discover;
use onnxc::harness::compare::Rule;
use onnxc::harness::modes::Mode;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the models of ../shared/models (or $ONNXC_MODELS); the last line is `N passed, N failed, N skipped`
///
/// Exit status 0 only when what passes and what does not is as tests/conformance/models_not_passing.txt says.
#[derive(clap::Args)]
pub struct Models {
    /// Another folder of model folders; its results are held to no list
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// In dynamic mode, make every dim of every input symbolic, also those with a number
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    trial: Trial,
}

impl Models {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        let shared = std::env::var_os("ONNXC_MODELS").map_or_else(|| data::root().join("../shared/models"), PathBuf::from);
        let mut cases = discover(self.folder.as_deref().unwrap_or(&shared), Rule::MODELS)?;
        if self.folder.is_none() {
            tolerances::loosen(&mut cases, &data::root().join("tests/conformance/models_tolerances.txt"), true)?;
        }
        self.trial.run(Suite {
            cases,
            modes: &[Mode::Static, Mode::Dynamic],
            name: "models".to_owned(),
            open: self.open,
            timeout: 300,
            opt_level: 1,
            runtime: Runtime::Optimised,
            per_batch: 12,
            manifest: self.folder.is_none().then(|| data::root().join("tests/conformance/models_not_passing.txt")),
        })
    }
}
