//! `Gradient`: the derivative of one of the model's values by others.

use crate::grad;
use crate::import::Parse;
use crate::ir::{Fact, ValueId};
use crate::ops::OpError;

/// The attribute that import gives the node: the graph from the values `xs` and `zs` to the value `y`.
pub const FUNCTION: &str = "function of xs and zs";

/// ai.onnx.preview.training `Gradient`: the derivative of the sum of `y` by each of `xs`, where these and `zs` have the values of the inputs.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let count = cx.strings("xs")?.unwrap_or_default().len();
    let mut inputs = cx.all_inputs()?;
    let mut facts = Vec::new();
    for (i, &input) in inputs.iter().enumerate() {
        let fact = cx.fact(input);
        // A constant has no influence: what is differentiated by must stay a variable.
        facts.push(if i < count { Fact::of(fact.ty) } else { fact });
    }
    let (forward, captures) = cx.body(cx.graph(FUNCTION)?, &facts)?;
    if forward.inputs.len() != inputs.len() + captures.len() || inputs.len() < count {
        return Err(OpError::invalid(format!("there are {} inputs for as many values as xs and zs name", inputs.len())));
    }
    let backward = grad::gradients(&forward, count)
        .map_err(|e| OpError { message: format!("{}, at node `{}`, which y depends on", e.error.message, e.origin.node), ..e.error })?;
    inputs.extend(captures);
    cx.inline(&backward, &inputs)
}
