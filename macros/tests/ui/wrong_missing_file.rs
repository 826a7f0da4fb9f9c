mod model {
    onnxc_macros::include_onnx!("models/missing.onnx");
}

fn main() {}
