//! The pages with `run` sections once more, as native code: all of them in one executable.

use onnxc::harness::batch::RUNNER;
use onnxc::harness::worker::{Answer, Worker};
use onnxc_runtime::wire;
use onnxc_tests::native::Crate;
use onnxc_tests::pages;
use std::path::Path;
use std::time::Duration;

#[test]
fn pages_say_the_same_of_native_code() {
    let mut files = Vec::new();
    pages::collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("files/run"), &mut files);
    let texts: Vec<String> = files.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    let mut made = Crate::new(env!("CARGO_TARGET_TMPDIR"), "pages", false);
    let (mut rows, mut jobs) = (String::new(), Vec::new());
    for (model, (file, text)) in files.iter().zip(&texts).enumerate() {
        let (source, runs) = pages::runs(text);
        let module = format!("page_{}", file.file_stem().unwrap().to_string_lossy());
        made.text(&module, source);
        rows.push_str(&format!("    || Box::new({module}::Model::new()),\n"));
        jobs.extend(runs.into_iter().map(|run| (model, file, run)));
    }
    let exe = made.build(&format!("const MODELS: &[fn() -> Box<dyn Session>] = &[\n{rows}];\n\n{RUNNER}"));
    let mut worker = Worker::new(&exe, Duration::from_mins(1));
    let (input, output) = (made.dir.join("input"), made.dir.join("output"));
    let mut wrong = Vec::new();
    for (model, file, run) in &jobs {
        std::fs::write(&input, wire::encode(&run.inputs)).unwrap();
        let got = match worker.run(*model, &input, &output) {
            Answer::Ok { differs: false, .. } => run.show(&wire::decode(&std::fs::read(&output).unwrap()).unwrap()),
            Answer::Fault(message) => message,
            other => format!("{other:?}"),
        };
        if got != run.expected {
            wrong.push(format!("{}:\n  page:   {}\n  native: {got}", file.display(), run.expected));
        }
    }
    assert!(jobs.len() > 15, "only {} runs", jobs.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
