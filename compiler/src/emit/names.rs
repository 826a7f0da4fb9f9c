//! ONNX names → Rust identifiers: readable, unique and stable; and model text → doc comments and literals that can say nothing to rustc.

use std::collections::HashSet;

/// The longest identifier that is made of a name (before a number that makes it unique).
const MAX_LEN: usize = 48;
/// The longest line that is made of a model's text.
const MAX_TEXT: usize = 300;

/// Words that cannot be identifiers, or mean something where ours stand.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern",
    "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized",
    "use", "virtual", "where", "while", "yield",
];

/// Identifiers of one scope: each is given once.
#[derive(Clone, Debug)]
pub struct Scope {
    used: HashSet<String>,
}

impl Scope {
    /// A scope in which these are taken.
    pub fn new(reserved: &[&str]) -> Self {
        Self { used: reserved.iter().map(|&s| s.to_owned()).collect() }
    }

    /// Takes an identifier away.
    pub fn reserve(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// A `snake_case` identifier for a name; of `fallback` if nothing of the name can be read.
    pub fn snake(&mut self, name: &str, fallback: &str) -> String {
        self.unique(snake(name, fallback), "_")
    }

    /// An `UPPER_CASE` identifier.
    pub fn upper(&mut self, name: &str, fallback: &str) -> String {
        self.unique(snake(name, fallback).to_uppercase(), "_")
    }

    /// A `CamelCase` identifier.
    pub fn camel(&mut self, name: &str, fallback: &str) -> String {
        let words = snake(name, fallback);
        let camel = words.split('_').map(capitalised).collect::<String>();
        self.unique(camel, "N")
    }

    fn unique(&mut self, wanted: String, separator: &str) -> String {
        let mut name = wanted.clone();
        let mut n = 2;
        while !self.used.insert(name.clone()) {
            // Never two underscores: `loop_` becomes `loop_2`.
            name = format!("{}{separator}{n}", wanted.trim_end_matches('_'));
            n += 1;
        }
        name
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The words of a name in lower case, joined by underscores: a valid identifier that is no keyword.
fn snake(name: &str, fallback: &str) -> String {
    let mut out = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if out.len() >= MAX_LEN {
            break;
        }
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            'A'..='Z' => {
                if after_lower {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
            }
            _ if c.is_alphanumeric() => out.push_str(&format!("u{:x}", u32::from(c))),
            _ if !out.is_empty() && !out.ends_with('_') => out.push('_'),
            _ => {}
        }
        after_lower = c.is_ascii_lowercase();
    }
    let mut out = out.trim_end_matches('_').to_owned();
    if out.is_empty() {
        fallback.clone_into(&mut out);
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, 'n');
    }
    if KEYWORDS.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// A model's text as one harmless line: no control, line-breaking, invisible or text-direction characters, no comment ends, not too long.
pub fn line(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.chars().count() >= MAX_TEXT {
            out.push('…');
            break;
        }
        out.push(if harmless(c) { c } else { '\u{fffd}' });
    }
    // Neither can end a comment or open one.
    out.replace("*/", "* /").replace("/*", "/ *")
}

/// A model's text inside backticks, for a doc comment.
pub fn code(text: &str) -> String {
    format!("`{}`", line(text).replace('`', "'"))
}

fn harmless(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_identifiers() {
        let of = |name: &str| Scope::new(&[]).snake(name, "step");
        assert_eq!(of("/model/layers.0/self_attn/MatMul"), "model_layers_0_self_attn_mat_mul");
        assert_eq!(of("input:0"), "input_0");
        assert_eq!(of("Conv_12"), "conv_12");
        assert_eq!(of("type"), "type_");
        assert_eq!(of("Self"), "self_");
        assert_eq!(of("12"), "n12");
        assert_eq!(of(""), "step");
        assert_eq!(of("///"), "step");
        assert_eq!(of("é"), "ue9");
        assert_eq!(of(r#"{"a": [1]}"#), "a_1");
        assert_eq!(of("); std::process::abort(); //"), "std_process_abort");
        assert!(of(&"x".repeat(1000)).len() <= MAX_LEN);
        assert!(syn::parse_str::<syn::Ident>(&of("\u{202e}evil\n")).is_ok());
    }

    #[test]
    fn identifiers_are_unique() {
        let mut scope = Scope::new(&["run"]);
        let names = ["a.b", "a/b", "a_b_2", "run"].map(|n| scope.snake(n, "x"));
        assert_eq!(names, ["a_b", "a_b_2", "a_b_2_2", "run_2"]);
        assert_eq!(["loop", "Loop"].map(|n| scope.snake(n, "x")), ["loop_", "loop_2"]);
        assert_eq!(scope.upper("a.b", "x"), "A_B");
        assert_eq!(scope.camel("mul_sigmoid", "x"), "MulSigmoid");
    }

    #[test]
    fn text_cannot_leave_its_comment() {
        assert_eq!(line("a\nb\u{202e}c*/d"), "a\u{fffd}b\u{fffd}c* /d");
        assert!(line(&"y".repeat(10_000)).chars().count() <= MAX_TEXT + 1);
        assert_eq!(code("a`b"), "`a'b`");
    }
}
