//! A branch that cannot run: its shapes contradict each other for the inputs at hand. Models have such branches (one for each sampling rate,
//! say), and never take them; taking one is an error of the run.

use crate::ir::{Fact, Graph, Origin, Type};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Action, Condition};
use serde::{Deserialize, Serialize};

/// How many characters of the reason an error of the run repeats.
const MAX_REASON: usize = 160;

/// No inputs; outputs of these types that are never made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trap {
    #[serde(skip)]
    types: Vec<Type>,
    /// Why the branch cannot run.
    why: String,
}

impl Operator for Trap {
    fn infer(&mut self, _cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        Ok(self.types.iter().cloned().map(Fact::of).collect())
    }

    fn folds(&self) -> bool {
        false
    }

    fn pure(&self) -> bool {
        false
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (zero, one) = (cx.int(0), cx.int(1));
        cx.step(Action::Require(Condition::Equal(zero, one)));
        Ok(())
    }

    fn restore(&mut self, _cx: &Infer<'_>, _bodies: Vec<Graph>, outputs: &[Fact]) -> Result<(), OpError> {
        self.types = outputs.iter().map(|f| f.ty.clone()).collect();
        Ok(())
    }
}

/// A body that gives values of the types that `other` gives, and never gets there.
pub fn in_place_of(body: &Graph, other: &Graph, why: &OpError) -> Result<Graph, OpError> {
    let mut graph = Graph::new(&body.name, &other.dims);
    for &input in &body.inputs {
        let value = &body.values[input];
        graph.add_input(&value.name, value.fact.clone());
    }
    let types = other.outputs.iter().map(|(_, v)| other.fact(*v).ty.clone()).collect();
    // An error of the run names the node, and so says what the way that the model took asks for.
    let reason = why.message.lines().next().unwrap_or_default();
    let reason: String = reason.strip_prefix("error: ").unwrap_or(reason).chars().take(MAX_REASON).collect();
    let origin = Origin { node: format!("{} (cannot run: {reason})", body.name).into(), operator: "If".into() };
    let trap = Trap { types, why: why.message.clone() };
    let outputs = graph.add(trap.into(), &[], &origin, &[], &[]).map_err(super::if_::in_body)?;
    graph.outputs = other.outputs.iter().map(|(name, _)| name.clone()).zip(outputs).collect();
    Ok(graph)
}
