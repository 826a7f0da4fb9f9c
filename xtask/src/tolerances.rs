//! Cases that are judged more loosely, one by one, each with its reason: `tests/conformance/tolerances.txt` for the official ones,
//! `models_tolerances.txt` for the models.

use onnxc::harness::cases::Case;
use onnxc::harness::compare::Rule;
use std::path::Path;

/// Gives the cases that the file names its tolerances. A line is `CASE RTOL ATOL REASON`, or `CASE SHARE REASON` where the rule is a share of the
/// peak; a tolerance that is not looser than the rule is an error, and so is a case that does not exist if all are there (`whole`).
pub fn loosen(cases: &mut [Case], path: &Path, whole: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let name = line.split(' ').next().unwrap_or_default();
        let Some(case) = cases.iter_mut().find(|c| c.name == name) else {
            if whole {
                return Err(format!("{}: there is no case {name}", path.display()));
            }
            continue;
        };
        case.rule = parse(line, case.rule).ok_or_else(|| {
            let form = if matches!(case.rule, Rule::Peak { .. }) {
                "CASE SHARE REASON`, looser than 1e-4"
            } else {
                "CASE RTOL ATOL REASON`, looser than 1e-3 1e-7"
            };
            format!("{}: `{line}` is not `{form}", path.display())
        })?;
    }
    Ok(())
}

/// The rule of a line, in place of the usual one.
fn parse(line: &str, usual: Rule) -> Option<Rule> {
    let mut fields = line.splitn(if matches!(usual, Rule::Peak { .. }) { 3 } else { 4 }, ' ').skip(1);
    let mut number = || fields.next()?.parse::<f64>().ok();
    let (looser, rule) = match usual {
        Rule::Peak { tolerance: usual } => {
            let tolerance = number()?;
            ((usual..0.1).contains(&tolerance), Rule::Peak { tolerance })
        }
        _ => {
            let (rtol, atol) = (number()?, number()?);
            ((1e-3..1.0).contains(&rtol) && (1e-7..=4.0).contains(&atol), Rule::Elementwise { rtol, atol })
        }
    };
    let reason = fields.next().is_some_and(|r| !r.trim().is_empty());
    (reason && looser).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_needs_a_reason_and_looser_tolerances() {
        assert_eq!(parse("test_a 1e-3 1e-6 noise", Rule::OFFICIAL), Some(Rule::Elementwise { rtol: 1e-3, atol: 1e-6 }));
        assert_eq!(parse("model 1e-3 chaos and more", Rule::MODELS), Some(Rule::Peak { tolerance: 1e-3 }));
        for wrong in ["model 1e-3", "model 1e-5 noise", "model 0.5 noise", "model noise"] {
            assert_eq!(parse(wrong, Rule::MODELS), None, "{wrong}");
        }
        for wrong in [
            "test_a 1e-3 1e-6",
            "test_a 1e-4 1e-6 noise",
            "test_a 1e-3 1e-8 noise",
            "test_a x y z",
            "test_a 2 1e-6 noise",
            "test_a 1e-3 5 noise",
        ] {
            assert_eq!(parse(wrong, Rule::OFFICIAL), None, "{wrong}");
        }
    }
}
