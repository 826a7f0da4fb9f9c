"""Makes the models of the tests: `python make.py`, in this folder."""
import onnx
from onnx import TensorProto as T, helper as h

x, y = h.make_tensor_value_info("x", T.FLOAT, ["batch", 2]), h.make_tensor_value_info("y", T.FLOAT, ["batch", 2])


def save(name, nodes, opsets):
    graph = h.make_graph(nodes, "net", [x], [y])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid(*o) for o in opsets], ir_version=10), name)


save("twice.onnx", [h.make_node("Add", ["x", "x"], ["y"], name="sum")], [("", 18)])
save(
    "unsupported.onnx",
    [h.make_node("Frobnicate", ["x"], ["a"], name="first", domain="com.example"), h.make_node("NoSuchOperator", ["a"], ["y"])],
    [("", 18), ("com.example", 2)],
)
open("garbage.onnx", "wb").write(b"This is no model.\n")
