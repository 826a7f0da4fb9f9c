//! Files of a model and what is expected of it, a section a room:
//!
//! ```text
//! net (float[2] x) => (float[2] y) { y = Relu (x) }
//! --- run x=[-1, 2]
//! y: f32[2] [0.0, 2.0]
//! --- error
//! …
//! ```
//!
//! Sections: `error` (the whole report), `run INPUT=LITERAL; …` (interpreted), `import`, `pass NAME` (that pass alone, on what was imported),
//! `passes`, `lower`, `memory`, `emit` (the generated source). In place of a model there may be a graph in the compiler's own text. Section bodies
//! are compared as they stand; with `ONNXC_BLESS=1` they are rewritten.

use crate::text;
use onnxc::harness::literal;
use onnxc::ir::Graph;
use onnxc::ir::parse::{self, Constants};
use onnxc::program::interpret;
use onnxc::program::{PortType, Program};
use onnxc::{Options, emit, import, memory, passes, verify, write};
use onnxc_proto::ExternalFiles;
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Tensor, Value};
use std::path::{Path, PathBuf};

/// Runs all files below a folder.
///
/// # Panics
/// If a section is not as expected, with the difference; or there is no file.
pub fn check(folder: &Path) {
    let mut files = Vec::new();
    collect(folder, &mut files);
    assert!(!files.is_empty(), "no files in {}", folder.display());
    let bless = std::env::var_os("ONNXC_BLESS").is_some_and(|v| v == "1");
    let mut wrong = Vec::new();
    for file in &files {
        let old = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let new = page(&old);
        if new == old {
            continue;
        }
        if bless {
            std::fs::write(file, new).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        } else {
            wrong.push(format!("{}\n{}", file.display(), difference(&old, &new)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} files differ (ONNXC_BLESS=1 rewrites them):\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

/// The pages below a folder, in order.
///
/// # Panics
/// If there is no such folder.
pub fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "txt") {
            files.push(path);
        }
    }
}

/// The page with each section as it comes out now.
pub fn page(old: &str) -> String {
    let mut parts = old.split("\n--- ");
    let source = parts.next().unwrap_or_default();
    let mut new = source.to_owned();
    for part in parts {
        let title = part.lines().next().unwrap_or_default();
        new.push_str(&format!("\n--- {title}\n{}", section(source, title).trim_end()));
    }
    new.push('\n');
    new
}

/// Whether a source is in the text of the compiler's own graphs.
pub fn is_graph(source: &str) -> bool {
    let start = source.lines().map(str::trim_start).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or_default();
    start.starts_with("graph \"") || start.starts_with("symbols ")
}

/// The graph of a source: in the text of the compiler's own graphs, or a model in ONNX's.
fn graph(source: &str) -> Result<Graph, String> {
    if is_graph(source) {
        return parse::graph(source, &Constants::default()).map_err(|e| e.to_string());
    }
    import::import(&text::model(source), ExternalFiles::refused(), &Options::default()).map_err(|e| e.to_string())
}

/// The program, and the text that left the room of that name.
fn compile(source: &str, room: &str) -> Result<(Program, Option<String>), String> {
    let mut left = None;
    let program = onnxc::compile_graph(graph(source)?, "", &Options::default(), &mut |name, text| {
        if name == room {
            left = Some(text());
        }
    });
    program.map(|p| (p, left)).map_err(|e| e.to_string())
}

/// The graph after one pass alone, with what nothing uses taken away.
fn pass(source: &str, name: &str) -> Result<String, String> {
    let pass = passes::PASSES.iter().find(|p| p.name == name).ok_or_else(|| format!("there is no pass `{name}`"))?;
    let report = |e| onnxc::Report::from(e).to_string();
    let done = passes::apply(pass, &graph(source)?).map_err(report)?;
    verify::verify(&done).map_err(report)?;
    Ok(onnxc::ir::text::graph(&done))
}

fn section(source: &str, title: &str) -> String {
    let (room, rest) = title.split_once(' ').unwrap_or((title, ""));
    if room == "pass" {
        return pass(source, rest).unwrap_or_else(|e| e);
    }
    let (program, left) = match compile(source, room) {
        Ok((program, _)) if room == "error" => return format!("none: it compiles to {} steps", program.body.len()),
        Err(report) if room == "error" => return report,
        Ok(found) => found,
        Err(report) => return format!("does not compile\n{report}"),
    };
    match room {
        "run" => run(&program, rest),
        "memory" => memory::place(&program).to_string(),
        "emit" => {
            let emitted = emit::emit(&program, &memory::place(&program), &emit::EmitOptions::default());
            write::text(&emitted, "test.onnx", "0").unwrap_or_else(|e| format!("the generated code does not parse: {e}"))
        }
        other => left.unwrap_or_else(|| panic!("no section `{other}`")),
    }
}

fn run(program: &Program, inputs: &str) -> String {
    let inputs = values(program, inputs);
    match interpret::run(program, &inputs, 1_000_000) {
        Ok(outputs) => show(program, &outputs),
        Err(error) => error.to_string(),
    }
}

fn values(program: &Program, inputs: &str) -> Vec<Value> {
    let given: Vec<(&str, &str)> = inputs.split(';').filter_map(|i| i.trim().split_once('=')).collect();
    let value = |name: &str, ty: &PortType| -> Value {
        let dtype = match ty {
            PortType::Tensor(dtype, _) => Some(*dtype),
            PortType::Object(text) => text.strip_suffix("[..]").and_then(DType::from_name),
        };
        let dtype = dtype.unwrap_or_else(|| panic!("input `{name}` is no tensor"));
        let (_, text) = given.iter().find(|g| g.0 == name).unwrap_or_else(|| panic!("no value for `{name}`"));
        let tensor = literal::parse(text, dtype).unwrap_or_else(|e| panic!("{name}: {e}"));
        // `[]` is an empty tensor of whatever shape is declared.
        fit(tensor, ty, program).into()
    };
    program.inputs.iter().map(|p| value(&p.name, &p.ty)).collect()
}

fn fit(tensor: Tensor, ty: &PortType, program: &Program) -> Tensor {
    let PortType::Tensor(_, dims) = ty else { return tensor };
    let zero: Vec<usize> = dims.iter().map(|&d| program.dims.value(d).map_or(0, |v| v as usize)).collect();
    if tensor.shape() == [0] && zero.contains(&0) { tensor.clone().reshaped(&zero).unwrap_or(tensor) } else { tensor }
}

fn show(program: &Program, outputs: &[Value]) -> String {
    program.outputs.iter().zip(outputs).map(|(p, v)| format!("{}: {v:?}\n", p.name)).collect()
}

/// A `run` section: what goes in, and what the page says that comes out.
pub struct Run {
    /// The program, for its inputs and outputs.
    pub program: Program,
    /// The inputs.
    pub inputs: Vec<Value>,
    /// The text of the section.
    pub expected: String,
}

impl Run {
    /// The text of these outputs, as a page has it.
    pub fn show(&self, outputs: &[Value]) -> String {
        show(&self.program, outputs).trim_end().to_owned()
    }
}

/// The source of a page and its `run` sections.
///
/// # Panics
/// If it does not compile.
pub fn runs(page: &str) -> (&str, Vec<Run>) {
    let mut parts = page.split("\n--- ");
    let source = parts.next().unwrap_or_default();
    let run = |part: &str| {
        let (title, expected) = part.split_once('\n').unwrap_or((part, ""));
        let inputs = title.strip_prefix("run ")?;
        let (program, _) = compile(source, "").unwrap_or_else(|e| panic!("{e}\n{source}"));
        Some(Run { inputs: values(&program, inputs), program, expected: expected.trim_end().to_owned() })
    };
    (source, parts.filter_map(run).collect())
}

/// The lines that differ, with the first common ones before them left out.
fn difference(old: &str, new: &str) -> String {
    let same = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    let tail = |text: &str, sign: char| text.lines().skip(same).take(30).map(|l| format!("  {sign} {l}\n")).collect::<String>();
    format!("  from line {}:\n{}{}", same + 1, tail(old, '-'), tail(new, '+'))
}
