//! The content types that the model knows, from the package's configuration: labels.tsv, which answers.py writes.

/// A content type.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Is it text?
    pub text: bool,
    /// Below this score the answer is only `txt` or `unknown`.
    pub threshold: f32,
    /// What is said above it: mostly the content type's own name.
    pub output: &'static str,
}

/// The content type at a place of the model's output.
pub fn label(index: usize) -> Option<Label> {
    // The first field is the name.
    let mut fields = include_str!("labels.tsv").lines().nth(index)?.split('\t').skip(1);
    Some(Label { text: fields.next()? == "text", threshold: fields.next()?.parse().ok()?, output: fields.next()? })
}
