//! The command line: one file a subcommand. Exit status 0 is success, 1 a verification that did not pass, 2 an error.

mod bench;
mod build;
mod generate;
mod inputs;
mod inspect;
mod ops;
mod profile;
mod run;
pub mod style;
mod verify;

use clap::{Args, Parser, Subcommand};
use onnxc::Options;
use onnxc::options::{CustomOp, Precision, WeightType};
use std::process::ExitCode;

/// Ahead-of-time compiler from ONNX to native Rust.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(build::Build),
    Verify(verify::Verify),
    Run(run::Run),
    Bench(bench::Bench),
    Inspect(inspect::Inspect),
    Ops(ops::Ops),
}

/// Runs the command.
pub fn run(cli: Cli) -> Result<ExitCode, String> {
    match cli.command {
        Command::Build(build) => build.run(),
        Command::Verify(verify) => verify.run(),
        Command::Run(run) => run.run(),
        Command::Bench(bench) => bench.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Ops(ops) => ops.run(),
    }
}

/// What every compilation can be told.
#[derive(Args, Clone, Default)]
pub struct CompileArgs {
    /// The value of a symbolic dim: batch=1 (may be given several times)
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = dim)]
    dims: Vec<(String, i64)>,
    /// The shape of an input: image=1,3,224,224; a dim that is no number names a symbol
    #[arg(long = "input-shape", value_name = "INPUT=DIMS", value_parser = shape)]
    input_shapes: Vec<(String, Vec<String>)>,
    /// An output that becomes an input of the next call: h=hn (input=output)
    #[arg(long = "state", value_name = "INPUT=OUTPUT", value_parser = pair)]
    states: Vec<(String, String)>,
    /// Sum convolutions as the definition says, never with fewer multiplications (Winograd): slower, and closer to other runtimes
    #[arg(long)]
    exact_conv: bool,
    /// What the weights of products and convolutions are stored as: f32, or f16 or bf16 in half the room (computed with as f32)
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    weights: WeightType,
    /// What products and convolutions multiply: f32, or bf16, summed as f32 (made for AVX512-BF16; weights take half the room)
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    precision: Precision,
    /// A function of yours that computes an operator: my.domain:Foo=crate::path::foo, perhaps with ,crate::path::foo_shape after it
    #[arg(long = "custom-op", value_name = "DOMAIN:NAME=PATH")]
    custom_ops: Vec<CustomOp>,
}

impl CompileArgs {
    /// As options of the library.
    pub fn options(&self) -> Options {
        Options {
            dims: self.dims.clone(),
            input_shapes: self.input_shapes.clone(),
            states: self.states.clone(),
            exact_conv: self.exact_conv,
            weights: self.weights,
            precision: self.precision,
            custom_ops: self.custom_ops.clone(),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    // The last `=` divides: values never have one, names of a model may.
    let (name, value) = text.rsplit_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn dim(text: &str) -> Result<(String, i64), String> {
    let (name, value) = pair(text)?;
    let value: i64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    if value < 0 { Err("a dim cannot be negative".to_owned()) } else { Ok((name, value)) }
}

fn shape(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, dims) = pair(text)?;
    Ok((name, dims.split(',').map(|d| d.trim().to_owned()).filter(|d| !d.is_empty()).collect()))
}
