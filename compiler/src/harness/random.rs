//! Which models compute something random, so that only dtypes and shapes of their results can be compared.

use super::cases::{self, Data};
use super::numbers;
use onnxc_proto::{GraphProto, ModelProto, NodeProto};

const RANDOM: [&str; 6] = ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"];

/// Whether the results depend on random numbers: a random operator, or a Dropout that trains.
pub fn is_random(model: &ModelProto, data: &[Data]) -> bool {
    let Some(graph) = &model.graph else { return false };
    let functions = model.functions.iter().flat_map(|f| &f.node);
    functions.chain(&graph.node).any(|node| RANDOM.contains(&node.op_type.as_str()) || in_bodies(node) || trains(node, graph, data))
}

fn in_bodies(node: &NodeProto) -> bool {
    let bodies = node.attribute.iter().flat_map(|a| a.g.as_deref().into_iter().chain(&a.graphs));
    bodies.flat_map(|g| &g.node).any(|n| RANDOM.contains(&n.op_type.as_str()) || in_bodies(n))
}

/// A Dropout whose `training_mode` is true and whose ratio is not zero, as the data or an initializer says.
fn trains(node: &NodeProto, graph: &GraphProto, data: &[Data]) -> bool {
    if node.op_type != "Dropout" {
        return false;
    }
    let value = |index: usize| -> Option<f64> {
        let name = node.input.get(index).filter(|n| !n.is_empty())?;
        let position = cases::entries(graph).iter().position(|i| &i.name == name)?;
        numbers::to_f64s(data.first()?.inputs.get(position)?.tensor().ok()?)?.first().copied()
    };
    value(2).is_some_and(|training| training != 0.0) && value(1).is_none_or(|ratio| ratio != 0.0)
}
