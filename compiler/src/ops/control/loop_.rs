//! `Loop`: a body that runs until a count is reached or a condition fails, carrying values from one trip to the next and stacking others.
//!
//! A dim of a carried value that changes from trip to trip becomes a symbol that the loop sets anew each time ([`Loop::infer`] finds which, by
//! inferring the body until nothing more changes). What is stacked is written to its place in the output directly.

use super::if_::{in_body, merge};
use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::fact::show_type;
use crate::ir::{DType, Fact, Graph, Tensor, Type, ValueId};
use crate::lower::{Lower, Operand, Place};
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Action, Arg, Step, View};
use onnxc_runtime::element::Bool;
use serde::{Deserialize, Serialize};

/// ONNX `Loop`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (trips, condition) = (cx.opt_input(0)?, cx.opt_input(1)?);
    let initial = (2..cx.input_count()).map(|i| cx.input(i)).collect::<Result<Vec<_>, _>>()?;
    let dims = cx.dims();
    let facts: Vec<Fact> = initial.iter().map(|&v| cx.fact(v)).collect();
    let params = |carried: Vec<Fact>| [vec![counter_fact(&dims, dims.fresh(0).1), true_fact(&dims)], carried].concat();
    let proto = cx.graph("body")?;
    // The body is imported for any dims first, since those of the first trip may not be those of the others; then for any rank of those
    // values that end a trip with another one.
    let mut general: Vec<Fact> = facts.iter().map(|f| Fact::of(generalize(&f.ty, &dims))).collect();
    let mut imported = cx.body(proto, &params(general.clone()));
    while let Ok((body, _)) = &imported
        && lose_ranks(&mut general, body)
    {
        imported = cx.body(proto, &params(general.clone()));
    }
    let (body, captures) = if let Ok(body) = imported {
        body
    } else {
        cx.forget_nested();
        cx.body(proto, &params(facts.iter().map(|f| Fact::of(f.ty.clone())).collect()))?
    };
    let inputs: Vec<Option<ValueId>> = [trips, condition].into_iter().chain(initial.iter().chain(&captures).copied().map(Some)).collect();
    cx.add_n(Loop::new(body, facts.len()), &inputs)
}

/// The same type with every dim unknown.
fn generalize(ty: &Type, dims: &crate::ir::Dims) -> Type {
    match ty {
        Type::Tensor(dtype, shape) => Type::Tensor(*dtype, shape.as_ref().map(|s| s.iter().map(|_| dims.fresh(0).1).collect())),
        Type::Sequence(inner) => Type::Sequence(Box::new(generalize(inner, dims))),
        Type::Optional(inner) => Type::Optional(Box::new(generalize(inner, dims))),
        Type::Map(..) => ty.clone(),
    }
}

/// Whether a value that starts a trip with one of these facts ends it with another rank; the facts of those lose their rank.
fn lose_ranks(carried: &mut [Fact], body: &Graph) -> bool {
    let mut changed = false;
    for (fact, (_, last)) in carried.iter_mut().zip(body.outputs.iter().skip(1)) {
        if let (Type::Tensor(_, first @ Some(_)), Type::Tensor(_, last)) = (&mut fact.ty, &body.fact(*last).ty)
            && first.as_ref().map(Vec::len) != last.as_ref().map(Vec::len)
        {
            (*first, changed) = (None, true);
        }
    }
    changed
}

/// The trip counter: a scalar that is a symbol.
fn counter_fact(dims: &crate::ir::Dims, counter: Dim) -> Fact {
    Fact::elements(DType::I64, Vec::new(), vec![Some(counter)], dims)
}

/// The condition as the body sees it: where the body runs, it is true.
fn true_fact(dims: &crate::ir::Dims) -> Fact {
    Fact::constant(Tensor::scalar(Bool::from(true)), dims)
}

/// Inputs: the number of trips (optional), the condition (optional), the carried values, the captured ones. The body takes counter, condition,
/// carried and captured values; it gives condition, carried and stacked values. Outputs: carried and stacked values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    /// The body as imported, for any dims.
    #[serde(skip)]
    general: Graph,
    /// How many values are carried.
    carried: usize,
    #[serde(skip)]
    found: Option<Found>,
}

/// What inference finds.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    /// The body for these inputs.
    body: Graph,
    /// The types of the carried values, which hold in every trip.
    carried: Vec<Type>,
    /// The symbol that counts the trips.
    counter: Dim,
    /// The number of trips: the counter after the loop, or known before.
    count: Dim,
}

impl Loop {
    /// A loop of a body that carries that many values.
    pub fn new(body: Graph, carried: usize) -> Self {
        Self { general: body, carried, found: None }
    }

    /// The body, and how many values it carries.
    pub fn body(&self) -> (&Graph, usize) {
        (self.found.as_ref().map_or(&self.general, |f| &f.body), self.carried)
    }

    /// The body, and the value in it that becomes the carried value of that number at the end of a trip.
    pub fn carried(&self, number: usize) -> Option<(&Graph, ValueId)> {
        let (body, carried) = self.body();
        let value = body.outputs.get(1 + number).filter(|_| number < carried)?.1;
        Some((body, value))
    }

    fn found(&self) -> Result<&Found, OpError> {
        self.found.as_ref().ok_or_else(|| OpError::invalid("internal error: a loop that was not inferred"))
    }

    /// The number of trips: known before, if only the count ends the loop; else the counter.
    fn count(&self, cx: &Infer<'_>, body: &Graph, counter: Dim) -> Dim {
        match cx.elements(0).and_then(|e| e.first().copied().flatten()) {
            Some(trips) if self.counts_only(cx, body) => cx.dims.max(trips, cx.int(0)),
            _ => counter,
        }
    }

    /// Whether the loop can only end by its count.
    fn counts_only(&self, cx: &Infer<'_>, body: &Graph) -> bool {
        let truth = |t: &Tensor| t.bytes().first().is_some_and(|&b| b != 0);
        let starts = !cx.has(1) || cx.constant(1).is_some_and(truth);
        let goes_on = body.outputs.first().and_then(|o| body.constant(o.1)).is_some_and(truth);
        starts && goes_on
    }
}

impl Operator for Loop {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let outer_symbols = cx.dims.symbols().len();
        if self.general.outputs.len() <= self.carried {
            return Err(OpError::invalid(format!("the body must give a condition and {} carried values", self.carried)));
        }
        let counter = cx.fresh();
        let captured = cx.facts(2 + self.carried);
        let mut carried = (0..self.carried).map(|i| cx.ty(2 + i).cloned()).collect::<Result<Vec<_>, _>>()?;
        let mut widened: Vec<Dim> = Vec::new();
        let body = loop {
            let params = [counter_fact(cx.dims, counter), true_fact(cx.dims)].into_iter().chain(carried.iter().cloned().map(Fact::of));
            let facts: Vec<Fact> = params.chain(captured.iter().cloned()).collect();
            let body = self.general.rebuild(Some(&facts), &mut |_, _, _, _| Ok(None)).map_err(in_body)?;
            let mut changed = false;
            for (i, ty) in carried.iter_mut().enumerate() {
                let new = widen(ty, &body.fact(body.outputs[i + 1].1).ty, cx, &mut widened)?;
                changed |= new != *ty;
                *ty = new;
            }
            if !changed {
                break body;
            }
        };
        let count = self.count(cx, &body, counter);
        let mut facts: Vec<Fact> = carried.iter().cloned().map(Fact::of).collect();
        // A dim of a stacked value that is made of the loop's own symbols means something else once they have moved on.
        let lasting = |d: &Dim| if cx.dims.symbols_of(*d).iter().any(|s| s.index() >= outer_symbols) { cx.fresh() } else { *d };
        for (_, value) in &body.outputs[1 + self.carried..] {
            facts.push(match &body.fact(*value).ty {
                Type::Tensor(dtype, Some(shape)) => Fact::tensor(*dtype, [count].into_iter().chain(shape.iter().map(lasting)).collect()),
                Type::Tensor(dtype, None) => Fact::unranked(*dtype),
                _ => return Err(OpError::invalid("only tensors can be stacked")),
            });
        }
        self.found = Some(Found { body, carried, counter, count });
        Ok(facts)
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let found = self.found()?;
        let trips = match (cx.has(0), cx.elements(0)) {
            (false, _) => None,
            (true, Some(known)) => known.first().copied(),
            (true, None) => {
                let (symbol, dim) = cx.symbol(i64::MIN);
                let x = cx.single(0)?;
                let x = cx.as_i64(x)?;
                cx.call(crate::kernel!(shape::read(_, _)), vec![Arg::Bind(vec![symbol]), x.read()])?;
                Some(dim)
            }
        };
        let condition = self.condition(cx, found)?;
        let mut state = Vec::new();
        for (i, ty) in found.carried.iter().enumerate() {
            state.push(enter(cx, 2 + i, i, ty)?);
        }
        let counter = cx.dims().as_symbol(found.counter).ok_or_else(|| OpError::invalid("internal error: a counter that is no symbol"))?;
        let index = cx.temp(DType::I64, &[]);
        let truth = cx.weight("true", Tensor::scalar(Bool::from(true)));
        let captured = (2 + self.carried..cx.input_count()).map(|i| cx.place(i)).collect::<Result<Vec<_>, _>>()?;
        let params: Vec<Place> =
            [Place::Tensor(index.view), Place::Tensor(truth.view)].into_iter().chain(state.iter().copied()).chain(captured).collect();
        cx.mark_bound(counter);
        let mut body =
            cx.collect(|cx| cx.call(crate::kernel!(shape::literal(_, _)), vec![index.write(), Arg::I64s(vec![found.counter])]))?;
        let (steps, places) = cx.body(&found.body, &params)?;
        body.extend(steps);
        body.extend(self.finish_trip(cx, found, &places, &state, condition.as_ref())?);
        cx.step(Action::Loop { counter, trips, condition: condition.map(|c| c.view), body });
        for (i, place) in state.into_iter().enumerate() {
            if matches!((place, cx.output_fact(i)?.shape()), (Place::Object(_), Some(_))) {
                cx.unpack(i, place)?;
            } else {
                cx.alias(i, place);
            }
        }
        Ok(())
    }

    fn bodies(&self) -> Vec<&Graph> {
        vec![self.found.as_ref().map_or(&self.general, |f| &f.body)]
    }

    fn bodies_mut(&mut self) -> Vec<&mut Graph> {
        // From here on the body for these inputs is the one that inference starts from.
        if let Some(found) = self.found.take() {
            self.general = found.body;
        }
        vec![&mut self.general]
    }

    fn restore(&mut self, cx: &Infer<'_>, bodies: Vec<Graph>, outputs: &[Fact]) -> Result<(), OpError> {
        let [body] = <[Graph; 1]>::try_from(bodies).map_err(|_| OpError::invalid("a Loop has one body"))?;
        let counter = body.inputs.first().and_then(|&v| body.fact(v).as_elements(cx.dims)?.first().copied()?);
        let counter =
            counter.ok_or_else(|| OpError::invalid("the first input of a Loop's body is the counter: a scalar that is a symbol"))?;
        let carried: Vec<Type> = outputs.iter().take(self.carried).map(|f| f.ty.clone()).collect();
        if carried.len() < self.carried || body.outputs.len() <= self.carried {
            return Err(OpError::invalid(format!("the body must give a condition and {} carried values", self.carried)));
        }
        let count = self.count(cx, &body, counter);
        self.general = body.clone();
        self.found = Some(Found { body, carried, counter, count });
        Ok(())
    }
}

impl Loop {
    /// The memory of the condition, set to its first value; `None` if only the count ends the loop.
    fn condition(&self, cx: &mut Lower<'_>, found: &Found) -> Result<Option<Operand>, OpError> {
        if found.count != found.counter {
            return Ok(None);
        }
        let memory = cx.temp(DType::Bool, &[]);
        let first = if cx.has(1) { cx.single(1)? } else { cx.weight("true", Tensor::scalar(Bool::from(true))) };
        cx.copy(&memory, &Operand { shape: Vec::new(), ..first })?;
        Ok(Some(memory))
    }

    /// The end of a trip: stacks, then moves what is carried, then sets the carried dims.
    fn finish_trip(
        &self,
        cx: &mut Lower<'_>,
        found: &Found,
        places: &[Place],
        state: &[Place],
        condition: Option<&Operand>,
    ) -> Result<Vec<Step>, OpError> {
        cx.collect(|cx| {
            for (k, (place, (_, value))) in places.iter().zip(&found.body.outputs).enumerate().skip(1 + self.carried) {
                stack(cx, k - 1, *place, &found.body.fact(*value).ty, found.counter)?;
            }
            if let (Some(memory), Some(&next)) = (condition, places.first()) {
                let next = cx.element(next, DType::Bool)?;
                cx.copy(memory, &next)?;
            }
            // A value that is carried in another's memory is saved before that is overwritten.
            let mut sources: Vec<Place> = places[1..=self.carried].to_vec();
            for (i, source) in sources.iter_mut().enumerate() {
                if state.iter().enumerate().any(|(j, s)| j != i && s.buffer() == source.buffer()) {
                    *source = save(cx, *source, &found.body.fact(found.body.outputs[i + 1].1).ty)?;
                }
            }
            let mut assigned = Vec::new();
            for (i, source) in sources.iter().enumerate() {
                let last = &found.body.fact(found.body.outputs[i + 1].1).ty;
                carry(cx, *source, last, state[i])?;
                if let (Type::Tensor(_, Some(to)), Type::Tensor(_, Some(from))) = (&found.carried[i], last) {
                    let dims = cx.dims();
                    assigned.extend(to.iter().zip(from).filter(|(t, f)| t != f).filter_map(|(&t, &f)| Some((dims.as_symbol(t)?, f))));
                }
            }
            if !assigned.is_empty() {
                cx.step(Action::Assign(assigned));
            }
            Ok(())
        })
    }
}

/// The type that holds both the value at the start of a trip and the one at its end: dims that change become symbols, once.
fn widen(start: &Type, end: &Type, cx: &Infer<'_>, widened: &mut Vec<Dim>) -> Result<Type, OpError> {
    if let (Type::Tensor(x, Some(s)), Type::Tensor(y, Some(t))) = (start, end)
        && x == y
        && s.len() == t.len()
    {
        let dim = |(&p, &q): (&Dim, &Dim)| {
            if p == q || widened.contains(&p) {
                return p;
            }
            let fresh = cx.fresh();
            widened.push(fresh);
            fresh
        };
        return Ok(Type::Tensor(*x, Some(s.iter().zip(t).map(dim).collect())));
    }
    match (start, end) {
        (Type::Sequence(x), Type::Sequence(y)) => Ok(Type::Sequence(Box::new(widen_element(x, y, cx, widened)?))),
        (Type::Optional(x), Type::Optional(y)) => Ok(Type::Optional(Box::new(widen(x, y, cx, widened)?))),
        // What is there counts as an optional that holds it.
        (Type::Optional(x), Type::Sequence(_)) => Ok(Type::Optional(Box::new(widen(x, end, cx, widened)?))),
        _ => merge(start, end, cx).ok_or_else(|| {
            let (start, end) = (show_type(start, cx.dims), show_type(end, cx.dims));
            OpError::invalid(format!("a carried value changes its type: a trip starts with {start} and ends with {end}"))
        }),
    }
}

/// As [`widen`]; an empty sequence knows nothing of its elements' rank, which is then that of what is put in.
fn widen_element(start: &Type, end: &Type, cx: &Infer<'_>, widened: &mut Vec<Dim>) -> Result<Type, OpError> {
    match (start, end) {
        (Type::Tensor(x, None), Type::Tensor(y, Some(shape))) if x == y => {
            let fresh: Vec<Dim> = shape.iter().map(|_| cx.fresh()).collect();
            widened.extend(&fresh);
            Ok(Type::Tensor(*x, Some(fresh)))
        }
        (Type::Tensor(x, Some(_)), Type::Tensor(y, None)) if x == y => Ok(start.clone()),
        _ => widen(start, end, cx, widened),
    }
}

/// The memory of a carried value, set to its first value (input `i`).
fn enter(cx: &mut Lower<'_>, i: usize, output: usize, ty: &Type) -> Result<Place, OpError> {
    if let Type::Tensor(_, Some(shape)) = ty {
        let x = cx.input(i)?;
        cx.set(shape, &x.shape);
        let out = cx.output(output)?;
        cx.copy(&out, &x)?;
        return Ok(Place::Tensor(out.view));
    }
    let (place, first) = (cx.place(i)?, &cx.fact(i)?.ty);
    // The model may declare the rank that the value has in the end.
    let to = if cx.output_fact(output)?.shape().is_some() { cx.temp_object() } else { cx.output_object(output)? };
    cx.pack(to, place, first)?;
    Ok(Place::Object(to))
}

/// A copy of a value in memory of its own.
fn save(cx: &mut Lower<'_>, place: Place, ty: &Type) -> Result<Place, OpError> {
    match (place, ty) {
        (Place::Tensor(view), Type::Tensor(dtype, Some(shape))) => {
            let to = cx.temp(*dtype, shape);
            cx.copy(&to, &Operand { dtype: *dtype, shape: shape.clone(), view })?;
            Ok(Place::Tensor(to.view))
        }
        _ => {
            let to = cx.temp_object();
            cx.pack(to, place, ty)?;
            Ok(Place::Object(to))
        }
    }
}

/// Moves a value of that type into a carried value's memory.
fn carry(cx: &mut Lower<'_>, from: Place, ty: &Type, to: Place) -> Result<(), OpError> {
    if from == to {
        return Ok(());
    }
    match (from, to) {
        (Place::Tensor(from), Place::Tensor(to)) => {
            let dtype = cx.dtype_of(from);
            // The memory grows to what is moved in; the carried dims are set after all moves.
            let (out, x) = (View { len: from.len, ..to }, from);
            cx.call(crate::kernel!(copy::copy(_, _) for any(dtype)), vec![Arg::Out { view: out, update: false }, Arg::In(x)])
        }
        (_, Place::Object(to)) => cx.pack(to, from, ty),
        (Place::Object(_), Place::Tensor(_)) => Err(OpError::invalid("a carried value changes its type")),
    }
}

/// Writes a trip's value to its place in output `k`.
fn stack(cx: &mut Lower<'_>, k: usize, place: Place, ty: &Type, counter: Dim) -> Result<(), OpError> {
    let (Place::Tensor(view), Type::Tensor(dtype, Some(shape))) = (place, ty) else {
        return Err(OpError::unsupported("a stacked tensor of unknown rank").help("declare its rank in the model (value_info)"));
    };
    let out = cx.output(k)?;
    cx.set(&out.shape[1..], shape);
    let offset = cx.dims().mul(counter, view.len);
    let target = View { offset, len: view.len, ..out.view };
    cx.call(crate::kernel!(copy::copy(_, _) for any(*dtype)), vec![Arg::Out { view: target, update: true }, Arg::In(view)])
}
