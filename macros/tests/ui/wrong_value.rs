mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", dim(batch = "one"));
}

fn main() {}
