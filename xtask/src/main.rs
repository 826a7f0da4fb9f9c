//! `cargo xtask …`: the repository's own tasks.
#![forbid(unsafe_code)]

mod bench;
mod conformance;
mod data;
mod fetch;
mod manifest;
mod models;
mod support;
mod tolerances;
mod trial;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Bench(bench::Bench),
    Conformance(conformance::Conformance),
    FetchExamples(fetch::FetchExamples),
    Models(models::Models),
    Support(support::Support),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Bench(task) => task.run(),
        Task::Conformance(task) => task.run(),
        Task::FetchExamples(task) => task.run(),
        Task::Models(task) => task.run(),
        Task::Support(task) => task.run(),
    };
    result.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        ExitCode::from(2)
    })
}
