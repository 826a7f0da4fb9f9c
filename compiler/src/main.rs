//! The `onnxc` command.
#![forbid(unsafe_code)]

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{}", cli::style::error(&message));
            ExitCode::from(2)
        }
    }
}
