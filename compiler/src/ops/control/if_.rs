//! `If`: one of two bodies. A constant condition leaves only the body that runs.

use super::trap;
use crate::import::Parse;
use crate::ir::fact::show_type;
use crate::ir::{DType, Fact, Graph, NodeError, Type, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::{ErrorKind, Infer, OpError, Operator};
use crate::program::{Action, Condition, Step};
use serde::{Deserialize, Serialize};

/// ONNX `If`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let condition = cx.input(0)?;
    let known = cx.constant_of(condition).map(|t| t.bytes().first().is_some_and(|&b| b != 0));
    if let Some(truth) = known {
        let (body, captures) = cx.body(cx.graph(if truth { "then_branch" } else { "else_branch" })?, &[])?;
        return cx.inline(&body, &captures);
    }
    let (then, otherwise) = (cx.body(cx.graph("then_branch")?, &[]), cx.body(cx.graph("else_branch")?, &[]));
    let ((then, then_captures), (otherwise, else_captures)) = match (then, otherwise) {
        (Ok(then), Ok(otherwise)) => (then, otherwise),
        (Ok(then), Err(why)) if why.kind == ErrorKind::Invalid => {
            let trap = trap::in_place_of(&Graph::new("else_branch", &then.0.dims), &then.0, &why)?;
            (then, (trap, Vec::new()))
        }
        (Err(why), Ok(otherwise)) if why.kind == ErrorKind::Invalid => {
            let trap = trap::in_place_of(&Graph::new("then_branch", &otherwise.0.dims), &otherwise.0, &why)?;
            ((trap, Vec::new()), otherwise)
        }
        (Err(why), _) | (_, Err(why)) => return Err(why),
    };
    cx.forget_nested();
    if then.outputs.len() != otherwise.outputs.len() {
        return Err(OpError::invalid(format!("the branches give {} and {} outputs", then.outputs.len(), otherwise.outputs.len())));
    }
    let then_inputs = then_captures.len();
    let inputs: Vec<Option<ValueId>> = [condition].into_iter().chain(then_captures).chain(else_captures).map(Some).collect();
    cx.add_n(If { then, otherwise, then_inputs }, &inputs)
}

/// Input 0 is the condition; then come the values that the first body captures (its inputs), then those of the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct If {
    /// What runs if the condition is true.
    #[serde(skip)]
    pub then: Graph,
    /// What runs if it is false.
    #[serde(skip)]
    pub otherwise: Graph,
    /// How many inputs the first body has.
    pub then_inputs: usize,
}

impl Operator for If {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(0)? != DType::Bool {
            return Err(OpError::invalid("the condition must be a boolean"));
        }
        let facts = cx.facts(1);
        let then = respecialize(&self.then, &facts[..self.then_inputs]);
        let otherwise = respecialize(&self.otherwise, &facts[self.then_inputs..]);
        (self.then, self.otherwise) = match (then, otherwise) {
            (Ok(then), Err(why)) if why.kind == ErrorKind::Invalid => {
                let trap = trap::in_place_of(&self.otherwise, &then, &why)?;
                (then, trap)
            }
            (Err(why), Ok(otherwise)) if why.kind == ErrorKind::Invalid => (trap::in_place_of(&self.then, &otherwise, &why)?, otherwise),
            (then, otherwise) => (then?, otherwise?),
        };
        let pairs = self.then.outputs.iter().zip(&self.otherwise.outputs).enumerate();
        let merged = pairs.map(|(i, (a, b))| {
            let (x, y) = (&self.then.fact(a.1).ty, &self.otherwise.fact(b.1).ty);
            merge(x, y, cx).map(Fact::of).ok_or_else(|| {
                let (x, y) = (show_type(x, cx.dims), show_type(y, cx.dims));
                OpError::invalid(format!("the branches give different types as output {i}: `{}` is {x}, `{}` is {y}", a.0, b.0))
            })
        });
        merged.collect()
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let condition = cx.single(0)?;
        let places = (1..cx.input_count()).map(|i| cx.place(i)).collect::<Result<Vec<_>, _>>()?;
        let then = branch(cx, &self.then, &places[..self.then_inputs])?;
        let otherwise = branch(cx, &self.otherwise, &places[self.then_inputs..])?;
        cx.step(Action::If { condition: condition.view, then, otherwise });
        Ok(())
    }

    fn bodies(&self) -> Vec<&Graph> {
        vec![&self.then, &self.otherwise]
    }

    fn bodies_mut(&mut self) -> Vec<&mut Graph> {
        vec![&mut self.then, &mut self.otherwise]
    }

    fn restore(&mut self, _cx: &Infer<'_>, bodies: Vec<Graph>, _outputs: &[Fact]) -> Result<(), OpError> {
        let bodies = <[Graph; 2]>::try_from(bodies).map_err(|_| OpError::invalid("an If has two bodies"))?;
        [self.then, self.otherwise] = bodies;
        Ok(())
    }
}

/// The body again, inferred from these facts of its inputs; as it is where they are the same.
pub fn respecialize(body: &Graph, facts: &[Fact]) -> Result<Graph, OpError> {
    let same = body.inputs.iter().zip(facts).all(|(&v, f)| body.fact(v) == f);
    if same && body.inputs.len() == facts.len() {
        return Ok(body.clone());
    }
    body.rebuild(Some(facts), &mut |_, _, _, _| Ok(None)).map_err(in_body)
}

/// An error inside a body, at the node that holds it.
pub fn in_body(e: NodeError) -> OpError {
    OpError { message: format!("in the body, at node `{}` ({}): {}", e.origin.node, e.origin.operator, e.error.message), ..e.error }
}

/// A type that holds values of both, if there is one: dims that differ become new symbols.
pub fn merge(a: &Type, b: &Type, cx: &Infer<'_>) -> Option<Type> {
    let merged = |x, y| merge(x, y, cx).map(Box::new);
    Some(match (a, b) {
        (Type::Tensor(x, s), Type::Tensor(y, t)) if x == y => Type::Tensor(
            *x,
            match (s, t) {
                (Some(s), Some(t)) if s.len() == t.len() => {
                    Some(s.iter().zip(t).map(|(&p, &q)| if p == q { p } else { cx.fresh() }).collect())
                }
                _ => None,
            },
        ),
        (Type::Sequence(x), Type::Sequence(y)) => Type::Sequence(merged(x, y)?),
        (Type::Optional(x), Type::Optional(y)) => Type::Optional(merged(x, y)?),
        (Type::Map(k, x), Type::Map(l, y)) if k == l => Type::Map(*k, merged(x, y)?),
        _ => return None,
    })
}

/// The steps of a branch, ending with the copies to the outputs.
fn branch(cx: &mut Lower<'_>, graph: &Graph, params: &[Place]) -> Result<Vec<Step>, OpError> {
    let (mut steps, places) = cx.body(graph, params)?;
    let tail = cx.collect(|cx| {
        for (i, (place, (_, value))) in places.iter().zip(&graph.outputs).enumerate() {
            store(cx, i, *place, &graph.fact(*value).ty)?;
        }
        Ok(())
    })?;
    steps.extend(tail);
    Ok(steps)
}

/// Copies a branch's result to output `i`, and gives the output's own symbols their values.
fn store(cx: &mut Lower<'_>, i: usize, place: Place, ty: &Type) -> Result<(), OpError> {
    let Some(target) = cx.output_fact(i)?.shape().map(<[_]>::to_vec) else {
        let out = cx.output_object(i)?;
        return cx.pack(out, place, ty);
    };
    match (place, ty) {
        (Place::Object(_), _) => cx.unpack(i, place),
        (Place::Tensor(view), Type::Tensor(dtype, Some(shape))) => {
            if target.len() != shape.len() {
                // The model declares another rank than this branch gives: taking it is an error of the run.
                let (given, declared) = (cx.int(shape.len() as i64), cx.int(target.len() as i64));
                cx.step(Action::Require(Condition::Equal(given, declared)));
                return Ok(());
            }
            cx.set(&target, shape);
            let out = cx.output(i)?;
            cx.copy(&out, &crate::lower::Operand { dtype: *dtype, shape: shape.clone(), view })
        }
        _ => Err(OpError::invalid("internal error: a tensor of unknown rank that is no object")),
    }
}
