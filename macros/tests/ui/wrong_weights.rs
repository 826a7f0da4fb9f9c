mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", weights = mmap);
}

fn main() {}
