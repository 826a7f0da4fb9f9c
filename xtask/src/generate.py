"""Writes the official ONNX test cases of the installed onnx package: generate.py OUT_DIR.

Node cases exist only as Python code since 1.21, so they are made by onnx's own collection and written in its on-disk layout
(KIND/CASE/model.onnx, KIND/CASE/test_data_set_0/input_0.pb ...); the other kinds lie in the wheel and are copied.
"""

import os
import shutil
import sys

import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test import loader

OTHER_KINDS = ["simple", "pytorch-converted", "pytorch-operator"]


def proto_of(value, info):
    """The message that stands for one input or output, by the type its graph declares."""
    if isinstance(value, (TensorProto, onnx.SequenceProto, onnx.OptionalProto, onnx.MapProto)):
        return value
    kind = info.type.WhichOneof("value")
    if kind == "map_type":
        return numpy_helper.from_dict(value, info.name)
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name)
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name)
    return numpy_helper.from_array(value, info.name)


def write_case(folder, case):
    os.makedirs(folder)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(case.model.SerializeToString(deterministic=True))
    for index, (inputs, outputs) in enumerate(case.data_sets):
        data_set = os.path.join(folder, f"test_data_set_{index}")
        os.makedirs(data_set)
        for stem, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
            for position, value in enumerate(values):
                with open(os.path.join(data_set, f"{stem}_{position}.pb"), "wb") as file:
                    file.write(proto_of(value, infos[position]).SerializeToString(deterministic=True))


def main(out):
    shutil.rmtree(out, ignore_errors=True)
    for kind in OTHER_KINDS:
        shutil.copytree(os.path.join(loader.DATA_DIR, kind), os.path.join(out, kind), ignore=shutil.ignore_patterns("__init__.py", "__pycache__"))
    in_wheel = os.path.join(loader.DATA_DIR, "node")
    if os.path.isdir(in_wheel) and any(name.startswith("test_") for name in os.listdir(in_wheel)):
        shutil.copytree(in_wheel, os.path.join(out, "node"), ignore=shutil.ignore_patterns("__init__.py", "__pycache__"))
    else:
        for case in loader.load_model_tests(kind="node"):
            write_case(os.path.join(out, "node", case.name), case)
    for kind in ["node", *OTHER_KINDS]:
        print(kind, len(os.listdir(os.path.join(out, kind))))


main(sys.argv[1])
