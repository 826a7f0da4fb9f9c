//! `onnxc ops`: what is supported.

use std::process::ExitCode;

/// List the operators that are supported
#[derive(clap::Args)]
pub struct Ops {
    /// As JSON: a list of {domain, name}
    #[arg(long)]
    json: bool,
}

impl Ops {
    /// Runs the command.
    pub fn run(&self) -> Result<ExitCode, String> {
        let mut rows: Vec<(&str, &str)> = onnxc::ops::table::all().map(|r| (r.domain, r.name)).collect();
        rows.sort_unstable();
        if self.json {
            let list: Vec<_> = rows.iter().map(|(domain, name)| serde_json::json!({ "domain": domain, "name": name })).collect();
            println!("{}", serde_json::to_string_pretty(&list).map_err(|e| e.to_string())?);
            return Ok(ExitCode::SUCCESS);
        }
        let mut rest = rows.as_slice();
        while let Some(&(domain, _)) = rest.first() {
            let names: Vec<&str> = rest.iter().take_while(|r| r.0 == domain).map(|r| r.1).collect();
            rest = &rest[names.len()..];
            println!("{} ({} operators)", if domain.is_empty() { "ai.onnx" } else { domain }, names.len());
            columns(&names).iter().for_each(|line| println!("  {line}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Names in columns, top to bottom, within 78 characters.
fn columns(names: &[&str]) -> Vec<String> {
    let width = names.iter().map(|n| n.len()).max().unwrap_or(0) + 2;
    let across = (78 / width).max(1);
    let down = names.len().div_ceil(across);
    let line = |r: usize| (0..across).filter_map(|c| names.get(c * down + r)).map(|n| format!("{n:<width$}")).collect::<String>();
    (0..down).map(|r| line(r).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_downwards() {
        let names: Vec<String> = (0..40).map(|i| format!("Operator{i:02}")).collect();
        let lines = columns(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(lines.iter().all(|l| l.len() <= 78));
        assert!(lines[0].starts_with("Operator00  Operator07"));
        assert_eq!(lines.len(), 7);
    }
}
