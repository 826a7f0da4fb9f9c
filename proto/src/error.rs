//! What can be wrong with a file.
//!
//! Errors of this crate say everything in their `Display`, causes included, and have no `source`.

use std::path::PathBuf;

/// Why bytes are not the message that they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The path names a directory, a pipe, a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The bytes are recognised as something else.
    #[error("this is {found}, not an ONNX model")]
    NotOnnx {
        /// What they are, with its article, and what to do where that is known.
        found: &'static str,
    },
    /// The wire format is violated.
    #[error("malformed at byte {offset}{}: {flaw}", in_place(place))]
    Malformed {
        /// Where, counted from the start of the file.
        offset: usize,
        /// The fields around it, such as `graph.node[3].attribute[0].name`; empty at the top.
        place: String,
        /// What is wrong there.
        flaw: Flaw,
    },
    /// A well-formed message that has no graph, so it is no model.
    #[error("the file holds no graph: it is empty or not an ONNX model")]
    NoGraph,
    /// Larger than [`Limits::max_bytes`](crate::Limits::max_bytes).
    #[error("the file has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Size of the file, or of as much of it as was read.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Deeper than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("at byte {offset} messages are nested deeper than {limit} levels")]
    TooDeep {
        /// Where the level too many begins.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::max_memory`](crate::Limits::max_memory).
    #[error("decoding would take more than {limit} bytes of memory (reached at byte {offset})")]
    TooMuchMemory {
        /// Where the limit is passed.
        offset: usize,
        /// The limit.
        limit: u64,
    },
    /// prost refuses what the scan before it accepted: a bug of this crate, kept as an error.
    #[error("malformed: {0}")]
    Prost(prost::DecodeError),
}

/// One way in which the wire format is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// A number or key is cut off.
    #[error("the message ends in the middle of a field")]
    Ends,
    /// Something is longer than what is left of the message around it.
    #[error("a field of {length} bytes where {left} are left; the file may be cut off")]
    Length {
        /// What the field claims.
        length: u64,
        /// What there is.
        left: usize,
    },
    /// A number of more than 64 bits.
    #[error("a number does not end")]
    Varint,
    /// No field has such a key.
    #[error("not the beginning of a field")]
    Key,
    /// The field is laid down as another kind of value than ONNX says.
    #[error("the field has the wrong wire type")]
    WireType,
    /// A packed list does not hold a whole number of elements.
    #[error("a packed list is not a multiple of {width} bytes")]
    PackedLength {
        /// Size of one element.
        width: usize,
    },
    /// A group ends that has not begun.
    #[error("a group ends that has not begun")]
    GroupEnd,
    /// Names and metadata are text.
    #[error("the text is not UTF-8")]
    Utf8,
}

fn in_place(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(", in {place}") }
}
