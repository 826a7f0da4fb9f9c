mod model {
    onnxc_macros::include_onnx!("models/unsupported.onnx");
}

fn main() {}
