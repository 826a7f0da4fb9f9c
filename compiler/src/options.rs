//! What a user can ask of a compilation, the same through all three doors.

use crate::report::Diagnostic;
use onnxc_proto::GraphProto;

/// Options of a compilation. The default compiles the model as it is: symbolic dims stay symbolic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Values for symbolic dims by the model's names (`--dim batch=1`).
    pub dims: Vec<(String, i64)>,
    /// Shapes for inputs (`--input-shape image=1,3,224,224`); a dim that is not a number names a symbol.
    pub input_shapes: Vec<(String, Vec<String>)>,
    /// Outputs that become an input of the next call (`--state h=hn`: input, output).
    pub states: Vec<(String, String)>,
    /// Convolutions are summed as the definition says, never with fewer multiplications (`--exact-conv`).
    pub exact_conv: bool,
}

impl Options {
    /// The value given for a symbolic dim.
    pub fn dim(&self, name: &str) -> Option<i64> {
        self.dims.iter().rev().find(|d| d.0 == name).map(|d| d.1)
    }

    /// The shape given for an input.
    pub fn input_shape(&self, name: &str) -> Option<&[String]> {
        self.input_shapes.iter().rev().find(|s| s.0 == name).map(|s| s.1.as_slice())
    }

    /// What the options name and the model does not have.
    pub(crate) fn check_used(&self, graph: &GraphProto) -> Vec<Diagnostic> {
        let inputs: Vec<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
        let unknown = self.input_shapes.iter().filter(|(name, _)| !inputs.contains(&name.as_str()));
        let shapes = unknown.map(|(name, _)| {
            Diagnostic::error(format!("--input-shape names `{name}`, which is not an input"))
                .help(format!("the inputs are: {}", inputs.join(", ")))
        });
        let symbols = crate::import::symbols(graph, self);
        let unknown = self.dims.iter().filter(|(name, _)| !symbols.contains(name));
        let dims = unknown.map(|(name, _)| {
            let known =
                if symbols.is_empty() { "the model has none".to_owned() } else { format!("the symbolic dims are: {}", symbols.join(", ")) };
            Diagnostic::error(format!("--dim names `{name}`, which is not a symbolic dim of an input")).help(known)
        });
        shapes.chain(dims).collect()
    }
}
