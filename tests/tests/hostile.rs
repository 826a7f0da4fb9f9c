//! No file makes the compiler or the compiled model panic, take all memory or all time: truncations and mutations of good models, of their bytes
//! and of their structure, go through all rooms and end in code or in a report. What still compiles is run on odd numbers.

use onnxc::emit::{EmitOptions, emit};
use onnxc::generate::compile_file;
use onnxc::harness::numbers;
use onnxc::ops::table;
use onnxc::options::{Precision, WeightType};
use onnxc::program::{PortType, Program, interpret};
use onnxc::{Model, Options, memory, write};
use onnxc_proto::{ExternalFiles, ModelProto};
use onnxc_runtime::element::DType;
use onnxc_runtime::value::{Tensor, Value};
use onnxc_tests::models;
use onnxc_tests::mutate::{Random, mutate, restructure};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};

/// No single file may take longer, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

thread_local! {
    static WHERE: RefCell<String> = const { RefCell::new(String::new()) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Panics inside [`Found::check`] are kept for its report, others are shown as usual.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LISTENING.get() {
                let stack = Backtrace::force_capture().to_string();
                let ours = stack.lines().map(str::trim).find(|l| l.contains("onnxc::") || l.contains("onnxc_runtime::"));
                WHERE.set(format!("{info}\n    in {}", ours.unwrap_or_default()));
            } else {
                usual(info);
            }
        }));
    });
}

/// What went wrong, each place in the code once, with the first model that got there.
#[derive(Default)]
struct Found(BTreeMap<String, String>);

impl Found {
    fn new() -> Self {
        listen();
        Self::default()
    }

    /// Runs something on a model; a panic or a long time is a find, and the model's bytes are kept.
    fn check(&mut self, name: &str, bytes: &dyn Fn() -> Vec<u8>, work: impl FnOnce()) {
        let start = Instant::now();
        LISTENING.set(true);
        let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
        LISTENING.set(false);
        let what = match (panicked, start.elapsed() > PATIENCE) {
            (true, _) => WHERE.with_borrow(Clone::clone),
            (false, true) => format!("more than {} s", PATIENCE.as_secs()),
            (false, false) => return,
        };
        let path = std::env::temp_dir().join(format!("onnxc-hostile-{name}.onnx"));
        // `panicked at FILE:LINE:COLUMN:` and the function of ours tell the place.
        let place = what.lines().next().into_iter().chain(what.lines().last()).collect();
        self.0.entry(place).or_insert_with(|| {
            std::fs::write(&path, bytes()).unwrap();
            format!("{what}\n    from {name}, kept as {}", path.display())
        });
    }

    fn conclude(self) {
        let texts: Vec<String> = self.0.into_values().collect();
        assert!(texts.is_empty(), "{} places:\n{}", texts.len(), texts.join("\n"));
    }
}

/// The models of the test pages and of the example.
fn good() -> Vec<(String, ModelProto)> {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits/models/digits.onnx");
    let digits = ("digits".to_owned(), Model::read(&digits).unwrap());
    models::pages().chain([digits]).map(|(name, model)| (name, model.proto)).collect()
}

/// All rooms.
fn compile(model: Model) -> Option<Program> {
    let program = onnxc::compile_to_program(model, &Options::default()).ok()?;
    let emitted = emit(&program, &memory::place(&program), &EmitOptions::default());
    write::text(&emitted, "hostile.onnx", "0").expect("what is emitted parses");
    Some(program)
}

fn compile_bytes(bytes: Vec<u8>) {
    if let Ok(model) = Model::from_bytes(bytes) {
        compile(model);
    }
}

#[test]
fn truncations_do_not_panic() {
    let mut found = Found::new();
    for (name, model) in good() {
        let bytes = onnxc_proto::encode(&model);
        for len in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
            found.check(&name, &|| bytes[..len].to_vec(), || compile_bytes(bytes[..len].to_vec()));
        }
    }
    found.conclude();
}

#[test]
fn mutated_bytes_do_not_panic() {
    let mut found = Found::new();
    let mut random = Random::new(1);
    for (name, model) in good() {
        let bytes = onnxc_proto::encode(&model);
        for _ in 0..60 {
            let broken = mutate(&bytes, &mut random);
            found.check(&name, &|| broken.clone(), || compile_bytes(broken.clone()));
        }
    }
    found.conclude();
}

/// The way that `Build`, the macro and the command go, with options that do not fit.
#[test]
fn files_through_the_doors_do_not_panic() {
    let mut found = Found::new();
    let mut random = Random::new(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let options = Options {
        dims: vec![("batch".into(), 3), ("N".into(), -1)],
        input_shapes: vec![("x".into(), vec!["2".into(), "n".into()])],
        states: vec![("x".into(), "y".into())],
        exact_conv: true,
        weights: WeightType::F16,
        precision: Precision::F32,
        custom_ops: Vec::new(),
    };
    for (name, model) in good() {
        let bytes = onnxc_proto::encode(&model);
        for i in 0..20 {
            let broken = if i == 0 { bytes.clone() } else { mutate(&bytes, &mut random) };
            std::fs::write(&path, &broken).unwrap();
            let emit = EmitOptions { no_std: i % 2 == 0, ..EmitOptions::default() };
            found.check(&name, &|| broken.clone(), || drop(compile_file(&path, &options, &emit)));
        }
    }
    found.conclude();
}

/// Inputs of known shape, of zeros, small numbers, or extremes.
fn odd_inputs(program: &Program, random: &mut Random) -> Option<Vec<Value>> {
    let mut input = |ty: &PortType| {
        let PortType::Tensor(dtype, dims) = ty else { return None };
        let shape: Vec<usize> = dims.iter().map(|&d| usize::try_from(program.dims.value(d).unwrap_or(2)).ok()).collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n < 10_000)?;
        if *dtype == DType::String {
            return Tensor::from_strings(&shape, vec!["a ü".to_owned(); count]).ok().map(Value::from);
        }
        let kinds = [0.0, 1.0, -1.0, 2.0, 5.0, 1e9, -1e19, f64::NAN, f64::INFINITY];
        let kind = 1 + random.below(kinds.len());
        let numbers: Vec<f64> = (0..count).map(|_| kinds[random.below(kind)]).collect();
        numbers::from_f64s(*dtype, &shape, &numbers)?.ok().map(Value::from)
    };
    program.inputs.iter().map(|p| input(&p.ty)).collect()
}

fn compile_and_run(model: ModelProto, random: &mut Random) {
    let Some(program) = compile(Model { proto: model, files: ExternalFiles::refused() }) else { return };
    if memory::place(&program).arena > 1 << 24 {
        return;
    }
    if let Some(inputs) = odd_inputs(&program, random) {
        drop(interpret::run(&program, &inputs, 2_000));
    }
}

fn restructured(models: impl Iterator<Item = (String, ModelProto)>, times: usize) {
    let operators: Vec<String> = table::all().filter(|r| r.domain.is_empty()).map(|r| r.name.to_owned()).collect();
    let mut found = Found::new();
    let mut random = Random::new(3);
    for (name, model) in models {
        for _ in 0..times {
            let mut changed = model.clone();
            restructure(&mut changed, &operators, &mut random);
            found.check(&name, &|| onnxc_proto::encode(&changed), || compile_and_run(changed.clone(), &mut random));
        }
    }
    found.conclude();
}

#[test]
fn changed_structures_do_not_panic() {
    restructured(good().into_iter(), 30);
}

/// Some of the official cases, if they are at hand: all operators with all their attributes.
#[test]
fn changed_official_cases_do_not_panic() {
    restructured(models::official(17).map(|(name, model)| (name, model.proto)), 3);
}

/// All of them, often: `cargo test -p onnxc-tests --test hostile -- --ignored`.
#[test]
#[ignore = "minutes"]
fn all_changed_official_cases_do_not_panic() {
    restructured(models::official(1).map(|(name, model)| (name, model.proto)), 20);
}
