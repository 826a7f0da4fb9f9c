"""Writes tests/conformance/operators.txt: of each operator its versions and the types that it compiles with.

    cargo xtask support --probe            (which calls: ONNXC=target/debug/onnxc python xtask/src/operators.py CASES)

CASES are the official cases of the pinned release, which this Python has to have installed. A type is tried by giving it, in place of its own, to
the inputs and outputs of a case that the schema names together with the operator's first one; the compiler then has to find kernels, with the
dims of the case and with open ones.
"""

import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile

import onnx

SHORT = {
    "float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "float8e4m3fn": "f8e4m3fn", "float8e4m3fnuz": "f8e4m3fnuz",
    "float8e5m2": "f8e5m2", "float8e5m2fnuz": "f8e5m2fnuz", "float8e8m0": "f8e8m0", "float4e2m1": "f4e2m1", "complex64": "c64",
    "complex128": "c128", "string": "string", "bool": "bool",
}
SHORT |= {f"int{n}": f"i{n}" for n in (2, 4, 8, 16, 32, 64)} | {f"uint{n}": f"u{n}" for n in (2, 4, 8, 16, 32, 64)}
TRIED = 24


def element(name):
    return onnx.TensorProto.DataType.Value(name.upper())


def history():
    """The versions of each operator, and its schemas by version."""
    found = collections.defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        found[schema.domain, schema.name][schema.since_version] = schema
    return found


def single_node_cases(folder):
    """The models of one node by operator."""
    found = collections.defaultdict(list)
    for name in sorted(os.listdir(folder)):
        model = onnx.load(f"{folder}/{name}/model.onnx")
        if len(model.graph.node) == 1 and not model.functions:
            node = model.graph.node[0]
            found[node.domain, node.op_type].append(model)
    return found


def formals(params, names):
    """The parameter that each name is given to; the last may take all that are left."""
    return [(params[min(i, len(params) - 1)], name) for i, name in enumerate(names) if name and params]


def with_type(model, schema, variable, dtype, open_dims):
    """The model with another type for the variable."""
    model, node = onnx.ModelProto.FromString(model.SerializeToString()), model.graph.node[0]
    changed = {n for p, n in formals(schema.inputs, node.input) + formals(schema.outputs, node.output) if p.type_str == variable}
    for value in [*model.graph.input, *model.graph.output]:
        if value.name in changed and value.type.HasField("tensor_type"):
            value.type.tensor_type.elem_type = dtype
    if open_dims:
        for value in model.graph.input:
            for i, dim in enumerate(value.type.tensor_type.shape.dim):
                dim.dim_param = f"{value.name}_{i}"
        for value in model.graph.output:
            for dim in value.type.tensor_type.shape.dim:
                dim.Clear()
    return model


def compiles(model):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        command = [os.environ["ONNXC"], "inspect", "--dump", "lower", file.name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def types(schema_at, cases):
    """The types that the operator's first parameter may have, those that the compiler takes and those that it does not, by TRIED cases."""
    found = {}
    for model in cases[:: -(-len(cases) // TRIED) or 1]:
        version = next((o.version for o in model.opset_import if (o.domain or "") == model.graph.node[0].domain), 1)
        schema = schema_at[max(v for v in schema_at if v <= version)]
        variable = (schema.inputs or schema.outputs)[0].type_str
        allowed = next((c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == variable), [variable])
        for name in allowed:
            name = name.removeprefix("tensor(").removesuffix(")")
            if name in SHORT and not found.get(name):
                element_type = element(name)
                found[name] = all(compiles(with_type(model, schema, variable, element_type, dims)) for dims in (False, True))
    return [short for name, short in SHORT.items() if found.get(name)], [short for name, short in SHORT.items() if found.get(name) is False]


def main():
    schemas, cases = history(), single_node_cases(f"{sys.argv[1]}/node")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tried = {key: pool.submit(types, schema_at, cases[key]) for key, schema_at in schemas.items() if key in cases}
    columns = "domain, name, versions (d: deprecated since), types that it compiles with, types that it does not"
    print(f"# Operators of onnx {onnx.__version__}: {columns}. Written by xtask/src/operators.py.")
    for (domain, name), schema_at in sorted(schemas.items()):
        versions = ",".join(f"{v}{'d' if schema_at[v].deprecated else ''}" for v in sorted(schema_at))
        have, lack = tried[domain, name].result() if (domain, name) in tried else ([], [])
        print(f"{domain or 'ai.onnx'} {name} {versions} {','.join(have) or '-'} {','.join(lack) or '-'}")


main()
