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
    /// What the weights of products and convolutions are stored as (`--weights f16`).
    pub weights: WeightType,
    /// What products and convolutions multiply (`--precision bf16`).
    pub precision: Precision,
    /// Operators that functions of the user's compute (`--custom-op my.domain:Foo=crate::path::foo`).
    pub custom_ops: Vec<CustomOp>,
}

/// What the weights of products and convolutions are stored as. They are computed with as f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightType {
    /// As the model has them.
    #[default]
    F32,
    /// In half precision: 11 significant bits. Weights beyond its range (65,504) stay f32.
    F16,
    /// As the upper half of an f32: 8 significant bits, the range of f32.
    Bf16,
}

impl std::str::FromStr for WeightType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("`{text}` is nothing that weights can be stored as: there are `f32`, `f16` and `bf16`")),
        }
    }
}

/// What products and convolutions with constant weights multiply. The sums are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// Numbers as they are.
    #[default]
    F32,
    /// Both factors rounded to bf16, 8 significant bits; weights are stored so. Machines with AVX512-BF16 have an instruction for it.
    Bf16,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("`{text}` is nothing that can be multiplied in: there are `f32` and `bf16`")),
        }
    }
}

/// An operator that a function of the user's computes. See docs/custom-operators.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomOp {
    /// The operator's domain; empty for ai.onnx.
    pub domain: String,
    /// Its name.
    pub name: String,
    /// The path of the function, as the generated code names it: `crate::path::foo`.
    pub function: String,
    /// The path of a function that tells the shapes of the outputs, where the model does not.
    pub shape: Option<String>,
}

impl std::str::FromStr for CustomOp {
    type Err = String;

    /// `DOMAIN:NAME=FUNCTION`, or `DOMAIN:NAME=FUNCTION,SHAPE_FUNCTION`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected DOMAIN:NAME=crate::path::of_function, perhaps with `,crate::path::of_shape_function` after it";
        let (operator, functions) = text.split_once('=').ok_or(expected)?;
        let (domain, name) = operator.rsplit_once(':').ok_or(expected)?;
        if name.trim().is_empty() {
            return Err(expected.to_owned());
        }
        let path = |text: &str| match syn::parse_str::<syn::Path>(text) {
            Ok(_) => Ok(text.trim().to_owned()),
            Err(_) => Err(format!("`{}` is not the path of a function, such as crate::path::foo", text.trim())),
        };
        let (function, shape) = functions.split_once(',').map_or((functions, None), |(f, s)| (f, Some(s)));
        let domain = crate::import::canonical_domain(domain.trim()).to_owned();
        Ok(Self { domain, name: name.trim().to_owned(), function: path(function)?, shape: shape.map(path).transpose()? })
    }
}

impl Options {
    /// The function that computes an operator, if the user gave one.
    pub fn custom_op(&self, domain: &str, name: &str) -> Option<&CustomOp> {
        let domain = crate::import::canonical_domain(domain);
        self.custom_ops.iter().rev().find(|op| op.domain == domain && op.name == name)
    }

    /// What weights are stored as: what is multiplied as bf16 is also stored so.
    pub fn stored(&self) -> WeightType {
        match self.precision {
            Precision::F32 => self.weights,
            Precision::Bf16 => WeightType::Bf16,
        }
    }

    /// The value given for a symbolic dim.
    pub fn dim(&self, name: &str) -> Option<i64> {
        self.dims.iter().rev().find(|d| d.0 == name).map(|d| d.1)
    }

    /// The shape given for an input.
    pub fn input_shape(&self, name: &str) -> Option<&[String]> {
        self.input_shapes.iter().rev().find(|s| s.0 == name).map(|s| s.1.as_slice())
    }

    /// What the options name and the model does not have, and what contradicts itself.
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
        let contradiction = (self.precision == Precision::Bf16 && self.weights == WeightType::F16).then(|| {
            Diagnostic::error("--precision bf16 contradicts --weights f16".to_owned())
                .help("what is multiplied as bf16 is stored so: leave out --weights")
        });
        shapes.chain(dims).chain(contradiction).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_operators_are_read() {
        let op: CustomOp = "my.domain:Foo = crate::ops::foo".parse().unwrap();
        assert_eq!((op.domain.as_str(), op.name.as_str(), op.function.as_str(), op.shape), ("my.domain", "Foo", "crate::ops::foo", None));
        let op: CustomOp = "ai.onnx:Foo=a::foo,a::shape".parse().unwrap();
        assert_eq!((op.domain.as_str(), op.function.as_str(), op.shape.as_deref()), ("", "a::foo", Some("a::shape")));
        for wrong in ["Foo=a::foo", "d:Foo", "d:=f", "d:Foo=", "d:Foo=1 + 1", "d:Foo=f,", "d:Foo=f(); evil"] {
            assert!(wrong.parse::<CustomOp>().is_err(), "{wrong}");
        }
    }
}
