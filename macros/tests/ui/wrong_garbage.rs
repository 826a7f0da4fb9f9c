mod model {
    onnxc_macros::include_onnx!("models/garbage.onnx");
}

fn main() {}
