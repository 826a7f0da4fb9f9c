//! Elements that are kept in other files.
//!
//! The model names the file, and whatever is read ends up inside a binary that is shipped, so a model
//! must not be able to name a secret. The rules, stricter than ONNX's own where that costs nobody:
//! - The location is a relative path of plain names: no root, no drive, no `..`, no backslash.
//! - Links are followed, and must end inside the model's directory or one that the caller trusts.
//! - What is there is a regular file, looked at before opening (opening a pipe would wait) and again
//!   through the open handle, which must be the same file.
//! - The file has one name. A hard link is the one way out of a directory that no path shows, and
//!   archives can contain them. Package stores that link equal files can be allowed.
//! - Offset and length are checked against the file before memory is asked for, the tensor's type and
//!   shape decide the length, and all reads from one file together are bounded by its size.
//!
//! Only the ranges that tensors name are read. The same range is read once and shared.

mod error;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

pub use self::error::ExternalError;
use crate::messages::StringStringEntryProto;
use crate::sha1::Sha1;

/// Tensors that share data name the same bytes more than once; a file of which more than this many
/// times its size is asked for is an attack on memory.
const OVERLAP: u64 = 4;

/// Files beside a model that hold the elements of its tensors.
#[derive(Debug, Default)]
pub struct ExternalFiles {
    /// The model's directory, then those that links may lead to; canonical. Empty refuses everything.
    roots: Vec<PathBuf>,
    hard_links: bool,
    /// Bytes that may still be read from all files.
    left: u64,
    files: BTreeMap<PathBuf, Known>,
}

/// What was read from one file.
#[derive(Debug, Default)]
struct Known {
    ranges: HashMap<(u64, usize), Bytes>,
    asked: u64,
    /// The digest of the whole file, once a tensor has stated one.
    digest: Option<String>,
}

/// What the entries of `external_data` say.
#[derive(Default)]
struct Reference<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
    checksum: Option<&'a str>,
}

impl ExternalFiles {
    /// The files beside a model, which may lie in folders below it.
    pub fn beside(model: impl AsRef<Path>) -> io::Result<Self> {
        match model.as_ref().parent() {
            Some(directory) if directory != Path::new("") => Self::in_directory(directory),
            _ => Self::in_directory("."),
        }
    }

    /// The files in a directory.
    pub fn in_directory(directory: impl AsRef<Path>) -> io::Result<Self> {
        let roots = vec![fs::canonicalize(directory)?];
        Ok(Self { roots, left: 32 << 30, ..Self::default() })
    }

    /// No files: for models that did not come from a directory.
    pub fn refused() -> Self {
        Self::default()
    }

    /// Also accepts links into this directory, such as the `blobs` of a download cache.
    pub fn trust_links_into(mut self, directory: impl AsRef<Path>) -> io::Result<Self> {
        self.roots.push(fs::canonicalize(directory)?);
        Ok(self)
    }

    /// Also accepts files that have several names, as package stores make them.
    pub fn allow_hard_links(mut self) -> Self {
        self.hard_links = true;
        self
    }

    /// Bytes that may be read from all files together; 32 GiB unless said otherwise.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.left = bytes;
        self
    }

    /// The files that were read so far, in order: what a build has to watch.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The `needed` bytes that the entries of a tensor's `external_data` stand for.
    pub fn read(&mut self, entries: &[StringStringEntryProto], needed: usize) -> Result<Bytes, ExternalError> {
        let reference = Reference::parse(entries)?;
        let location = || reference.location.to_owned();
        if let Some(length) = reference.length.filter(|&length| length != needed as u64) {
            return Err(ExternalError::Length { location: location(), length, needed });
        }
        let (path, file, size) = self.open(reference.location)?;
        let offset = reference.offset;
        if offset.checked_add(needed as u64).is_none_or(|end| end > size) {
            return Err(ExternalError::Range { location: location(), size, offset, needed });
        }
        let read = |cause| ExternalError::Read { location: location(), cause };
        let known = self.files.entry(path).or_default();
        if let Some(stated) = reference.checksum {
            known.check(&file, stated, reference.location)?;
        }
        if let Some(bytes) = known.ranges.get(&(offset, needed)) {
            return Ok(bytes.clone());
        }
        known.asked = known.asked.saturating_add(needed as u64);
        if known.asked > size.saturating_mul(OVERLAP) {
            return Err(ExternalError::Overlap(location()));
        }
        let left = self.left.checked_sub(needed as u64);
        self.left = left.ok_or_else(|| ExternalError::Limit(location()))?;
        let bytes = read_range(&file, offset, needed).map_err(read)?;
        known.ranges.insert((offset, needed), bytes.clone());
        Ok(bytes)
    }

    /// Opens the file that a location names, if the model may name it.
    fn open(&self, location: &str) -> Result<(PathBuf, File, u64), ExternalError> {
        let owned = || location.to_owned();
        let read = |cause| ExternalError::Read { location: owned(), cause };
        let root = self.roots.first().ok_or(ExternalError::Refused)?;
        if !is_plain(location) {
            return Err(ExternalError::Location(owned()));
        }
        let path = fs::canonicalize(root.join(location)).map_err(read)?;
        if !self.roots.iter().any(|root| path.starts_with(root)) {
            return Err(ExternalError::LeadsOut(owned()));
        }
        let before = fs::symlink_metadata(&path).map_err(read)?;
        if !before.is_file() {
            return Err(ExternalError::NotAFile(owned()));
        }
        let file = File::open(&path).map_err(read)?;
        let opened = file.metadata().map_err(read)?;
        if !opened.is_file() || !is_same(&before, &opened) {
            return Err(ExternalError::Changed(owned()));
        }
        if !self.hard_links && has_other_names(&opened) {
            return Err(ExternalError::HardLink(owned()));
        }
        Ok((path, file, opened.len()))
    }
}

impl Known {
    /// Compares the digest of the whole file, computed once, with what the model states.
    fn check(&mut self, file: &File, stated: &str, location: &str) -> Result<(), ExternalError> {
        let found = match &self.digest {
            Some(digest) => digest,
            None => self.digest.insert(digest(file).map_err(|cause| ExternalError::Read { location: location.to_owned(), cause })?),
        };
        if !found.eq_ignore_ascii_case(stated) {
            let (location, stated, found) = (location.into(), stated.into(), found.clone());
            return Err(ExternalError::Checksum { location, stated, found });
        }
        Ok(())
    }
}

impl<'a> Reference<'a> {
    /// Keys that ONNX does not know are left aside; those it knows stand once.
    fn parse(entries: &'a [StringStringEntryProto]) -> Result<Self, ExternalError> {
        let value = |key: &str| {
            let mut values = entries.iter().filter(|entry| entry.key == key);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(ExternalError::Entry(format!("{key} is given twice"))),
                (first, None) => Ok(first.map(|entry| entry.value.as_str())),
            }
        };
        let number = |key: &str| match value(key)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| ExternalError::Entry(format!("{key} {text:?} is not a number of bytes"))),
        };
        let location = value("location")?.filter(|location| !location.is_empty());
        Ok(Self {
            location: location.ok_or_else(|| ExternalError::Entry("no location".to_owned()))?,
            offset: number("offset")?.unwrap_or(0),
            length: number("length")?,
            checksum: value("checksum")?,
        })
    }
}

/// Whether the text alone stays inside. A backslash separates names on one system and is part of a
/// name on another; no exporter writes one.
fn is_plain(location: &str) -> bool {
    !location.contains(['\\', '\0'])
        && Path::new(location).components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
}

#[cfg(unix)]
fn is_same(before: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (before.dev(), before.ino()) == (opened.dev(), opened.ino())
}

/// Other systems do not tell a file's identity; its size and time have to do.
#[cfg(not(unix))]
fn is_same(before: &Metadata, opened: &Metadata) -> bool {
    before.len() == opened.len() && before.modified().ok() == opened.modified().ok()
}

#[cfg(unix)]
fn has_other_names(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1
}

/// Other systems do not tell how many names a file has.
#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

fn read_range(mut file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length)?;
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

fn digest(mut file: &File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sha1, mut buffer) = (Sha1::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha1.hex()),
            count => sha1.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
