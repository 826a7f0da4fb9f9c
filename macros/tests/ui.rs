//! What rustc says of a wrong `include_onnx!`: whole texts, in `ui/*.stderr` (`TRYBUILD=overwrite` writes them anew: read them then).

use std::path::Path;

#[test]
fn errors_are_readable_and_at_the_macro() {
    // trybuild makes a package of its own in cargo's target folder; the models have to be in it.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let theirs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tests/trybuild/onnxc-macros/models");
    std::fs::create_dir_all(&theirs).unwrap();
    for entry in std::fs::read_dir(ours).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, theirs.join(path.file_name().unwrap())).unwrap();
    }
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/good.rs");
    cases.compile_fail("tests/ui/wrong_*.rs");
}
