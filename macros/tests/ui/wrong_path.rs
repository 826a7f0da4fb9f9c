mod model {
    onnxc_macros::include_onnx!(models/twice.onnx);
}

fn main() {}
