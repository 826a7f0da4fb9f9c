#![deny(warnings)]
#![forbid(unsafe_code)]

mod twice {
    onnxc_macros::include_onnx!("models/twice.onnx", dim(batch = 1), embed = bytes);
}

fn main() {
    let mut model = twice::Model::new();
    assert_eq!(model.run(&[1.0, 2.5]).unwrap().y(), &[2.0, 5.0]);
}
