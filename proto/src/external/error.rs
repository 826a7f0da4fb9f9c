//! What can be wrong with elements in other files.

use std::io;

use super::OVERLAP;

/// Why elements in another file cannot or may not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// A tensor has external data, but the model did not come from a directory.
    #[error("the elements are in another file, but the model was not read from a directory")]
    Refused,
    /// `external_data` itself is wrong.
    #[error("external_data: {0}")]
    Entry(String),
    /// A location that does not stay inside by its text alone.
    #[error("external data {0:?} is not a relative path of plain names")]
    Location(String),
    /// A location that leaves by a link.
    #[error(
        "external data {0:?} is a link that leads out of the model's directory; \
         put the file itself beside the model"
    )]
    LeadsOut(String),
    /// A directory, a pipe, a device.
    #[error("external data {0:?} is not a regular file")]
    NotAFile(String),
    /// A file with other names elsewhere.
    #[error("external data {0:?} is a hard link to a file that has other names; copy it instead")]
    HardLink(String),
    /// The file was replaced between the check and the opening.
    #[error("external data {0:?} changed while it was opened")]
    Changed(String),
    /// The system refuses.
    #[error("external data {location:?} cannot be read: {cause}")]
    Read {
        /// The file.
        location: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The stated length is not what the tensor's shape and type need.
    #[error("external data {location:?}: length {length}, the shape and type need {needed}")]
    Length {
        /// The file.
        location: String,
        /// As stated.
        length: u64,
        /// As needed.
        needed: usize,
    },
    /// The range is not inside the file.
    #[error("external data {location:?} has {size} bytes, the tensor is {needed} bytes at {offset}")]
    Range {
        /// The file.
        location: String,
        /// Size of the file.
        size: u64,
        /// Where the elements begin.
        offset: u64,
        /// How many bytes they are.
        needed: usize,
    },
    /// Tensors overlap so often that reading them all would take many times the file.
    #[error("tensors ask for {OVERLAP} times the size of external data {0:?}")]
    Overlap(String),
    /// More than [`ExternalFiles::limit`](super::ExternalFiles::limit).
    #[error("external data {0:?} passes the limit on bytes read from all external files")]
    Limit(String),
    /// The file is not the one that the model was written with.
    #[error("external data {location:?} has the checksum {found}, the model states {stated:?}")]
    Checksum {
        /// The file.
        location: String,
        /// As stated.
        stated: String,
        /// As found.
        found: String,
    },
}
