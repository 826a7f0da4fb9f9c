//! Lengths that decide a rank.
//!
//! An input that holds a shape (`size` of an exported `affine_grid`) has as many elements as something has axes. Where the model leaves that
//! length open, no code can be made for what follows. Often only one length agrees with all else that the model says, above all with the ranks
//! that it declares of its outputs: then it is taken, and the entry of the generated code requires it.

use super::types;
use crate::ir::{DType, Dims, Graph, Type};
use crate::options::Options;
use crate::report::Report;
use onnxc_proto::GraphProto;

/// The greatest length that is tried.
const MAX_LENGTH: i64 = 8;
/// How many lengths may be open at once; all combinations are tried.
const MAX_OPEN: u32 = 2;

/// The graph that `import` makes once the open lengths of `proto`'s vectors of integers are set, if exactly one choice gives a graph whose
/// outputs have the declared ranks.
pub fn settle(proto: &GraphProto, options: &Options, import: &mut dyn FnMut(&Options) -> Result<Graph, Report>) -> Option<Graph> {
    let names = open_lengths(proto, options);
    if names.is_empty() || names.len() > MAX_OPEN as usize {
        return None;
    }
    let base = MAX_LENGTH + 1;
    let mut found = None;
    for choice in 0..base.pow(names.len() as u32) {
        let length = |i: usize| choice / base.pow(i as u32) % base;
        let mut options = options.clone();
        options.dims.extend(names.iter().enumerate().map(|(i, name)| (name.clone(), length(i))));
        let Ok(graph) = import(&options) else { continue };
        if ranks_agree(&graph, proto) && found.replace(graph).is_some() {
            return None;
        }
    }
    found
}

/// The names of the dims that are the length of an input vector of integers.
fn open_lengths(proto: &GraphProto, options: &Options) -> Vec<String> {
    let dims = Dims::default();
    let mut names = Vec::new();
    for (i, input) in proto.input.iter().enumerate() {
        let Ok(fact) = types::input_fact(input, i, &dims, options) else { continue };
        let Type::Tensor(DType::I32 | DType::I64, Some(shape)) = &fact.ty else { continue };
        if let [length] = shape[..]
            && let Some(symbol) = dims.as_symbol(length)
        {
            names.push(dims.info(symbol).name);
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Whether the outputs have the ranks that the model declares, each of which it must declare.
fn ranks_agree(graph: &Graph, proto: &GraphProto) -> bool {
    graph.outputs.iter().zip(&proto.output).all(|((_, value), declared)| {
        match (&graph.fact(*value).ty, types::declared(declared, &graph.dims)) {
            (Type::Tensor(_, Some(found)), Some(Type::Tensor(_, Some(declared)))) => found.len() == declared.len(),
            (Type::Tensor(..), _) => false,
            _ => true,
        }
    })
}
