mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", state(x = z));
}

fn main() {}
