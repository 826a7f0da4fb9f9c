//! No bytes make the compiler panic: truncations and mutations of good models go through all rooms and end in code or in a report.

use onnxc::{Model, Options, emit, memory, write};
use onnxc_tests::mutate::{Random, mutate};
use onnxc_tests::text;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The models of the test files, as bytes.
fn good() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["errors", "run"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let page = std::fs::read_to_string(&path).unwrap();
            let model = text::model(page.split("\n--- ").next().unwrap());
            found.push((path.display().to_string(), onnxc_proto::encode(&model)));
        }
    }
    found
}

/// All rooms; the result does not matter.
fn compile(bytes: Vec<u8>) {
    let Ok(model) = Model::from_bytes(bytes) else { return };
    let Ok(program) = onnxc::compile_to_program(model, &Options::default()) else { return };
    let emitted = emit::emit(&program, &memory::place(&program), &emit::EmitOptions::default());
    write::text(&emitted, "hostile.onnx", "0").expect("what is emitted parses");
}

fn check(name: &str, bytes: Vec<u8>) {
    let kept = bytes.clone();
    if catch_unwind(AssertUnwindSafe(|| compile(bytes))).is_err() {
        let path = std::env::temp_dir().join("onnxc-hostile.onnx");
        std::fs::write(&path, kept).unwrap();
        panic!("the compiler panicked on a broken {name}: kept as {}", path.display());
    }
}

#[test]
fn truncations_do_not_panic() {
    for (name, bytes) in good() {
        for len in 0..bytes.len() {
            check(&name, bytes[..len].to_vec());
        }
    }
}

#[test]
fn mutations_do_not_panic() {
    let mut random = Random::new(1);
    for (name, bytes) in good() {
        for _ in 0..400 {
            check(&name, mutate(&bytes, &mut random));
        }
    }
}
