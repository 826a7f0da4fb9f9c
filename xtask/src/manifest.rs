//! A list of cases that do not pass, each with its reason (`tests/conformance/not_passing.txt`). What passes is everything else, so a case that
//! stops passing, or starts to, shows in a diff.

use onnxc::harness::summary::{Outcome, State};
use std::collections::BTreeMap;
use std::path::Path;

/// Mode and case → reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(BTreeMap<(String, String), String>);

/// What differs from a manifest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Cases that pass now.
    pub better: Vec<String>,
    /// Cases that passed, or failed for another reason.
    pub worse: Vec<String>,
}

impl Manifest {
    /// Reads a manifest; a missing file is an empty one.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let mut entries = BTreeMap::new();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut fields = line.splitn(3, ' ');
            let (Some(mode), Some(case), Some(reason)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(format!("{}: `{line}` is not `MODE CASE REASON`", path.display()));
            };
            entries.insert((mode.to_owned(), case.to_owned()), reason.to_owned());
        }
        Ok(Self(entries))
    }

    /// Replaces what it says about the cases that were tried.
    pub fn update(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let key = (outcome.mode.name().to_owned(), outcome.name.clone());
            match outcome.state {
                State::Passed => self.0.remove(&key),
                _ => self.0.insert(key, outcome.short_reason()),
            };
        }
    }

    /// What differs from what it says. A reason is held to its kind (`unsupported: …`, `wrong result: …`), not to its numbers.
    pub fn drift(&self, outcomes: &[Outcome]) -> Drift {
        let mut drift = Drift::default();
        for outcome in outcomes {
            let known = self.0.get(&(outcome.mode.name().to_owned(), outcome.name.clone()));
            let label = format!("{} {}", outcome.mode.name(), outcome.name);
            match (outcome.state, known) {
                (State::Passed, Some(_)) => drift.better.push(label),
                (State::Passed, None) => {}
                (_, None) => drift.worse.push(format!("{label}: {}", outcome.short_reason())),
                (_, Some(reason)) if kind(reason) != kind(&outcome.reason) => {
                    drift.worse.push(format!("{label}: {} (was: {reason})", outcome.short_reason()));
                }
                _ => {}
            }
        }
        drift
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "# What does not pass: MODE CASE REASON. Written by `cargo xtask conformance --bless` or `cargo xtask models --bless`.\n",
        );
        for ((mode, case), reason) in &self.0 {
            out.push_str(&format!("{mode} {case} {reason}\n"));
        }
        out
    }
}

fn kind(reason: &str) -> &str {
    reason.split(':').next().unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnxc::harness::compare::Largest;
    use onnxc::harness::modes::Mode;

    fn outcome(name: &str, reason: Option<&str>) -> Outcome {
        let mut outcome = Outcome::new(name, Mode::Static);
        match reason {
            None => outcome.conclude(Ok(Largest::default())),
            Some(reason) => outcome.fail(reason.into()),
        }
        outcome
    }

    #[test]
    fn drift_in_both_directions_is_seen() {
        let mut manifest = Manifest::default();
        manifest.update(&[outcome("a", Some("unsupported: Foo")), outcome("b", None), outcome("c", Some("wrong result: y[0]"))]);
        assert_eq!(manifest.drift(&[outcome("a", Some("unsupported: Foo, Bar")), outcome("b", None)]), Drift::default());
        let drift = manifest.drift(&[outcome("a", None), outcome("b", Some("x: y")), outcome("c", Some("does not compile: z"))]);
        assert_eq!(drift.better, ["static a"]);
        assert_eq!(drift.worse, ["static b: x: y", "static c: does not compile: z (was: wrong result: y[0])"]);
    }

    #[test]
    fn the_text_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.txt");
        let mut manifest = Manifest::read(&path).unwrap();
        manifest.update(&[outcome("b", Some("two\nlines")), outcome("a", Some("r"))]);
        std::fs::write(&path, manifest.text()).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), manifest);
        assert!(manifest.text().ends_with("static a r\nstatic b two lines\n"));
    }
}
