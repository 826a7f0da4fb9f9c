//! Programs as text (`--dump lower`): buffers, then steps, ids as they are everywhere.

use super::{Action, Arg, Program, Step, Storage, View};
use std::fmt::Write;

/// The program as text.
pub fn program(program: &Program) -> String {
    let mut out = format!("program {:?} {{\n", program.name);
    for (id, buffer) in program.buffers.iter() {
        let kind = match buffer.storage {
            Storage::Input(i) => format!("input {i}"),
            Storage::Weight(w) => format!("weight {w}"),
            Storage::Scratch => "scratch".to_owned(),
            Storage::Object => "object".to_owned(),
        };
        let _ = writeln!(out, "  {id}: {kind} {}[{}]  # {:?}", buffer.dtype, program.dims.show(buffer.len), buffer.name);
    }
    for check in &program.checks {
        let _ = writeln!(out, "  check {:?}  # {:?}", check.condition, check.node);
    }
    steps(&mut out, program, &program.body, "  ");
    let outputs: Vec<String> = program.outputs.iter().map(|o| format!("{:?}: {}", o.name, o.buffer)).collect();
    let _ = writeln!(out, "  return {}\n}}", outputs.join(", "));
    out
}

fn steps(out: &mut String, program: &Program, list: &[Step], indent: &str) {
    for step in list {
        let _ = match &step.action {
            Action::Call(call) => {
                let args: Vec<String> = call.args.iter().map(|a| arg(program, a)).collect();
                writeln!(out, "{indent}{}({})  # {:?}", call.kernel.path, args.join(", "), step.node)
            }
            Action::Fused(fused) => {
                let inputs: Vec<String> = fused.inputs.iter().map(|(v, _)| view(program, *v)).collect();
                writeln!(
                    out,
                    "{indent}fused {:?} {} <- {}  # {:?}",
                    fused.formula.instrs,
                    view(program, fused.out),
                    inputs.join(", "),
                    step.node
                )
            }
            Action::Assign(pairs) => {
                let texts: Vec<String> =
                    pairs.iter().map(|(s, d)| format!("{} = {}", program.dims.info(*s).name, program.dims.show(*d))).collect();
                writeln!(out, "{indent}{}", texts.join(", "))
            }
            Action::Require(condition) => writeln!(out, "{indent}require {condition:?}"),
            Action::If { condition, then, otherwise } => {
                let _ = writeln!(out, "{indent}if {} {{", view(program, *condition));
                steps(out, program, then, &format!("{indent}  "));
                let _ = writeln!(out, "{indent}}} else {{");
                steps(out, program, otherwise, &format!("{indent}  "));
                writeln!(out, "{indent}}}")
            }
            Action::Loop { counter, trips, condition, body } => {
                let trips = trips.map_or("no limit".to_owned(), |t| program.dims.show(t).to_string());
                let condition = condition.map_or(String::new(), |c| format!(" while {}", view(program, c)));
                let _ = writeln!(out, "{indent}loop {} to {trips}{condition} {{", program.dims.info(*counter).name);
                steps(out, program, body, &format!("{indent}  "));
                writeln!(out, "{indent}}}")
            }
        };
    }
}

fn view(program: &Program, view: View) -> String {
    format!("{}[{}; {}]", view.buffer, program.dims.show(view.offset), program.dims.show(view.len))
}

fn arg(program: &Program, a: &Arg) -> String {
    let dims = |d: &[crate::ir::Dim]| d.iter().map(|&d| program.dims.show(d).to_string()).collect::<Vec<_>>().join(", ");
    match a {
        Arg::In(v) => view(program, *v),
        Arg::Out { view: v, update } => format!("{} {}", if *update { "update" } else { "out" }, view(program, *v)),
        Arg::InObject(b) => b.to_string(),
        Arg::OutObject { buffer, .. } => format!("out {buffer}"),
        Arg::Usize(d) | Arg::I64(d) => program.dims.show(*d).to_string(),
        Arg::Usizes(d) | Arg::I64s(d) => format!("[{}]", dims(d)),
        Arg::Struct(_, fields) => {
            format!("{{{}}}", fields.iter().map(|(n, a)| format!("{n}: {}", arg(program, a))).collect::<Vec<_>>().join(", "))
        }
        Arg::Array(items) => format!("[{}]", items.iter().map(|a| arg(program, a)).collect::<Vec<_>>().join(", ")),
        Arg::Present(inner) => arg(program, inner),
        Arg::Variant(_, name) => (*name).to_owned(),
        Arg::Bind(symbols) => format!("bind {}", symbols.iter().map(|&s| program.dims.info(s).name).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}
