//! Rules of control flow.

use super::rules::{Adjoints, missing};
use super::{Tape, dependent};
use crate::ir::{DType, Dims, Fact, Graph, Node, Tensor, Type, ValueId};
use crate::ops::control::if_::{If, in_body};
use crate::ops::control::loop_::Loop;
use crate::ops::elementwise::binary::{Binary, BinaryFn as B};
use crate::ops::shape::shape_of::Shape;
use crate::ops::slice::gather::Gather;
use crate::ops::{Op, OpError};
use onnxc_runtime::element::Bool;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

/// The derivatives of a function as a graph of inputs with these facts: those in `own` go to the function. `seeds` says which input is the
/// adjoint of which of its results; the outputs are the adjoints of the inputs `wanted`.
fn reversed(
    function: &Graph,
    dims: &Dims,
    facts: &[Fact],
    own: Range<usize>,
    wanted: &[usize],
    seeds: &[(usize, usize)],
) -> Result<Graph, OpError> {
    let mut forward = Graph::new(&function.name, dims);
    let inputs: Vec<ValueId> = facts.iter().enumerate().map(|(i, f)| forward.add_input(&format!("in{i}"), f.clone())).collect();
    let results = function.inline_into(&mut forward, &inputs[own]).map_err(in_body)?;
    let by: Vec<ValueId> = wanted.iter().map(|&i| inputs[i]).collect();
    let mut inner = Tape::over(&forward, &by);
    for &(output, input) in seeds {
        // Outside, the dims of the result may be known differently.
        let seed = inner.reshape_like(inputs[input], results[output])?;
        inner.collect(results[output], seed)?;
    }
    let start = inner.origin.clone();
    inner.walk(&forward, &by, &start).map_err(in_body)
}

/// The adjoints by the rules of other nodes that compute what this one does: those that `build` adds, given the node's inputs.
pub fn through(
    tape: &mut Tape,
    node: &Node,
    dy: &[Option<ValueId>],
    build: impl FnOnce(&mut Tape, &[Option<ValueId>]) -> Result<Vec<ValueId>, OpError>,
) -> Result<Adjoints, OpError> {
    let given: Vec<(usize, ValueId)> = node.inputs.iter().enumerate().filter_map(|(i, v)| v.map(|v| (i, v))).collect();
    let mut function = Tape::over(&Graph::new(&node.origin.node, &tape.graph.dims), &[]);
    function.origin = tape.origin.clone();
    let mut inputs = vec![None; node.inputs.len()];
    for &(i, v) in &given {
        inputs[i] = Some(function.graph.add_input(&format!("in{i}"), tape.graph.fact(v).clone()));
    }
    let outputs = build(&mut function, &inputs)?;
    function.graph.outputs = outputs.into_iter().enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();
    let wanted: Vec<usize> = (0..given.len()).filter(|&k| tape.needs(node, given[k].0)).collect();
    let adjoints: Vec<(usize, ValueId)> = dy.iter().enumerate().filter_map(|(i, d)| d.map(|d| (i, d))).collect();
    let args: Vec<ValueId> = given.iter().chain(&adjoints).map(|&(_, v)| v).collect();
    let facts: Vec<Fact> = args.iter().map(|&v| tape.graph.fact(v).clone()).collect();
    let seeds: Vec<(usize, usize)> = adjoints.iter().enumerate().map(|(k, &(output, _))| (output, given.len() + k)).collect();
    let backward = reversed(&function.graph, &tape.graph.dims, &facts, 0..given.len(), &wanted, &seeds)?;
    let found = backward.inline_into(&mut tape.graph, &args).map_err(in_body)?;
    let mut all = vec![None; node.inputs.len()];
    for (&k, dx) in wanted.iter().zip(found) {
        all[given[k].0] = Some(dx);
    }
    Ok(all)
}

/// `If`: another one, of the derivatives of both bodies. A value that only one of them takes has the adjoint zero in the other.
pub fn branches(tape: &mut Tape, op: &If, node: &Node, dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    let captures: Vec<ValueId> = node.inputs.iter().skip(1).flatten().copied().collect();
    let wanted: Vec<usize> = (0..captures.len()).filter(|&i| tape.needs(node, i + 1)).collect();
    let adjoints: Vec<(usize, ValueId)> = dy.iter().enumerate().filter_map(|(i, d)| d.map(|d| (i, d))).collect();
    let args: Vec<ValueId> = captures.iter().chain(adjoints.iter().map(|(_, d)| d)).copied().collect();
    let facts: Vec<Fact> = args.iter().map(|&v| tape.graph.fact(v).clone()).collect();
    let seeds: Vec<(usize, usize)> = adjoints.iter().enumerate().map(|(k, &(output, _))| (output, captures.len() + k)).collect();
    let backward = |body: &Graph, own: Range<usize>| reversed(body, &tape.graph.dims, &facts, own, &wanted, &seeds);
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

/// `Loop`: it runs once more and stacks what each trip starts with; another loop takes the trips from the last to the first. That carries the
/// adjoints of the carried values, and sums those of what the body captures. How many trips there were is known from what is stacked, so a
/// loop that its condition ends has derivatives too.
pub fn trips(tape: &mut Tape, op: &Loop, node: &Node, dy: &[Option<ValueId>]) -> Result<Adjoints, OpError> {
    let (body, carried) = op.body();
    let captured = 2 + carried;
    let wanted: Vec<usize> = influential(tape, body, carried, node).into_iter().collect();
    let stacks = stacked(tape, body, carried, node)?;
    let inputs: Vec<ValueId> = node.inputs.iter().skip(2).flatten().copied().collect();
    let mut first = Vec::new();
    for &i in &wanted {
        let known = if i < captured { dy.get(i - 2).copied().flatten() } else { None };
        first.push(known.map_or_else(|| tape.zeros_like(inputs[i - 2]), Ok)?);
    }
    let mut adjoints = vec![None; node.inputs.len()];
    let none = tape.graph.dims.int(0);
    if tape.shape(stacks[0])?.first() == Some(&none) {
        // Without a trip what is carried comes out as it went in.
        wanted.iter().zip(first).for_each(|(&i, dx)| adjoints[i] = Some(dx));
        return Ok(adjoints);
    }
    let slices: Vec<(usize, ValueId)> = dy.iter().enumerate().skip(carried).filter_map(|(k, d)| d.map(|d| (k, d))).collect();
    let count = tape.add(Shape::count(), &[stacks[0]])?;

    // The body of the backward loop, and the loop's inputs, which the body has in the same order.
    let dims = tape.graph.dims.clone();
    let mut trip = Tape::over(&Graph::new("trip", &dims), &[]);
    trip.origin = tape.origin.clone();
    let counter = trip.graph.add_input("counter", Fact::elements(DType::I64, Vec::new(), vec![Some(dims.fresh(0).1)], &dims));
    trip.graph.add_input("condition", Fact::constant(Tensor::scalar(Bool::from(true)), &dims));
    let mut args = Vec::new();
    let mut take = |trip: &mut Tape, v: ValueId, varies: bool| {
        let fact = tape.graph.fact(v);
        let fact = if varies { Fact::of(fact.ty.clone()) } else { fact.clone() };
        args.push(Some(v));
        trip.graph.add_input(&format!("in{}", args.len()), fact)
    };
    let carry: Vec<ValueId> = first.iter().map(|&v| take(&mut trip, v, true)).collect();
    let count_here = take(&mut trip, count, false);
    let states: Vec<ValueId> = stacks[1..].iter().map(|&v| take(&mut trip, v, false)).collect();
    let outer: Vec<ValueId> = inputs[carried..].iter().map(|&v| take(&mut trip, v, false)).collect();
    let slices: Vec<(usize, ValueId)> = slices.into_iter().map(|(k, v)| (k, take(&mut trip, v, false))).collect();

    let one = trip.constant(Tensor::scalar(1i64));
    let last = trip.add(Binary { f: B::Sub }, &[count_here, one])?;
    let at = trip.add(Binary { f: B::Sub }, &[last, counter])?;
    let mut given = vec![at, trip.constant(Tensor::scalar(Bool::from(true)))];
    for state in states {
        given.push(trip.add(Gather { axis: 0 }, &[state, at])?);
    }
    given.extend(outer);
    let own = given.len();
    let mut seeds = Vec::new();
    for (&i, &adjoint) in wanted.iter().zip(&carry).filter(|(i, _)| **i < captured) {
        seeds.push((i - 1, given.len()));
        given.push(adjoint);
    }
    for (k, slice) in slices {
        seeds.push((k + 1, given.len()));
        given.push(trip.add(Gather { axis: 0 }, &[slice, at])?);
    }
    let facts: Vec<Fact> = given.iter().map(|&v| trip.graph.fact(v).clone()).collect();
    let backward = reversed(body, &dims, &facts, 0..own, &wanted, &seeds)?;
    let mut results = backward.inline_into(&mut trip.graph, &given).map_err(in_body)?;
    for ((&i, result), &sum) in wanted.iter().zip(&mut results).zip(&carry) {
        if i >= captured {
            *result = trip.pair(B::Add, sum, *result)?;
        }
    }
    results.insert(0, trip.constant(Tensor::scalar(Bool::from(true))));
    trip.graph.outputs = results.into_iter().enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();

    let all: Vec<Option<ValueId>> = [Some(count), None].into_iter().chain(args).collect();
    let found = tape.add_n(Loop::new(trip.graph, carry.len()).into(), &all)?;
    for (&i, dx) in wanted.iter().zip(found) {
        adjoints[i] = Some(dx);
    }
    Ok(adjoints)
}

/// The inputs of a loop's body (numbered as those of the loop) that are worth a derivative: those that are outside, and what is carried and
/// depends on them after some trips.
fn influential(tape: &Tape, body: &Graph, carried: usize, node: &Node) -> BTreeSet<usize> {
    let mut found: BTreeSet<usize> = (2..node.inputs.len()).filter(|&i| tape.needs(node, i)).collect();
    loop {
        let by: Vec<ValueId> = found.iter().map(|&i| body.inputs[i]).collect();
        let reached: HashSet<ValueId> = dependent(body, &by);
        let before = found.len();
        found.extend((0..carried).filter(|k| reached.contains(&body.outputs[1 + k].1)).map(|k| 2 + k));
        if found.len() == before {
            return found;
        }
    }
}

/// The loop again: the counter in each trip, and each carried value at the start of each trip.
fn stacked(tape: &mut Tape, body: &Graph, carried: usize, node: &Node) -> Result<Vec<ValueId>, OpError> {
    for k in 0..carried {
        let (Some(first), last) = (node.inputs[2 + k], node.outputs[k]) else { return Err(missing(node)) };
        let (first, last) = (&tape.graph.fact(first).ty, &tape.graph.fact(last).ty);
        if first != last || !matches!(first, Type::Tensor(_, Some(_))) {
            let error = format!("the derivative of a {} that carries a value whose shape changes, or no tensor", node.origin.operator);
            return Err(OpError::unsupported(error));
        }
    }
    let mut again = body.clone();
    again.outputs.push(("counter".to_owned(), body.inputs[0]));
    again.outputs.extend(body.inputs[2..2 + carried].iter().enumerate().map(|(k, &v)| (format!("start{k}"), v)));
    let results = tape.add_n(Op::from(Loop::new(again, carried)), &node.inputs)?;
    Ok(results[node.outputs.len()..].to_vec())
}
