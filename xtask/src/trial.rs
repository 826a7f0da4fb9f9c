//! Cases through the harness of `onnxc verify`, held to a manifest: what `cargo xtask conformance` and `cargo xtask models` share.

use crate::data;
use crate::manifest::Manifest;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onnxc::Options;
use onnxc::harness::batch::{self, Runtime};
use onnxc::harness::cases::Case;
use onnxc::harness::modes::Mode;
use onnxc::harness::summary::{self, Outcome, State};
use onnxc::harness::verify::{Settings, Station, verify};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What both tasks can be told.
#[derive(clap::Args)]
pub struct Trial {
    /// Only this mode: static, dynamic or constant (may be given several times)
    #[arg(long = "mode", value_parser = mode)]
    pub modes: Vec<Mode>,
    /// Only cases whose name contains this (several, separated by commas)
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write the results to a file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Interpret in the compiler instead of building natively: quick, and no test of the generated code
    #[arg(long)]
    interpret: bool,
    /// Write what does not pass to the manifest
    #[arg(long)]
    bless: bool,
    /// Print a line for every case, not only for those that fail
    #[arg(long)]
    all: bool,
    /// Remove a mode's sources and executables once it was run: they take gigabytes, and only a next run on this machine could use them
    #[arg(long)]
    discard: bool,
    /// Cases at a time (default: the number of cores)
    #[arg(long)]
    jobs: Option<usize>,
}

/// What is tried, and how.
pub struct Suite {
    /// The cases.
    pub cases: Vec<Case>,
    /// The modes if the command line names none.
    pub modes: &'static [Mode],
    /// The name of the working folder.
    pub name: String,
    /// Whether dynamic mode opens every dim.
    pub open: bool,
    /// Seconds a data set may take.
    pub timeout: u64,
    /// rustc's optimisation level for generated code.
    pub opt_level: u8,
    /// How the runtime is built.
    pub runtime: Runtime,
    /// Cases a crate.
    pub per_batch: usize,
    /// The manifest that the results are held to, if any.
    pub manifest: Option<PathBuf>,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::from_name(text).ok_or_else(|| "expected static, dynamic or constant".to_owned())
}

/// How long a mode took, in all and at each station, and the case that `onnxc` (without rustc) took longest for.
fn print_times(outcomes: &[Outcome], start: Instant, last: &BTreeMap<Station, Instant>) {
    let mut before = start;
    let stations: Vec<String> = last
        .iter()
        .map(|(station, &end)| {
            let seconds = (end - std::mem::replace(&mut before, end)).as_secs_f64();
            format!("{} {seconds:.0}", station.name())
        })
        .collect();
    let slowest = outcomes.iter().max_by(|a, b| a.compile_s.total_cmp(&b.compile_s));
    let slowest = slowest.map_or(String::new(), |o| format!("; slowest to compile: {}, {:.2} s", o.name, o.compile_s));
    println!("  in {:.0} s ({}){slowest}", start.elapsed().as_secs_f64(), stations.join(", "));
}

impl Trial {
    /// Tries a suite in each mode; the last line is `N passed, N failed, N skipped`.
    pub fn run(&self, mut suite: Suite) -> Result<ExitCode, String> {
        if let Some(filter) = &self.filter {
            suite.cases.retain(|c| filter.split(',').any(|f| c.name.contains(f)));
        }
        let mut outcomes = Vec::new();
        for &mode in if self.modes.is_empty() { suite.modes } else { &self.modes } {
            let start = Instant::now();
            let (found, stations) = self.try_mode(&suite, mode)?;
            self.print(&found);
            println!("{}: {}", mode.name(), summary::last_line(&found));
            print_times(&found, start, &stations);
            outcomes.extend(found);
        }
        if let Some(path) = &self.json {
            summary::write_json(path, &outcomes)?;
        }
        // One manifest: what is interpreted and what is built natively must not differ.
        let held = match &suite.manifest {
            Some(path) => self.hold(path, &outcomes)?,
            _ => outcomes.iter().all(|o| o.state != State::Failed),
        };
        println!("{}", summary::last_line(&outcomes));
        Ok(if held { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// What became of the cases in a mode, and when each station was last heard of.
    fn try_mode(&self, suite: &Suite, mode: Mode) -> Result<(Vec<Outcome>, BTreeMap<Station, Instant>), String> {
        let base = data::root().join("target/verify");
        let settings = Settings {
            mode,
            open: suite.open,
            options: Options::default(),
            interpret: self.interpret,
            dir: base.join(format!("{}-{}", suite.name, mode.name())),
            // The shared runtime is in the workspace's own target directory, or will be.
            target: if suite.runtime == Runtime::Shared { data::root().join("target") } else { base.join("target") },
            jobs: self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            timeout: Duration::from_secs(suite.timeout),
            opt_level: suite.opt_level,
            runtime: suite.runtime,
            per_batch: suite.per_batch,
        };
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg:<22} {wide_bar} {pos}/{len} ({elapsed})") {
            bar.set_style(style);
        }
        let last = Mutex::new(BTreeMap::new());
        let progress = |station: Station, done: usize, all: usize| {
            last.lock().unwrap_or_else(PoisonError::into_inner).insert(station, Instant::now());
            bar.set_message(format!("{}: {}", mode.name(), station.name()));
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let outcomes = verify(&suite.cases, &settings, &progress);
        bar.finish_and_clear();
        if self.discard {
            batch::discard(&settings.dir, &settings.target)?;
        }
        Ok((outcomes?, last.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn print(&self, outcomes: &[Outcome]) {
        let shown: Vec<&Outcome> = outcomes.iter().filter(|o| self.all || o.state == State::Failed).collect();
        let width = shown.iter().map(|o| o.name.len()).max().unwrap_or(0);
        shown.iter().for_each(|o| println!("{}", o.line(width)));
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        outcomes.iter().filter(|o| o.state == State::Skipped).for_each(|o| *missing.entry(o.reason.as_str()).or_default() += 1);
        let mut missing: Vec<(&str, usize)> = missing.into_iter().collect();
        missing.sort_by_key(|&(reason, n)| (std::cmp::Reverse(n), reason));
        missing.iter().for_each(|(reason, n)| println!("skipped {n:>4}  {reason}"));
    }

    /// Compares with the manifest, or rewrites it.
    fn hold(&self, path: &std::path::Path, outcomes: &[Outcome]) -> Result<bool, String> {
        let mut manifest = Manifest::read(path)?;
        if self.bless {
            manifest.update(outcomes);
            std::fs::create_dir_all(path.parent().unwrap_or(path)).map_err(|e| e.to_string())?;
            std::fs::write(path, manifest.text()).map_err(|e| format!("{}: {e}", path.display()))?;
            return Ok(true);
        }
        let drift = manifest.drift(outcomes);
        drift.worse.iter().for_each(|line| println!("worse than the manifest: {line}"));
        drift.better.iter().for_each(|line| println!("better than the manifest: {line}"));
        if !drift.better.is_empty() {
            println!("run with --bless to record what passes now");
        }
        Ok(drift.better.is_empty() && drift.worse.is_empty())
    }
}
