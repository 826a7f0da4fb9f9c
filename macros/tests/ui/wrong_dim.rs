mod model {
    onnxc_macros::include_onnx!("models/twice.onnx", dim(length = 4), input_shape(z = [1, 2]));
}

fn main() {}
