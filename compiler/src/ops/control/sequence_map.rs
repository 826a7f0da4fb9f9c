//! `SequenceMap`: a body for each item of sequences. It is a `Loop` that takes items by the counter and puts results at the end of others.

use super::loop_::Loop;
use super::scan::add;
use crate::import::Parse;
use crate::ir::{DType, Fact, Graph, Tensor, Type, ValueId};
use crate::ops::OpError;
use crate::ops::object::sequence::Sequence;
use onnxc_runtime::element::Bool;

/// ONNX `SequenceMap`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = cx.all_inputs()?;
    let dims = cx.dims();
    let facts: Vec<Fact> = inputs.iter().map(|&v| cx.fact(v)).collect();
    let item = |fact: &Fact| match &fact.ty {
        Type::Sequence(inner) => match &**inner {
            Type::Tensor(dtype, Some(shape)) => Fact::tensor(*dtype, shape.iter().map(|_| dims.fresh(0).1).collect()),
            other => Fact::of(other.clone()),
        },
        _ => Fact::of(fact.ty.clone()),
    };
    let params: Vec<Fact> = facts.iter().map(item).collect();
    if !matches!(facts.first().map(|f| &f.ty), Some(Type::Sequence(_))) {
        return Err(OpError::invalid("input 0 must be a sequence"));
    }
    let (body, captures) = cx.body(cx.graph("body")?, &params)?;
    let dtypes = body.outputs.iter().map(|o| body.fact(o.1).dtype()).collect::<Option<Vec<DType>>>();
    let dtypes = dtypes.ok_or_else(|| OpError::unsupported("SequenceMap whose body gives something else than tensors"))?;
    let mut empty = Vec::new();
    for &dtype in &dtypes {
        empty.extend(cx.add_n(Sequence::Empty { dtype }, &[])?);
    }
    let mut trip = Graph::new("trip", &dims);
    let counter = trip.add_input("counter", Fact::elements(DType::I64, Vec::new(), vec![Some(dims.fresh(0).1)], &dims));
    trip.add_input("condition", Fact::constant(Tensor::scalar(Bool::from(true)), &dims));
    let results: Vec<ValueId> = empty.iter().map(|&v| trip.add_input("result", cx.fact(v))).collect();
    let given: Vec<ValueId> = inputs.iter().chain(&captures).map(|&v| trip.add_input("input", cx.fact(v))).collect();
    let origin = cx.origin();
    let failed = |e| super::if_::in_body(e);
    let mut args = given.clone();
    for (arg, fact) in args.iter_mut().zip(&facts) {
        if matches!(fact.ty, Type::Sequence(_)) {
            *arg = add(&mut trip, Sequence::At, &[*arg, counter], &origin).map_err(failed)?;
        }
    }
    let made = body.inline_into(&mut trip, &args).map_err(failed)?;
    let mut outputs = vec![trip.add_const("condition", Tensor::scalar(Bool::from(true)))];
    for (result, made) in results.iter().zip(made) {
        outputs.push(add(&mut trip, Sequence::Insert, &[*result, made], &origin).map_err(failed)?);
    }
    trip.outputs = outputs.into_iter().enumerate().map(|(i, v)| (format!("out{i}"), v)).collect();
    let trips = cx.add(Sequence::Length, &[inputs[0]])?;
    let all = [Some(trips), None].into_iter().chain(empty.iter().chain(&inputs).chain(&captures).copied().map(Some));
    let all: Vec<Option<ValueId>> = all.collect();
    cx.add_n(Loop::new(trip, empty.len()), &all)
}
