//! `cargo xtask bench`: whole models beside ONNX Runtime, OpenVINO and others, interleaved in one run by ../shared/peers.

mod table;

use crate::data;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use table::Built;

/// The f32 models of ../shared/peers/BASELINE.md.
const MODELS: &str = "linreg,simplenet,mlp_mnist_b1,mlp_mnist_b32,lenet5,mnist_cnn,lstm,gru,silero_vad_ov16k,silero_vad,ppocr_cls,ppocr_rec,\
ppocr_det,shufflenet,squeezenet,mobilenet_v2,yolov8n_320,inception_v1,inception_v2,densenet121,resnet50,bvlc_alexnet,zfnet512,minilm_s16,\
minilm_s128,bert_base_s128,gpt2_s64,vgg19";

/// Time models beside other runtimes; writes OUT/bench.md and OUT/bench.json
///
/// Needs what `../shared/peers/setup.sh core` prepares in $PERF_ROOT (default: target/peers). The machine should do nothing else meanwhile.
#[derive(clap::Args)]
pub struct Bench {
    /// The models, by their names in $PERF_ROOT/models
    #[arg(long, value_delimiter = ',', default_value = MODELS)]
    models: Vec<String>,
    /// The numbers of threads to time with
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// The others, by their names in ../shared/peers/driver/perf.py; ONNX Runtime (ort) must be among them
    #[arg(long, value_delimiter = ',', default_value = "ort,openvino")]
    peers: Vec<String>,
    /// Windows for each competitor
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The length of a window, in milliseconds
    #[arg(long, default_value_t = 150)]
    ms: usize,
    /// Starts that are timed from exec to the first output
    #[arg(long, default_value_t = 5)]
    cold: usize,
    /// Where executables and results go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Time the executables that are in OUT already
    #[arg(long)]
    keep: bool,
}

impl Bench {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        let peers = std::env::var_os("PERF_ROOT").map_or_else(|| data::root().join("target/peers"), PathBuf::from);
        let driver = data::root().join("../shared/peers/driver/perf.py");
        if !peers.join("models").is_dir() || !driver.is_file() {
            let help = "prepare it with `../shared/peers/setup.sh core`, and name it in PERF_ROOT if it is not target/peers";
            return Err(format!("{} holds no models of the peers: {help}", peers.display()));
        }
        std::fs::create_dir_all(&self.out).map_err(|e| format!("{}: {e}", self.out.display()))?;
        let out = self.out.canonicalize().map_err(|e| format!("{}: {e}", self.out.display()))?;
        let built = self.build(&peers, &out)?;
        let raw = out.join("perf.json");
        // The driver adds to a file that is there.
        let _ = std::fs::remove_file(&raw);
        let names: Vec<&str> = built.iter().filter(|b| b.error.is_none()).map(|b| b.name.as_str()).collect();
        let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut perf = Command::new(peers.join("v/bin/python"));
        perf.arg(&driver).args(["--models", &names.join(","), "--threads", &list(&self.threads)]);
        perf.args(["--comps", &format!("{},onnxc", self.peers.join(","))]).arg("--out").arg(&raw);
        for (option, value) in [("--rounds", self.rounds), ("--ms", self.ms), ("--cold", self.cold)] {
            perf.args([option, &value.to_string()]);
        }
        data::run(perf.env("PERF_ROOT", &peers).env("PERF_EXTRA", format!("onnxc={}/{{model}}", out.display())))?;
        let raw = std::fs::read_to_string(&raw).map_err(|e| format!("{}: {e}", raw.display()))?;
        let raw = serde_json::from_str(&raw).map_err(|e| format!("the driver's results: {e}"))?;
        let results = table::Results::new(&raw, built, &self.peers, &self.threads, limit(&peers));
        let write = |name: &str, text: String| std::fs::write(out.join(name), text).map_err(|e| format!("{name}: {e}"));
        write("bench.json", format!("{:#}\n", results.json()))?;
        write("bench.md", results.markdown())?;
        print!("{}", results.markdown());
        Ok(if results.all_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Builds the executables, and asks what the compiler knows of the models.
    fn build(&self, peers: &Path, out: &Path) -> Result<Vec<Built>, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        data::run(Command::new(cargo).current_dir(data::root()).args([
            "build",
            "--quiet",
            "--release",
            "-p",
            "onnxc",
            "--features",
            "cli",
        ]))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| data::root().join("target"), PathBuf::from);
        let onnxc = target.join("release/onnxc");
        let one = |name: &String| {
            let (model, executable) = (peers.join("models").join(format!("{name}.onnx")), out.join(name));
            eprintln!("building {name}");
            if !(self.keep && executable.is_file()) {
                let build = text_of(Command::new(&onnxc).arg("bench").arg(&model).arg("--build-only").arg(&executable));
                if let Err(error) = build {
                    let _ = std::fs::remove_file(&executable);
                    return Built { name: name.clone(), error: Some(error), ..Built::default() };
                }
            }
            let shapes = input_shapes(&peers.join("models").join(format!("{name}.in/manifest")));
            let inspected = text_of(Command::new(&onnxc).args(["inspect", "--json"]).arg(&model).args(shapes));
            let inspected = inspected.ok().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()).unwrap_or_default();
            let known = |what: &str| inspected["compiled"][what].as_f64();
            let size = std::fs::metadata(&executable).ok().map(|m| m.len() as f64);
            Built {
                name: name.clone(),
                flops: known("flops"),
                weights: known("weight_bytes"),
                scratch: known("scratch_bytes"),
                size,
                error: None,
            }
        };
        Ok(self.models.iter().map(one).collect())
    }
}

/// The options that give a model the shapes of its benchmark's inputs.
fn input_shapes(manifest: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (name, _dtype, dims) = (fields.next()?, fields.next()?, fields.next()?);
        Some(["--input-shape".to_owned(), format!("{name}={dims}")])
    });
    lines.flatten().collect()
}

/// What a command prints; if it fails, what it says of that.
fn text_of(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Operations that one thread does in a second at most, as the peers' `limits` measures them now.
fn limit(peers: &Path) -> Option<f64> {
    // It ends with an error where the machine lacks an instruction set; what it has printed by then holds.
    let output = Command::new(peers.join("tgt/all/release/limits")).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let best = |line: &str| line.split_once("best ")?.1.split_whitespace().next()?.parse::<f64>().ok();
    text.lines().filter(|l| l.starts_with("f32_fma") && l.contains("_1t")).filter_map(best).reduce(f64::max).map(|gflops| gflops * 1e9)
}
