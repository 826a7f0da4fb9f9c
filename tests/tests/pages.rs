//! The files of `tests/files`: see `onnxc_tests::pages`.

use std::path::Path;

fn check(folder: &str) {
    onnxc_tests::pages::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(folder));
}

#[test]
fn errors() {
    check("errors");
}

#[test]
fn passes() {
    check("pass");
}

#[test]
fn rooms() {
    check("rooms");
}

#[test]
fn runs() {
    check("run");
}
