//! Rules of control flow.

use super::Tape;
use super::rules::Adjoints;
use crate::ir::{Fact, Graph, Node, ValueId};
use crate::ops::OpError;
use crate::ops::control::if_::{If, in_body};

/// `If`: another one, of the derivatives of both bodies. A value that only one of them takes has the adjoint zero in the other.
pub fn branches(tape: &mut Tape, op: &If, node: &Node, dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    let captures: Vec<ValueId> = node.inputs.iter().skip(1).flatten().copied().collect();
    let wanted: Vec<usize> = (0..captures.len()).filter(|&i| tape.needs(node, i + 1)).collect();
    let adjoints: Vec<(usize, ValueId)> = dy.iter().enumerate().filter_map(|(i, d)| d.map(|d| (i, d))).collect();
    let args: Vec<ValueId> = captures.iter().chain(adjoints.iter().map(|(_, d)| d)).copied().collect();
    let facts: Vec<Fact> = args.iter().map(|&v| tape.graph.fact(v).clone()).collect();
    let backward = |body: &Graph, own: std::ops::Range<usize>| -> Result<Graph, OpError> {
        let mut forward = Graph::new(&body.name, &tape.graph.dims);
        let inputs: Vec<ValueId> = facts.iter().enumerate().map(|(i, f)| forward.add_input(&format!("in{i}"), f.clone())).collect();
        let results = body.inline_into(&mut forward, &inputs[own]).map_err(in_body)?;
        let by: Vec<ValueId> = wanted.iter().map(|&i| inputs[i]).collect();
        let mut inner = Tape::over(&forward, &by);
        for (&(output, _), &seed) in adjoints.iter().zip(&inputs[captures.len()..]) {
            // Outside, the dims of the result are those of either body.
            let seed = inner.reshape_like(seed, results[output])?;
            inner.collect(results[output], seed)?;
        }
        let start = inner.origin.clone();
        inner.walk(&forward, &by, &start).map_err(in_body)
    };
    let split = op.then_inputs;
    let (then, otherwise) = (backward(&op.then, 0..split)?, backward(&op.otherwise, split..captures.len())?);
    let inputs: Vec<Option<ValueId>> = [node.inputs[0]].into_iter().chain(args.iter().chain(&args).copied().map(Some)).collect();
    let found = tape.add_n(If { then, otherwise, then_inputs: args.len() }.into(), &inputs)?;
    let mut all = vec![None; node.inputs.len()];
    for (&i, dx) in wanted.iter().zip(found) {
        all[i + 1] = Some(dx);
    }
    Ok(all)
}
