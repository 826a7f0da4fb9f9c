//! Programs made by hand, emitted, compiled without a warning and run.

use onnxc::emit::{BlobPath, EmitOptions, Emitted, emit};
use onnxc::ir::arena::Arena;
use onnxc::ir::dim::{Dim, Dims};
use onnxc::ir::tensor::Tensor;
use onnxc::program::formula::{Binary, Formula, Instr, Unary};
use onnxc::program::kernel::Kernel;
use onnxc::program::*;
use onnxc::{memory, write};
use onnxc_runtime::element::DType;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program under construction.
struct Maker {
    p: Program,
}

impl Maker {
    fn new(name: &str) -> Self {
        let p = Program {
            name: name.to_owned(),
            producer: "by hand".to_owned(),
            dims: Dims::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            states: Vec::new(),
            buffers: Arena::default(),
            weights: Arena::default(),
            checks: Vec::new(),
            body: Vec::new(),
        };
        Self { p }
    }
    fn int(&self, n: i64) -> Dim {
        self.p.dims.int(n)
    }
    fn buffer(&mut self, dtype: DType, len: Dim, storage: Storage) -> BufferId {
        self.p.buffers.push(Buffer { dtype, len, storage, name: String::new() })
    }
    fn scratch(&mut self, dtype: DType, len: Dim) -> BufferId {
        self.buffer(dtype, len, Storage::Scratch)
    }
    fn input(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        let len = self.p.dims.product(dims);
        let buffer = self.buffer(dtype, len, Storage::Input(self.p.inputs.len()));
        self.p.inputs.push(Port { name: name.to_owned(), ty: PortType::Tensor(dtype, dims.to_vec()), buffer });
        buffer
    }
    fn output(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        let len = self.p.dims.product(dims);
        let buffer = self.scratch(dtype, len);
        self.p.outputs.push(Port { name: name.to_owned(), ty: PortType::Tensor(dtype, dims.to_vec()), buffer });
        buffer
    }
    fn weight(&mut self, name: &str, tensor: Tensor) -> BufferId {
        let (dtype, len) = (tensor.dtype, self.int(tensor.len() as i64));
        let id = self.p.weights.push(Weight { name: name.to_owned(), tensor });
        self.buffer(dtype, len, Storage::Weight(id))
    }
    fn all(&self, buffer: BufferId) -> View {
        View { buffer, offset: self.int(0), len: self.p.buffers[buffer].len }
    }
    fn read(&self, buffer: BufferId) -> Arg {
        Arg::In(self.all(buffer))
    }
    fn write(&self, buffer: BufferId) -> Arg {
        Arg::Out { view: self.all(buffer), update: false }
    }
    fn usizes(&self, sizes: &[i64]) -> impl Iterator<Item = Arg> {
        sizes.iter().map(|&n| Arg::Usize(self.int(n))).collect::<Vec<_>>().into_iter()
    }
}

fn call(path: &'static str, args: impl IntoIterator<Item = Arg>) -> Action {
    Action::Call(Call { kernel: Kernel { path, run: |_| Ok(()) }, args: args.into_iter().collect() })
}

fn step(node: &str, doc: &str, action: Action) -> Step {
    Step { node: node.to_owned(), doc: doc.to_owned(), action }
}

/// Rows of a constant table, then a softmax, and a fused loop; strings and booleans beside.
fn fixed() -> Program {
    let mut m = Maker::new("fixed \"shapes\" \n*/");
    let (two, three) = (m.int(2), m.int(3));
    let ids = m.input("input:ids", DType::I64, &[two]);
    let flags = m.input("flags", DType::Bool, &[two]);
    let scale = m.input("scale", DType::F32, &[]);
    let words = m.input("words", DType::String, &[two]);
    let elements: Vec<f32> = (0..60).map(|i| i as f32 / 10.0).collect();
    let table = m.weight("table", Tensor::new(&[20, 3], &elements).unwrap());
    let bias = m.weight("bias", Tensor::new(&[3], &[0.5f32, f32::NEG_INFINITY, -1.5]).unwrap());
    let labels = m.weight("labels", Tensor::strings(vec![2], vec!["no".into(), "\u{202e}y\"es\n".into()]).unwrap());
    let probs = m.output("probs", DType::F32, &[two, three]);
    let kept = m.output("flags", DType::Bool, &[two]);
    let said = m.output("said", DType::String, &[two, two]);
    let six = m.int(6);
    let (rows, scaled) = (m.scratch(DType::F32, six), m.scratch(DType::F32, six));
    let gather = call("gather::gather", [m.write(rows), m.read(table), m.read(ids)].into_iter().chain(m.usizes(&[1, 20, 3])));
    m.p.body.push(step("emb/Gather", "Gather f32[20, 3] by i64[2]", gather));
    let formula = Formula {
        inputs: 3,
        instrs: vec![
            Instr::Binary(Binary::Mul, 0, 1),
            Instr::Binary(Binary::Max, 3, 2),
            Instr::Unary(Unary::Sqrt, 4),
            Instr::Const(1.0),
            Instr::Binary(Binary::Add, 5, 6),
        ],
    };
    let strides = |a, b| vec![m.int(a), m.int(b)];
    let inputs = vec![(m.all(rows), strides(3, 1)), (m.all(scale), strides(0, 0)), (m.all(bias), strides(0, 1))];
    m.p.body.push(step(
        "",
        "sqrt(max(rows * scale, bias)) + 1",
        Action::Fused(Fused { out: m.all(scaled), shape: vec![two, three], inputs, formula }),
    ));
    let softmax = call("softmax::softmax", [m.write(probs), m.read(scaled)].into_iter().chain(m.usizes(&[2, 3, 1])));
    m.p.body.push(step("softmax", "Softmax", softmax));
    m.p.body.push(step("keep", "Identity", call("copy::copy", [m.write(kept), m.read(flags)])));
    let half = |m: &Maker, at| Arg::Out { view: View { buffer: said, offset: m.int(at), len: two }, update: false };
    m.p.body.push(step("say", "Concat, first", call("copy::copy", [half(&m, 0), m.read(words)])));
    m.p.body.push(step("say", "Concat, second", call("copy::copy", [half(&m, 2), m.read(labels)])));
    m.p
}

/// Symbolic dims, a dim that only the data tells, a branch and a loop.
fn dynamic() -> Program {
    let mut m = Maker::new("dynamic");
    let d = m.p.dims.clone();
    let n = d.named("batch size");
    let three = m.int(3);
    let x = m.input("x", DType::F32, &[n, three]);
    let z = m.input("z", DType::F32, &[d.offset(n, 1)]);
    let flag = m.input("flag", DType::Bool, &[]);
    m.p.checks.push(Check { node: "need".into(), condition: Condition::AtMost(n, m.int(100)) });
    let (found, count) = d.fresh(0);
    let (trip, _) = d.fresh(0);
    let places = m.output("places", DType::I64, &[m.int(2), count]);
    let picked = m.output("picked", DType::F32, &[d.offset(n, 1)]);
    let sums = m.output("sums", DType::F32, &[m.int(4)]);
    let shape = Arg::Usizes(vec![n, three]);
    m.p.body.push(step("nz", "NonZero, count", call("nonzero::nonzero_count", [Arg::Bind(vec![found]), m.read(x)])));
    m.p.body.push(step("nz", "NonZero", call("nonzero::nonzero", [m.write(places), m.read(x), shape])));
    m.p.body.push(step("limit", "", Action::Require(Condition::AtMost(count, m.int(5)))));
    let start = View { buffer: x, offset: m.int(0), len: d.offset(n, 1) };
    let then = vec![step("then", "Identity", call("copy::copy", [m.write(picked), m.read(z)]))];
    let otherwise = vec![step("else", "Slice", call("copy::copy", [m.write(picked), Arg::In(start)]))];
    m.p.body.push(step("choose", "If", Action::If { condition: m.all(flag), then, otherwise }));
    let (one, four) = (m.int(1), m.int(4));
    let turn = View { buffer: sums, offset: d.symbol(trip), len: one };
    let first = View { buffer: x, offset: d.symbol(trip), len: one };
    let body = vec![step("copy", "", call("copy::copy", [Arg::Out { view: turn, update: false }, Arg::In(first)]))];
    m.p.body.push(step("loop", "Loop", Action::Loop { counter: trip, trips: Some(d.min(four, d.scale(n, 2))), condition: None, body }));
    m.p
}

/// `hn = x + h` of known shape, and `present = concat(past, x)` that grows from call to call; both are kept.
fn keeping() -> Program {
    let mut m = Maker::new("keeping");
    let d = m.p.dims.clone();
    let (two, n, past) = (m.int(2), d.named("n"), d.named("past_len"));
    let h = m.input("h", DType::F32, &[two]);
    let x = m.input("x", DType::F32, &[n, two]);
    let before = m.input("past", DType::F32, &[past, two]);
    let all = d.add(past, n);
    let hn = m.output("hn", DType::F32, &[two]);
    let present = m.output("present", DType::F32, &[all, two]);
    let copy = m.output("copy", DType::F32, &[all, two]);
    let first = View { buffer: x, offset: m.int(0), len: two };
    let formula = Formula { inputs: 2, instrs: vec![Instr::Binary(Binary::Add, 0, 1)] };
    let inputs = vec![(first, vec![m.int(1)]), (m.all(h), vec![m.int(1)])];
    m.p.body.push(step("add", "Add", Action::Fused(Fused { out: m.all(hn), shape: vec![two], inputs, formula })));
    let (old, new) = (d.scale(past, 2), d.scale(n, 2));
    let part = |offset, len| Arg::Out { view: View { buffer: present, offset, len }, update: false };
    m.p.body.push(step("concat", "", call("copy::copy", [part(m.int(0), old), m.read(before)])));
    m.p.body.push(step("concat", "", call("copy::copy", [part(old, new), m.read(x)])));
    m.p.body.push(step("copy", "", call("copy::copy", [m.write(copy), m.read(present)])));
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    state::keep(&mut m.p, &[pair("h", "hn"), pair("past", "present")]).unwrap();
    assert!(state::keep(&mut m.p, &[pair("h", "hn")]).is_err());
    m.p
}

fn emitted(program: &Program, options: &EmitOptions) -> (String, Emitted) {
    let placement = memory::place(program);
    let emitted = emit(program, &placement, options);
    let text = write::text(&emitted, "by hand.onnx", &options.model_hash).unwrap_or_else(|e| panic!("{e}\n{:#?}", emitted.items));
    (text, emitted)
}

/// A crate beside the test's own build, so that the runtime is compiled once.
fn crate_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(dir.join("src")).unwrap();
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime-support");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\nonnxc-runtime = {{ path = \"{}\" }}\n\
         [workspace]\n[profile.dev]\nopt-level = 1\n[lints.rust]\nwarnings = \"deny\"\n[lints.clippy]\nall = \"deny\"\n",
        runtime.display()
    );
    write::write_if_changed(&dir.join("Cargo.toml"), manifest.as_bytes()).unwrap();
    // Not the style of this repository: the default one.
    write::write_if_changed(&dir.join("rustfmt.toml"), b"").unwrap();
    dir
}

fn cargo(dir: &Path, args: &[&str]) {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

fn put(dir: &Path, module: &str, program: &Program, blob: BlobPath) {
    let options = EmitOptions { blob, model_hash: "00ff".into(), ..EmitOptions::default() };
    let (text, emitted) = emitted(program, &options);
    assert_eq!(text, self::emitted(program, &options).0, "the same program gives the same text");
    let path = dir.join(format!("src/{module}.rs"));
    write::files(&text, &emitted, &path).unwrap();
    if module != "fixed" {
        return; // Lines between prettyplease's width and rustfmt's.
    }
    let check = Command::new("rustfmt").args(["--check", "--edition", "2024"]).arg(&path).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

fn by_hand(name: &str) -> PathBuf {
    let dir = crate_dir(name);
    put(&dir, "fixed", &fixed(), BlobPath::InPackage("src/fixed.weights".into()));
    put(&dir, "again", &fixed(), BlobPath::Beside("again.weights".into()));
    put(&dir, "dynamic", &dynamic(), BlobPath::Beside("dynamic.weights".into()));
    put(&dir, "keeping", &keeping(), BlobPath::Beside("keeping.weights".into()));
    let main = include_str!("generated/program.rs");
    write::write_if_changed(&dir.join("src/main.rs"), main.as_bytes()).unwrap();
    dir
}

#[test]
fn generated_code_compiles_without_warnings_and_runs() {
    cargo(&by_hand("by-hand"), &["run", "-q"]);
}

/// Builds the runtime once more: `cargo test -- --ignored`.
#[test]
#[ignore = "slow"]
fn clippy_has_nothing_to_say() {
    cargo(&by_hand("by-hand-clippy"), &["clippy", "-q"]);
}
