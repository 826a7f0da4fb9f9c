//! Compiles the model; the functions of its two custom operators are in `src/operators.rs`.

fn main() {
    onnxc::Build::new()
        .model("models/colors.onnx")
        .custom_op("example.colors:ToLinear=crate::operators::to_linear")
        .custom_op("example.colors:Histogram=crate::operators::histogram,crate::operators::histogram_shape")
        .compile();
}
