//! `cargo xtask conformance`: the official cases of an onnx release.

use crate::data;
use crate::tolerances;
use crate::trial::{Suite, Trial};
use onnxc::harness::batch::Runtime;
use onnxc::harness::cases::discover;
use onnxc::harness::compare::Rule;
use onnxc::harness::modes::Mode;
use std::process::ExitCode;

/// Run the official ONNX test cases; the last line is `N passed, N failed, N skipped`
///
/// Exit status 0 only when what passes and what does not is as tests/conformance/not_passing.txt (other releases: releases/RELEASE.txt there)
/// says.
#[derive(clap::Args)]
pub struct Conformance {
    /// The onnx release whose cases are run
    #[arg(long, default_value = data::RELEASE)]
    release: String,
    #[command(flatten)]
    trial: Trial,
}

impl Conformance {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        let folder = data::cases(&self.release)?;
        let mut cases = discover(&folder, Rule::OFFICIAL)?;
        let lists = data::root().join("tests/conformance");
        let pinned = self.release == data::RELEASE;
        if pinned && cases.len() != data::CASES {
            return Err(format!("{} has {} cases, onnx {} has {}", folder.display(), cases.len(), data::RELEASE, data::CASES));
        }
        tolerances::loosen(&mut cases, &lists.join("tolerances.txt"), pinned)?;
        self.trial.run(Suite {
            cases,
            modes: &Mode::ALL,
            name: format!("official-{}", self.release),
            open: true,
            timeout: 60,
            opt_level: 0,
            runtime: Runtime::Shared,
            per_batch: 100,
            manifest: Some(lists.join(if pinned { "not_passing.txt".to_owned() } else { format!("releases/{}.txt", self.release) })),
        })
    }
}
