//! `cargo xtask support`: the page of supported operators, from the compiler's own table.

use crate::data;
use std::process::ExitCode;

/// Write SUPPORTED.md from the table of operators; with --check, only say whether it is up to date
#[derive(clap::Args)]
pub struct Support {
    /// Fail if the file differs
    #[arg(long)]
    check: bool,
}

impl Support {
    /// Runs the task.
    pub fn run(&self) -> Result<ExitCode, String> {
        let path = data::root().join("SUPPORTED.md");
        let text = page();
        if self.check {
            let same = std::fs::read_to_string(&path).is_ok_and(|old| old == text);
            if !same {
                eprintln!("{} is out of date: run `cargo xtask support`", path.display());
            }
            return Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn page() -> String {
    let mut rows: Vec<(&str, &str)> = onnxc::ops::table::all().map(|r| (r.domain, r.name)).collect();
    rows.sort_unstable();
    rows.dedup();
    let mut out = String::from(
        "# Supported operators\n\nWritten by `cargo xtask support`. What does not pass of the official cases is in `tests/conformance/not_passing.txt`.\n",
    );
    let mut last = None;
    for (domain, name) in rows {
        if last != Some(domain) {
            let count = onnxc::ops::table::all().filter(|r| r.domain == domain).count();
            out.push_str(&format!("\n## {} ({count})\n\n", if domain.is_empty() { "ai.onnx" } else { domain }));
            last = Some(domain);
        }
        out.push_str(&format!("- {name}\n"));
    }
    out
}
