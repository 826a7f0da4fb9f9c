//! The second language: what to do. Buffers, weights and steps; no values, no operators, no names as edges.
//!
//! A step calls one kernel of `onnxc-runtime` with explicit views of buffers, runs a fused elementwise loop, gives a symbol its value, or holds
//! blocks (If, Loop). Everything that depends on dims is a [`Dim`]; constants are dims too. `emit` prints a program as Rust, `interpret` runs it.

pub mod args;
pub mod formula;
pub mod interpret;
pub mod kernel;
pub mod state;
pub mod text;

use crate::ir::arena::{Arena, Entity, Id};
use crate::ir::dim::{Dim, Dims, Symbol};
use crate::ir::tensor::Tensor;
use formula::Formula;
use kernel::Kernel;
use onnxc_runtime::element::DType;

/// A program: the body runs once a call, from inputs to outputs.
#[derive(Clone)]
pub struct Program {
    /// The model's graph name.
    pub name: String,
    /// The producer as the model file says, such as `pytorch 2.9.1`.
    pub producer: String,
    /// The table that all dims of this program live in.
    pub dims: Dims,
    /// The inputs, in the model's order.
    pub inputs: Vec<Port>,
    /// The outputs, in the model's order.
    pub outputs: Vec<Port>,
    /// What is kept between calls.
    pub states: Vec<state::State>,
    /// Everything that holds data.
    pub buffers: Arena<Buffer>,
    /// Constant tensors that buffers of kind [`Storage::Weight`] refer to.
    pub weights: Arena<Weight>,
    /// What must hold of the entry symbols for the program to be right; checked once at the door.
    pub checks: Vec<Check>,
    /// The steps, in order.
    pub body: Vec<Step>,
}

/// An input or output.
#[derive(Clone, Debug)]
pub struct Port {
    /// The model's name of it.
    pub name: String,
    /// What it holds.
    pub ty: PortType,
    /// The buffer: of kind `Input` for inputs, `Scratch` or `Object` (written by a step) for outputs.
    pub buffer: BufferId,
}

/// The type of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortType {
    /// A tensor (of any dtype, strings included) with that shape. Each entry symbol is, by itself, at least one input's dim.
    Tensor(DType, Vec<Dim>),
    /// A sequence, optional or map, as text: `seq(tensor(float))`; a [`onnxc_runtime::value::Value`] at run time.
    Object(String),
}

/// A tensor that travels with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The name: the initializer's, or that of the node it was folded from.
    pub name: String,
    /// The elements.
    pub tensor: Tensor,
}

/// Where data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The dtype; for objects it means nothing.
    pub dtype: DType,
    /// The number of elements; for objects 1.
    pub len: Dim,
    /// The kind of place.
    pub storage: Storage,
    /// What it holds, for the reader of the generated code.
    pub name: String,
}

/// The kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// The caller's memory: the elements of the input of that number.
    Input(usize),
    /// A constant.
    Weight(WeightId),
    /// Memory of the model: planned (constant length), or growing (symbolic length). Strings are scratch with dtype `String`.
    Scratch,
    /// A sequence, optional or map on the heap.
    Object,
}

/// The id of a [`Buffer`].
pub type BufferId = Id<Buffer>;
/// The id of a [`Weight`].
pub type WeightId = Id<Weight>;

impl Entity for Buffer {
    const PREFIX: &'static str = "b";
}
impl Entity for Weight {
    const PREFIX: &'static str = "w";
}

/// A run of elements in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// The first element.
    pub offset: Dim,
    /// The number of elements.
    pub len: Dim,
}

/// What must hold at the entry, in terms of entry symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The node that needs it.
    pub node: String,
    /// What must hold.
    pub condition: Condition,
}

/// A condition on dims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `a == b`.
    Equal(Dim, Dim),
    /// `a == b` or `a == 1` or `b == 1`.
    Broadcast(Dim, Dim),
    /// `a <= b`.
    AtMost(Dim, Dim),
}

/// One thing to do.
#[derive(Clone, Debug)]
pub struct Step {
    /// The model's name of the node (may be empty, may be anything).
    pub node: String,
    /// What the step does, for the reader: operator, shapes, what was fused.
    pub doc: String,
    /// The action.
    pub action: Action,
}

/// The kinds of actions.
#[derive(Clone, Debug)]
pub enum Action {
    /// Call a kernel.
    Call(Call),
    /// One loop over memory that computes a formula of f32 elements: `out[i] = formula(inputs[i]…)`.
    Fused(Fused),
    /// Give symbols values: all right sides are read before any symbol is set.
    Assign(Vec<(Symbol, Dim)>),
    /// Check a condition that only holds for some data (after its symbols are bound).
    Require(Condition),
    /// Run one of two blocks.
    If {
        /// One boolean.
        condition: View,
        /// If true.
        then: Vec<Step>,
        /// If false.
        otherwise: Vec<Step>,
    },
    /// `counter = 0; while counter < trips && condition { body; counter += 1 }`; the counter keeps its last value.
    Loop {
        /// Bound by this step: the number of completed trips.
        counter: Symbol,
        /// The number of trips; without it, no limit.
        trips: Option<Dim>,
        /// One boolean, read before each trip.
        condition: Option<View>,
        /// The body; it moves what it carries itself.
        body: Vec<Step>,
    },
}

/// A kernel call: `onnxc_runtime::PATH(ARGS)?`.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which kernel.
    pub kernel: Kernel,
    /// The arguments in order.
    pub args: Vec<Arg>,
}

/// An argument of a kernel call.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// `Cx`: instruction set and threads.
    Cx,
    /// `&[T]`; T is the buffer's dtype (`String` for strings).
    In(View),
    /// `&mut [T]`, wholly written, or read and written if `update`. Its buffer is in no other argument of the call.
    Out {
        /// Which elements.
        view: View,
        /// Whether the old contents matter.
        update: bool,
    },
    /// `&Value`.
    InObject(BufferId),
    /// `&mut Value`; `update` as for `Out`.
    OutObject {
        /// The object.
        buffer: BufferId,
        /// Whether the old contents matter.
        update: bool,
    },
    /// `usize`: a dim, which must not be negative.
    Usize(Dim),
    /// `i64`: a symbolic integer.
    I64(Dim),
    /// `&[usize]`.
    Usizes(Vec<Dim>),
    /// `&[i64]`.
    I64s(Vec<Dim>),
    /// `f32`.
    F32(f32),
    /// `f64`.
    F64(f64),
    /// `bool`.
    Bool(bool),
    /// `&str`.
    Str(String),
    /// `&[&str]`.
    Strs(Vec<String>),
    /// `&[f32]`: a short literal list.
    F32s(Vec<f32>),
    /// `&[bool]`.
    Bools(Vec<bool>),
    /// A unit variant of an enum of the runtime: `resize::Mode`, `Linear`.
    Variant(&'static str, &'static str),
    /// A struct of the runtime: `conv::Geometry`, fields in order.
    Struct(&'static str, Vec<(&'static str, Arg)>),
    /// A fixed array `[a, b]` (a field of a struct).
    Array(Vec<Arg>),
    /// `None` of an `Option` argument.
    Absent,
    /// `Some(arg)`.
    Present(Box<Arg>),
    /// `&mut [i64]`: the kernel writes the values of these symbols.
    Bind(Vec<Symbol>),
    /// A DType literal.
    DType(DType),
    /// Which function of the user's is called.
    Path(String),
    /// `Attributes`: the attributes of a custom operator.
    Attributes(Vec<(String, Attribute)>),
}

/// An attribute of a custom operator.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)] // ONNX's kinds.
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

/// A fused elementwise loop. All f32.
#[derive(Clone, Debug)]
pub struct Fused {
    /// The output; dense, in row-major order of `shape`.
    pub out: View,
    /// The shape of the loop, collapsed where all dims are known.
    pub shape: Vec<Dim>,
    /// Inputs with their element strides in each dim of `shape` (0 where broadcast).
    pub inputs: Vec<(View, Vec<Dim>)>,
    /// What is computed.
    pub formula: Formula,
}
