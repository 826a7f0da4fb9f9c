//! What became of the cases: lines for people, JSON for machines, and the last line that both can rely on.

use super::compare::Largest;
use super::compile::Failure;
use super::modes::Mode;
use serde_json::{Value as Json, json};

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every data set gave the right outputs.
    Passed,
    /// Something is wrong.
    Failed,
    /// The model needs what onnxc does not have, and onnxc said so.
    Skipped,
}

impl State {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A case with its result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub name: String,
    /// How it was tried.
    pub mode: Mode,
    /// What became of it.
    pub state: State,
    /// The largest error and its place.
    pub largest: Largest,
    /// Why it did not pass.
    pub reason: String,
    /// Seconds in onnxc.
    pub compile_s: f64,
    /// Seconds in cargo: the case's share of the whole build.
    pub build_s: f64,
    /// Seconds in the model, second runs only.
    pub run_s: f64,
}

impl Outcome {
    /// A case that nothing is known about yet.
    pub fn new(name: &str, mode: Mode) -> Self {
        let (reason, largest) = ("not run".to_owned(), Largest::default());
        Self { name: name.to_owned(), mode, state: State::Failed, largest, reason, compile_s: 0.0, build_s: 0.0, run_s: 0.0 }
    }

    /// Records why the case does not pass.
    pub fn fail(&mut self, failure: Failure) {
        self.state = if failure.unsupported { State::Skipped } else { State::Failed };
        if let Some(error) = failure.largest {
            self.largest = error;
        }
        self.reason = failure.message;
    }

    /// Records the result of running it.
    pub fn conclude(&mut self, result: Result<Largest, Failure>) {
        match result {
            Ok(largest) => {
                self.state = State::Passed;
                self.largest = largest;
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// The reason in one line.
    pub fn short_reason(&self) -> String {
        let line: String = self.reason.lines().map(str::trim).filter(|l| !l.is_empty()).take(3).collect::<Vec<_>>().join(" ");
        if line.chars().count() > 200 { line.chars().take(199).chain(['…']).collect() } else { line }
    }

    /// A line for people.
    pub fn line(&self, width: usize) -> String {
        let start = format!("{:<7}  {:<width$}", self.state.name(), self.name);
        match self.state {
            State::Passed if self.largest.place.is_empty() => format!("{start}  exact"),
            State::Passed => format!("{start}  {:.1e} at {}", self.largest.error, self.largest.place),
            State::Failed | State::Skipped => format!("{start}  {}", self.short_reason()),
        }
    }

    /// For machines.
    pub fn json(&self) -> Json {
        let passed = self.state == State::Passed;
        json!({
            "name": self.name,
            "mode": self.mode.name(),
            "state": self.state.name(),
            "max_error": if self.largest.error.is_finite() { json!(self.largest.error) } else { json!("inf") },
            "place": self.largest.place,
            "reason": if passed { Json::Null } else { json!(self.reason) },
            "compile_s": self.compile_s,
            "build_s": self.build_s,
            "run_s": self.run_s,
        })
    }
}

/// `N passed, N failed, N skipped`.
pub fn last_line(outcomes: &[Outcome]) -> String {
    let count = |state| outcomes.iter().filter(|o| o.state == state).count();
    format!("{} passed, {} failed, {} skipped", count(State::Passed), count(State::Failed), count(State::Skipped))
}

/// Writes the outcomes as a JSON list.
pub fn write_json(path: &std::path::Path, outcomes: &[Outcome]) -> Result<(), String> {
    let list: Vec<Json> = outcomes.iter().map(Outcome::json).collect();
    let text = serde_json::to_string_pretty(&list).map_err(|e| e.to_string())?;
    std::fs::write(path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let mut outcomes: Vec<Outcome> = ["a", "b", "c"].iter().map(|n| Outcome::new(n, Mode::Static)).collect();
        outcomes[0].conclude(Ok(Largest { error: 1.5e-6, place: "y[3]".to_owned() }));
        outcomes[1].conclude(Err(Failure { unsupported: true, ..Failure::error("unsupported operators: Foo".to_owned()) }));
        assert_eq!(last_line(&outcomes), "1 passed, 1 failed, 1 skipped");
        assert_eq!(outcomes[0].line(3), "passed   a    1.5e-6 at y[3]");
        assert_eq!(outcomes[1].line(3), "skipped  b    unsupported operators: Foo");
        assert_eq!(outcomes[0].json()["state"], "passed");
    }
}
