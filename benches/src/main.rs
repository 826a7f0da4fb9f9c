//! The kernels beside what the machine could do at most, measured in the same run:
//!
//! ```sh
//! cargo run --release -p onnxc-benches -- [FILTER] [--threads N]
//! cargo run --release -p onnxc-benches -- --trees MODEL.onnx… [--threads N]
//! ```
//!
//! Whole models are timed beside ONNX Runtime and others by `cargo xtask bench`, and step by step by `onnxc bench --profile`.
#![forbid(unsafe_code)]

mod memory;
mod products;
mod trees;
mod windows;

use clap::Parser;
use onnxc_runtime::cx::Cx;
use onnxc_runtime::error::Fault;
use onnxc_runtime::profile::{self, Limits};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Parser)]
#[command(about = "Kernels beside what the machine could do at most")]
struct Cli {
    /// Only kernels whose name contains this
    #[arg(default_value = "")]
    filter: String,
    /// Threads a kernel may use
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Instead, the ensembles of trees of these models, by every kernel that there is for them
    #[arg(long, num_args = 1..)]
    trees: Vec<PathBuf>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let cx = Cx::detect().with_threads(cli.threads);
    if !cli.trees.is_empty() {
        return cli.trees.iter().try_for_each(|path| trees::run(path, cx));
    }
    let limits = profile::limits(cx);
    println!(
        "{:?}, {} threads; one thread: {:.0} GFLOP/s, {:.0} GB/s from memory",
        cx.isa(),
        cli.threads,
        limits.flops / 1e9,
        limits.bytes / 1e9
    );
    let mut bench = Bench { cx, limits, filter: cli.filter };
    products::run(&mut bench)?;
    windows::run(&mut bench)?;
    memory::run(&mut bench)?;
    Ok(())
}

/// What a call of a kernel does.
#[derive(Clone, Copy)]
enum Work {
    /// Floating-point operations; they are held against the most that one thread can do.
    Flops(usize),
    /// Bytes read and written; they are held against what one thread reads from memory, which caches surpass.
    Bytes(usize),
}

/// Where and how kernels are timed.
struct Bench {
    cx: Cx,
    limits: Limits,
    filter: String,
}

impl Bench {
    /// Times a kernel and prints a line, if it is wanted. The best window of many counts: others on the machine only make it slower.
    fn time(&mut self, name: &str, work: Work, mut kernel: impl FnMut(Cx) -> Result<(), Fault>) -> Result<(), Fault> {
        const WINDOW: f64 = 0.002;
        const WINDOWS: usize = 40;
        if !name.contains(&self.filter) {
            return Ok(());
        }
        kernel(self.cx)?;
        let start = Instant::now();
        kernel(self.cx)?;
        let calls = (WINDOW / start.elapsed().as_secs_f64().max(1e-7)).ceil() as usize;
        let mut seconds = f64::MAX;
        for _ in 0..WINDOWS {
            let start = Instant::now();
            for _ in 0..calls {
                kernel(self.cx)?;
            }
            seconds = seconds.min(start.elapsed().as_secs_f64() / calls as f64);
        }
        let (rate, limit, unit) = match work {
            Work::Flops(n) => (n as f64 / seconds, self.limits.flops, "GFLOP/s"),
            Work::Bytes(n) => (n as f64 / seconds, self.limits.bytes, "GB/s"),
        };
        println!("{name:42} {:10.1} µs {:8.1} {unit:7} {:5.0} %", seconds * 1e6, rate / 1e9, 100.0 * rate / limit);
        Ok(())
    }
}

/// Elements that start at a cache line, as those of models do: vectors that lie across lines cost a product a tenth of its speed.
struct Aligned {
    room: Vec<f32>,
    start: usize,
    len: usize,
}

impl std::ops::Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.room[self.start..][..self.len]
    }
}

impl std::ops::DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.room[self.start..][..self.len]
    }
}

/// So many zeros.
fn zeros(len: usize) -> Aligned {
    const LINE: usize = 64 / size_of::<f32>();
    let room = vec![0.0; len + LINE];
    let start = room.as_ptr().align_offset(64).min(LINE);
    Aligned { room, start, len }
}

/// Numbers between -0.5 and 0.5, always the same.
fn noise(len: usize) -> Aligned {
    let mut all = zeros(len);
    for (i, x) in (0..len as u32).zip(all.iter_mut()) {
        *x = (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0 - 0.5;
    }
    all
}
