//! What a compilation says when it fails: diagnostics with a place in the model, the facts involved and what to do. All errors end here.

use crate::ir::graph::NodeError;
use crate::ops::{ErrorKind, OpError};
use onnxc_proto::NodeProto;
use std::fmt;

/// Where in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    graph: String,
    node: Option<NodePlace>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NodePlace {
    index: Option<usize>,
    name: String,
    operator: String,
    opset: Option<i64>,
}

impl Place {
    /// A graph.
    pub fn graph(name: &str) -> Self {
        Self { graph: name.to_owned(), node: None }
    }

    /// A node of a graph; `opset` is the version its domain is imported with.
    pub fn node(graph: &str, index: usize, node: &NodeProto, opset: i64) -> Self {
        let operator = if node.domain.is_empty() { node.op_type.clone() } else { format!("{}:{}", node.domain, node.op_type) };
        let name = if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() };
        Self { graph: graph.to_owned(), node: Some(NodePlace { index: Some(index), name, operator, opset: Some(opset) }) }
    }
}

/// Model text on its way to a terminal: control characters become escapes, long texts are cut.
pub fn clean(text: &str) -> String {
    let unsafe_char = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let cut: String =
        text.chars().take(120).flat_map(|c| if unsafe_char(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect();
    if text.chars().count() > 120 { format!("{cut}…") } else { cut }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            match node.index {
                Some(index) => write!(f, "node {index} `{}`", clean(&node.name))?,
                None => write!(f, "node `{}`", clean(&node.name))?,
            }
            write!(f, " ({}", clean(&node.operator))?;
            if let Some(opset) = node.opset {
                write!(f, ", opset {opset}")?;
            }
            f.write_str(")")?;
            if !self.graph.is_empty() {
                f.write_str(" of ")?;
            }
        }
        if self.graph.is_empty() { Ok(()) } else { write!(f, "graph `{}`", clean(&self.graph)) }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether onnxc lacks something (the model may be fine).
    pub unsupported: bool,
    /// What is wrong, as a sentence.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// The facts involved, a line each.
    pub facts: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self { unsupported: false, message: message.into(), place: None, facts: Vec::new(), help: None }
    }

    /// Something onnxc lacks.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { unsupported: true, ..Self::error(message) }
    }

    /// With a place.
    pub fn place(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// With facts.
    pub fn facts(self, facts: Vec<String>) -> Self {
        Self { facts, ..self }
    }

    /// With advice.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The error of an operator.
    pub fn from_op(error: &OpError, place: Place, facts: Vec<String>) -> Self {
        Self {
            unsupported: error.kind == ErrorKind::Unsupported,
            message: error.message.clone(),
            place: Some(place),
            facts,
            help: error.help.clone(),
        }
    }
}

impl From<NodeError> for Diagnostic {
    fn from(e: NodeError) -> Self {
        let node = NodePlace { index: None, name: e.origin.node.to_string(), operator: e.origin.operator.to_string(), opset: None };
        let facts = e.inputs.iter().enumerate().map(|(i, f)| format!("input {i}: {f}")).collect();
        Self::from_op(&e.error, Place { graph: String::new(), node: Some(node) }, facts)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.unsupported { "not supported" } else { "error" };
        f.write_str(&wrapped(&format!("{kind}: {}", self.message), 6))?;
        if let Some(place) = &self.place {
            write!(f, "\n  --> {place}")?;
        }
        for fact in &self.facts {
            write!(f, "\n   |  {}", clean(fact))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = {}", wrapped(&format!("help: {help}"), 11))?;
        }
        Ok(())
    }
}

/// How wide a report's lines are at most, unless a word is wider.
const WIDTH: usize = 110;

/// A text of ours with texts of the model in it, in lines that are indented from the second on.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for (i, line) in text.lines().enumerate() {
        for (j, word) in line.split(' ').enumerate() {
            let word = clean(word);
            let width = word.chars().count();
            if (i, j) == (0, 0) {
                column = width;
            } else if j == 0 || column + 1 + width > WIDTH {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent + width;
            } else {
                out.push(' ');
                column += 1 + width;
            }
            out.push_str(&word);
        }
        if out.len() > 4000 {
            out.push('…');
            break;
        }
    }
    out
}

/// Everything that is wrong, in the order it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The diagnostics.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Appends a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// `Err` if there is any diagnostic.
    pub fn into_result(self) -> Result<(), Self> {
        if self.diagnostics.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Whether all that is wrong is that onnxc lacks something.
    pub fn is_unsupported(&self) -> bool {
        !self.diagnostics.is_empty() && self.diagnostics.iter().all(|d| d.unsupported)
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }
}

impl From<NodeError> for Report {
    fn from(e: NodeError) -> Self {
        Diagnostic::from(e).into()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.diagnostics.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
