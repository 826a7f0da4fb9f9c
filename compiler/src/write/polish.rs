//! What prettyplease prints differently from rustfmt, put right line by line: empty lines between functions, and a call with many arguments
//! stays on its receiver's line.

/// The text as rustfmt would leave it, for the constructs that `emit` uses.
pub(super) fn polish(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut i = 0;
    while i + 1 < lines.len() {
        join_call(&mut lines, i);
        i += 1;
    }
    spaced(&lines)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `x` / `    .f(` … `    )?;` → `x.f(` … `)?;` with what is between less indented.
fn join_call(lines: &mut Vec<String>, at: usize) {
    let (outer, inner) = (indent(&lines[at]), indent(&lines[at + 1]));
    let call = lines[at + 1].trim_start();
    let opens = call.starts_with('.') && call.ends_with(['(', '[', '{']);
    if !opens || inner != outer + 4 || lines[at].trim().is_empty() || lines[at].trim_start().starts_with('.') {
        return;
    }
    let close = lines[at + 2..].iter().position(|line| indent(line) <= inner && !line.trim().is_empty()).map(|n| at + 2 + n);
    let Some(close) = close.filter(|&close| indent(&lines[close]) == inner && lines[close].trim_start().starts_with([')', ']', '}']))
    else {
        return;
    };
    // One call only: a chain of several is broken by rustfmt too.
    if lines.get(close + 1).is_some_and(|next| indent(next) == inner && next.trim_start().starts_with('.')) {
        return;
    }
    let joined = format!("{}{}", lines[at], call);
    lines[at] = joined;
    lines.remove(at + 1);
    for line in &mut lines[at + 1..close] {
        line.drain(..4.min(indent(line)));
    }
}

/// Puts an empty line between functions and before documented items, as people do.
fn spaced(lines: &[String]) -> String {
    let mut out = String::new();
    let mut after_body = false;
    for line in lines {
        let item = line.starts_with("    ") && !line.starts_with("     ") && !line.trim_start().starts_with(['}', ')', ']']);
        if after_body && item || line.starts_with("impl") && out.ends_with(";\n") {
            out.push('\n');
        }
        // An attribute of an item that follows another one.
        if line.starts_with('#') && out.ends_with(";\n") {
            out.push('\n');
        }
        after_body = line == "    }";
        out.push_str(line);
        out.push('\n');
    }
    out
}
