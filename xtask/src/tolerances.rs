//! Official cases that are judged more loosely, one by one, each with its reason (`tests/conformance/tolerances.txt`).

use onnxc::harness::cases::Case;
use onnxc::harness::compare::Rule;
use std::path::Path;

/// Gives the cases that the file names its tolerances. A line is `CASE RTOL ATOL REASON`; a case that does not exist, or a tolerance that is not looser
/// than the official one, is an error.
pub fn loosen(cases: &mut [Case], path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (name, rule) =
            parse(line).ok_or_else(|| format!("{}: `{line}` is not `CASE RTOL ATOL REASON`, looser than 1e-3 1e-7", path.display()))?;
        let case = cases.iter_mut().find(|c| c.name == name).ok_or_else(|| format!("{}: there is no case {name}", path.display()))?;
        case.rule = rule;
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, Rule)> {
    let mut fields = line.splitn(4, ' ');
    let (name, rtol, atol) = (fields.next()?, fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    let reason = fields.next().is_some_and(|r| !r.trim().is_empty());
    (reason && (1e-3..1.0).contains(&rtol) && (1e-7..1.0).contains(&atol)).then_some((name, Rule::Elementwise { rtol, atol }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_a_reason_and_looser_tolerances() {
        assert_eq!(parse("test_a 1e-3 1e-6 noise"), Some(("test_a", Rule::Elementwise { rtol: 1e-3, atol: 1e-6 })));
        for wrong in ["test_a 1e-3 1e-6", "test_a 1e-4 1e-6 noise", "test_a 1e-3 1e-8 noise", "test_a x y z", "test_a 2 1e-6 noise"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
