"""Makes models/colors.onnx (needs onnx)."""

import onnx

TEXT = """<ir_version: 9, opset_import: ["": 20, "example.colors": 1]>
colors (float[1, pixels] image) => (float[bins] shares, float[1, 1] mean) <float[1, pixels] light, float[b] counts> {
    light = example.colors.ToLinear (image)
    counts = example.colors.Histogram <bins = 4> (light)
    total = ReduceSum <keepdims = 1> (counts)
    shares = Div (counts, total)
    mean = ReduceMean <keepdims = 1> (light)
}"""

onnx.save(onnx.parser.parse_model(TEXT), "models/colors.onnx")
