//! `Scan`: a body over the entries of tensors. It is a `Loop` whose body takes the entries by the counter.

use super::loop_::Loop;
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::graph::Origin;
use crate::ir::{DType, Fact, Graph, NodeError, Tensor, Type, ValueId};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::infer::resolve_axis;
use crate::ops::shape::shape_of::Shape;
use crate::ops::shape::transpose::Transpose;
use crate::ops::slice::gather::Gather;
use crate::ops::slice::slice::Slice;
use crate::ops::{Op, OpError};
use onnxc_runtime::element::Bool;

/// ONNX `Scan`: in opset 8 all tensors have a batch as their first axis, over which the whole is repeated.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let old = cx.opset() < 9;
    if old && cx.opt_input(0)?.is_some() {
        return Err(OpError::unsupported("Scan of opset 8 with sequence lengths"));
    }
    let inputs = (usize::from(old)..cx.input_count()).map(|i| cx.input(i)).collect::<Result<Vec<_>, _>>()?;
    let count = cx.int("num_scan_inputs", 0)?;
    let scanned = usize::try_from(count).ok().filter(|&n| n > 0 && n <= inputs.len());
    let scanned = scanned.ok_or_else(|| OpError::invalid(format!("num_scan_inputs is {count}")))?;
    let plan = Plan::new(cx, &inputs, scanned, old)?;
    let mut params = Vec::new();
    for (i, &value) in inputs.iter().enumerate() {
        params.push(plan.param(&cx.fact(value), i)?);
    }
    let (body, captures) = cx.body(cx.graph("body")?, &params)?;
    let args: Vec<ValueId> = inputs.iter().chain(&captures).copied().collect();
    let mut graph = Graph::new("scan", &cx.dims());
    let facts: Vec<Fact> = args.iter().map(|&v| cx.fact(v)).collect();
    let values: Vec<ValueId> = facts.into_iter().enumerate().map(|(i, f)| graph.add_input(&format!("in{i}"), f)).collect();
    let origin = cx.origin();
    let outputs = plan.build(&mut graph, &body, &values, &origin).map_err(super::if_::in_body)?;
    graph.outputs = outputs.into_iter().enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();
    cx.inline(&graph, &args)
}

/// The attributes, resolved.
struct Plan {
    /// How many states there are; the scanned inputs follow.
    states: usize,
    /// The axis and whether it is walked backwards, for each scanned input.
    inputs: Vec<(usize, bool)>,
    /// The axis as given and whether it is filled backwards, for each scanned output.
    outputs: Vec<(i64, bool)>,
    /// Whether the first axis of everything is a batch.
    batch: bool,
}

impl Plan {
    fn new(cx: &mut Parse<'_>, inputs: &[ValueId], scanned: usize, batch: bool) -> Result<Self, OpError> {
        let states = inputs.len() - scanned;
        let list = |cx: &Parse<'_>, name: &str, n: usize| -> Result<Vec<i64>, OpError> {
            let list = cx.ints(name)?.unwrap_or_else(|| vec![0; n]);
            if list.len() == n { Ok(list) } else { Err(OpError::invalid(format!("{name} has {} numbers for {n} tensors", list.len()))) }
        };
        let results = cx.output_count().checked_sub(states).ok_or_else(|| OpError::invalid("there are fewer outputs than states"))?;
        let (axes, directions) = if batch {
            (vec![0; scanned], list(cx, "directions", scanned)?)
        } else {
            (list(cx, "scan_input_axes", scanned)?, list(cx, "scan_input_directions", scanned)?)
        };
        let mut walked = Vec::new();
        for ((&value, axis), direction) in inputs[states..].iter().zip(axes).zip(directions) {
            let rank = cx.rank(value)?.saturating_sub(usize::from(batch));
            walked.push((resolve_axis(axis, rank)?, direction != 0));
        }
        let axes = if batch { vec![0; results] } else { list(cx, "scan_output_axes", results)? };
        let directions = if batch { vec![0; results] } else { list(cx, "scan_output_directions", results)? };
        let outputs = axes.into_iter().zip(directions).map(|(a, d)| (a, d != 0)).collect();
        Ok(Self { states, inputs: walked, outputs, batch })
    }

    /// What the body sees of input `i`.
    fn param(&self, fact: &Fact, i: usize) -> Result<Fact, OpError> {
        let Type::Tensor(dtype, Some(shape)) = &fact.ty else {
            return Err(OpError::unsupported("Scan over a tensor of unknown rank").help("declare its rank in the model (value_info)"));
        };
        let mut shape: Vec<Dim> = shape.clone();
        if self.batch {
            if shape.is_empty() {
                return Err(OpError::invalid("a tensor without a batch axis"));
            }
            shape.remove(0);
        }
        if let Some(&(axis, _)) = i.checked_sub(self.states).and_then(|k| self.inputs.get(k)) {
            shape.remove(axis);
        }
        Ok(Fact::tensor(*dtype, shape))
    }

    /// The whole in `graph`; `args` are the states, the scanned tensors and what the body captures.
    fn build(&self, graph: &mut Graph, body: &Graph, args: &[ValueId], origin: &Origin) -> Result<Vec<ValueId>, NodeError> {
        if !self.batch {
            return self.scan(graph, body, args, origin);
        }
        // One trip for each batch: each takes its entries, scans them, and all results are stacked.
        let given = self.states + self.inputs.len();
        let first = args[self.states];
        let (mut trip, counter, inner) = Self::trip(graph, args, 0);
        let mut entries = inner.clone();
        for entry in &mut entries[..given] {
            *entry = add(&mut trip, Gather { axis: 0 }, &[*entry, counter], origin)?;
        }
        let results = self.scan(&mut trip, body, &entries, origin)?;
        finish(&mut trip, &results);
        let trips = add(graph, Shape::between(0, 1), &[first], origin)?;
        looped(graph, trip, 0, trips, &[], args, origin)
    }

    /// The body of a loop over `args`, which it takes as they are, after `carried` values: the graph, the counter, the args in it.
    fn trip(graph: &Graph, args: &[ValueId], carried: usize) -> (Graph, ValueId, Vec<ValueId>) {
        let dims = graph.dims.clone();
        let mut trip = Graph::new("trip", &dims);
        let counter = trip.add_input("counter", Fact::elements(DType::I64, Vec::new(), vec![Some(dims.fresh(0).1)], &dims));
        trip.add_input("condition", Fact::constant(Tensor::scalar(Bool::from(true)), &dims));
        let fact =
            |(i, &v): (usize, &ValueId)| if i < carried { Fact::of(loosened(&graph.fact(v).ty, &dims)) } else { graph.fact(v).clone() };
        let facts: Vec<Fact> = args.iter().enumerate().map(fact).collect();
        let inner = facts.into_iter().enumerate().map(|(i, f)| trip.add_input(&format!("in{i}"), f)).collect();
        (trip, counter, inner)
    }

    fn scan(&self, graph: &mut Graph, body: &Graph, args: &[ValueId], origin: &Origin) -> Result<Vec<ValueId>, NodeError> {
        let (mut trip, counter, inner) = Self::trip(graph, args, self.states);
        let mut taken = inner;
        for (k, &(axis, backwards)) in self.inputs.iter().enumerate() {
            let index = if backwards {
                // -1 - counter counts from the end.
                let one = trip.add_const("minus_one", Tensor::scalar(-1i64));
                add(&mut trip, Binary { f: BinaryFn::Sub }, &[one, counter], origin)?
            } else {
                counter
            };
            let entry = &mut taken[self.states + k];
            *entry = add(&mut trip, Gather { axis }, &[*entry, index], origin)?;
        }
        let results = body.inline_into(&mut trip, &taken)?;
        finish(&mut trip, &results);
        let axis = self.inputs.first().map_or(0, |i| i.0 as i64);
        let trips = add(graph, Shape::between(axis, axis + 1), &[args[self.states]], origin)?;
        let mut results = looped(graph, trip, self.states, trips, &args[..self.states], &args[self.states..], origin)?;
        for (k, &(axis, backwards)) in self.outputs.iter().enumerate() {
            if let Some(result) = results.get_mut(self.states + k) {
                *result = arrange(graph, *result, axis, backwards, origin)?;
            }
        }
        Ok(results)
    }
}

/// A type with every dim unknown.
fn loosened(ty: &Type, dims: &crate::ir::Dims) -> Type {
    match ty {
        Type::Tensor(dtype, Some(shape)) => Type::Tensor(*dtype, Some(shape.iter().map(|_| dims.fresh(0).1).collect())),
        other => other.clone(),
    }
}

/// Makes the condition (always true) and the results the outputs of a loop's body.
fn finish(trip: &mut Graph, results: &[ValueId]) {
    let condition = trip.add_const("condition", Tensor::scalar(Bool::from(true)));
    let all = [&[condition], results].concat();
    trip.outputs = all.into_iter().enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();
}

/// Adds the loop.
fn looped(
    graph: &mut Graph,
    body: Graph,
    carried: usize,
    trips: ValueId,
    states: &[ValueId],
    rest: &[ValueId],
    origin: &Origin,
) -> Result<Vec<ValueId>, NodeError> {
    let inputs: Vec<Option<ValueId>> = [Some(trips), None].into_iter().chain(states.iter().chain(rest).copied().map(Some)).collect();
    graph.add(Loop::new(body, carried).into(), &inputs, origin, &[], &[])
}

/// A stacked output in its direction and at its axis.
fn arrange(graph: &mut Graph, x: ValueId, axis: i64, backwards: bool, origin: &Origin) -> Result<ValueId, NodeError> {
    let mut x = x;
    if backwards {
        let lists = [-1i64, i64::MIN, 0, -1].map(|v| graph.add_const("slice", Tensor::vector(&[v])));
        x = add(graph, Slice::default(), &[x, lists[0], lists[1], lists[2], lists[3]], origin)?;
    }
    let rank = graph.fact(x).shape().map_or(0, <[Dim]>::len);
    let axis = resolve_axis(axis, rank).map_err(|error| NodeError { origin: origin.clone(), inputs: Vec::new(), error })?;
    if axis == 0 {
        return Ok(x);
    }
    let mut perm: Vec<usize> = (1..rank).collect();
    perm.insert(axis, 0);
    add(graph, Transpose { perm }, &[x], origin)
}

/// Adds a node with one output.
pub(super) fn add(graph: &mut Graph, op: impl Into<Op>, inputs: &[ValueId], origin: &Origin) -> Result<ValueId, NodeError> {
    let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
    let outputs = graph.add(op.into(), &inputs, origin, &[], &[])?;
    outputs.first().copied().ok_or_else(|| NodeError {
        origin: origin.clone(),
        inputs: Vec::new(),
        error: OpError::invalid("the operator has no output"),
    })
}
