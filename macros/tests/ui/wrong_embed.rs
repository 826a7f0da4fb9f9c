mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", embed = mmap);
}

fn main() {}
