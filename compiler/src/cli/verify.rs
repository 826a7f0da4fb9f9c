//! `onnxc verify`: do compiled models give the results that their folders say?

use super::style::Bars;
use onnxc::harness::batch::Runtime;
use onnxc::harness::cases::{Case, discover};
use onnxc::harness::compare::Rule;
use onnxc::harness::modes::Mode;
use onnxc::harness::summary::{self, State};
use onnxc::harness::verify::{Settings, verify};
use onnxc::options::{Options, Precision, WeightType};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Compile models, run them natively on their test data and compare
///
/// A path is a model folder (model.onnx beside test_data_set_0, ...) or a folder of such folders. Prints a line a model and, last,
/// `N passed, N failed, N skipped`; a model is skipped when it needs what onnxc does not support. Exit status 0 only when all passed.
#[derive(clap::Args)]
pub struct Verify {
    /// Model folders, or folders of model folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// static: each data set's shapes are compiled in; dynamic: symbolic dims stay symbolic; constant: inputs are compiled in
    #[arg(long, default_value = "static", value_parser = mode)]
    mode: Mode,
    /// What weights are stored as: f32, f16 or bf16. The error is printed in any case; narrow weights are judged by 1e-2 of an output's peak
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    weights: WeightType,
    /// What products and convolutions multiply: f32, or bf16, judged by 2e-2 of an output's peak
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    precision: Precision,
    /// Only models whose name contains this (several, separated by commas)
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the results to a file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Relative tolerance, elementwise (without it: 1e-4 of an output's peak, 1e-9 for f64)
    #[arg(long)]
    rtol: Option<f64>,
    /// Absolute tolerance, elementwise
    #[arg(long)]
    atol: Option<f64>,
    /// Keep the generated crates in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Models at a time (default: the number of cores)
    #[arg(long)]
    jobs: Option<usize>,
    /// Seconds that one data set may take
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Interpret in the compiler instead of building natively
    #[arg(long)]
    interpret: bool,
    /// rustc's optimisation level for the generated code
    #[arg(long, default_value_t = 2)]
    opt_level: u8,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::from_name(text).ok_or_else(|| "expected static, dynamic or constant".to_owned())
}

impl Verify {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        let cases = self.cases()?;
        let bars = Bars::default();
        let outcomes = verify(&cases, &self.settings()?, &|station, done, all| bars.show(station, done, all))?;
        drop(bars);
        let width = outcomes.iter().map(|o| o.name.len()).max().unwrap_or(0);
        outcomes.iter().for_each(|o| println!("{}", o.line(width)));
        if let Some(path) = &self.json {
            summary::write_json(path, &outcomes)?;
        }
        println!("{}", summary::last_line(&outcomes));
        let passed = outcomes.iter().all(|o| o.state == State::Passed);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn cases(&self) -> Result<Vec<Case>, String> {
        let rule = match (self.rtol, self.atol) {
            (None, None) => match (self.precision, self.weights) {
                (Precision::Bf16, _) => Rule::BF16,
                (_, WeightType::F32) => Rule::MODELS,
                _ => Rule::NARROW,
            },
            (rtol, atol) => Rule::Elementwise { rtol: rtol.unwrap_or(0.0), atol: atol.unwrap_or(0.0) },
        };
        let mut cases = Vec::new();
        for path in &self.paths {
            cases.extend(discover(path, rule)?);
        }
        if let Some(filter) = &self.filter {
            cases.retain(|c| filter.split(',').any(|f| c.name.contains(f)));
        }
        if cases.is_empty() { Err("no model matches the filter".to_owned()) } else { Ok(cases) }
    }

    fn options(&self) -> Options {
        Options { weights: self.weights, precision: self.precision, ..Options::default() }
    }

    fn settings(&self) -> Result<Settings, String> {
        let base = scratch_folder();
        let dir = match &self.keep {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
                dir.canonicalize().map_err(|e| format!("{}: {e}", dir.display()))?
            }
            None => base.join(format!("models-{}", self.mode.name())),
        };
        let jobs = self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let timeout = Duration::from_secs(self.timeout);
        let (mode, interpret, opt_level) = (self.mode, self.interpret, self.opt_level);
        Ok(Settings {
            mode,
            open: false,
            options: self.options(),
            interpret,
            dir,
            target: base.join("target"),
            jobs,
            timeout,
            opt_level,
            runtime: Runtime::Optimised,
            per_batch: 12,
        })
    }
}

/// Where the crates of the harness are built: `target/verify` of the checkout the command was built in, else the user's cache.
pub fn scratch_folder() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match checkout.join("runtime-support").canonicalize() {
        Ok(folder) if folder.is_dir() => checkout.canonicalize().unwrap_or(checkout).join("target/verify"),
        _ => cache_folder().join("verify"),
    }
}

/// The user's cache folder for onnxc.
pub fn cache_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|h| h.join(".cache"))).unwrap_or_else(std::env::temp_dir);
    base.join("onnxc")
}
