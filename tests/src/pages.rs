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
//! Sections: `error` (the whole report), `run INPUT=LITERAL; …` (interpreted), `import`, `passes` (or the name of one), `lower`, `memory`, `rust`
//! (the generated source). Section bodies are compared as they stand; with `ONNXC_BLESS=1` they are rewritten.

use crate::text;
use onnxc::harness::literal;
use onnxc::program::interpret;
use onnxc::program::{PortType, Program};
use onnxc::{Model, Options, emit, memory, write};
use onnxc_proto::ExternalFiles;
use onnxc_runtime::value::Value;
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

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
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

/// The program, and the text that left the room of that name.
fn compile(source: &str, room: &str) -> Result<(Program, Option<String>), String> {
    let model = Model { proto: text::model(source), files: ExternalFiles::refused() };
    let mut left = None;
    let program = onnxc::compile_watched(model, &Options::default(), &mut |name, text| {
        if name == room {
            left = Some(text());
        }
    });
    program.map(|p| (p, left)).map_err(|e| e.to_string())
}

fn section(source: &str, title: &str) -> String {
    let (room, rest) = title.split_once(' ').unwrap_or((title, ""));
    let (program, left) = match compile(source, room) {
        Ok((program, _)) if room == "error" => return format!("none: it compiles to {} steps", program.body.len()),
        Err(report) if room == "error" => return report,
        Ok(found) => found,
        Err(report) => return format!("does not compile\n{report}"),
    };
    match room {
        "run" => run(&program, rest),
        "memory" => memory::place(&program).to_string(),
        "rust" => {
            let emitted = emit::emit(&program, &memory::place(&program), &emit::EmitOptions::default());
            write::text(&emitted, "test.onnx", "0").unwrap_or_else(|e| format!("the generated code does not parse: {e}"))
        }
        other => left.unwrap_or_else(|| panic!("no section `{other}`")),
    }
}

fn run(program: &Program, inputs: &str) -> String {
    let given: Vec<(&str, &str)> = inputs.split(';').filter_map(|i| i.trim().split_once('=')).collect();
    let value = |name: &str, ty: &PortType| -> Value {
        let PortType::Tensor(dtype, _) = ty else { panic!("input `{name}` is no tensor") };
        let (_, text) = given.iter().find(|g| g.0 == name).unwrap_or_else(|| panic!("no value for `{name}`"));
        literal::parse(text, *dtype).unwrap_or_else(|e| panic!("{name}: {e}")).into()
    };
    let inputs: Vec<Value> = program.inputs.iter().map(|p| value(&p.name, &p.ty)).collect();
    match interpret::run(program, &inputs, 1_000_000) {
        Ok(outputs) => program.outputs.iter().zip(outputs).map(|(p, v)| format!("{}: {v:?}\n", p.name)).collect(),
        Err(error) => error.to_string(),
    }
}

/// The lines that differ, with the first common ones before them left out.
fn difference(old: &str, new: &str) -> String {
    let same = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    let tail = |text: &str, sign: char| text.lines().skip(same).take(30).map(|l| format!("  {sign} {l}\n")).collect::<String>();
    format!("  from line {}:\n{}{}", same + 1, tail(old, '-'), tail(new, '+'))
}
