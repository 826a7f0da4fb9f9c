//! Attacks, and what has to keep working.

use super::*;
use tempfile::TempDir;

fn entries(pairs: &[(&str, &str)]) -> Vec<StringStringEntryProto> {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto { key: (*key).into(), value: (*value).into() };
    pairs.iter().map(entry).collect()
}

/// A folder with a secret beside the model's folder, which holds `w.bin`: 0, 1, … 99.
fn folders() -> (TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let model = outside.path().join("model");
    fs::create_dir_all(model.join("deep")).unwrap();
    fs::write(outside.path().join("secret"), [42; 100]).unwrap();
    fs::write(model.join("w.bin"), (0..100).collect::<Vec<u8>>()).unwrap();
    fs::write(model.join("deep/v.bin"), [7; 10]).unwrap();
    (outside, model)
}

fn read(files: &mut ExternalFiles, location: &str) -> Result<Bytes, ExternalError> {
    files.read(&entries(&[("location", location)]), 10)
}

fn files(model: &Path) -> ExternalFiles {
    ExternalFiles::beside(model.join("model.onnx")).unwrap()
}

#[test]
fn ranges_are_read_once_and_shared() {
    let (_outside, model) = folders();
    let mut files = files(&model);
    let range = entries(&[("location", "w.bin"), ("offset", "20"), ("length", "5"), ("other", "key")]);
    let bytes = files.read(&range, 5).unwrap();
    assert_eq!(bytes[..], [20, 21, 22, 23, 24]);
    assert_eq!(files.read(&range, 5).unwrap().as_ptr(), bytes.as_ptr());
    assert_eq!(read(&mut files, "./w.bin").unwrap()[..3], [0, 1, 2]);
    assert_eq!(read(&mut files, "deep/v.bin").unwrap()[..], [7; 10]);
    let names: Vec<_> = files.paths().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["v.bin", "w.bin"]);
}

#[test]
fn locations_stay_inside_by_their_text() {
    let (outside, model) = folders();
    let absolute = outside.path().join("secret");
    for location in [absolute.to_str().unwrap(), "../secret", "deep/../../secret", "deep/../w.bin", "..\\secret", "a\0b", "/", ".."] {
        let error = read(&mut files(&model), location).unwrap_err();
        assert!(matches!(error, ExternalError::Location(_)), "{location:?} {error:?}");
    }
    for location in ["", ".", "deep", "absent"] {
        assert!(read(&mut files(&model), location).is_err(), "{location:?}");
    }
    let refused = read(&mut ExternalFiles::refused(), "w.bin");
    assert!(matches!(refused, Err(ExternalError::Refused)));
}

#[cfg(unix)]
#[test]
fn links_stay_inside_by_where_they_lead() {
    use std::os::unix::fs::symlink;
    let (outside, model) = folders();
    symlink("../secret", model.join("file")).unwrap();
    symlink("..", model.join("folder")).unwrap();
    symlink("file", model.join("twice")).unwrap();
    symlink("w.bin", model.join("inside")).unwrap();
    symlink("/dev/zero", model.join("device")).unwrap();
    for location in ["file", "folder/secret", "twice", "device"] {
        let error = read(&mut files(&model), location).unwrap_err();
        assert!(matches!(error, ExternalError::LeadsOut(_)), "{location} {error:?}");
    }
    assert!(read(&mut files(&model), "inside").is_ok());
    let mut trusting = files(&model).trust_links_into(outside.path()).unwrap();
    assert_eq!(read(&mut trusting, "file").unwrap()[..], [42; 10]);
    // A folder whose name begins like the model's is not inside it.
    fs::create_dir(outside.path().join("model-other")).unwrap();
    fs::write(outside.path().join("model-other/s"), [1; 10]).unwrap();
    symlink("../model-other/s", model.join("prefix")).unwrap();
    assert!(matches!(read(&mut files(&model), "prefix"), Err(ExternalError::LeadsOut(_))));
    // The model's own folder may be reached through a link.
    symlink(&model, outside.path().join("alias")).unwrap();
    assert!(read(&mut files(&outside.path().join("alias")), "w.bin").is_ok());
}

#[cfg(unix)]
#[test]
fn hard_links_and_sockets_are_refused() {
    let (outside, model) = folders();
    fs::hard_link(outside.path().join("secret"), model.join("hard")).unwrap();
    assert!(matches!(read(&mut files(&model), "hard"), Err(ExternalError::HardLink(_))));
    assert!(read(&mut files(&model).allow_hard_links(), "hard").is_ok());
    let _socket = std::os::unix::net::UnixListener::bind(model.join("socket")).unwrap();
    assert!(matches!(read(&mut files(&model), "socket"), Err(ExternalError::NotAFile(_))));
}

#[test]
fn ranges_are_checked_before_memory_is_asked_for() {
    let (_outside, model) = folders();
    let at = |offset: &str, needed| files(&model).read(&entries(&[("location", "w.bin"), ("offset", offset)]), needed);
    assert!(at("0", 100).is_ok());
    assert!(at("100", 0).is_ok());
    for (offset, needed) in [("0", 101), ("1", 100), ("101", 0), ("18446744073709551615", 1), ("0", usize::MAX)] {
        let error = at(offset, needed).unwrap_err();
        assert!(matches!(error, ExternalError::Range { .. }), "{offset} {needed} {error:?}");
    }
    for offset in ["-1", "", "1e3", "0x10", "99999999999999999999"] {
        assert!(matches!(at(offset, 1), Err(ExternalError::Entry(_))), "{offset}");
    }
}

#[test]
fn entries_are_checked() {
    let (_outside, model) = folders();
    let read = |pairs: &[(&str, &str)]| files(&model).read(&entries(pairs), 10).unwrap_err();
    assert!(matches!(read(&[]), ExternalError::Entry(_)));
    assert!(matches!(read(&[("location", "w.bin"), ("location", "v.bin")]), ExternalError::Entry(_)));
    let length = read(&[("location", "w.bin"), ("length", "1000000000000000")]);
    assert!(matches!(length, ExternalError::Length { needed: 10, .. }));
}

#[test]
fn checksums_are_of_the_whole_file() {
    let (_outside, model) = folders();
    fs::write(model.join("abc"), "abc").unwrap();
    let mut files = files(&model);
    let mut read = |checksum| files.read(&entries(&[("location", "abc"), ("checksum", checksum), ("offset", "1")]), 1);
    assert_eq!(read("A9993E364706816ABA3E25717850C26C9CD0D89D").unwrap()[..], *b"b");
    assert!(matches!(read("a9993e364706816aba3e25717850c26c9cd0d89e"), Err(ExternalError::Checksum { .. })));
}

#[test]
fn many_tensors_cannot_multiply_a_file() {
    let (_outside, model) = folders();
    let mut overlapping = files(&model);
    let results = (0..10).map(|offset: usize| {
        let offset = offset.to_string();
        overlapping.read(&entries(&[("location", "w.bin"), ("offset", &offset)]), 90)
    });
    let results: Vec<_> = results.collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    assert!(matches!(results[9], Err(ExternalError::Overlap(_))));
    assert!(matches!(read(&mut files(&model).limit(9), "w.bin"), Err(ExternalError::Limit(_))));
}
