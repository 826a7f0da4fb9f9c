//! `onnxc bench`: the model as a native benchmark.

use super::generate::{Generated, generate, in_package, program};
use super::style::Spinner;
use super::verify::cache_folder;
use super::{CompileArgs, inputs, profile};
use onnxc::emit::EmitOptions;
use onnxc::harness::cargo;
use onnxc::program::{PortType, Program};
use onnxc_runtime::element::DType;
use onnxc_runtime::value::Tensor;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const BENCH: &str = include_str!("../harness/templates/bench.rs");

/// Build a model in release and time it
///
/// Inputs are taken from MODEL.in/manifest beside the model if that is there (a line an input: name, dtype, dims, file of raw little-endian
/// elements; tab-separated), else made up. With --build-only the executable is kept: it takes `MODEL.onnx THREADS ITERS` or
/// `MODEL.onnx THREADS serve`, and speaks one JSON line after the first run and one for each line "MAX_ITERS MAX_MS" on its stdin.
#[derive(clap::Args)]
pub struct Bench {
    /// The model
    model: PathBuf,
    /// Threads a step may use
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs at most
    #[arg(long, default_value_t = 1000)]
    iters: usize,
    /// Only write the executable here
    #[arg(long, value_name = "OUT")]
    build_only: Option<PathBuf>,
    /// Print the line of the protocol
    #[arg(long)]
    json: bool,
    /// Time every step, and print which took how long beside what the machine could do
    #[arg(long, conflicts_with = "build_only")]
    profile: bool,
    /// With --profile: the most steps to list
    #[arg(long, default_value_t = 30, value_name = "STEPS")]
    top: usize,
    #[command(flatten)]
    compile: CompileArgs,
}

impl Bench {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let exe = self.build()?;
        if let Some(out) = &self.build_only {
            if let Some(folder) = out.parent() {
                std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            }
            std::fs::copy(&exe, out).map_err(|e| format!("{}: {e}", out.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let model = if self.model.with_extension("in").join("manifest").is_file() {
            self.model.clone()
        } else {
            let model = scratch.path().join("model.onnx");
            write_inputs(&program(&self.model, &self.compile)?, &model.with_extension("in"))?;
            model
        };
        let output = Command::new(&exe).arg(&model).args([self.threads.to_string(), self.iters.to_string()]).output();
        let output = output.map_err(|e| format!("{}: {e}", exe.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (line, steps) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        let json: serde_json::Value = serde_json::from_str(line).map_err(|_| format!("the benchmark ended with {}", output.status))?;
        if let Some(error) = json["error"].as_str() {
            return Err(error.to_owned());
        }
        if self.json {
            println!("{}", text.trim());
        } else {
            println!("{}", summary(&json, self.threads));
            print!("{}", profile::table(steps, self.top));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn build(&self) -> Result<PathBuf, String> {
        let emit = EmitOptions { profile: self.profile, ..in_package("src/model.weights") };
        let generated = generate(&self.model, &self.compile, emit)?;
        let stem = self.model.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        // Two models of one name do not share a crate: their folders differ.
        let folder = self.model.canonicalize().map_err(|e| e.to_string())?;
        let hash =
            folder.to_string_lossy().bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let name = format!("onnxc-{}-{plain}-{hash:016x}", if self.profile { "profile" } else { "bench" });
        let dir = cache_folder().join("src").join(&name);
        write_crate(&dir, &name, &generated, self.profile)?;
        let spinner = Spinner::new("rustc compiles the model");
        let built = cargo::build_one(&dir, &cache_folder().join("target"), &name);
        drop(spinner);
        built
    }
}

fn write_crate(dir: &Path, name: &str, generated: &Generated, profile: bool) -> Result<(), String> {
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n\
         [dependencies]\nonnxc-runtime = {}\n",
        cargo::runtime_dependency(true, cargo::features_of(&generated.source))
    );
    cargo::write_if_new(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    cargo::copy_lock(dir)?;
    let main = format!("mod model;\n\n{}\n{BENCH}", driver(&generated.program, profile));
    cargo::write_if_new(&dir.join("src/main.rs"), main.as_bytes())?;
    cargo::write_if_new(&dir.join("src/model.rs"), generated.source.as_bytes())?;
    generated.blob.as_ref().map_or(Ok(()), |blob| cargo::write_if_new(&dir.join("src/model.weights"), &blob.bytes))
}

/// `struct Bench` whose `once` calls the model's own `run`, as a user's program does: typed inputs, borrowed outputs, nothing allocated.
fn driver(program: &Program, profile: bool) -> String {
    let n = program.inputs.len();
    let names: Vec<String> = (0..n).map(|i| format!("v{i}")).collect();
    let mut texts = String::new();
    let mut arguments = Vec::new();
    for (i, port) in program.inputs.iter().enumerate() {
        let at = format!("&model::Model::INPUTS[{i}]");
        let PortType::Tensor(dtype, shape) = &port.ty else {
            arguments.push(format!("v{i}"));
            continue;
        };
        let fixed = shape.iter().all(|&d| program.dims.value(d).is_some());
        if *dtype == DType::String {
            let _ = writeln!(texts, "        let t{i} = session::strings(v{i}, {at})?;");
        }
        arguments.push(match (dtype, shape.is_empty(), fixed) {
            (DType::String, true, _) => format!("t{i}.first().copied().unwrap_or_default()"),
            (DType::String, _, true) => {
                format!("t{i}.as_slice().try_into().map_err(|_| Fault::Internal {{ what: \"length\" }}.at(\"inputs\"))?")
            }
            (DType::String, ..) => format!("session::strings_view(v{i}, &t{i}, {at})?"),
            (DType::Bool, true, _) => format!("session::fixed_bools::<1>(v{i}, {at})?[0]"),
            (DType::Bool, _, true) => format!("session::fixed_bools(v{i}, {at})?"),
            (DType::Bool, ..) => format!("session::ranked_bools(v{i}, {at})?"),
            (_, true, _) => format!("session::fixed::<_, 1>(v{i}, {at})?[0]"),
            (_, _, true) => format!("session::fixed(v{i}, {at})?"),
            _ => format!("session::ranked(v{i}, {at})?"),
        });
    }
    let fault = if arguments.iter().any(|a| a.contains("Fault::")) { "use onnxc_runtime::error::Fault;\n" } else { "" };
    let steps = if profile { "&model::PROFILE" } else { "&[]" };
    format!(
        "{fault}\n/// The timed steps.\nfn profile() -> &'static [Step] {{\n    {steps}\n}}\n\nstruct Bench {{\n    model: model::Model<'static>,\n    inputs: Vec<Value>,\n}}\n\nimpl Bench {{\n    \
         fn once(&mut self) -> Result<(), onnxc_runtime::error::RunError> {{\n        let [{}] = session::take::<{n}>(&self.inputs)?;\n{texts}        \
         std::hint::black_box(self.model.run({})?);\n        Ok(())\n    }}\n}}\n",
        names.join(", "),
        arguments.join(", ")
    )
}

/// Makes up inputs, in the form of the protocol.
fn write_inputs(program: &Program, folder: &Path) -> Result<(), String> {
    let mut manifest = String::new();
    for (i, port) in program.inputs.iter().enumerate() {
        let PortType::Tensor(dtype, shape) = &port.ty else {
            return Err(format!("input `{}` is no tensor: it cannot be made up", port.name));
        };
        let dims = shape.iter().map(|&d| {
            let known = program.dims.value(d).and_then(|n| usize::try_from(n).ok());
            known.ok_or_else(|| {
                format!(
                    "input `{}` has the symbolic dim `{}`: give it a value with --dim or --input-shape",
                    port.name,
                    program.dims.show(d)
                )
            })
        });
        let dims = dims.collect::<Result<Vec<usize>, String>>()?;
        let tensor: Tensor = inputs::plausible(*dtype, &dims, i as u64 + 1)?;
        let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
        let _ = writeln!(manifest, "{}\t{dtype}\t{}\t{i}.bin", port.name, dims.join(","));
        cargo::write_if_new(&folder.join(format!("{i}.bin")), tensor.bytes())?;
    }
    cargo::write_if_new(&folder.join("manifest"), manifest.as_bytes())
}

fn summary(json: &serde_json::Value, threads: usize) -> String {
    let number = |key: &str| json[key].as_f64().unwrap_or(0.0);
    let error = json["err"].as_f64().map_or(String::new(), |e| format!("; largest error {e:.1e}"));
    format!(
        "{} a run (median of {}; fastest {}, 90 % under {}), {threads} thread{}; first run {}; {:.1} MB{error}",
        time(number("median_us")),
        number("iters"),
        time(number("min_us")),
        time(number("p90_us")),
        if threads == 1 { "" } else { "s" },
        time(number("first_us")),
        number("rss_kb") / 1024.0,
    )
}

/// A time in the unit that suits it.
pub(super) fn time(micros: f64) -> String {
    match micros {
        t if t < 1e3 => format!("{t:.2} us"),
        t if t < 1e6 => format!("{:.2} ms", t / 1e3),
        t => format!("{:.2} s", t / 1e6),
    }
}
