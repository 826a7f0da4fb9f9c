//! `onnxc run`: compile, build (or take from the cache), run once, show.

use super::generate::{generate, in_package, program};
use super::style::Spinner;
use super::verify::cache_folder;
use super::{CompileArgs, inputs};
use onnxc::harness::batch::RUNNER;
use onnxc::harness::worker::{Answer, Worker};
use onnxc::harness::{cargo, npy, values};
use onnxc::program::interpret;
use onnxc_proto::{GraphProto, Limits, ValueInfoProto};
use onnxc_runtime::value::{Tensor, Value};
use onnxc_runtime::wire;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Compile a model, run it once and print its outputs
///
/// The executable is kept in the user's cache, so that the second run of a model starts at once.
#[derive(clap::Args)]
pub struct Run {
    /// The model
    model: PathBuf,
    /// An input: NAME=file.npy, NAME=file.pb, or NAME=literal such as 1.5, [[1, 2], [3, 4]], zeros(1, 3)
    #[arg(long = "input", short, value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// Take the inputs from a folder with input_0.pb, input_1.pb, ...
    #[arg(long, value_name = "DIR", conflicts_with = "inputs")]
    data: Option<PathBuf>,
    /// Write the outputs to this folder: NAME.npy (NAME.pb for what is no tensor)
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Interpret in the compiler: slow, needs no Rust toolchain
    #[arg(long)]
    interpret: bool,
    #[command(flatten)]
    compile: CompileArgs,
}

impl Run {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        let model =
            onnxc_proto::decode_model_file(&self.model, &Limits::default()).map_err(|e| format!("{}: {e}", self.model.display()))?;
        let graph = model.graph.as_ref().ok_or("the model has no graph")?;
        let given = match &self.data {
            Some(folder) => from_folder(graph, folder)?,
            None => inputs::read(graph, &self.inputs)?,
        };
        let outputs = if self.interpret { self.interpreted(&given)? } else { self.native(&given)? };
        for (info, value) in graph.output.iter().zip(&outputs) {
            self.show(info, value)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn interpreted(&self, inputs: &[Value]) -> Result<Vec<Value>, String> {
        let program = program(&self.model, &self.compile)?;
        interpret::run(&program, inputs, usize::MAX).map_err(|e| e.to_string())
    }

    fn native(&self, inputs: &[Value]) -> Result<Vec<Value>, String> {
        let exe = self.executable()?;
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, wire::encode(inputs)).map_err(|e| e.to_string())?;
        match Worker::new(&exe, Duration::from_hours(24)).run(0, &input, &output) {
            Answer::Ok { .. } => wire::decode(&std::fs::read(&output).map_err(|e| e.to_string())?).map_err(|e| e.to_string()),
            Answer::Fault(message) | Answer::Crash(message) => Err(message),
        }
    }

    /// The executable for this model and these options, built unless it is in the cache.
    fn executable(&self) -> Result<PathBuf, String> {
        let generated = generate(&self.model, &self.compile, in_package("src/model.weights"))?;
        let main = format!("mod model;\n\nconst MODELS: &[fn() -> Box<dyn Session>] = &[|| Box::new(model::Model::new())];\n\n{RUNNER}");
        let dependency = cargo::runtime_dependency(true, cargo::features_of(&generated.source));
        let key = key(&[generated.source.as_bytes(), main.as_bytes(), dependency.as_bytes(), env!("CARGO_PKG_VERSION").as_bytes()]);
        let kept = cache_folder().join("run").join(&key);
        // In a checkout the runtime may have changed: cargo decides. A published runtime does not change.
        if kept.is_file() && !dependency.contains("path") {
            return Ok(kept);
        }
        let name = format!("onnxc-run-{}", &key[..16]);
        let dir = cache_folder().join("src").join(&name);
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n\n[dependencies]\nonnxc-runtime = {dependency}\n"
        );
        cargo::write_if_new(&dir.join("Cargo.toml"), manifest.as_bytes())?;
        cargo::copy_lock(&dir)?;
        cargo::write_if_new(&dir.join("src/main.rs"), main.as_bytes())?;
        cargo::write_if_new(&dir.join("src/model.rs"), generated.source.as_bytes())?;
        if let Some(blob) = &generated.blob {
            cargo::write_if_new(&dir.join("src/model.weights"), &blob.bytes)?;
        }
        let spinner = Spinner::new("rustc compiles the model");
        let built = cargo::build_one(&dir, &cache_folder().join("target"), &name);
        drop(spinner);
        let built = built?;
        std::fs::create_dir_all(kept.parent().unwrap_or(&kept)).map_err(|e| e.to_string())?;
        std::fs::copy(&built, &kept).map_err(|e| format!("{}: {e}", kept.display()))?;
        let _ = std::fs::remove_dir_all(&dir);
        Ok(kept)
    }

    fn show(&self, info: &ValueInfoProto, value: &Value) -> Result<(), String> {
        match value {
            Value::Tensor(tensor) => println!("{}: {}", info.name, tensor_text(tensor)),
            other => println!("{}: {other:?}", info.name),
        }
        let Some(dir) = &self.output_dir else { return Ok(()) };
        let safe: String = info.name.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
        let (name, bytes) = match value {
            Value::Tensor(tensor) => (format!("{safe}.npy"), npy::write(tensor)),
            other => (format!("{safe}.pb"), values::encode(&info.name, other)),
        };
        cargo::write_if_new(&dir.join(name), &bytes)
    }
}

fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The inputs in `input_0.pb`, `input_1.pb`, … of a folder.
pub fn from_folder(graph: &GraphProto, folder: &Path) -> Result<Vec<Value>, String> {
    let entries = onnxc::harness::cases::entries(graph);
    let read =
        |(i, e): (usize, &&ValueInfoProto)| values::read_pb(&folder.join(format!("input_{i}.pb")), &e.r#type.clone().unwrap_or_default());
    entries.iter().enumerate().map(read).collect()
}

/// `f32[2, 3]` and the elements, rows on lines of their own, long axes cut.
fn tensor_text(tensor: &Tensor) -> String {
    let dims: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    let mut out = format!("{}[{}]", tensor.dtype(), dims.join(", "));
    let items: Vec<String> = if let Some(strings) = tensor.as_strings() {
        strings.iter().map(|s| format!("{s:?}")).collect()
    } else {
        let numbers = onnxc::harness::numbers::to_f64s(tensor).unwrap_or_default();
        let show = |&x: &f64| if tensor.dtype().is_float() { format!("{:?}", x as f32) } else { x.to_string() };
        match tensor.as_slice::<i64>() {
            Some(integers) => integers.iter().map(i64::to_string).collect(),
            None if tensor.dtype().is_complex() => numbers.chunks(2).map(|c| format!("{}{:+}i", c[0], c[1])).collect(),
            None if tensor.dtype() == onnxc_runtime::element::DType::F64 => numbers.iter().map(|x| format!("{x:?}")).collect(),
            None => numbers.iter().map(show).collect(),
        }
    };
    let deep = tensor.shape().iter().filter(|&&d| d > 1).count() > 1;
    out.push_str(if deep { "\n" } else { " " });
    nested(&items, tensor.shape(), 0, &mut out);
    out
}

/// The most items of an axis that are shown.
const SHOWN: usize = 8;

fn nested(items: &[String], shape: &[usize], indent: usize, out: &mut String) {
    let [dim, rest @ ..] = shape else {
        out.push_str(items.first().map_or("", String::as_str));
        return;
    };
    let size: usize = rest.iter().product();
    let separator = if rest.is_empty() { ", ".to_owned() } else { format!(",\n{}", " ".repeat(indent + 1)) };
    out.push('[');
    for i in 0..*dim {
        if i > 0 {
            out.push_str(&separator);
        }
        if i == SHOWN && *dim > SHOWN + 1 {
            let _ = write!(out, "… {} more", dim - SHOWN);
            break;
        }
        nested(items.get(i * size..(i + 1) * size).unwrap_or_default(), rest, indent + 1, out);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_readable() {
        let row = Tensor::from_slice(&[1, 3], &[0.1f32, -2.0, f32::NAN]).unwrap();
        assert_eq!(tensor_text(&row), "f32[1, 3] [[0.1, -2.0, NaN]]");
        let square = Tensor::from_slice(&[2, 2], &[1i64, 2, 3, 4]).unwrap();
        assert_eq!(tensor_text(&square), "i64[2, 2]\n[[1, 2],\n [3, 4]]");
        let long = Tensor::from_slice(&[100], &[0u8; 100]).unwrap();
        assert_eq!(tensor_text(&long), "u8[100] [0, 0, 0, 0, 0, 0, 0, 0, … 92 more]");
        assert_eq!(tensor_text(&Tensor::from_slice(&[], &[1.5f64]).unwrap()), "f64[] 1.5");
    }
}
