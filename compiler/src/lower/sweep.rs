//! Removes steps whose results nobody reads, such as shape arithmetic that inference has already done.

use crate::program::{Action, Arg, BufferId, Program, Step};
use std::collections::HashSet;

/// Sweeps until nothing more can go.
pub fn sweep(program: &mut Program) {
    loop {
        let mut read: HashSet<BufferId> = program.outputs.iter().map(|o| o.buffer).collect();
        collect(&program.body, &mut read);
        if !remove(&mut program.body, &read) {
            return;
        }
    }
}

/// Notes the buffers that the steps read (or update).
fn collect(steps: &[Step], read: &mut HashSet<BufferId>) {
    for step in steps {
        match &step.action {
            Action::Call(call) => call.args.iter().for_each(|arg| reads(arg, read)),
            Action::Fused(fused) => read.extend(fused.inputs.iter().map(|(view, _)| view.buffer)),
            Action::Assign(_) | Action::Require(_) => {}
            Action::If { condition, then, otherwise } => {
                read.insert(condition.buffer);
                collect(then, read);
                collect(otherwise, read);
            }
            Action::Loop { condition, body, .. } => {
                read.extend(condition.iter().map(|c| c.buffer));
                collect(body, read);
            }
        }
    }
}

fn reads(arg: &Arg, read: &mut HashSet<BufferId>) {
    match arg {
        Arg::In(view) => {
            read.insert(view.buffer);
        }
        Arg::InObject(buffer) => {
            read.insert(*buffer);
        }
        Arg::Present(arg) => reads(arg, read),
        _ => {}
    }
}

/// The buffers that a call writes; `None` if it also does something that must stay (binds a symbol).
fn writes(args: &[Arg]) -> Option<Vec<BufferId>> {
    let mut written = Vec::new();
    for arg in args {
        match arg {
            Arg::Out { view, .. } => written.push(view.buffer),
            Arg::OutObject { buffer, .. } => written.push(*buffer),
            Arg::Present(inner) => written.extend(writes(std::slice::from_ref(inner))?),
            Arg::Bind(_) => return None,
            _ => {}
        }
    }
    Some(written)
}

/// Removes the steps that write only what nobody reads; whether there were any.
fn remove(steps: &mut Vec<Step>, read: &HashSet<BufferId>) -> bool {
    let before = steps.len();
    let unread = |buffers: &[BufferId]| !buffers.iter().any(|b| read.contains(b));
    steps.retain(|step| match &step.action {
        Action::Call(call) => writes(&call.args).is_none_or(|written| !unread(&written)),
        Action::Fused(fused) => !unread(&[fused.out.buffer]),
        Action::If { then, otherwise, .. } => !(then.is_empty() && otherwise.is_empty()),
        _ => true,
    });
    let mut removed = steps.len() != before;
    for step in steps {
        match &mut step.action {
            Action::If { then, otherwise, .. } => removed |= remove(then, read) | remove(otherwise, read),
            Action::Loop { body, .. } => removed |= remove(body, read),
            _ => {}
        }
    }
    removed
}
