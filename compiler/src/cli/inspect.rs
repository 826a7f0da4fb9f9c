//! `onnxc inspect`: what a model is and what becomes of it.

use super::{CompileArgs, inputs};
use onnxc::emit::{EmitOptions, emit};
use onnxc::ir::fact::Type;
use onnxc::ir::graph::{Graph, Node, ValueId};
use onnxc::program::{Action, Arg, Program};
use onnxc::{Model, Report, import, lower, memory, passes};
use onnxc_proto::{GraphProto, ModelProto, NodeProto};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what a model takes, gives and needs, and what the compiler makes of it
#[derive(clap::Args)]
pub struct Inspect {
    /// The model
    model: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Print what leaves a room of the compiler instead: import, the name of a pass, passes, lower, memory, emit
    #[arg(long, value_name = "ROOM", conflicts_with = "json")]
    dump: Option<String>,
    #[command(flatten)]
    compile: CompileArgs,
}

/// What is known of the model file.
struct Facts {
    file: String,
    producer: String,
    opsets: Vec<String>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    operators: BTreeMap<String, usize>,
    parameters: u64,
}

/// What is known once it compiles.
struct Compiled {
    /// Floating-point operations of a run.
    flops: f64,
    /// Symbolic dims, counted as 1 in `flops`.
    symbols: Vec<String>,
    weight_bytes: usize,
    scratch_bytes: usize,
    steps: usize,
    /// Which operators became one step, and how often.
    fused: BTreeMap<String, usize>,
    /// The kernels of trees that were chosen.
    trees: Vec<String>,
}

impl Inspect {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        if let Some(room) = &self.dump {
            print!("{}", super::generate::dump(&self.model, &self.compile, room)?);
            return Ok(ExitCode::SUCCESS);
        }
        let model = Model::read(&self.model).map_err(|e| e.to_string())?;
        let facts = self.facts(&model.proto)?;
        let compiled = self.compile(model);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&to_json(&facts, &compiled)).map_err(|e| e.to_string())?);
        } else {
            print!("{}", to_text(&facts, &compiled));
        }
        Ok(if compiled.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn facts(&self, model: &ModelProto) -> Result<Facts, String> {
        let graph = model.graph.as_ref().ok_or("the model has no graph")?;
        let mut operators = BTreeMap::new();
        count(graph.node.iter().chain(model.functions.iter().flat_map(|f| &f.node)), &mut operators);
        let elements = |dims: &[i64]| dims.iter().map(|&d| d.max(0) as u64).product::<u64>();
        Ok(Facts {
            file: self.model.display().to_string(),
            producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
            opsets: model
                .opset_import
                .iter()
                .map(|o| format!("{} {}", if o.domain.is_empty() { "ai.onnx" } else { &o.domain }, o.version))
                .collect(),
            inputs: onnxc::harness::cases::entries(graph).iter().map(|i| inputs::describe(i)).collect(),
            outputs: graph.output.iter().map(inputs::describe).collect(),
            operators,
            parameters: all_initializers(graph).map(|t| elements(&t.dims)).sum(),
        })
    }

    fn compile(&self, model: Model) -> Result<Compiled, String> {
        let producer = model.producer();
        let options = self.compile.options();
        let graph = import::import(&model.proto, model.files, &options).map_err(|e| e.to_string())?;
        // Of the model as it is: fusing takes no arithmetic away, only memory traffic.
        let flops = graph_flops(&graph);
        let graph = passes::run(graph, &options, &mut |_, _| ()).map_err(|e| Report::from(e).to_string())?;
        let symbols = graph.inputs.iter().flat_map(|&v| symbols(&graph, v)).collect::<std::collections::BTreeSet<_>>();
        let mut fused = BTreeMap::new();
        for (_, node) in graph.nodes.iter().filter(|(_, n)| n.origin.operator.contains(", ") && n.op.name() != "Transpose") {
            *fused.entry(node.origin.operator.to_string()).or_default() += 1;
        }
        let program = lower::lower(&graph, &producer, &options).map_err(|e| Report::from(e).to_string())?;
        let placement = memory::place(&program);
        let weight_bytes = emit(&program, &placement, &EmitOptions::default()).weight_bytes;
        let symbols = symbols.into_iter().collect();
        Ok(Compiled {
            flops,
            symbols,
            weight_bytes,
            scratch_bytes: placement.arena,
            steps: program.body.len(),
            fused,
            trees: trees(&program),
        })
    }
}

/// Which kernels walk the trees, and for how many rows.
fn trees(program: &Program) -> Vec<String> {
    let calls = program.body.iter().filter_map(|step| if let Action::Call(call) = &step.action { Some(call) } else { None });
    let value = |arg: &Arg| if let Arg::Usize(n) = arg { program.dims.value(*n) } else { None };
    let chosen = calls.filter_map(|call| {
        let how = match call.kernel.path {
            "trees::general" => return Some("node by node, by the definition".to_owned()),
            "trees::walk" => "node by node",
            "trees::bits" => "bit sets of leaves",
            "trees::outcomes" => "all tests of a tree at once",
            "trees::sums" => "from the leaves up, 64 rows at a time",
            "trees::descend" => "16 descents at a time",
            _ => return None,
        };
        let Some(Arg::Struct("trees::Share", share)) = call.args.last() else { return None };
        let of = |name: &str| share.iter().find(|(field, _)| *field == name).and_then(|(_, arg)| value(arg));
        let rows = match (of("least")?, of("below")?) {
            (0, 0) => String::new(),
            (0, below) => format!(" (fewer than {below} rows)"),
            (least, _) => format!(" ({least} rows and more)"),
        };
        Some(format!("{how}{rows}"))
    });
    chosen.collect()
}

fn all_initializers(graph: &GraphProto) -> impl Iterator<Item = &onnxc_proto::TensorProto> {
    graph.initializer.iter().chain(graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()))
}

fn count<'a>(nodes: impl Iterator<Item = &'a NodeProto>, operators: &mut BTreeMap<String, usize>) {
    for node in nodes {
        let domain = if node.domain.is_empty() || node.domain == "ai.onnx" { String::new() } else { format!("{}:", node.domain) };
        *operators.entry(format!("{domain}{}", node.op_type)).or_default() += 1;
        for body in node.attribute.iter().flat_map(|a| a.g.as_deref().into_iter().chain(&a.graphs)) {
            count(body.node.iter(), operators);
        }
    }
}

/// The symbolic dims of a value, as the model names them.
fn symbols(graph: &Graph, value: ValueId) -> Vec<String> {
    let Type::Tensor(_, Some(shape)) = &graph.fact(value).ty else { return Vec::new() };
    shape.iter().filter(|&&d| graph.dims.value(d).is_none()).map(|&d| graph.dims.show(d).to_string()).collect()
}

/// The extents of a value, symbolic ones as 1.
fn extents(graph: &Graph, value: Option<ValueId>) -> Option<Vec<f64>> {
    let Type::Tensor(_, Some(shape)) = &graph.fact(value?).ty else { return None };
    Some(shape.iter().map(|&d| graph.dims.value(d).unwrap_or(1).max(0) as f64).collect())
}

fn graph_flops(graph: &Graph) -> f64 {
    graph.nodes.iter().map(|(_, node)| node_flops(graph, node) + node.op.bodies().into_iter().map(graph_flops).sum::<f64>()).sum()
}

/// Operations of a node: two a multiplication with addition, else one an output element.
fn node_flops(graph: &Graph, node: &Node) -> f64 {
    let product = |dims: Vec<f64>| dims.into_iter().product::<f64>();
    let input = |i: usize| extents(graph, node.inputs.get(i).copied().flatten());
    let output = extents(graph, node.outputs.first().copied()).map_or(0.0, product);
    match node.op.name() {
        "MatMul" | "FewColumns" => 2.0 * output * input(0).and_then(|d| d.last().copied()).unwrap_or(1.0),
        "Conv" => 2.0 * output * input(1).map_or(1.0, |d| product(d[1.min(d.len())..].to_vec())),
        "ConvTranspose" => 2.0 * input(0).map_or(0.0, product) * input(1).map_or(1.0, |d| product(d[1.min(d.len())..].to_vec())),
        "Lstm" | "Gru" | "Rnn" => {
            // Every weight meets every row of every time step.
            let rows = input(0).map_or(0.0, |d| d.iter().take(2).product());
            2.0 * rows * (input(1).map_or(0.0, product) + input(2).map_or(0.0, product))
        }
        "Identity" | "Reshape" | "Shape" | "Transpose" | "Expand" => 0.0,
        _ => output,
    }
}

fn to_json(facts: &Facts, compiled: &Result<Compiled, String>) -> serde_json::Value {
    let compiled = match compiled {
        Ok(c) => json!({
            "flops": c.flops,
            "symbolic_dims": c.symbols,
            "weight_bytes": c.weight_bytes,
            "scratch_bytes": c.scratch_bytes,
            "steps": c.steps,
            "fused": c.fused,
            "trees": c.trees,
        }),
        Err(error) => json!({ "error": error }),
    };
    json!({
        "file": facts.file,
        "producer": facts.producer,
        "opsets": facts.opsets,
        "inputs": facts.inputs,
        "outputs": facts.outputs,
        "operators": facts.operators,
        "parameters": facts.parameters,
        "compiled": compiled,
    })
}

fn to_text(facts: &Facts, compiled: &Result<Compiled, String>) -> String {
    let mut out = String::new();
    let mut row = |title: &str, lines: Vec<String>| {
        for (i, line) in lines.iter().enumerate() {
            let _ = writeln!(out, "{:<11} {line}", if i == 0 { title } else { "" });
        }
    };
    row("model", wrap(std::slice::from_ref(&facts.file)));
    row("made by", wrap(&[format!("{} ({})", facts.producer, facts.opsets.join(", "))]));
    row("inputs", facts.inputs.iter().flat_map(|i| wrap(std::slice::from_ref(i))).collect());
    row("outputs", facts.outputs.iter().flat_map(|o| wrap(std::slice::from_ref(o))).collect());
    let mut operators: Vec<(&String, &usize)> = facts.operators.iter().collect();
    operators.sort_by_key(|&(name, n)| (std::cmp::Reverse(n), name));
    let listed: Vec<String> = operators.iter().map(|(name, n)| if **n == 1 { (*name).clone() } else { format!("{name} x{n}") }).collect();
    row("operators", wrap(&listed));
    row("parameters", vec![amount(facts.parameters as f64, "")]);
    match compiled {
        Err(error) => {
            let _ = write!(out, "\ndoes not compile:\n{error}\n");
        }
        Ok(c) => {
            let note = if c.symbols.is_empty() { String::new() } else { format!(" (with {} = 1)", c.symbols.join(" = ")) };
            row("compute", wrap(&[format!("{} operations a run{note}", amount(c.flops, ""))]));
            row("weights", vec![amount(c.weight_bytes as f64, "B")]);
            row(
                "scratch",
                vec![format!(
                    "{}{}",
                    amount(c.scratch_bytes as f64, "B"),
                    if c.symbols.is_empty() { "" } else { " and what symbolic dims ask for" }
                )],
            );
            row("steps", vec![c.steps.to_string()]);
            let fused: Vec<String> = c.fused.iter().map(|(what, n)| format!("{} x{n}", what.replace(", ", "+"))).collect();
            row("fused", if fused.is_empty() { vec!["nothing".to_owned()] } else { wrap(&fused) });
            row("trees", c.trees.clone());
        }
    }
    out
}

/// Items in lines of at most 68 characters, divided by commas; what is longer is cut.
fn wrap(items: &[String]) -> Vec<String> {
    const WIDTH: usize = 68;
    let mut lines = vec![String::new()];
    for (i, item) in items.iter().enumerate() {
        let mut item: String = item.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if item.chars().count() > WIDTH - 1 {
            item = item.chars().take(WIDTH - 2).chain(['…']).collect();
        }
        if i + 1 < items.len() {
            item.push(',');
        }
        let last = lines.len() - 1;
        let full = lines[last].chars().count() + 1 + item.chars().count() > WIDTH;
        if lines[last].is_empty() {
            lines[last] = item;
        } else if full {
            lines.push(item);
        } else {
            lines[last].push(' ');
            lines[last].push_str(&item);
        }
    }
    lines
}

/// `25.6 M`, `1.20 GB`.
fn amount(n: f64, unit: &str) -> String {
    let (scaled, prefix) = match n {
        n if n >= 1e9 => (n / 1e9, "G"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e4 => (n / 1e3, "k"),
        n => return format!("{n} {unit}").trim_end().to_owned(),
    };
    let digits = if scaled < 10.0 { 2 } else { 1 };
    format!("{scaled:.digits$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [amount(0.0, "B"), amount(9999.0, ""), amount(25_557_032.0, ""), amount(1.2e9, "B")],
            ["0 B", "9999", "25.6 M", "1.20 GB"]
        );
    }

    #[test]
    fn everything_fits_eighty_columns() {
        let long = "x".repeat(200);
        let facts = Facts {
            file: long.clone(),
            producer: long.clone(),
            opsets: vec![long.clone()],
            inputs: vec![long.clone()],
            outputs: vec!["a\nb".to_owned()],
            operators: (0..40).map(|i| (format!("Operator{i}"), i)).collect(),
            parameters: 7,
        };
        let fused = (0..20).map(|i| (format!("Conv, Relu{i}"), 3)).collect();
        let compiled = Compiled { flops: 1.0, symbols: vec![long], weight_bytes: 1, scratch_bytes: 2, steps: 3, fused, trees: Vec::new() };
        let text = to_text(&facts, &Ok(compiled));
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }
}
