mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", batch = 1);
}

fn main() {}
