//! The results as a table and as JSON.

use serde_json::{Value, json};

/// A model of the benchmark, as it was compiled.
#[derive(Default)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// Floating-point operations of a run.
    pub flops: Option<f64>,
    /// Bytes of its weights.
    pub weights: Option<f64>,
    /// Bytes of scratch memory.
    pub scratch: Option<f64>,
    /// Bytes of the executable.
    pub size: Option<f64>,
    /// Why there is none.
    pub error: Option<String>,
}

/// What was measured of a competitor with a model.
struct Timing {
    name: String,
    /// Microseconds of a run: the median of the windows' medians.
    median: f64,
    /// Ours divided by this, within the same round: the median of the rounds.
    ratio: f64,
    /// The largest difference to the expected outputs, relative to their largest magnitude.
    error: Option<f64>,
    /// Microseconds from exec to the first output.
    cold: Option<f64>,
    /// Bytes of resident memory.
    resident: Option<f64>,
}

/// A model with a number of threads.
struct Row {
    model: usize,
    threads: usize,
    ours: Option<Timing>,
    peers: Vec<Option<Timing>>,
}

/// All of a run.
pub struct Results {
    built: Vec<Built>,
    peers: Vec<String>,
    rows: Vec<Row>,
    limit: Option<f64>,
}

impl Results {
    /// From what the driver wrote; `limit` is the operations a second of one thread.
    pub fn new(raw: &Value, built: Vec<Built>, peers: &[String], threads: &[usize], limit: Option<f64>) -> Self {
        let mut rows = Vec::new();
        for &threads in threads {
            for (model, b) in built.iter().enumerate() {
                let (timed, cold) = (&raw[format!("{}/t{threads}", b.name)], &raw[format!("{}/cold", b.name)]);
                let of = |name: &str| timing(name, timed, cold);
                rows.push(Row { model, threads, ours: of("onnxc"), peers: peers.iter().map(|p| of(p)).collect() });
            }
        }
        Self { built, peers: peers.to_vec(), rows, limit }
    }

    /// Whether every model was compiled and timed, and answers as expected.
    pub fn all_well(&self) -> bool {
        self.rows.iter().all(|r| r.ours.as_ref().is_some_and(Timing::is_right))
    }

    /// The table.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| model | threads | onnxc µs |");
        self.peers.iter().for_each(|p| text += &format!(" ours/{p} |"));
        text += " of the limit | error | scratch kB | code kB | weights kB | resident MB | cold ms | cold/ort |\n";
        text += &format!("{}|\n", "|---".repeat(11 + self.peers.len()));
        self.rows.iter().for_each(|row| text += &self.line(row));
        if let Some(limit) = self.limit {
            text += &format!("\nLimit: {:.0} GFLOP/s a thread. Ratios below 1: onnxc is faster.\n", limit / 1e9);
        }
        for b in &self.built {
            if let Some(error) = &b.error {
                text += &format!("\n{}: {error}\n", b.name);
            }
        }
        text
    }

    fn line(&self, row: &Row) -> String {
        let b = &self.built[row.model];
        let Some(ours) = &row.ours else { return format!("| {} | {} | fails |\n", b.name, row.threads) };
        let mut cells = vec![b.name.clone(), row.threads.to_string(), format!("{:.2}", ours.median)];
        cells.extend(row.peers.iter().map(|p| p.as_ref().map_or("–".to_owned(), |p| format!("{:.2}", p.ratio))));
        let kb = |bytes: f64| format!("{:.0}", bytes / 1e3);
        let ort = row.peers.iter().flatten().find(|p| p.name == "ort").and_then(|p| p.cold);
        let more = [
            self.share(row).map(|share| format!("{:.0} %", 100.0 * share)),
            ours.error.map(|e| format!("{e:.0e}{}", if ours.is_right() { "" } else { " WRONG" })),
            b.scratch.map(kb),
            b.size.map(|s| kb(s - b.weights.unwrap_or_default())),
            b.weights.map(kb),
            ours.resident.map(|r| format!("{:.1}", r / 1e6)),
            ours.cold.map(|c| format!("{:.1}", c / 1e3)),
            ours.cold.zip(ort).map(|(c, o)| format!("{:.3}", c / o)),
        ];
        cells.extend(more.map(|cell| cell.unwrap_or_else(|| "–".to_owned())));
        format!("| {} |\n", cells.join(" | "))
    }

    /// The share of the time that the arithmetic alone would take at the machine's limit.
    fn share(&self, row: &Row) -> Option<f64> {
        let seconds = row.ours.as_ref()?.median / 1e6;
        Some(self.built[row.model].flops? / (self.limit? * row.threads as f64) / seconds)
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let timing = |t: &Timing| json!({"name": t.name, "median_us": t.median, "ours_to_this": t.ratio, "error": t.error, "cold_us": t.cold, "resident_bytes": t.resident});
        let row = |row: &Row| {
            let b = &self.built[row.model];
            json!({
                "model": b.name, "threads": row.threads, "ours": row.ours.as_ref().map(timing),
                "peers": row.peers.iter().flatten().map(timing).collect::<Vec<_>>(), "share_of_limit": self.share(row), "flops": b.flops,
                "scratch_bytes": b.scratch, "weight_bytes": b.weights, "binary_bytes": b.size, "build_error": b.error,
            })
        };
        json!({"limit_flops": self.limit, "rows": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

impl Timing {
    /// Other orders of summation differ by far less; 1e-2 is what the peers' driver marks.
    fn is_right(&self) -> bool {
        self.error.is_some_and(|e| e <= 1e-2)
    }
}

/// A competitor's results, if it has some.
fn timing(name: &str, timed: &Value, cold: &Value) -> Option<Timing> {
    let medians = |name: &str| -> Vec<f64> { timed[name]["win"].as_array().into_iter().flatten().filter_map(|w| w[0].as_f64()).collect() };
    let (ours, theirs) = (medians("onnxc"), medians(name));
    let starts = cold[name].as_array().into_iter().flatten().filter_map(|start| start[0].as_f64()).collect();
    Some(Timing {
        name: name.to_owned(),
        median: timed[name]["median_us"].as_f64()?,
        ratio: median(ours.iter().zip(&theirs).map(|(a, b)| a / b).collect())?,
        error: timed[name]["err"].as_f64(),
        cold: median(starts),
        resident: timed[name]["rss_kb"].as_f64().map(|kb| kb * 1024.0),
    })
}

/// The middle one of some numbers, the upper of two.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let raw = json!({"m/t1": {
            "ort": {"win": [[10.0], [40.0], [20.0]], "median_us": 20.0, "err": 0.0},
            "onnxc": {"win": [[5.0], [30.0], [8.0]], "median_us": 8.0, "err": 1e-6, "rss_kb": 100.0},
        }, "m/cold": {"ort": [[900.0]], "onnxc": [[9.0], [7.0], [8.0]]}});
        let built = Built { name: "m".into(), flops: Some(4e3), size: Some(5e3), weights: Some(3e3), ..Built::default() };
        let results = Results::new(&raw, vec![built], &["ort".into()], &[1], Some(1e9));
        assert!(results.all_well());
        let table = results.markdown();
        let line = table.lines().nth(2).unwrap();
        assert_eq!(line, "| m | 1 | 8.00 | 0.50 | 50 % | 1e-6 | – | 2 | 3 | 0.1 | 0.0 | 0.009 |");
        assert_eq!(results.json()["rows"][0]["peers"][0]["ours_to_this"], 0.5);
    }

    #[test]
    fn a_wrong_answer_is_not_well() {
        let raw = json!({"m/t1": {"onnxc": {"win": [[5.0]], "median_us": 5.0, "err": 0.5}}});
        let results = Results::new(&raw, vec![Built { name: "m".into(), ..Built::default() }], &[], &[1], None);
        assert!(!results.all_well());
        assert!(results.markdown().contains("WRONG"));
    }
}
