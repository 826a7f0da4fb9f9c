//! `cargo xtask support`: the page of supported operators, from the compiler's own table.

use crate::data;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Write SUPPORTED.md from the table of operators; with --check, only say whether it is up to date
#[derive(clap::Args)]
pub struct Support {
    /// Fail if the file differs
    #[arg(long)]
    check: bool,
    /// Try first with which types each operator compiles (minutes), and write tests/conformance/operators.txt; with --check, compare it
    #[arg(long)]
    probe: bool,
}

/// Whether a file has this text; it gets it unless it is only checked.
fn settle(path: &Path, text: &str, check: bool) -> Result<bool, String> {
    if !check {
        return std::fs::write(path, text).map(|()| true).map_err(|e| format!("{}: {e}", path.display()));
    }
    let same = std::fs::read_to_string(path).is_ok_and(|old| old == text);
    if !same {
        eprintln!("{} is out of date: run `cargo xtask support`, and with --probe if types have changed", path.display());
    }
    Ok(same)
}

/// What operators.txt should say, from the standard's schemas and the compiler.
fn probed() -> Result<String, String> {
    let (cases, python) = (data::cases(data::RELEASE)?, data::python(data::RELEASE)?);
    data::run(Command::new("cargo").args(["build", "--quiet", "--package", "onnxc", "--bin", "onnxc"]).current_dir(data::root()))?;
    let mut script = Command::new(python);
    script.arg("-W").arg("ignore").arg(data::root().join("xtask/src/operators.py")).arg(cases);
    script.env("ONNXC", data::root().join("target/debug/onnxc"));
    let output = script.output().map_err(|e| format!("operators.py: {e}"))?;
    if !output.status.success() {
        return Err(format!("operators.py failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("operators.py: {e}"))
}

impl Support {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        let operators = data::root().join("tests/conformance/operators.txt");
        let mut fresh = true;
        if self.probe {
            fresh = settle(&operators, &probed()?, self.check)?;
        }
        let known = std::fs::read_to_string(&operators).map_err(|e| format!("{}: {e}", operators.display()))?;
        fresh &= settle(&data::root().join("SUPPORTED.md"), &page(&known)?, self.check)?;
        Ok(if fresh { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

const HEAD: &str = "# Supported operators

Written by `cargo xtask support` from the compiler's table of operators and `tests/conformance/operators.txt` (`xtask/src/operators.py`).

- **Versions**: all that the standard has of the operator up to onnx 1.23.2, which are all taken; a deprecated one is in parentheses.
- **Types**: those of the operator's first input (or output) with which an official case of one node compiles, with the dims of the case and with
  open ones. A dash: there is no such case, or the first input is no tensor.
- **Modes**: every operator in all three (static, dynamic, constant). What does not pass of the official cases is in
  `tests/conformance/not_passing.txt`.
";

/// What ONNX Runtime has on CPUs in its own domain and is left out.
const LEFT_OUT: &str = "
Left out, of what ONNX Runtime 1.31 has kernels for on CPUs: AttnLSTM, BeamSearch, BifurcationDetector, BranchwiseRMSNorm, CausalConvWithState,
ConvTransposeWithDynamicPads, CropAndResize, DecoderMaskedMultiHeadAttention, DynamicTimeWarping, EngramGate, GatedAdd, GatedRMSNorm, GreedySearch,
HyperConnectionPostMix, HyperConnectionPreMix, LinearAttention, LinearAttentionGate, MRotaryEmbedding, MatMulFpQ4, MaxpoolWithMask, MoE,
NGramHashMapping, Pad, QEmbedLayerNormalization, QMoE, SampleOp, Sampling, ScaledSiLU, SparseAttention, SparseToDenseMatMul, UnfoldTensor,
VarlenNGramHashMapping, WhisperBeamSearch, WordConvEmbedding. The family of PackedAttention has no kernel for CPUs there either.
";

/// Versions and types of the standard's operators by domain and name.
fn standard(known: &str) -> Result<BTreeMap<(&str, &str), (String, String)>, String> {
    let mut found = BTreeMap::new();
    for line in known.lines().filter(|l| !l.starts_with('#')) {
        let [domain, name, versions, types, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("operators.txt: five columns are needed: {line}"));
        };
        let version = |v: &str| v.strip_suffix('d').map_or_else(|| v.to_owned(), |v| format!("({v})"));
        let versions: Vec<String> = versions.split(',').map(version).collect();
        let types = if types == "-" { "–".to_owned() } else { types.replace(',', " ") };
        found.insert((if domain == "ai.onnx" { "" } else { domain }, name), (versions.join(" "), types));
    }
    Ok(found)
}

fn page(known: &str) -> Result<String, String> {
    let known = standard(known)?;
    let rows: BTreeSet<(&str, &str)> = onnxc::ops::table::all().map(|r| (r.domain, r.name)).collect();
    if let Some((domain, name)) = known.keys().find(|k| !rows.contains(*k)) {
        return Err(format!("the standard's operator {domain}:{name} is not in the table"));
    }
    let mut out = HEAD.to_owned();
    let mut last = None;
    for &(domain, name) in &rows {
        if last != Some(domain) {
            let count = rows.iter().filter(|r| r.0 == domain).count();
            let title = if domain.is_empty() { "ai.onnx" } else { domain };
            out.push_str(&format!("\n## {title} ({count})\n\n| Operator | Versions | Types |\n|---|---|---|\n"));
            last = Some(domain);
        }
        let (versions, types) = known.get(&(domain, name)).cloned().unwrap_or_else(|| ("1".to_owned(), "–".to_owned()));
        out.push_str(&format!("| {name} | {versions} | {types} |\n"));
    }
    out.push_str(LEFT_OUT);
    Ok(out)
}
