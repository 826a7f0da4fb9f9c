mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", no_std);
}

fn main() {}
