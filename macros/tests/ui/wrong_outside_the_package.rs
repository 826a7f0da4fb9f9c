mod model {
    onnxc_macros::include_onnx!("../outside.onnx");
}

fn main() {}
