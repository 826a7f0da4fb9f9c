//! Outputs that become the next call's inputs (`--state h=hn`): RNN states, KV caches.

use super::{BufferId, PortType, Program, Storage};
use crate::report::{Diagnostic, Report};
use onnxc_runtime::element::DType;

use crate::ir::dim::Dim;

/// A tensor that a model keeps between calls.
#[derive(Clone, Debug)]
pub struct State {
    /// The model's name of the input.
    pub name: String,
    /// The dtype.
    pub dtype: DType,
    /// The shape as the input declares it.
    pub shape: Vec<Dim>,
    /// What the steps read; lives from call to call.
    pub buffer: BufferId,
    /// What a call leaves for the next: the output's buffer.
    pub next: BufferId,
    /// The shape that a call leaves.
    pub next_shape: Vec<Dim>,
}

/// Takes `(input, output)` pairs out of the program's ports and makes them states.
pub fn keep(program: &mut Program, pairs: &[(String, String)]) -> Result<(), Report> {
    let mut report = Report::default();
    for (input, output) in pairs {
        if let Err(diagnostic) = keep_one(program, input, output) {
            report.push(diagnostic);
        }
    }
    report.into_result()
}

fn keep_one(program: &mut Program, input: &str, output: &str) -> Result<(), Diagnostic> {
    let missing = |what: &str, name: &str, ports: &[super::Port]| {
        let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
        Diagnostic::error(format!("--state names `{name}`, which is not an {what}")).help(format!("the {what}s are: {}", names.join(", ")))
    };
    let from = program.inputs.iter().position(|p| p.name == input).ok_or_else(|| missing("input", input, &program.inputs))?;
    let to = program.outputs.iter().position(|p| p.name == output).ok_or_else(|| missing("output", output, &program.outputs))?;
    let (PortType::Tensor(dtype, shape), PortType::Tensor(next_dtype, next_shape)) = (&program.inputs[from].ty, &program.outputs[to].ty)
    else {
        return Err(Diagnostic::error(format!("--state {input}={output}: only tensors can be kept")));
    };
    let differ = |a: &Dim, b: &Dim| matches!((program.dims.value(*a), program.dims.value(*b)), (Some(a), Some(b)) if a != b);
    let fits = dtype == next_dtype && shape.len() == next_shape.len() && !shape.iter().zip(next_shape).any(|(a, b)| differ(a, b));
    if !fits || *dtype == DType::String {
        return Err(Diagnostic::error(format!("--state {input}={output}: the output does not have the input's type and shape")));
    }
    let (dtype, shape, next_shape) = (*dtype, shape.clone(), next_shape.clone());
    let (buffer, next) = (program.inputs[from].buffer, program.outputs[to].buffer);
    program.states.push(State { name: input.to_owned(), dtype, shape, buffer, next, next_shape });
    program.inputs.remove(from);
    program.outputs.remove(to);
    for id in program.buffers.ids().collect::<Vec<_>>() {
        let storage = &mut program.buffers[id].storage;
        match *storage {
            Storage::Input(n) if n == from => *storage = Storage::Scratch,
            Storage::Input(n) if n > from => *storage = Storage::Input(n - 1),
            _ => {}
        }
    }
    Ok(())
}
