//! Real models through the first rooms.
use onnxc::{Model, Options};
use std::path::Path;

#[test]
fn legacy_model_lowers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models");
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let file = entry.path().join("model.onnx");
        if !file.exists() {
            continue;
        }
        match Model::read(&file).and_then(|m| onnxc::compile_to_program(m, &Options::default())) {
            Ok(program) => println!("{}: {} steps", entry.path().display(), program.body.len()),
            Err(report) => println!("{}: {report}", entry.path().display()),
        }
    }
}
