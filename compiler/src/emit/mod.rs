//! Room 6 · (Program, Placement) → the items of the generated module.
//!
//! The order of the file: imports, `Model` with its metadata and `run`, `Inputs`, `Outputs`, `Dims`, the steps, the formulas, the constants.
//! Nothing of the model's text gets here except through [`names`] or as an escaped literal.

mod custom;
mod dims;
mod door;
mod formula;
mod literal;
mod meta;
pub mod names;
mod options;
mod outputs;
mod ports;
mod profile;
mod session;
mod state;
mod steps;
mod table;
mod views;
mod weights;

use crate::ir::dim::Symbol;
use crate::memory::Placement;
use crate::program::formula::Formula;
use crate::program::{Action, Program, Step};
use names::Scope;
pub use options::{BlobPath, Embed, EmitOptions};
use ports::InputPort;
use proc_macro2::TokenStream;
use quote::quote;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
pub use weights::Blob;

/// The generated module.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The items, in order.
    pub items: Vec<TokenStream>,
    /// The file of constants, unless all are literals.
    pub blob: Option<Blob>,
    /// Bytes of all constants, in the file or literal.
    pub weight_bytes: usize,
}

/// Which of a block's variables a statement uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Uses {
    memory: bool,
    inputs: bool,
    dims: bool,
    dims_mut: bool,
    cx: bool,
}

impl Uses {
    fn and(self, other: Self) -> Self {
        Self {
            memory: self.memory | other.memory,
            inputs: self.inputs | other.inputs,
            dims: self.dims | other.dims,
            dims_mut: self.dims_mut | other.dims_mut,
            cx: self.cx | other.cx,
        }
    }

    fn pick(self, all: [TokenStream; 5]) -> TokenStream {
        let [m, x, d, d_mut, cx] = all;
        let chosen = [(self.memory, m), (self.inputs, x), (self.dims && !self.dims_mut, d), (self.dims_mut, d_mut), (self.cx, cx)];
        let chosen = chosen.into_iter().filter_map(|(used, tokens)| used.then_some(tokens));
        quote!(#(#chosen),*)
    }

    fn parameters(self) -> TokenStream {
        self.pick([quote!(m: &mut Memory<'_>), quote!(x: &Inputs<'_>), quote!(d: &Dims), quote!(d: &mut Dims), quote!(cx: Cx)])
    }

    fn arguments(self) -> TokenStream {
        self.pick([quote!(m), quote!(x), quote!(d), quote!(d), quote!(cx)])
    }
}

/// The state of the room: what was named and made so far.
struct Emitter<'a> {
    program: &'a Program,
    memory: &'a Placement,
    options: &'a EmitOptions,
    runtime: TokenStream,
    /// The names of the module's functions, constants and types.
    module: Scope,
    symbols: BTreeMap<Symbol, String>,
    used_symbols: RefCell<BTreeSet<Symbol>>,
    uses: Cell<Uses>,
    /// How many symbols the current call binds.
    bound: usize,
    inputs: Vec<InputPort>,
    outputs: Vec<ports::OutputPort>,
    state_fields: Vec<String>,
    functions: Vec<TokenStream>,
    formulas: Vec<(Formula, String)>,
    formula_items: Vec<TokenStream>,
    /// A formula calls a function of `Math`.
    math: bool,
    weights: weights::Table,
    /// The elements of `PROFILE`, if steps are timed.
    profile: Vec<TokenStream>,
}

/// The names that the module's own items and imports have.
const RESERVED: &[&str] = &[
    "Model",
    "Inputs",
    "Outputs",
    "Dims",
    "Memory",
    "WEIGHTS",
    "PROFILE",
    "Cx",
    "Dim",
    "DType",
    "Fault",
    "RunError",
    "In",
    "Out",
    "Both",
    "InObject",
    "OutObject",
    "View",
    "Value",
    "Port",
    "Axis",
    "PortType",
    "Formula",
    "Simd",
    "Math",
    "Blob",
    "Session",
    "Row",
    "Prediction",
    "MapView",
    "kernels",
    "dims",
    "door",
    "element",
    "float",
    "part",
    "array",
    "truth",
    "bools_in",
    "bools_out",
    "outputs",
    "model",
    "m",
    "x",
    "d",
    "s",
    "y",
    "cx",
    "Some",
    "None",
    "Ok",
    "Err",
    "MaybeUninit",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "bool",
    "str",
    "trips",
    "bound",
    "kept",
    "core",
];

/// Prints a program as Rust items.
pub fn emit(program: &Program, memory: &Placement, options: &EmitOptions) -> Emitted {
    let mut emitter = Emitter::new(program, memory, options);
    let body = emitter.block(&program.body, "run");
    let outputs = emitter.outputs_items();
    let checks = emitter.checks();
    let states = emitter.state_statements();
    let model = emitter.model_items(&body, &checks, &states);
    let session = emitter.session_item();
    let inputs = emitter.inputs_item();
    let dims = emitter.dims_item();
    let table = emitter.table_items();
    let weight_bytes = emitter.weight_bytes();
    let meta = emitter.meta_item(weight_bytes);
    let (blob, blob_item) = emitter.blob();
    let profile = emitter.profile_item();
    let features = emitter.features();
    let Emitter { math, functions, formula_items, weights, .. } = emitter;
    let sections = [
        vec![endian(), features, meta],
        model,
        session,
        outputs,
        table,
        inputs,
        dims,
        functions,
        formula_items,
        weights.items,
        vec![profile, blob_item],
    ];
    let items: Vec<TokenStream> = sections.into_iter().flatten().filter(|item| !item.is_empty()).collect();
    let mut all = meta::imports(&items, &options.runtime_path, math);
    all.extend(items);
    Emitted { items: all, blob, weight_bytes }
}

/// Constants are stored little-endian.
fn endian() -> TokenStream {
    quote! {
        #[cfg(target_endian = "big")]
        compile_error!("onnxc: big-endian targets are not supported");
    }
}

/// Whether any of the steps calls the kernel of that path.
fn calls(steps: &[Step], path: &str) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Call(call) => call.kernel.path == path,
        Action::If { then, otherwise, .. } => calls(then, path) || calls(otherwise, path),
        Action::Loop { body, .. } => calls(body, path),
        Action::Fused(_) | Action::Assign(_) | Action::Require(_) => false,
    })
}

impl<'a> Emitter<'a> {
    /// Optional parts of the runtime that the steps need.
    fn features(&self) -> TokenStream {
        if !calls(&self.program.body, "image::decode") {
            return TokenStream::new();
        }
        quote! {
            const _: () = assert!(kernels::image::AVAILABLE, "this model decodes images: give `onnxc-runtime` the feature `image` in Cargo.toml");
        }
    }

    fn new(program: &'a Program, memory: &'a Placement, options: &'a EmitOptions) -> Self {
        let mut fields = Scope::new(ports::SHADOWED);
        let inputs = ports::inputs(program);
        // `run` has the inputs as parameters, which would hide functions of the same name.
        let mut module = Scope::new(RESERVED);
        inputs.iter().for_each(|port| module.reserve(&port.name));
        let symbols = program.dims.symbols().into_iter().map(|s| (s, fields.snake(&program.dims.info(s).name, "n"))).collect();
        Self {
            program,
            memory,
            options,
            runtime: options.runtime_path.parse().unwrap_or_else(|_| quote!(::onnxc_runtime)),
            module,
            symbols,
            used_symbols: RefCell::default(),
            uses: Cell::default(),
            bound: 0,
            inputs,
            outputs: ports::outputs(program),
            state_fields: state::fields(program),
            functions: Vec::new(),
            formulas: Vec::new(),
            formula_items: Vec::new(),
            math: false,
            weights: weights::Table::default(),
            profile: Vec::new(),
        }
    }

    fn with_uses(&self, change: impl FnOnce(&mut Uses)) {
        let mut uses = self.uses.get();
        change(&mut uses);
        self.uses.set(uses);
    }
}
