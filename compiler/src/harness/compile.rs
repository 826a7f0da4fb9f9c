//! The compiler as the harness calls it: panics are caught, and a refusal for what is not supported is told from an error.

use super::compare::{Largest, Mismatch};
use crate::emit::{BlobPath, EmitOptions, emit};
use crate::program::interpret;
use crate::program::{Action, Program};
use crate::{Model, Options, Report, memory, write};
use onnxc_proto::{ExternalFiles, ModelProto};
use onnxc_runtime::value::Value;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Steps that the interpreter may take for one data set.
const FUEL: usize = 50_000_000;

/// Why a case does not pass.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whether all that is wrong is that onnxc lacks something, and says so.
    pub unsupported: bool,
    /// What is wrong. For what is unsupported: the operators, separated by commas.
    pub message: String,
    /// The error of a wrong result.
    pub largest: Option<Largest>,
}

impl Failure {
    /// An error.
    pub fn error(message: String) -> Self {
        Self { unsupported: false, message, largest: None }
    }

    /// A wrong result.
    pub fn wrong(set: &str, mismatch: &Mismatch) -> Self {
        let largest = mismatch.error.map(|error| Largest { error, place: mismatch.place.clone() });
        Self { unsupported: false, message: format!("wrong result: {set}: {mismatch}"), largest }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::error(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::error(message.to_owned())
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        if !report.is_unsupported() {
            return Self::error(format!("does not compile: {report}"));
        }
        let mut names: Vec<String> = report.diagnostics.iter().map(|d| short(&d.message)).collect();
        names.sort();
        names.dedup();
        Self { unsupported: true, message: format!("unsupported: {}", names.join(", ")), largest: None }
    }
}

/// `the operator Foo (domain ai.onnx, opset 13)` is `Foo` for short; anything else is its first line.
fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let operator = line.strip_prefix("the operator ").map(|rest| rest.split(" (domain").next().unwrap_or(rest));
    operator.unwrap_or(line).to_owned()
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static LISTENING: RefCell<bool> = const { RefCell::new(false) };
}

/// Makes panics inside [`guarded`] silent and remembers where they were. Others are reported as before.
pub fn hear_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LISTENING.with_borrow(|l| *l) {
                PANIC.set(Some(info.to_string().replace('\n', " ")));
            } else {
                before(info);
            }
        }));
    });
}

/// Runs something of ours; a panic is a failure.
fn guarded<T>(f: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    LISTENING.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    LISTENING.set(false);
    result.unwrap_or_else(|_| Err(Failure::error(format!("the compiler panicked: {}", PANIC.take().unwrap_or_default()))))
}

fn program(model: &ModelProto, folder: &Path, options: &Options) -> Result<Program, Failure> {
    let files = ExternalFiles::in_directory(folder).map_err(|e| Failure::error(e.to_string()))?;
    Ok(crate::compile_to_program(Model { proto: model.clone(), files }, options)?)
}

/// A model in the interpreter: the results of each data set, and whether the compiler had computed everything before (only constants are left).
pub struct Interpreted {
    /// The outputs for each list of inputs.
    pub outputs: Vec<Vec<Value>>,
    /// Whether nothing is left to do at run time but to copy constants.
    pub complete: bool,
}

/// Compiles a model to a program and interprets it for each list of inputs.
pub fn interpret(model: &ModelProto, folder: &Path, options: &Options, inputs: &[Vec<Value>]) -> Result<Interpreted, Failure> {
    guarded(|| {
        let program = program(model, folder, options)?;
        let run = |inputs: &Vec<Value>| interpret::run(&program, inputs, FUEL).map_err(|e| Failure::error(format!("run: {e}")));
        let outputs = inputs.iter().map(run).collect::<Result<_, _>>()?;
        Ok(Interpreted { outputs, complete: program.inputs.is_empty() && only_copies(&program) })
    })
}

fn only_copies(program: &Program) -> bool {
    program.body.iter().all(|step| matches!(&step.action, Action::Call(call) if matches!(call.kernel.path, "copy::copy" | "object::copy")))
}

/// A generated module.
pub struct Module {
    /// The source.
    pub source: String,
    /// The file of constants.
    pub blob: Option<Vec<u8>>,
}

/// Compiles a model to a module that finds its constants at `blob_path` from its package.
pub fn module(model: &ModelProto, folder: &Path, options: &Options, blob_path: String) -> Result<Module, Failure> {
    guarded(|| {
        let program = program(model, folder, options)?;
        let placement = memory::place(&program);
        let options = EmitOptions { blob: BlobPath::InPackage(blob_path), ..EmitOptions::default() };
        let emitted = emit(&program, &placement, &options);
        let source =
            write::text(&emitted, "model.onnx", "").map_err(|e| Failure::error(format!("the generated code does not parse: {e}")))?;
        Ok(Module { source, blob: emitted.blob.map(|b| b.bytes) })
    })
}
