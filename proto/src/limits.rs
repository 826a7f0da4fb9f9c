//! What a file may ask for.

/// Bounds on what decoding accepts. A model is untrusted input: without them ten bytes can ask for
/// gigabytes. The defaults are far above what real models need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file. Protobuf itself ends at 2 GiB; larger models keep their weights in other files.
    pub max_bytes: u64,
    /// Messages within messages; a graph within a graph is three. Above 99 counts as 99: prost's own end.
    pub max_depth: usize,
    /// Memory that the decoded form takes besides the file itself, whose tensor contents are shared.
    pub max_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 2 << 30, max_depth: 99, max_memory: 8 << 30 }
    }
}

impl Limits {
    /// prost counts unknown fields of the innermost message as one more, hence 99 of its 100.
    pub(crate) fn depth(&self) -> usize {
        self.max_depth.min(99)
    }
}
