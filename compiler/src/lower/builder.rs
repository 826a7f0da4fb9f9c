//! The program while it grows: its buffers, weights and the steps of the current block.

use super::joined::{self, Home};
use super::{Lower, writable};
use crate::ir::arena::Arena;
use crate::ir::dim::{Dim, Dims, Symbol};
use crate::ir::fact::Type;
use crate::ir::graph::{Def, Graph, NodeError, ValueId};
use crate::ir::tensor::Tensor;
use crate::options::{Options, Precision, WeightType};
use crate::program::{Action, Arg, Buffer, BufferId, Call, Check, Condition, Port, Program, Step, Storage, View, Weight};
use onnxc_runtime::element::DType;
use std::collections::HashSet;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A tensor's elements.
    Tensor(View),
    /// A sequence, an optional, a map, or a tensor of which only the run knows the rank.
    Object(BufferId),
}

impl Place {
    /// The buffer.
    pub fn buffer(self) -> BufferId {
        match self {
            Self::Tensor(view) => view.buffer,
            Self::Object(buffer) => buffer,
        }
    }
}

/// See the module's documentation.
pub struct Builder {
    /// The table of dims.
    pub dims: Dims,
    buffers: Arena<Buffer>,
    weights: Arena<Weight>,
    /// What packed weights are stored as.
    pub weight_type: WeightType,
    /// What products and convolutions multiply.
    pub precision: Precision,
    /// The steps of the block that is being lowered.
    pub steps: Vec<Step>,
    checks: Vec<Check>,
    bound: HashSet<Symbol>,
}

impl Builder {
    /// An empty program.
    pub fn new(dims: &Dims, options: &Options) -> Self {
        Self {
            dims: dims.clone(),
            buffers: Arena::default(),
            weights: Arena::default(),
            weight_type: options.stored(),
            precision: options.precision,
            steps: Vec::new(),
            checks: Vec::new(),
            bound: HashSet::new(),
        }
    }

    /// Notes that a step binds the symbol; false if one did already.
    pub fn bind(&mut self, symbol: Symbol) -> bool {
        self.bound.insert(symbol)
    }

    fn buffer(&mut self, dtype: DType, len: Dim, storage: Storage, name: &str) -> View {
        let buffer = self.buffers.push(Buffer { dtype, len, storage, name: name.to_owned() });
        View { buffer, offset: self.dims.int(0), len }
    }

    /// The dtype of a view's buffer.
    pub fn dtype(&self, view: View) -> DType {
        self.buffers[view.buffer].dtype
    }

    /// New memory of the model.
    pub fn scratch(&mut self, dtype: DType, shape: &[Dim], name: &str) -> View {
        let len = self.dims.product(shape);
        self.buffer(dtype, len, Storage::Scratch, name)
    }

    /// A new object.
    pub fn object(&mut self, name: &str) -> BufferId {
        let one = self.dims.int(1);
        self.buffer(DType::U8, one, Storage::Object, name).buffer
    }

    /// A constant.
    pub fn weight(&mut self, name: &str, tensor: Tensor) -> View {
        let (dtype, len) = (tensor.dtype, self.dims.int(tensor.len() as i64));
        let weight = self.weights.push(Weight { name: name.to_owned(), tensor });
        self.buffer(dtype, len, Storage::Weight(weight), name)
    }

    /// The place of an input of the model.
    pub fn input(&mut self, number: usize, graph: &Graph, value: ValueId) -> Place {
        let value = &graph.values[value];
        let storage = Storage::Input(number);
        if let Type::Tensor(dtype, Some(shape)) = &value.fact.ty {
            return Place::Tensor(self.buffer(*dtype, self.dims.product(shape), storage, &value.name));
        }
        Place::Object(self.buffer(DType::U8, self.dims.int(1), storage, &value.name).buffer)
    }

    /// Lowers all nodes of a graph with these places for its inputs; gives the places of its outputs. `entry`: the graph is the model's own, so
    /// what it requires of input dims is checked at the door.
    pub fn graph(&mut self, graph: &Graph, params: &[Place], entry: bool) -> Result<Vec<Place>, NodeError> {
        let (uses, homes) = (graph.uses(), joined::homes(graph));
        let mut places: Vec<Option<Place>> = vec![None; graph.values.len()];
        for (&input, &place) in graph.inputs.iter().zip(params) {
            places[input.index()] = Some(place);
        }
        for (_, node) in graph.nodes.iter() {
            let late = self.requirements(&node.requires, &node.origin.node, entry);
            let inputs = node.inputs.iter().map(|v| v.map(|v| self.place(graph, &mut places, v))).collect();
            let outputs = node.outputs.iter().map(|&v| self.home(graph, &mut places, &homes, v)).collect();
            let mut lower = Lower { builder: self, graph, node, inputs, outputs, uses: &uses, homes: &homes };
            node.op.lower(&mut lower).map_err(|error| NodeError {
                origin: node.origin.clone(),
                inputs: node.inputs.iter().flatten().map(|&v| graph.fact(v).show(&graph.dims).to_string()).collect(),
                error,
            })?;
            let outputs = lower.outputs;
            for (&value, place) in node.outputs.iter().zip(outputs) {
                places[value.index()] = place;
            }
            self.require(late, &node.origin.node);
        }
        Ok(graph.outputs.iter().map(|(_, v)| self.place(graph, &mut places, *v)).collect())
    }

    /// Where a value is; constants become weights when first used, and an output that its node left out (nothing wants it) is empty memory.
    fn place(&mut self, graph: &Graph, places: &mut [Option<Place>], value: ValueId) -> Place {
        if let Some(place) = places[value.index()] {
            return place;
        }
        let info = &graph.values[value];
        let place = match (&info.def, &info.fact.ty, info.fact.as_const()) {
            (Def::Const, _, Some(tensor)) => Place::Tensor(self.weight(&info.name, tensor.clone())),
            (_, Type::Tensor(dtype, Some(shape)), _) => Place::Tensor(self.scratch(*dtype, shape, &info.name)),
            _ => Place::Object(self.object(&info.name)),
        };
        places[value.index()] = Some(place);
        place
    }

    /// Where an output will be, if that is settled before its node is lowered: in the rows of another, or where others lie in its own.
    fn home(&mut self, graph: &Graph, places: &mut [Option<Place>], homes: &[Option<Home>], value: ValueId) -> Option<Place> {
        let Some(home) = homes[value.index()] else { return places[value.index()] };
        let Place::Tensor(whole) = self.place(graph, places, home.whole) else { return None };
        let offset = self.dims.offset(whole.offset, home.column);
        Some(Place::Tensor(View { offset, len: self.dims.int((home.rows - 1) * home.pitch + home.width), ..whole }))
    }

    /// Emits the requirements that can be checked now; returns those that the node itself must bind symbols for.
    fn requirements(&mut self, conditions: &[Condition], node: &str, entry: bool) -> Vec<Condition> {
        let mut late = Vec::new();
        for &condition in conditions {
            let (a, b) = match condition {
                Condition::Equal(a, b) | Condition::Broadcast(a, b) | Condition::AtMost(a, b) => (a, b),
            };
            if entry && self.dims.at_entry(a) && self.dims.at_entry(b) {
                self.checks.push(Check { node: node.to_owned(), condition });
            } else if self.is_bound(a) && self.is_bound(b) {
                self.require(vec![condition], node);
            } else {
                late.push(condition);
            }
        }
        late
    }

    fn is_bound(&self, dim: Dim) -> bool {
        use crate::ir::dim::Source;
        self.dims.symbols_of(dim).into_iter().all(|s| self.dims.info(s).source == Source::Entry || self.bound.contains(&s))
    }

    fn require(&mut self, conditions: Vec<Condition>, node: &str) {
        for condition in conditions {
            self.steps.push(Step { node: node.to_owned(), doc: String::new(), action: Action::Require(condition) });
        }
    }

    /// The place of an output of the model: the whole of a buffer of the model that no other output has; copied there if need be.
    pub fn own_output(&mut self, graph: &Graph, name: &str, value: ValueId, place: Place, others: &[Port]) -> Place {
        let buffer = &self.buffers[place.buffer()];
        let whole = match place {
            Place::Tensor(view) => view.offset == self.dims.int(0) && view.len == buffer.len,
            Place::Object(_) => true,
        };
        if whole && writable(buffer.storage) && others.iter().all(|o| o.buffer != place.buffer()) {
            return place;
        }
        let (action, new) = match place {
            Place::Tensor(view) => {
                let dtype = buffer.dtype;
                let shape = graph.fact(value).shape().map(<[Dim]>::to_vec).unwrap_or_default();
                let out = self.scratch(dtype, &shape, name);
                let args = vec![Arg::Out { view: out, update: false }, Arg::In(view)];
                (crate::kernel!(copy::copy(_, _) for any(dtype)).map(|kernel| Action::Call(Call { kernel, args })), Place::Tensor(out))
            }
            Place::Object(from) => {
                let out = self.object(name);
                let args = vec![Arg::OutObject { buffer: out, update: false }, Arg::InObject(from)];
                (Some(Action::Call(Call { kernel: crate::kernel!(object::copy(_, _)), args })), Place::Object(out))
            }
        };
        let step = |action| Step { node: name.to_owned(), doc: "copy of an input, a constant or another output".to_owned(), action };
        self.steps.extend(action.map(step));
        new
    }

    /// The finished program.
    pub fn finish(self, graph: &Graph, producer: &str, inputs: Vec<Port>, outputs: Vec<Port>) -> Program {
        Program {
            states: Vec::new(),
            name: graph.name.clone(),
            producer: producer.to_owned(),
            dims: self.dims,
            inputs,
            outputs,
            buffers: self.buffers,
            weights: self.weights,
            checks: self.checks,
            body: self.steps,
        }
    }
}
