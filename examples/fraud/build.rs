//! Compiles the model that train.py made.

fn main() {
    onnxc::Build::new().model("models/fraud.onnx").compile();
}
