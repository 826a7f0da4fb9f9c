//! From a path to a content type, with the package's rules for small files and low scores.

use crate::features::{Features, read};
use crate::labels::label;
use crate::network::Model;
use std::error::Error;
use std::path::Path;

/// What a file is taken for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The content type.
    pub label: &'static str,
    /// The model's probability of it; 1 where the model was not asked.
    pub score: f32,
}

/// The content type of a file.
pub fn path(model: &mut Model, path: &Path) -> Result<Answer, Box<dyn Error>> {
    let certain = |label| Ok(Answer { label, score: 1.0 });
    let bytes = match read(path)? {
        Features::Empty => return certain("empty"),
        Features::Few { text } => return certain(generic(text)),
        Features::Bytes(bytes) => bytes,
    };
    let outputs = model.run(&bytes)?;
    let scores = outputs.target_label();
    let (best, &score) = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).ok_or("the model gave nothing")?;
    let found = label(best).ok_or("the model knows a content type that labels.tsv does not")?;
    let label = if score >= found.threshold { found.output } else { generic(found.text) };
    Ok(Answer { label, score })
}

const fn generic(text: bool) -> &'static str {
    if text { "txt" } else { "unknown" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_the_python_packages() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let mut model = Model::new();
        let mut count = 0;
        for line in include_str!("../answers.tsv").lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let answer = path(&mut model, &folder.join(fields[0])).unwrap();
            let score: f32 = fields[2].parse().unwrap();
            assert_eq!(answer.label, fields[1], "{}", fields[0]);
            assert!((answer.score - score).abs() < 1e-3, "{}: {} is not {score}", fields[0], answer.score);
            count += 1;
        }
        assert!(count >= 20);
    }
}
