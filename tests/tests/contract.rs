//! What generated code promises, on compiled code: no allocation in `run`, `Send` and `Clone`, several models in one binary, and with the option
//! `no_std` a static library that needs nothing but a C library's `memcpy`.

use onnxc::Options;
use onnxc_tests::native::{Crate, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = env!("CARGO_TARGET_TMPDIR");

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits/models/digits.onnx")
}

/// Weights that are different everywhere and stay small: `float[2, 3] name = {…}`.
fn weight(name: &str, shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let elements: Vec<String> =
        (0..shape.iter().product::<usize>()).map(|i| format!("{}", ((i * 37 + name.len()) % 19) as f32 / 19.0 - 0.5)).collect();
    format!("float[{}] {name} = {{{}}}", dims.join(", "), elements.join(", "))
}

#[test]
fn a_static_model_never_allocates() {
    let mut made = Crate::new(TARGET, "contract", false);
    made.file("digits", &digits(), &Options::default());
    let (w, r, b) = (weight("w", &[1, 16, 6]), weight("r", &[1, 16, 4]), weight("b", &[1, 32]));
    made.text(
        "lstm",
        &format!("lstm (float[4, 1, 6] x) => (float[4, 1, 1, 4] y) <{w}, {r}, {b}> {{ y = LSTM <hidden_size = 4> (x, w, r, b) }}"),
    );
    let (w, b, v) = (weight("w", &[8, 40]), weight("b", &[40]), weight("v", &[40, 5]));
    made.text(
        "mlp",
        &format!(
            "mlp (float[1, 8] x) => (float[1, 5] y) <{w}, {b}, {v}> {{
                h = Gemm (x, w, b)
                a = Gelu (h)
                l = MatMul (a, v)
                y = Softmax (l)
            }}"
        ),
    );
    made.text("block", &transformer_block());
    run(&mut Command::new(made.build(include_str!("../native/contract.rs"))));
}

/// Attention over 4 tokens of 8 channels, a residual and a normalisation; a convolution and a pooling after it.
fn transformer_block() -> String {
    let weights = [weight("q", &[8, 8]), weight("kk", &[8, 8]), weight("vvv", &[8, 8]), weight("g", &[8]), weight("c", &[3, 1, 3, 3])];
    format!(
        "<ir_version: 10, opset_import: [\"\": 20]>
        block (float[1, 4, 8] x) => (float[1, 3, 1, 1] y) <{}> {{
            a = MatMul (x, q)
            b = MatMul (x, kk)
            v = MatMul (x, vvv)
            t = Transpose <perm = [0, 2, 1]> (b)
            s = MatMul (a, t)
            p = Softmax <axis = -1> (s)
            o = MatMul (p, v)
            n = Add (o, x)
            l = LayerNormalization (n, g)
            axes = Constant <value_ints = [1]> ()
            i = Unsqueeze (l, axes)
            f = Conv <pads = [1, 1, 1, 1]> (i, c)
            r = Relu (f)
            y = GlobalAveragePool (r)
        }}",
        weights.join(", ")
    )
}

/// The first image of scikit-learn's digits, a zero.
const ZERO: &str = "0 0 5 13 9 1 0 0  0 0 13 15 10 15 5 0  0 3 15 2 0 11 8 0  0 4 12 0 0 8 8 0
                    0 5 8 0 0 9 8 0  0 4 11 0 1 12 7 0  0 2 14 5 10 12 0 0  0 0 6 13 10 0 0 0";

#[test]
#[cfg(unix)]
fn a_static_model_runs_without_std() {
    let mut made = Crate::new(TARGET, "freestanding", true);
    made.file("digits", &digits(), &Options::default());
    let library = made.build(include_str!("../native/freestanding.rs"));
    let exe = made.dir.join("digit");
    let c = Path::new(env!("CARGO_MANIFEST_DIR")).join("native/freestanding.c");
    run(Command::new("cc").arg("-O1").arg(&c).arg(&library).arg("-o").arg(&exe));
    let symbols = run(Command::new("nm").arg("-A").arg("--undefined-only").arg(&library));
    assert!(!symbols.contains("malloc") && !symbols.contains("__rust_alloc"), "it wants an allocator:\n{symbols}");
    let image = made.dir.join("zero.txt");
    std::fs::write(&image, ZERO).unwrap();
    assert_eq!(run(Command::new(&exe).stdin(std::fs::File::open(&image).unwrap())), "0\n");
}
