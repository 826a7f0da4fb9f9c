//! Room 4: graph → program. Node by node, each operator's `lower` gives steps.

pub mod builder;
pub mod fold;
pub mod joined;
pub mod sweep;

pub use builder::{Builder, Place};

use crate::ir::arena::Id;
use crate::ir::dim::{Dim, Dims, Source, Symbol};
use crate::ir::fact::{Fact, Type};
use crate::ir::graph::{Def, Graph, Node, NodeError, ValueId};
use crate::ir::tensor::Tensor;
use crate::ops::OpError;
use crate::options::{Options, Precision, WeightType};
use crate::program::formula::Formula;
use crate::program::kernel::Kernel;
use crate::program::{Action, Arg, BufferId, Call, Condition, Fused, Port, PortType, Program, Step, Storage, View};
use joined::Home;
use onnxc_runtime::element::DType;
use onnxc_runtime::float::{BF16, F16};

/// A whole graph as a program. Of the options, those that say what is stored and multiplied matter.
pub fn lower(graph: &Graph, producer: &str, options: &Options) -> Result<Program, NodeError> {
    let mut builder = Builder::new(&graph.dims, options);
    let params: Vec<Place> = graph.inputs.iter().enumerate().map(|(i, &v)| builder.input(i, graph, v)).collect();
    let inputs = graph.inputs.iter().zip(&params).map(|(&v, place)| port(graph, &graph.values[v].name, v, place)).collect();
    let places = builder.graph(graph, &params, true)?;
    let mut outputs = Vec::new();
    for ((name, value), place) in graph.outputs.iter().zip(places) {
        let place = builder.own_output(graph, name, *value, place, &outputs);
        outputs.push(port(graph, name, *value, &place));
    }
    let mut program = builder.finish(graph, producer, inputs, outputs);
    sweep::sweep(&mut program);
    Ok(program)
}

fn port(graph: &Graph, name: &str, value: ValueId, place: &Place) -> Port {
    let ty = match &graph.fact(value).ty {
        Type::Tensor(dtype, Some(shape)) => PortType::Tensor(*dtype, shape.clone()),
        other => PortType::Object(crate::ir::fact::show_type(other, &graph.dims)),
    };
    Port { name: name.to_owned(), ty, buffer: place.buffer() }
}

/// A tensor operand of a kernel: dtype, shape and where the elements are.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The dtype.
    pub dtype: DType,
    /// The shape.
    pub shape: Vec<Dim>,
    /// The elements, dense in row-major order.
    pub view: View,
}

impl Operand {
    /// As an argument that is read.
    pub fn read(&self) -> Arg {
        Arg::In(self.view)
    }
    /// As an argument that is wholly written.
    pub fn write(&self) -> Arg {
        Arg::Out { view: self.view, update: false }
    }
    /// As an argument that is read and written.
    pub fn update(&self) -> Arg {
        Arg::Out { view: self.view, update: true }
    }
}

/// What an operator's `lower` works with: its node's operands, and the steps so far.
pub struct Lower<'a> {
    builder: &'a mut Builder,
    graph: &'a Graph,
    node: &'a Node,
    inputs: Vec<Option<Place>>,
    outputs: Vec<Option<Place>>,
    uses: &'a [usize],
    homes: &'a [Option<Home>],
}

impl<'a> Lower<'a> {
    /// The table of dims.
    pub fn dims(&self) -> Dims {
        self.builder.dims.clone()
    }

    /// A constant dim.
    pub fn int(&self, value: i64) -> Dim {
        self.builder.dims.int(value)
    }

    /// The number of inputs, absent ones included.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// The number of outputs.
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// Whether input `i` is given.
    pub fn has(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    /// Whether anything uses output `i`.
    pub fn wanted(&self, i: usize) -> bool {
        self.node.outputs.get(i).is_some_and(|v| self.uses[v.index()] > 0)
    }

    /// The fact of input `i`.
    pub fn fact(&self, i: usize) -> Result<&'a Fact, OpError> {
        let value = self.node.inputs.get(i).copied().flatten().ok_or_else(|| OpError::invalid(format!("input {i} is missing")))?;
        Ok(self.graph.fact(value))
    }

    /// The fact of output `i`.
    pub fn output_fact(&self, i: usize) -> Result<&'a Fact, OpError> {
        let value = self.node.outputs.get(i).ok_or_else(|| OpError::invalid(format!("there is no output {i}")))?;
        Ok(self.graph.fact(*value))
    }

    /// The constant that input `i` is.
    pub fn constant(&self, i: usize) -> Option<&'a Tensor> {
        self.fact(i).ok().and_then(Fact::as_const)
    }

    /// The constant integers of input `i`.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        self.constant(i).and_then(Tensor::to_i64s)
    }

    /// The elements of input `i`, an integer tensor of rank 0 or 1, if all are known as symbolic integers.
    pub fn elements(&self, i: usize) -> Option<Vec<Dim>> {
        self.fact(i).ok()?.as_elements(&self.builder.dims)?.into_iter().collect()
    }

    /// The tensor that input `i` is.
    pub fn input(&self, i: usize) -> Result<Operand, OpError> {
        let fact = self.fact(i)?;
        match (&fact.ty, self.inputs[i]) {
            (Type::Tensor(dtype, Some(shape)), Some(Place::Tensor(view))) => Ok(Operand { dtype: *dtype, shape: shape.clone(), view }),
            _ => Err(unranked(&format!("input {i}"))),
        }
    }

    /// The tensor of one element that input `i` is, even if only the run knows its rank.
    pub fn single(&mut self, i: usize) -> Result<Operand, OpError> {
        let (place, dtype) = (self.place(i)?, self.fact(i)?.dtype());
        match dtype {
            Some(dtype) => self.element(place, dtype),
            None => self.input(i),
        }
    }

    /// The element at a place, where a tensor of one element is.
    pub fn element(&mut self, place: Place, dtype: DType) -> Result<Operand, OpError> {
        match place {
            Place::Tensor(view) => Ok(Operand { dtype, shape: Vec::new(), view }),
            Place::Object(x) => {
                let out = self.temp(dtype, &[]);
                let args = vec![out.write(), Arg::InObject(x), Arg::DType(dtype)];
                self.call(crate::kernel!(object::unpack(_, _, _) for any(dtype)), args)?;
                Ok(out)
            }
        }
    }

    /// The object (sequence, optional, map, tensor of unknown rank) that input `i` is.
    pub fn object(&self, i: usize) -> Result<BufferId, OpError> {
        match self.inputs.get(i) {
            Some(Some(Place::Object(buffer))) => Ok(*buffer),
            _ => Err(OpError::invalid(format!("input {i} must be a sequence, an optional or a map"))),
        }
    }

    /// Where input `i` is.
    pub fn place(&self, i: usize) -> Result<Place, OpError> {
        self.inputs.get(i).copied().flatten().ok_or_else(|| OpError::invalid(format!("input {i} is missing")))
    }

    /// The tensor that output `i` is: memory is set aside when first asked for.
    pub fn output(&mut self, i: usize) -> Result<Operand, OpError> {
        let fact = self.output_fact(i)?;
        let Type::Tensor(dtype, Some(shape)) = &fact.ty else { return Err(unranked(&format!("output {i}"))) };
        let view = match self.outputs[i] {
            Some(Place::Tensor(view)) => view,
            _ => self.builder.scratch(*dtype, shape, &self.graph.values[self.node.outputs[i]].name),
        };
        self.outputs[i] = Some(Place::Tensor(view));
        Ok(Operand { dtype: *dtype, shape: shape.clone(), view })
    }

    /// Where output `i` is, if it lies in the rows of a wider tensor: the operator said that it can write there
    /// ([`Operator::writes_rows`](crate::ops::Operator::writes_rows)).
    pub fn output_home(&self, i: usize) -> Option<Home> {
        self.homes[self.node.outputs.get(i)?.index()]
    }

    /// Output `i` as an argument that is written: wholly, or its columns of a wider tensor.
    pub fn write(&mut self, i: usize) -> Result<Arg, OpError> {
        let out = self.output(i)?;
        Ok(if self.output_home(i).is_some() { out.update() } else { out.write() })
    }

    /// From a row of output `i` to the next.
    pub fn output_pitch(&self, i: usize) -> Result<Dim, OpError> {
        self.pitch(self.node.outputs.get(i).copied())
    }

    /// From a row of input `i` to the next: more than the row is long only if the operator said that it can read such rows
    /// ([`Operator::reads_rows`](crate::ops::Operator::reads_rows)).
    pub fn input_pitch(&self, i: usize) -> Result<Dim, OpError> {
        self.pitch(self.node.inputs.get(i).copied().flatten())
    }

    fn pitch(&self, value: Option<ValueId>) -> Result<Dim, OpError> {
        let value = value.ok_or_else(|| OpError::invalid("a value is missing"))?;
        let last = self.graph.fact(value).shape().and_then(<[Dim]>::last).copied();
        Ok(self.homes[value.index()].map_or(last.unwrap_or(self.int(1)), |home| self.int(home.pitch)))
    }

    /// The object that output `i` is.
    pub fn output_object(&mut self, i: usize) -> Result<BufferId, OpError> {
        self.output_fact(i)?;
        if let Some(Place::Object(buffer)) = self.outputs[i] {
            return Ok(buffer);
        }
        let buffer = self.builder.object(&self.graph.values[self.node.outputs[i]].name);
        self.outputs[i] = Some(Place::Object(buffer));
        Ok(buffer)
    }

    /// Output `i` is found in existing memory: no copy.
    pub fn alias(&mut self, i: usize, place: Place) {
        self.outputs[i] = Some(place);
    }

    /// Memory for the use of this node.
    pub fn temp(&mut self, dtype: DType, shape: &[Dim]) -> Operand {
        let view = self.builder.scratch(dtype, shape, "temporary");
        Operand { dtype, shape: shape.to_vec(), view }
    }

    /// Stores what is in `place`, of type `ty`, in an object: a tensor of known rank becomes one whose rank only the run knows.
    pub fn pack(&mut self, object: BufferId, place: Place, ty: &Type) -> Result<(), OpError> {
        let out = Arg::OutObject { buffer: object, update: false };
        match (place, ty) {
            (Place::Object(from), _) => self.call(crate::kernel!(object::copy(_, _)), vec![out, Arg::InObject(from)]),
            (Place::Tensor(view), Type::Tensor(dtype, Some(shape))) => {
                let args = vec![out, Arg::In(view), Arg::Usizes(shape.clone()), Arg::DType(*dtype)];
                self.call(crate::kernel!(object::pack(_, _, _, _) for any(*dtype)), args)
            }
            _ => Err(unranked("a value")),
        }
    }

    /// Makes output `i`, a tensor of known rank, of a tensor whose rank only the run knows: another one is an error of the run.
    pub fn unpack(&mut self, i: usize, place: Place) -> Result<(), OpError> {
        let x = Arg::InObject(place.buffer());
        let shape = crate::ops::slice::output_shape(self, i)?;
        self.call_binding(crate::kernel!(object::shape(_, _)), &shape, |bind| vec![bind, x.clone()])?;
        let out = self.output(i)?;
        self.call(crate::kernel!(object::unpack(_, _, _) for any(out.dtype)), vec![out.write(), x, Arg::DType(out.dtype)])
    }

    /// A constant made here (a packed weight, a table).
    pub fn weight(&mut self, name: &str, tensor: Tensor) -> Operand {
        let dims = self.dims();
        let shape = tensor.shape.iter().map(|&d| dims.int(d as i64)).collect();
        let dtype = tensor.dtype;
        Operand { dtype, shape, view: self.builder.weight(name, tensor) }
    }

    /// Whether weights are stored in fewer bits than they are computed with.
    pub fn narrows(&self) -> bool {
        self.builder.weight_type != WeightType::F32
    }

    /// What products and convolutions multiply.
    pub fn precision(&self) -> Precision {
        self.builder.precision
    }

    /// Weights that the kernel widens when it uses them ([`Stored`](onnxc_runtime::kernels::gemm::Stored)), stored as the user wishes;
    /// those that would become infinite stay f32.
    pub fn stored_weight(&mut self, name: &str, elements: &[f32]) -> Operand {
        let f16 = |x: &f32| F16::from_f32(*x);
        let tensor = match self.builder.weight_type {
            WeightType::F16 if elements.iter().all(|x| !x.is_finite() || f16(x).to_f32().is_finite()) => {
                Tensor::vector(&elements.iter().map(f16).collect::<Vec<_>>())
            }
            WeightType::Bf16 if elements.iter().all(|x| !x.is_finite() || BF16::from_f32(*x).to_f32().is_finite()) => {
                Tensor::vector(&elements.iter().map(|&x| BF16::from_f32(x)).collect::<Vec<_>>())
            }
            _ => Tensor::vector(elements),
        };
        self.weight(name, tensor)
    }

    /// A kernel call. An `Option<Kernel>` that is `None` (no version for this dtype) is an error at the node.
    pub fn call(&mut self, kernel: impl Into<Option<Kernel>>, args: Vec<Arg>) -> Result<(), OpError> {
        let kernel = kernel.into().ok_or_else(|| {
            let dtypes: Vec<&str> =
                self.node.inputs.iter().flatten().filter_map(|&v| self.graph.fact(v).dtype()).map(DType::name).collect();
            OpError::unsupported(format!("no kernel for these dtypes: {}", dtypes.join(", ")))
        })?;
        self.step(Action::Call(Call { kernel, args }));
        Ok(())
    }

    /// A kernel call that gives symbols their values: `args` gets the `Bind` argument for the dims of `shape`. Dims that are known already are
    /// checked against what the kernel says.
    pub fn call_binding(
        &mut self,
        kernel: impl Into<Option<Kernel>>,
        shape: &[Dim],
        args: impl FnOnce(Arg) -> Vec<Arg>,
    ) -> Result<(), OpError> {
        let (symbols, checks) = self.symbols_for(shape);
        self.call(kernel, args(Arg::Bind(symbols)))?;
        for (a, b) in checks {
            self.step(Action::Require(Condition::Equal(a, b)));
        }
        Ok(())
    }

    /// For each dim the symbol to bind: its own where that is not bound yet, else a new one that must then equal the dim.
    fn symbols_for(&mut self, shape: &[Dim]) -> (Vec<Symbol>, Vec<(Dim, Dim)>) {
        let dims = self.dims();
        let mut checks = Vec::new();
        let symbols = shape
            .iter()
            .map(|&dim| match dims.as_symbol(dim) {
                Some(symbol) if dims.info(symbol).source == Source::Step && self.builder.bind(symbol) => symbol,
                _ => {
                    let (symbol, fresh) = dims.fresh(0);
                    self.builder.bind(symbol);
                    checks.push((dim, fresh));
                    symbol
                }
            })
            .collect();
        (symbols, checks)
    }

    /// Gives the symbols among `shape` that have no value yet the values of `values`; the other dims are required to be equal.
    pub fn assign(&mut self, shape: &[Dim], values: &[Dim]) {
        let (symbols, checks) = self.symbols_for(shape);
        self.step(Action::Assign(symbols.into_iter().zip(values.iter().copied()).collect()));
        for (a, b) in checks {
            self.step(Action::Require(Condition::Equal(a, b)));
        }
    }

    /// Gives the symbols among `target` the values of `values` where they differ: the shape of an output that one of several places gives.
    pub fn set(&mut self, target: &[Dim], values: &[Dim]) {
        let dims = self.dims();
        let mut assigned = Vec::new();
        for (&to, &from) in target.iter().zip(values).filter(|(to, from)| to != from) {
            match dims.as_symbol(to) {
                Some(symbol) if dims.info(symbol).source == Source::Step => {
                    self.builder.bind(symbol);
                    assigned.push((symbol, from));
                }
                _ => self.step(Action::Require(Condition::Equal(to, from))),
            }
        }
        if !assigned.is_empty() {
            self.step(Action::Assign(assigned));
        }
    }

    /// Notes that a step of this node binds the symbol.
    pub fn mark_bound(&mut self, symbol: Symbol) {
        self.builder.bind(symbol);
    }

    /// An object for the use of this node.
    pub fn temp_object(&mut self) -> BufferId {
        self.builder.object("temporary")
    }

    /// The dtype of a view's buffer.
    pub fn dtype_of(&self, view: View) -> DType {
        self.builder.dtype(view)
    }

    /// A new symbol, bound by a step of this node, and its dim.
    pub fn symbol(&mut self, min: i64) -> (Symbol, Dim) {
        let (symbol, dim) = self.builder.dims.fresh(min);
        self.builder.bind(symbol);
        (symbol, dim)
    }

    /// Any step.
    pub fn step(&mut self, action: Action) {
        let step = Step { node: self.node.origin.node.to_string(), doc: self.doc(), action };
        self.builder.steps.push(step);
    }

    fn doc(&self) -> String {
        let show = |v: &ValueId| {
            let value = &self.graph.values[*v];
            let constant = if value.def == Def::Const { "const " } else { "" };
            format!("{constant}{}", crate::ir::fact::show_type(&value.fact.ty, &self.builder.dims))
        };
        let inputs: Vec<String> = self.node.inputs.iter().map(|v| v.as_ref().map_or("-".to_owned(), show)).collect();
        let outputs: Vec<String> = self.node.outputs.iter().map(show).collect();
        format!("{}: {} -> {}", self.node.origin.operator, inputs.join(", "), outputs.join(", "))
    }

    /// A fused elementwise loop over f32, of operands and the distances of their rows.
    pub fn fused(&mut self, out: &Operand, inputs: &[(Operand, Dim)], formula: Formula) {
        let operands: Vec<(&[Dim], Dim)> = inputs.iter().map(|(x, pitch)| (x.shape.as_slice(), *pitch)).collect();
        let (shape, strides) = pitched_loop_nest(&self.builder.dims, &out.shape, &operands);
        let inputs = inputs.iter().map(|(x, _)| x.view).zip(strides).collect();
        self.step(Action::Fused(Fused { out: out.view, shape, inputs, formula }));
    }

    /// Copies a tensor to another place.
    pub fn copy(&mut self, out: &Operand, x: &Operand) -> Result<(), OpError> {
        self.call(crate::kernel!(copy::copy(_, _) for any(x.dtype)), vec![out.write(), x.read()])
    }

    /// An operand whose rows lie that far apart as one whose rows do not.
    pub fn dense(&mut self, x: Operand, pitch: Dim) -> Result<Operand, OpError> {
        let (dims, zero, one) = (self.dims(), self.int(0), self.int(1));
        let Some((&width, lead)) = x.shape.split_last().filter(|(width, _)| **width != pitch) else { return Ok(x) };
        let out = self.temp(x.dtype, &x.shape);
        let sizes = [Arg::Usizes(vec![dims.product(lead), width]), Arg::Usize(zero), Arg::I64s(vec![pitch, one])];
        let args = [out.write(), x.read()].into_iter().chain(sizes).collect();
        self.call(crate::kernel!(copy::strided(_, _, _, _, _) for any(x.dtype)), args)?;
        Ok(out)
    }

    /// Input `i`, an integer tensor, as i64.
    pub fn input_i64(&mut self, i: usize) -> Result<Operand, OpError> {
        let x = self.input(i)?;
        self.as_i64(x)
    }

    /// An integer tensor as i64.
    pub fn as_i64(&mut self, x: Operand) -> Result<Operand, OpError> {
        self.converted(x, DType::I64)
    }

    /// A tensor cast to that dtype, if it has not that already.
    pub fn converted(&mut self, x: Operand, dtype: DType) -> Result<Operand, OpError> {
        if x.dtype == dtype {
            return Ok(x);
        }
        let out = self.temp(dtype, &x.shape);
        crate::ops::elementwise::cast::call(self, &out, &x, true)?;
        Ok(out)
    }

    /// Lowers a body with these places for its inputs; gives its steps and the places of its outputs.
    pub fn body(&mut self, graph: &Graph, params: &[Place]) -> Result<(Vec<Step>, Vec<Place>), OpError> {
        let outer = std::mem::take(&mut self.builder.steps);
        let result = self.builder.graph(graph, params, false);
        let steps = std::mem::replace(&mut self.builder.steps, outer);
        result.map(|places| (steps, places)).map_err(|e| OpError {
            message: format!("in the body, at node `{}` ({}): {}", e.origin.node, e.origin.operator, e.error.message),
            ..e.error
        })
    }

    /// Collects the steps that `f` adds instead of running them in line.
    pub fn collect(&mut self, f: impl FnOnce(&mut Self) -> Result<(), OpError>) -> Result<Vec<Step>, OpError> {
        let outer = std::mem::take(&mut self.builder.steps);
        let result = f(self);
        let steps = std::mem::replace(&mut self.builder.steps, outer);
        result.map(|()| steps)
    }
}

fn unranked(what: &str) -> OpError {
    OpError::unsupported(format!("the rank of {what} is not known when compiling"))
        .help("give the model's inputs static shapes with --dim or --input-shape, or make the model declare this shape")
}

/// The dense strides of a shape.
pub fn dense_strides(dims: &Dims, shape: &[Dim]) -> Vec<Dim> {
    let mut strides = vec![dims.int(1); shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = dims.mul(strides[i], shape[i]);
    }
    strides
}

/// The loop over `out` and each operand's strides in it, with dims of one dropped and neighbours merged where all operands allow.
pub fn loop_nest(dims: &Dims, out: &[Dim], operands: &[&[Dim]]) -> (Vec<Dim>, Vec<Vec<Dim>>) {
    let dense: Vec<(&[Dim], Dim)> = operands.iter().map(|s| (*s, s.last().copied().unwrap_or(dims.int(1)))).collect();
    pitched_loop_nest(dims, out, &dense)
}

/// [`loop_nest`] of operands whose rows lie that far apart.
fn pitched_loop_nest(dims: &Dims, out: &[Dim], operands: &[(&[Dim], Dim)]) -> (Vec<Dim>, Vec<Vec<Dim>>) {
    let (zero, one) = (dims.int(0), dims.int(1));
    let aligned = |(shape, pitch): (&[Dim], Dim)| -> Vec<Dim> {
        let lead = shape.len().saturating_sub(1);
        let strides = dense_strides(dims, &[&shape[..lead], &vec![pitch; shape.len() - lead]].concat());
        let lead = out.len().saturating_sub(shape.len());
        let stride = |axis: usize| match axis.checked_sub(lead) {
            None => zero,
            Some(i) if shape[i] == one => zero,
            Some(i) if shape[i] == out[axis] => strides[i],
            // Whether it broadcasts is only known at run time: no stride if the dim is one.
            Some(i) => dims.mul(strides[i], dims.min(dims.offset(shape[i], -1), one)),
        };
        (0..out.len()).map(stride).collect()
    };
    let all: Vec<Vec<Dim>> = operands.iter().map(|&s| aligned(s)).collect();
    let mut shape: Vec<Dim> = Vec::new();
    let mut strides: Vec<Vec<Dim>> = vec![Vec::new(); operands.len()];
    for axis in 0..out.len() {
        if out[axis] == one {
            continue;
        }
        let merges = !shape.is_empty() && all.iter().zip(&strides).all(|(s, done)| done.last() == Some(&dims.mul(s[axis], out[axis])));
        if merges && let Some(last) = shape.last_mut() {
            *last = dims.mul(*last, out[axis]);
            strides.iter_mut().zip(&all).for_each(|(done, s)| {
                done.pop();
                done.push(s[axis]);
            });
        } else {
            shape.push(out[axis]);
            strides.iter_mut().zip(&all).for_each(|(done, s)| done.push(s[axis]));
        }
    }
    (shape, strides)
}

/// A buffer id from its number (for tests and texts).
pub fn buffer(index: usize) -> BufferId {
    Id::new(index)
}

/// Whether a buffer's memory belongs to the model and may be written.
pub(crate) fn writable(storage: Storage) -> bool {
    matches!(storage, Storage::Scratch | Storage::Object)
}
