//! Custom operators: what is generated for them, and what is wrong with models and options. `examples/custom` runs some.

use onnxc::ir::Graph;
use onnxc::{Options, compile_graph, emit, import, memory, write};
use onnxc_proto::ExternalFiles;
use onnxc_tests::text;

fn options(specs: &[&str]) -> Options {
    Options { custom_ops: specs.iter().map(|s| s.parse().unwrap()).collect(), ..Options::default() }
}

fn graph(source: &str, specs: &[&str]) -> Result<Graph, String> {
    let source = format!("<ir_version: 10, opset_import: [\"\": 20, \"my.domain\": 1]> {source}");
    import::import(&text::model(&source), ExternalFiles::refused(), &options(specs)).map_err(|e| e.to_string())
}

#[test]
fn a_call_has_attributes_and_views() {
    let source = "net (float[n, 3] x, bool[n] keep) => (float[n, 3] y, float[n, m] z) {
        y, z = my.domain.Foo <alpha = 0.5, names = [\"a\", \"b\"]> (x, keep)
    }";
    let graph = graph(source, &["my.domain:Foo=crate::ops::foo,crate::ops::shape"]).unwrap();
    let program = compile_graph(graph, "", &Options::default(), &mut |_, _| ()).unwrap_or_else(|e| panic!("{e}"));
    let emitted = emit::emit(&program, &memory::place(&program), &emit::EmitOptions::default());
    let code: String = write::text(&emitted, "net.onnx", "0").unwrap().split_whitespace().collect();
    for part in [
        "crate::ops::shape(",
        "crate::ops::foo(",
        "(\"alpha\",::onnxc_runtime::custom::Attribute::Float(0.5))",
        "(\"names\",::onnxc_runtime::custom::Attribute::Texts(&[\"a\",\"b\"]))",
        "::onnxc_runtime::view::bools_out(",
    ] {
        assert!(code.contains(part), "no `{part}` in {code}");
    }
}

#[test]
fn errors_say_what_is_missing() {
    let foo = ["my.domain:Foo=crate::foo"];
    let cases = [
        ("net (float[2] x) => (float[2] y) { y = my.domain.Foo (x) }", &[][..], "the operator my.domain:Foo"),
        (
            "net (float[2] x) => (float[2] y) { h = my.domain.Foo (x) y = ReduceSum <keepdims = 0> (h) }",
            &foo,
            "does not declare the dtype and the rank of output 0",
        ),
        ("net (float[2] x) => (float[m] y) { y = my.domain.Foo (x) }", &foo, "dim 0 of output 0 of the custom operator is not declared"),
        ("net (float[2] x) => (float[2] y) { y = Relu (x) }", &foo, "--custom-op names my.domain:Foo, of which the model has no node"),
    ];
    for (source, specs, message) in cases {
        let error = graph(source, specs).err();
        assert!(error.as_ref().is_some_and(|e| e.contains(message)), "{source}: {error:?}");
    }
}

#[test]
fn a_function_goes_before_what_onnxc_knows() {
    let graph = graph("net (float[2] x) => (float[2] y) { y = Relu (x) }", &[":Relu=crate::relu"]).unwrap();
    assert!(graph.nodes.iter().any(|(_, node)| node.op.name() == "Custom"));
}
