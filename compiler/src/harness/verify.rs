//! All cases through all stations: compile (threads of ours), build (cargo), run and compare (processes).

use super::batch::{self, Batch, Built, Runtime};
use super::cases::{Case, Data};
use super::compare::{Largest, Mismatch, Rule, Scale, compare};
use super::compile::{self, Failure};
use super::modes::{Mode, Variant, variants};
use super::random;
use super::summary::{Outcome, State};
use super::worker::{Answer, Worker};
use crate::options::Options;
use onnxc_proto::ModelProto;
use onnxc_runtime::value::Value;
use onnxc_runtime::wire;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How to go about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mode.
    pub mode: Mode,
    /// In dynamic mode: make every input dim symbolic, also those with a number (for the official cases, which have nothing else).
    pub open: bool,
    /// What every model is compiled with.
    pub options: Options,
    /// Interpret in the compiler instead of building: quick, and no test of the generated code.
    pub interpret: bool,
    /// Where sources, inputs and outputs go; kept between runs so that cargo does not build what it has built.
    pub dir: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// Threads and processes at a time.
    pub jobs: usize,
    /// How long one data set may take.
    pub timeout: Duration,
    /// rustc's optimisation level for the generated code.
    pub opt_level: u8,
    /// How the runtime is built.
    pub runtime: Runtime,
    /// About how many cases share a crate.
    pub per_batch: usize,
}

/// The stations, for whoever shows progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Station {
    /// onnxc compiles.
    Compile,
    /// rustc compiles.
    Build,
    /// The data goes through.
    Run,
}

impl Station {
    /// What it is called where progress is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compile => "onnxc",
            Self::Build => "rustc",
            Self::Run => "running",
        }
    }
}

/// Hears how far a station is: done, of all.
pub type Progress<'a> = &'a (dyn Fn(Station, usize, usize) + Sync);

/// A case after compilation.
struct Prepared {
    outcome: Outcome,
    /// What is to be built and run; empty if the case is decided.
    modules: Vec<Part>,
    /// Per output.
    scales: Vec<Scale>,
}

/// One module of a case.
struct Part {
    name: String,
    sets: Vec<usize>,
    inputs: Vec<usize>,
}

/// Tries all cases.
pub fn verify(cases: &[Case], settings: &Settings, progress: Progress<'_>) -> Result<Vec<Outcome>, String> {
    std::fs::create_dir_all(&settings.dir).map_err(|e| format!("{}: {e}", settings.dir.display()))?;
    // Two runs in one directory would take each other's files.
    let lock = std::fs::File::create(settings.dir.join(".lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    compile::hear_panics();

    let done = AtomicUsize::new(0);
    let mut prepared = in_threads(settings.jobs, cases.len(), |i| {
        let prepared = prepare(&cases[i], settings);
        progress(Station::Compile, done.fetch_add(1, Ordering::Relaxed) + 1, cases.len());
        prepared
    });

    let start = Instant::now();
    let batches = batches(cases, &prepared, settings);
    let count: usize = batches.iter().map(|b| b.modules.len()).sum();
    let built = batch::build(&settings.dir, &settings.target, settings.runtime, batches, &|done, all| progress(Station::Build, done, all))?;
    let share = start.elapsed().as_secs_f64() / count.max(1) as f64;
    prepared.iter_mut().for_each(|p| p.outcome.build_s += share * p.modules.len() as f64);

    let todo: Vec<usize> = (0..cases.len()).filter(|&i| !prepared[i].modules.is_empty()).collect();
    let done = AtomicUsize::new(0);
    let groups = by_executable(&todo, &prepared, &built);
    let results = in_threads(settings.jobs, groups.len(), |g| {
        let mut worker = None;
        let run = |&i: &usize| {
            let verdict = run_case(&cases[i], &prepared[i], &built, settings, &mut worker);
            progress(Station::Run, done.fetch_add(1, Ordering::Relaxed) + 1, todo.len());
            (i, verdict)
        };
        groups[g].iter().map(run).collect::<Vec<_>>()
    });
    for (i, verdict) in results.into_iter().flatten() {
        let outcome = &mut prepared[i].outcome;
        outcome.run_s = verdict.seconds;
        outcome.conclude(verdict.result);
    }
    Ok(prepared.into_iter().map(|p| p.outcome).collect())
}

/// `f(0..n)` on some threads, in order.
fn in_threads<T: Send>(threads: usize, n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return;
            }
            let result = f(i);
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((i, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, n.max(1)) {
            // The stack that a main thread has: what the compiler gets from its users.
            let _ = std::thread::Builder::new().stack_size(8 << 20).spawn_scoped(scope, work);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|r| r.0);
    results.into_iter().map(|r| r.1).collect()
}

fn prepare(case: &Case, settings: &Settings) -> Prepared {
    let outcome = Outcome::new(&case.name, settings.mode);
    let start = Instant::now();
    let mut prepared = Prepared { outcome, modules: Vec::new(), scales: Vec::new() };
    match compile_case(case, settings, &mut prepared) {
        Ok(()) if prepared.modules.is_empty() => prepared.outcome.state = State::Passed,
        Ok(()) => {}
        Err(failure) => {
            prepared.modules.clear();
            prepared.outcome.fail(failure);
        }
    }
    prepared.outcome.compile_s = start.elapsed().as_secs_f64();
    prepared
}

fn compile_case(case: &Case, settings: &Settings, prepared: &mut Prepared) -> Result<(), Failure> {
    let model = case.model()?;
    let graph = model.graph.as_ref().ok_or("the model has no graph")?;
    let data = case.sets.iter().map(|set| set.load(graph)).collect::<Result<Vec<Data>, _>>()?;
    let rule = if random::is_random(&model, &data) { Rule::Shapes } else { case.rule };
    prepared.scales = scales(&data);
    for (k, variant) in variants(&model, &data, settings.mode, settings.open).into_iter().enumerate() {
        if settings.interpret || settings.mode == Mode::Constant {
            let pick = |&set: &usize| variant.inputs.iter().map(|&i| data[set].inputs[i].clone()).collect::<Vec<Value>>();
            let inputs: Vec<Vec<Value>> = variant.sets.iter().map(pick).collect();
            let interpreted = compile::interpret(&variant.model, &case.folder, &settings.options, &inputs)?;
            for (&set, outputs) in variant.sets.iter().zip(&interpreted.outputs) {
                let found = judge(outputs, &data[set], &output_names(&model), &prepared.scales, rule)
                    .map_err(|m| Failure::wrong(&case.sets[set].name, &m))?;
                keep_larger(&mut prepared.outcome.largest, found);
            }
            if settings.interpret || interpreted.complete {
                continue;
            }
        }
        let name = module_name(&case.name, k);
        let module = compile::module(&variant.model, &case.folder, &settings.options, batch::blob_path(&name))?;
        batch::write_module(&settings.dir, &name, &module.source, module.blob.as_deref())?;
        let Variant { sets, inputs, .. } = variant;
        prepared.modules.push(Part { name, sets, inputs });
    }
    Ok(())
}

/// How large each output is, over all data sets.
fn scales(data: &[Data]) -> Vec<Scale> {
    let outputs = data.iter().map(|d| d.outputs.len()).max().unwrap_or(0);
    let scale =
        |i: usize| data.iter().filter_map(|d| Some(Scale::of(d.outputs.get(i)?, d.others.get(i)))).fold(Scale::default(), Scale::and);
    (0..outputs).map(scale).collect()
}

/// A Rust identifier in snake case, another one for each case: names that lose something to that get a digest.
fn module_name(case: &str, variant: usize) -> String {
    let words: Vec<String> =
        case.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_ascii_lowercase).collect();
    let plain = words.join("_");
    let digest = if plain == case { String::new() } else { format!("_{:08x}", digest(case) as u32) };
    format!("m_{plain}{digest}_{variant}")
}

/// FNV-1a.
fn digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn output_names(model: &ModelProto) -> Vec<String> {
    model.graph.iter().flat_map(|g| &g.output).map(|o| o.name.clone()).collect()
}

fn keep_larger(largest: &mut Largest, found: Largest) {
    if found.error > largest.error {
        *largest = found;
    }
}

/// Compares all outputs of a data set.
fn judge(outputs: &[Value], data: &Data, names: &[String], scales: &[Scale], rule: Rule) -> Result<Largest, Mismatch> {
    if outputs.len() != data.outputs.len() {
        let what = format!("{} outputs, expected {}", outputs.len(), data.outputs.len());
        return Err(Mismatch { place: "the model".to_owned(), what, error: None });
    }
    let mut largest = Largest::default();
    for (i, (got, expected)) in outputs.iter().zip(&data.outputs).enumerate() {
        let name = names.get(i).map_or("", String::as_str);
        keep_larger(&mut largest, compare(name, got, expected, data.others.get(i), scales.get(i).copied().unwrap_or_default(), rule)?);
    }
    Ok(largest)
}

/// Distributes modules over crates by name, so that a case stays in its crate when others come and go.
fn batches(cases: &[Case], prepared: &[Prepared], settings: &Settings) -> Vec<Batch> {
    let count = cases.len().div_ceil(settings.per_batch.max(1)).max(1);
    let mut buckets: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for part in prepared.iter().flat_map(|p| &p.modules) {
        buckets.entry((digest(&part.name) % count as u64) as usize).or_default().push(part.name.clone());
    }
    let names = batch::package_names(&settings.dir);
    buckets.into_iter().map(|(k, modules)| Batch { name: format!("{names}{k}"), opt_level: settings.opt_level, modules }).collect()
}

/// Cases grouped by the executable of their first module, so that a process serves many.
fn by_executable(todo: &[usize], prepared: &[Prepared], built: &HashMap<String, Built>) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    for &i in todo {
        let exe = match built.get(&prepared[i].modules[0].name) {
            Some(Built::Ready { exe, .. }) => exe.as_path(),
            _ => Path::new(""),
        };
        groups.entry(exe).or_default().push(i);
    }
    groups.into_values().collect()
}

struct Verdict {
    result: Result<Largest, Failure>,
    seconds: f64,
}

fn run_case(
    case: &Case,
    prepared: &Prepared,
    built: &HashMap<String, Built>,
    settings: &Settings,
    worker: &mut Option<(PathBuf, Worker)>,
) -> Verdict {
    let mut seconds = 0.0;
    let mut run = || -> Result<Largest, Failure> {
        let model = case.model()?;
        let graph = model.graph.as_ref().ok_or("the model has no graph")?;
        let names = output_names(&model);
        let mut largest = prepared.outcome.largest.clone();
        for part in &prepared.modules {
            let (exe, index) = match built.get(&part.name) {
                Some(Built::Ready { exe, index }) => (exe, *index),
                Some(Built::Refused(message)) => return Err(Failure::error(format!("generated code does not compile: {message}"))),
                None => return Err(Failure::error("the module was not built".to_owned())),
            };
            if worker.as_ref().is_none_or(|w| &w.0 != exe) {
                *worker = Some((exe.clone(), Worker::new(exe, settings.timeout)));
            }
            let Some((_, worker)) = worker else { return Err(Failure::error("no worker".to_owned())) };
            for &set in &part.sets {
                let data = case.sets[set].load(graph)?;
                let rule = if random::is_random(&model, std::slice::from_ref(&data)) { Rule::Shapes } else { case.rule };
                let inputs: Vec<Value> = part.inputs.iter().map(|&i| data.inputs[i].clone()).collect();
                let run = run_set(worker, index, &part.name, &inputs, settings);
                let (results, micros) = run.map_err(|message| Failure::error(format!("run: {}: {message}", case.sets[set].name)))?;
                seconds += micros as f64 * 1e-6;
                for outputs in results {
                    let found =
                        judge(&outputs, &data, &names, &prepared.scales, rule).map_err(|m| Failure::wrong(&case.sets[set].name, &m))?;
                    keep_larger(&mut largest, found);
                }
            }
        }
        Ok(largest)
    };
    let result = run();
    Verdict { result, seconds }
}

/// Runs one data set; gives the results (a second one if the second run differed) and the time.
fn run_set(worker: &mut Worker, index: usize, name: &str, inputs: &[Value], settings: &Settings) -> Result<(Vec<Vec<Value>>, u64), String> {
    let folder = settings.dir.join("data");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let (input, output) = (folder.join(format!("{name}.in")), folder.join(format!("{name}.out")));
    std::fs::write(&input, wire::encode(inputs)).map_err(|e| e.to_string())?;
    let answer = worker.run(index, &input, &output);
    let read = |path: &Path| -> Result<Vec<Value>, String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let _ = std::fs::remove_file(path);
        wire::decode(&bytes).map_err(|e| e.to_string())
    };
    let _ = std::fs::remove_file(&input);
    match answer {
        Answer::Ok { micros, differs } => {
            let mut results = vec![read(&output)?];
            if differs {
                results.push(read(&folder.join(format!("{name}.out.2")))?);
            }
            Ok((results, micros))
        }
        Answer::Fault(message) | Answer::Crash(message) => Err(message),
    }
}
