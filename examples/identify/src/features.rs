//! What the model sees of a file: 1024 bytes of its beginning and 1024 of its end, without the white space around.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of either end is read.
const BLOCK: u64 = 4096;
/// How many bytes of it the model sees.
const SEEN: usize = 1024;
/// Stands where the file has no byte.
const PADDING: i32 = 256;
/// Files with fewer bytes are not given to the model.
const LEAST: usize = 8;

/// A file before the model.
pub enum Features {
    /// There is nothing in it.
    Empty,
    /// Too few bytes for the model; are they UTF-8 text?
    Few { text: bool },
    /// The model's input.
    Bytes(Box<[i32; 2 * SEEN]>),
}

/// Reads both ends of the file.
pub fn read(path: &Path) -> io::Result<Features> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut first = Vec::new();
    file.by_ref().take(BLOCK).read_to_end(&mut first)?;
    file.seek(SeekFrom::Start(size.saturating_sub(BLOCK)))?;
    let mut last = Vec::new();
    file.take(BLOCK).read_to_end(&mut last)?;
    Ok(features(&first, &last))
}

fn features(first: &[u8], last: &[u8]) -> Features {
    if first.is_empty() {
        return Features::Empty;
    }
    let (beginning, end) = (trimmed_start(first), trimmed_end(last));
    if beginning.len() < LEAST {
        return Features::Few { text: std::str::from_utf8(first).is_ok() };
    }
    let mut bytes = Box::new([PADDING; 2 * SEEN]);
    let (head, tail) = bytes.split_at_mut(SEEN);
    head.iter_mut().zip(beginning).for_each(|(to, &byte)| *to = byte.into());
    tail.iter_mut().rev().zip(end.iter().rev()).for_each(|(to, &byte)| *to = byte.into());
    Features::Bytes(bytes)
}

/// What Python's `bytes.strip` takes for white space; the vertical tab is not in Rust's list.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn trimmed_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&b| !is_space(b)).unwrap_or(bytes.len());
    &bytes[start..]
}

fn trimmed_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&b| !is_space(b)).map_or(0, |at| at + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_trimmed_and_padded_on_their_inner_side() {
        let text = b"\n\x0b the quick fox";
        let Features::Bytes(bytes) = features(text, text) else { panic!("enough bytes") };
        assert_eq!((bytes[0], bytes[12], bytes[13]), (i32::from(b't'), i32::from(b'x'), PADDING));
        assert_eq!(bytes[2048 - 16..][..3], [0x0a, 0x0b, 0x20], "the end keeps the white space before it");
        let text = b"the quick fox\t\x0b\n";
        let Features::Bytes(bytes) = features(text, text) else { panic!("enough bytes") };
        assert_eq!((bytes[1024], bytes[2048 - 13], bytes[2047]), (PADDING, i32::from(b't'), i32::from(b'x')));
    }

    #[test]
    fn small_files_are_not_for_the_model() {
        assert!(matches!(features(b"", b""), Features::Empty));
        assert!(matches!(features(b"  seven77", b""), Features::Few { text: true }));
        assert!(matches!(features(&[0xff, 0xfe], b""), Features::Few { text: false }));
    }
}
