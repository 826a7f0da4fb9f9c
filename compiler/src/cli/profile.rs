//! The table of `onnxc bench --profile`.

use super::bench::time;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the machine can do, as the benchmark measured it.
#[derive(Deserialize)]
struct Limits {
    peak_flops: f64,
    peak_bytes: f64,
}

/// A step, or several with one kernel.
#[derive(Deserialize, Default)]
struct Step {
    node: String,
    kernel: String,
    doc: String,
    flops: f64,
    bytes: f64,
    fastest: f64,
    calls: f64,
}

impl Step {
    /// The time of all calls, were each as fast as the fastest.
    fn nanos(&self) -> f64 {
        self.fastest * self.calls
    }
}

/// The profile as text: kernels, then the `top` steps that took longest, each with its share of the time, operations a second and bytes a
/// second, both also as percentages of the limits. `lines` is what the benchmark printed after its first line.
pub fn table(lines: &str, top: usize) -> String {
    let mut lines = lines.lines();
    let limits: Option<Limits> = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let Some(limits) = limits else { return String::new() };
    let mut steps: Vec<Step> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    // The fastest call counts for all: what else runs on the machine would show in a mean.
    let all: f64 = steps.iter().map(Step::nanos).sum::<f64>().max(1.0);
    let runs = steps.iter().map(|s| s.calls).fold(1.0, f64::max);
    let mut kernels: BTreeMap<&str, Step> = BTreeMap::new();
    for step in &steps {
        let sum = kernels.entry(&step.kernel).or_default();
        sum.node = (sum.node.parse().unwrap_or(0) + 1).to_string();
        // Work of all calls; a kernel counts as called once.
        sum.flops += step.flops * step.calls;
        sum.bytes += step.bytes * step.calls;
        sum.fastest += step.nanos();
        sum.calls = 1.0;
    }
    let mut kernels: Vec<(&str, Step)> = kernels.into_iter().collect();
    kernels.sort_by(|a, b| b.1.fastest.total_cmp(&a.1.fastest));
    let mut out = format!(
        "limits of one thread: {:.1} GFLOP/s, {:.1} GB/s from memory\n\n    share       time    GFLOP/s      %    GB/s     %  kernel\n",
        limits.peak_flops / 1e9,
        limits.peak_bytes / 1e9
    );
    for (kernel, sum) in &kernels {
        let _ = writeln!(out, "{}  {kernel} ({} steps)", figures(sum, all, runs, &limits), sum.node);
    }
    steps.sort_by(|a, b| b.nanos().total_cmp(&a.nanos()));
    let _ = writeln!(out, "\n    share       time    GFLOP/s      %    GB/s     %  step");
    for step in steps.iter().take(top) {
        let text: String = format!("{} {}", step.doc, step.node).chars().take(150).collect();
        let _ = writeln!(out, "{}  {} · {text}", figures(step, all, runs, &limits), step.kernel);
    }
    if steps.len() > top {
        let rest: f64 = steps.iter().skip(top).map(Step::nanos).sum();
        let _ = writeln!(out, "{:>7.1} % {:>10}  {} more steps", 100.0 * rest / all, time(rest / runs / 1e3), steps.len() - top);
    }
    out
}

fn figures(step: &Step, all: f64, runs: f64, limits: &Limits) -> String {
    let rate = |work: f64, limit: f64| {
        let rate = work * step.calls / step.nanos().max(1.0);
        (rate, 100.0 * rate * 1e9 / limit)
    };
    let ((flops, of_flops), (bytes, of_bytes)) = (rate(step.flops, limits.peak_flops), rate(step.bytes, limits.peak_bytes));
    let share = 100.0 * step.nanos() / all;
    format!("{share:>7.1} % {:>10} {flops:>10.1} {of_flops:>4.0} % {bytes:>7.1} {of_bytes:>3.0} %", time(step.nanos() / runs / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_shares_and_rates() {
        let lines = "{\"peak_flops\":1e11,\"peak_bytes\":2e10}\n\
            {\"node\":\"a\",\"kernel\":\"conv::conv\",\"doc\":\"Conv\",\"flops\":3000,\"bytes\":600,\"fastest\":100,\"calls\":3}\n\
            {\"node\":\"b\",\"kernel\":\"fused::map\",\"doc\":\"Add\",\"flops\":0,\"bytes\":0,\"fastest\":33,\"calls\":3}\n";
        let text = table(lines, 1);
        // 3 × 3000 operations and 3 × 600 bytes in 300 ns.
        let step = text.lines().find(|l| l.contains("Conv a")).unwrap();
        for part in ["75.2 %", "0.10 us", "30.0", "30 %", "6.0"] {
            assert!(step.contains(part), "{part} in {step}");
        }
        assert!(text.contains("conv::conv (1 steps)") && text.contains("1 more steps"), "{text}");
    }

    #[test]
    fn no_profile_no_table() {
        assert_eq!(table("", 3), "");
    }
}
