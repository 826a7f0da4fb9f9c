//! Weights in 16 bits (`--weights f16`), and products in them (`--precision bf16`): half the bytes, and results as near as their precision allows.

use onnxc::options::{Precision, WeightType};
use onnxc::program::{Action, Program, interpret};
use onnxc::{Model, Options, compile_to_program};
use onnxc_proto::ExternalFiles;
use onnxc_runtime::value::{Tensor, Value};

/// `float[2, 3] name = {…}`: numbers within ±`scale`.
fn weight(name: &str, shape: &[usize], scale: f32) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let noise = |i: usize| (i.wrapping_mul(2_654_435_761).wrapping_add(name.len() * 97) >> 7) % 1000;
    let count = shape.iter().product::<usize>();
    let elements: Vec<String> = (0..count).map(|i| format!("{}", (noise(i) as f32 / 500.0 - 1.0) * scale)).collect();
    format!("float[{}] {name} = {{{}}}", dims.join(", "), elements.join(", "))
}

/// Everything that takes weights in 16 bits: a table of embeddings, a product, convolutions, a transposed one.
fn source(scale: f32) -> String {
    let weights = [
        weight("table", &[300, 16], 1.0),
        weight("m", &[16, 40], scale),
        weight("first", &[32, 1, 3, 3], 0.5),
        weight("square", &[32, 32, 3, 3], 0.1),
        weight("one", &[8, 32, 1, 1], 0.2),
        weight("up", &[8, 2, 2, 2], 0.5),
    ];
    format!(
        "<ir_version: 10, opset_import: [\"\": 20]>
        net (int64[24] x) => (float[1, 2, 48, 80] y) <{}> {{
            e = Gather (table, x)
            p = MatMul (e, m)
            shape = Constant <value_ints = [1, 1, 24, 40]> ()
            i = Reshape (p, shape)
            a = Conv <pads = [1, 1, 1, 1]> (i, first)
            b = Conv <pads = [1, 1, 1, 1]> (a, square)
            c = Conv (b, one)
            y = ConvTranspose <strides = [2, 2]> (c, up)
        }}",
        weights.join(", ")
    )
}

fn program(source: &str, weights: WeightType) -> Program {
    compiled(source, &Options { weights, ..Options::default() })
}

fn compiled(source: &str, options: &Options) -> Program {
    let model = Model { proto: onnxc_tests::text::model(source), files: ExternalFiles::refused() };
    compile_to_program(model, options).unwrap()
}

fn run(program: &Program) -> Vec<f32> {
    let ids: Vec<i64> = (0..24).map(|i| i * i * 7 % 300).collect();
    let outputs = interpret::run(program, &[Value::from(Tensor::from_slice(&[24], &ids).unwrap())], 100_000).unwrap();
    outputs[0].tensor().unwrap().as_slice::<f32>().unwrap().to_vec()
}

/// The bytes of all weights.
fn bytes(program: &Program) -> usize {
    program.weights.iter().map(|(_, w)| w.tensor.bytes().len()).sum()
}

#[test]
fn sixteen_bits_take_half_the_room_and_stay_near() {
    let source = source(0.5);
    let whole = program(&source, WeightType::F32);
    let exact = run(&whole);
    let peak = exact.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (kind, tolerance) in [(WeightType::F16, 1e-3), (WeightType::Bf16, 1e-2)] {
        let narrow = program(&source, kind);
        let error = run(&narrow).iter().zip(&exact).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / peak;
        assert!(error > 0.0 && error < tolerance, "{kind:?}: {error}");
        assert!(bytes(&narrow) <= bytes(&whole) / 2 + 64, "{kind:?}: {} of {} bytes", bytes(&narrow), bytes(&whole));
    }
}

#[test]
fn products_of_bf16_take_half_the_room_and_stay_near() {
    let source = source(0.5);
    let whole = program(&source, WeightType::F32);
    let narrow = compiled(&source, &Options { precision: Precision::Bf16, ..Options::default() });
    let calls = |path: &str| narrow.body.iter().filter(|s| matches!(&s.action, Action::Call(c) if c.kernel.path == path)).count();
    // The product, and the convolutions but that of one channel.
    assert_eq!([calls("gemm::gemm_bf16"), calls("conv::conv_bf16"), calls("gemm::to_bf16")], [1, 2, 3]);
    let exact = run(&whole);
    let peak = exact.iter().fold(0f32, |m, x| m.max(x.abs()));
    let error = run(&narrow).iter().zip(&exact).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / peak;
    assert!(error > 0.0 && error < 1e-2, "{error}");
    assert!(bytes(&narrow) <= bytes(&whole) / 2 + 64, "{} of {} bytes", bytes(&narrow), bytes(&whole));
}

#[test]
fn precisions_that_contradict_each_other_are_errors() {
    let model = Model { proto: onnxc_tests::text::model(&source(0.5)), files: ExternalFiles::refused() };
    let options = Options { precision: Precision::Bf16, weights: WeightType::F16, ..Options::default() };
    let report = compile_to_program(model, &options).err().unwrap().to_string();
    assert!(report.contains("--precision bf16 contradicts --weights f16"), "{report}");
}

#[test]
fn weights_beyond_the_range_of_f16_stay_as_they_are() {
    let source = source(1e6);
    let (whole, narrow) = (program(&source, WeightType::F32), program(&source, WeightType::F16));
    let product = |p: &Program| p.weights.iter().find(|(_, w)| w.name.contains("matrix")).map(|(_, w)| w.tensor.dtype);
    assert_eq!(product(&narrow), product(&whole));
    assert!(run(&narrow).iter().all(|x| x.is_finite()));
}
