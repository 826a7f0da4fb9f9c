//! Runs a program in the compiler: folding, `onnxc run --interpret`, and the oracle of tests.
//! The kernels are those that generated code calls, in the reference context, so that a folded value and a computed one cannot disagree.

use super::kernel::CallError;
use super::{Action, Arg, BufferId, Call, Condition, Fused, PortType, Program, Step, Storage, View};
use crate::ir::dim::{Dim, Symbol};
use crate::ir::tensor::{Data, Tensor};
use onnxc_runtime::element::{Bool, DType};
use onnxc_runtime::error::Fault;
use onnxc_runtime::value::{Tensor as RunTensor, Value};

pub use super::args::{Args, Evaluated, FromArg, Owned};

/// Why a program did not run to its end.
#[derive(Debug)]
pub enum InterpretError {
    /// A step failed on its data.
    Fault {
        /// The node.
        node: String,
        /// What happened.
        fault: Fault,
    },
    /// The inputs do not fit the program.
    Input(String),
    /// More steps than allowed.
    Fuel,
    /// A bug of ours.
    Internal(String),
}

impl std::fmt::Display for InterpretError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault { node, fault } => write!(f, "node `{node}`: {fault}"),
            Self::Input(what) => f.write_str(what),
            Self::Fuel => f.write_str("the interpreter's limit of steps is reached"),
            Self::Internal(what) => write!(f, "internal error, please report it: {what}"),
        }
    }
}
impl std::error::Error for InterpretError {}

/// Runs the program; `fuel` bounds the number of steps.
pub fn run(program: &Program, inputs: &[Value], fuel: usize) -> Result<Vec<Value>, InterpretError> {
    let mut machine = Machine { program, stores: vec![None; program.buffers.len()], symbols: Vec::new(), fuel };
    machine.enter(inputs)?;
    machine.block(&program.body)?;
    program.outputs.iter().map(|port| machine.output(port.buffer, &port.ty)).collect()
}

/// The most elements a buffer may have here: several of them must fit the memory of a small machine.
const MAX_ELEMENTS: i64 = 1 << 28;

struct Machine<'p> {
    program: &'p Program,
    /// The contents of each buffer that has been touched: a flat tensor, or an object.
    stores: Vec<Option<Value>>,
    symbols: Vec<i64>,
    fuel: usize,
}

impl Machine<'_> {
    fn enter(&mut self, inputs: &[Value]) -> Result<(), InterpretError> {
        if inputs.len() != self.program.inputs.len() {
            return Err(InterpretError::Input(format!(
                "the model takes {} inputs, {} were given",
                self.program.inputs.len(),
                inputs.len()
            )));
        }
        for (port, value) in self.program.inputs.iter().zip(inputs) {
            if let PortType::Tensor(dtype, shape) = &port.ty {
                let given = value.tensor().map_err(|_| InterpretError::Input(format!("input `{}` must be a tensor", port.name)))?;
                if given.dtype() != *dtype || given.shape().len() != shape.len() {
                    let message = format!(
                        "input `{}` must be {dtype} of rank {}, is {} of rank {}",
                        port.name,
                        shape.len(),
                        given.dtype(),
                        given.shape().len()
                    );
                    return Err(InterpretError::Input(message));
                }
                for (&dim, &got) in shape.iter().zip(given.shape()) {
                    if let Some(symbol) = self.program.dims.as_symbol(dim)
                        && self.symbols.get(symbol.index()).is_none_or(|&v| v == UNSET)
                    {
                        self.set(symbol, got as i64);
                    }
                }
            }
            self.stores[port.buffer.index()] = Some(value.clone());
        }
        for port in &self.program.inputs {
            let (PortType::Tensor(_, shape), Some(Value::Tensor(given))) = (&port.ty, &self.stores[port.buffer.index()]) else { continue };
            for (axis, (&dim, &got)) in shape.iter().zip(given.shape()).enumerate() {
                let expected = self.value(dim);
                if expected != got as i64 {
                    let needed = match self.program.dims.value(dim) {
                        Some(size) => size.to_string(),
                        None => format!("{}, here {expected}", self.program.dims.show(dim)),
                    };
                    let message = format!("input `{}`: dimension {axis} is {got}, the model needs {needed}", port.name);
                    return Err(InterpretError::Input(message));
                }
            }
        }
        for check in &self.program.checks {
            self.require(check.condition, &check.node)?;
        }
        Ok(())
    }

    fn set(&mut self, symbol: Symbol, value: i64) {
        if self.symbols.len() <= symbol.index() {
            self.symbols.resize(symbol.index() + 1, UNSET);
        }
        self.symbols[symbol.index()] = value;
    }

    fn value(&self, dim: Dim) -> i64 {
        self.program.dims.eval(dim, &|s| self.symbols.get(s.index()).copied().filter(|&v| v != UNSET).unwrap_or(0))
    }

    fn size(&self, dim: Dim) -> Result<usize, Fault> {
        let value = self.value(dim);
        if value > MAX_ELEMENTS {
            return Err(Fault::Memory { bytes: usize::try_from(value).unwrap_or(usize::MAX) });
        }
        usize::try_from(value).map_err(|_| Fault::Value { what: "a dimension is negative", got: value })
    }

    fn require(&self, condition: Condition, node: &str) -> Result<(), InterpretError> {
        let (got, expected, holds) = match condition {
            Condition::Equal(a, b) => (self.value(a), self.value(b), self.value(a) == self.value(b)),
            Condition::Broadcast(a, b) => {
                let (a, b) = (self.value(a), self.value(b));
                (a, b, a == b || a == 1 || b == 1)
            }
            Condition::AtMost(a, b) => (self.value(a), self.value(b), self.value(a) <= self.value(b)),
        };
        if holds { Ok(()) } else { Err(InterpretError::Fault { node: node.to_owned(), fault: Fault::Dim { expected, got } }) }
    }

    fn block(&mut self, steps: &[Step]) -> Result<(), InterpretError> {
        for step in steps {
            self.fuel = self.fuel.checked_sub(1).ok_or(InterpretError::Fuel)?;
            let result = match &step.action {
                Action::Call(call) => self.call(call),
                Action::Fused(fused) => self.fused(fused),
                Action::Assign(pairs) => {
                    let values: Vec<i64> = pairs.iter().map(|&(_, dim)| self.value(dim)).collect();
                    pairs.iter().zip(values).for_each(|(&(symbol, _), value)| self.set(symbol, value));
                    Ok(())
                }
                Action::Require(condition) => {
                    self.require(*condition, &step.node)?;
                    Ok(())
                }
                Action::If { condition, then, otherwise } => {
                    let taken = self.truth(*condition)?;
                    self.block(if taken { then } else { otherwise })?;
                    Ok(())
                }
                Action::Loop { counter, trips, condition, body } => {
                    self.set(*counter, 0);
                    let trips = trips.map_or(i64::MAX, |t| self.value(t));
                    let mut count = 0;
                    while count < trips && condition.map_or(Ok(true), |c| self.truth(c))? {
                        self.block(body)?;
                        count += 1;
                        self.set(*counter, count);
                    }
                    Ok(())
                }
            };
            result.map_err(|e| match e {
                CallError::Fault(fault) => InterpretError::Fault { node: step.node.clone(), fault },
                CallError::Argument(what) => InterpretError::Internal(format!("node `{}`: {what}", step.node)),
            })?;
        }
        Ok(())
    }

    fn truth(&mut self, view: View) -> Result<bool, InterpretError> {
        let internal = || InterpretError::Internal("a condition that is not a boolean".to_owned());
        self.touch(view.buffer).map_err(|e| InterpretError::Internal(format!("{e:?}")))?;
        let offset = self.value(view.offset) as usize;
        match &self.stores[view.buffer.index()] {
            Some(Value::Tensor(t)) => t.as_slice::<Bool>().and_then(|t| t.get(offset)).map(|b| b.get()).ok_or_else(internal),
            _ => Err(internal()),
        }
    }

    /// Makes sure that a buffer has contents.
    fn touch(&mut self, buffer: BufferId) -> Result<(), CallError> {
        if self.stores[buffer.index()].is_some() {
            return Ok(());
        }
        let info = &self.program.buffers[buffer];
        let value = match info.storage {
            Storage::Weight(weight) => Value::Tensor(flat(&self.program.weights[weight].tensor)?),
            Storage::Scratch => Value::Tensor(RunTensor::zeros(info.dtype, &[self.size(info.len)?])?),
            Storage::Object => Value::default(),
            Storage::Input(_) => return Err(CallError::Argument("an input that was not given".to_owned())),
        };
        self.stores[buffer.index()] = Some(value);
        Ok(())
    }

    fn range(&self, view: View) -> Result<std::ops::Range<usize>, CallError> {
        let (offset, len) = (self.size(view.offset)?, self.size(view.len)?);
        Ok(offset..offset.saturating_add(len))
    }

    /// Takes a buffer out to be written, grown to hold the view.
    fn take_for_writing(&mut self, view: View) -> Result<Value, CallError> {
        self.touch(view.buffer)?;
        let range = self.range(view)?;
        let value = self.stores[view.buffer.index()]
            .take()
            .ok_or_else(|| CallError::Argument("a buffer is written twice by one call".to_owned()))?;
        match value {
            Value::Tensor(old) if old.len() < range.end => {
                let mut new = RunTensor::zeros(old.dtype(), &[range.end])?;
                match (new.as_mut_strings(), old.as_strings()) {
                    (Some(to), Some(from)) => to[..from.len()].clone_from_slice(from),
                    _ => new.bytes_mut()[..old.bytes().len()].copy_from_slice(old.bytes()),
                }
                Ok(Value::Tensor(new))
            }
            other => Ok(other),
        }
    }

    fn call(&mut self, call: &Call) -> Result<(), CallError> {
        let mut written: Vec<(BufferId, Value)> = Vec::new();
        let result = self.prepare(&call.args, &mut written).and_then(|()| self.invoke(call, &mut written));
        for (buffer, value) in written {
            self.stores[buffer.index()] = Some(value);
        }
        for (symbol, value) in result? {
            self.set(symbol, value);
        }
        Ok(())
    }

    fn prepare(&mut self, args: &[Arg], written: &mut Vec<(BufferId, Value)>) -> Result<(), CallError> {
        for arg in args {
            match arg {
                Arg::Out { view, .. } => {
                    let value = self.take_for_writing(*view)?;
                    written.push((view.buffer, value));
                }
                Arg::OutObject { buffer, .. } => {
                    self.touch(*buffer)?;
                    let value = self.stores[buffer.index()].take().unwrap_or_default();
                    written.push((*buffer, value));
                }
                Arg::In(view) => self.touch_unless(view.buffer, written)?,
                Arg::InObject(buffer) => self.touch_unless(*buffer, written)?,
                Arg::Present(inner) => self.prepare(std::slice::from_ref(inner), written)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn touch_unless(&mut self, buffer: BufferId, written: &[(BufferId, Value)]) -> Result<(), CallError> {
        if written.iter().any(|(b, _)| *b == buffer) {
            return Err(CallError::Argument("a buffer is read and written by one call".to_owned()));
        }
        self.touch(buffer)
    }

    fn invoke(&self, call: &Call, written: &mut [(BufferId, Value)]) -> Result<Vec<(Symbol, i64)>, CallError> {
        let owned: Vec<Owned> = call.args.iter().map(|arg| self.owned(arg)).collect::<Result<_, _>>()?;
        let mut bound: Vec<(Vec<Symbol>, Vec<i64>)> = Vec::new();
        for arg in &call.args {
            if let Arg::Bind(symbols) = arg {
                bound.push((symbols.clone(), vec![0; symbols.len()]));
            }
        }
        let lists: Vec<Vec<&str>> =
            call.args.iter().map(|arg| if let Arg::Strs(s) = arg { s.iter().map(String::as_str).collect() } else { Vec::new() }).collect();
        let (mut outs, mut binds) = (written.iter_mut(), bound.iter_mut());
        let mut evaluated = Vec::new();
        for ((arg, owned), list) in call.args.iter().zip(&owned).zip(&lists) {
            let (arg, present) = match arg {
                Arg::Present(inner) => (&**inner, true),
                other => (other, false),
            };
            let value = match arg {
                Arg::In(view) => self.read(*view)?,
                Arg::InObject(buffer) => match &self.stores[buffer.index()] {
                    Some(value) => Evaluated::Object(value),
                    None => return Err(CallError::Argument("an object is missing".to_owned())),
                },
                Arg::Out { view, .. } => match outs.next() {
                    Some((_, Value::Tensor(tensor))) => window(tensor, self.range(*view)?)?,
                    _ => return Err(CallError::Argument("an output is not a tensor".to_owned())),
                },
                Arg::OutObject { .. } => match outs.next() {
                    Some((_, value)) => Evaluated::ObjectMut(value),
                    None => return Err(CallError::Argument("an object is missing".to_owned())),
                },
                Arg::Bind(_) => match binds.next() {
                    Some((_, values)) => Evaluated::Bind(values),
                    None => return Err(CallError::Argument("a binding is missing".to_owned())),
                },
                Arg::Strs(_) => Evaluated::Strs(list),
                _ => Evaluated::Owned(owned),
            };
            evaluated.push(if present { Evaluated::Present(Box::new(value)) } else { value });
        }
        (call.kernel.run)(&mut Args::new(call.kernel.path, evaluated))?;
        Ok(bound.into_iter().flat_map(|(symbols, values)| symbols.into_iter().zip(values)).collect())
    }

    fn read(&self, view: View) -> Result<Evaluated<'_>, CallError> {
        let range = self.range(view)?;
        let short = || CallError::Argument(format!("a view of {} is longer than its buffer", view.buffer));
        match &self.stores[view.buffer.index()] {
            Some(Value::Tensor(tensor)) => {
                if let Some(strings) = tensor.as_strings() {
                    strings.get(range).map(Evaluated::Strings).ok_or_else(short)
                } else {
                    let size = tensor.dtype().size();
                    tensor.bytes().get(range.start * size..range.end * size).map(|b| Evaluated::Bytes(tensor.dtype(), b)).ok_or_else(short)
                }
            }
            _ => Err(CallError::Argument(format!("{} is not a tensor", view.buffer))),
        }
    }

    /// The value of an argument that is not a view.
    fn owned(&self, arg: &Arg) -> Result<Owned, CallError> {
        let sizes = |dims: &[Dim]| dims.iter().map(|&d| self.size(d)).collect::<Result<Vec<_>, _>>();
        Ok(match arg {
            Arg::Cx => Owned::Cx,
            Arg::Usize(dim) => Owned::Usize(self.size(*dim)?),
            Arg::I64(dim) => Owned::I64(self.value(*dim)),
            Arg::Usizes(dims) => Owned::Usizes(sizes(dims)?),
            Arg::I64s(dims) => Owned::I64s(dims.iter().map(|&d| self.value(d)).collect()),
            Arg::F32(x) => Owned::F32(*x),
            Arg::F64(x) => Owned::F64(*x),
            Arg::F32s(x) => Owned::F32s(x.clone()),
            Arg::Bools(x) => Owned::Bools(x.clone()),
            Arg::Bool(x) => Owned::Bool(*x),
            Arg::Str(x) => Owned::Str(x.clone()),
            Arg::Variant(_, name) => Owned::Variant(name),
            Arg::Struct(_, fields) => {
                Owned::Struct(fields.iter().map(|(name, arg)| Ok((*name, self.owned(arg)?))).collect::<Result<_, CallError>>()?)
            }
            Arg::Array(items) => Owned::Array(items.iter().map(|i| self.owned(i)).collect::<Result<_, _>>()?),
            Arg::Present(inner) => Owned::Some(Box::new(self.owned(inner)?)),
            Arg::DType(dtype) => Owned::DType(*dtype),
            Arg::Absent
            | Arg::In(_)
            | Arg::Out { .. }
            | Arg::InObject(_)
            | Arg::OutObject { .. }
            | Arg::Bind(_)
            | Arg::Strs(_)
            | Arg::Path(_)
            | Arg::Attributes(_) => Owned::None,
        })
    }

    fn fused(&mut self, fused: &Fused) -> Result<(), CallError> {
        let shape = fused.shape.iter().map(|&d| self.size(d)).collect::<Result<Vec<_>, _>>()?;
        for (view, _) in &fused.inputs {
            self.touch(view.buffer)?;
        }
        let mut out = self.take_for_writing(fused.out)?;
        let result = self.run_fused(fused, &shape, &mut out);
        self.stores[fused.out.buffer.index()] = Some(out);
        result
    }

    fn run_fused(&self, fused: &Fused, shape: &[usize], out: &mut Value) -> Result<(), CallError> {
        let range = self.range(fused.out)?;
        let wrong = || CallError::Argument("a fused loop over something that is not f32".to_owned());
        let Value::Tensor(out) = out else { return Err(wrong()) };
        let out = out.as_mut_slice::<f32>().and_then(|o| o.get_mut(range)).ok_or_else(wrong)?;
        let mut inputs = Vec::new();
        let mut strides = Vec::new();
        for (view, steps) in &fused.inputs {
            let Evaluated::Bytes(DType::F32, bytes) = self.read(*view)? else { return Err(wrong()) };
            inputs.push(onnxc_runtime::element::from_bytes::<f32>(bytes).ok_or_else(wrong)?);
            strides.push(steps.iter().map(|&d| self.size(d)).collect::<Result<Vec<_>, _>>()?);
        }
        let strides: Vec<&[usize]> = strides.iter().map(Vec::as_slice).collect();
        super::formula::run(&fused.formula, out, &inputs, shape, &strides)?;
        Ok(())
    }

    fn output(&mut self, buffer: BufferId, ty: &PortType) -> Result<Value, InterpretError> {
        let internal = |e: CallError| InterpretError::Internal(format!("{e:?}"));
        self.touch(buffer).map_err(internal)?;
        let value = self.stores[buffer.index()].clone().unwrap_or_default();
        match (ty, value) {
            (PortType::Tensor(_, dims), Value::Tensor(tensor)) => {
                let shape = dims.iter().map(|&d| self.size(d)).collect::<Result<Vec<_>, _>>().map_err(|e| internal(e.into()))?;
                let len = shape.iter().product();
                let tensor = if tensor.len() == len { tensor } else { cut(&tensor, len).map_err(|e| internal(e.into()))? };
                tensor.reshaped(&shape).map(Value::Tensor).map_err(|e| internal(e.into()))
            }
            (_, value) => Ok(value),
        }
    }
}

/// A symbol without a value; dims this small do not exist.
const UNSET: i64 = i64::MIN;

/// The first `len` elements, of which there may be fewer: the rest is zeros (the loop that would have filled them did not run).
fn cut(tensor: &RunTensor, len: usize) -> Result<RunTensor, Fault> {
    let mut new = RunTensor::zeros(tensor.dtype(), &[len])?;
    let common = len.min(tensor.len());
    if let (Some(to), Some(from)) = (new.as_mut_strings(), tensor.as_strings()) {
        to[..common].clone_from_slice(&from[..common]);
    } else {
        let bytes = common * tensor.dtype().size();
        new.bytes_mut()[..bytes].copy_from_slice(&tensor.bytes()[..bytes]);
    }
    Ok(new)
}

fn window(tensor: &mut RunTensor, range: std::ops::Range<usize>) -> Result<Evaluated<'_>, CallError> {
    let short = || CallError::Argument("a written view is longer than its buffer".to_owned());
    let (dtype, size) = (tensor.dtype(), tensor.dtype().size());
    if dtype == DType::String {
        return tensor.as_mut_strings().and_then(|s| s.get_mut(range)).map(Evaluated::StringsMut).ok_or_else(short);
    }
    tensor.bytes_mut().get_mut(range.start * size..range.end * size).map(|b| Evaluated::BytesMut(dtype, b)).ok_or_else(short)
}

/// A constant as a run-time tensor of one dim.
fn flat(tensor: &Tensor) -> Result<RunTensor, Fault> {
    from_tensor(tensor)?.reshaped(&[tensor.len()])
}

/// A constant as a run-time tensor.
pub fn from_tensor(tensor: &Tensor) -> Result<RunTensor, Fault> {
    match &tensor.data {
        Data::Bytes(bytes) => RunTensor::from_raw(tensor.dtype, &tensor.shape, bytes),
        Data::Strings(strings) => RunTensor::from_strings(&tensor.shape, strings.to_vec()),
    }
}

/// A run-time tensor as a constant; `None` for other values.
pub fn to_tensor(value: &Value) -> Option<Tensor> {
    let Value::Tensor(tensor) = value else { return None };
    match tensor.as_strings() {
        Some(strings) => Tensor::strings(tensor.shape().to_vec(), strings.to_vec()),
        None => Tensor::from_raw(tensor.dtype(), tensor.shape().to_vec(), bytes::Bytes::copy_from_slice(tensor.bytes())),
    }
}
