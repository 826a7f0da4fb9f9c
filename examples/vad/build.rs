//! Compiles the fetched model; without it the crate still builds, and tells how to fetch it.

fn main() {
    let model = "models/silero_vad.onnx";
    println!("cargo::rustc-check-cfg=cfg(fetched)");
    // Of a file that is not there cargo would think that it changes all the time: the folder is watched instead.
    println!("cargo::rerun-if-changed=models");
    if std::path::Path::new(model).is_file() {
        // What the network remembers stays in the generated model: its output `stateN` is the next call's `state`.
        let build = onnxc::Build::new().model(model).input_shape("input", [1, 576]).input_shape("state", [2, 1, 128]);
        build.state("state", "stateN").compile();
        println!("cargo::rustc-cfg=fetched");
    }
}
