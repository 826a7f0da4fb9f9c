#!/usr/bin/env python3
"""Writes a regressor of many complete random trees, byte by byte, since a protobuf library would need many times its size in memory.
usage: large_trees.py OUT.onnx TREES DEPTH [FEATURES]"""
import sys
import numpy as np

out, trees, depth = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
features = int(sys.argv[4]) if len(sys.argv) > 4 else 28
rng = np.random.default_rng(1)
nodes, inner = 2 ** (depth + 1) - 1, 2**depth - 1
FLOAT, INTS, FLOATS, STRINGS = 1, 7, 6, 8


def varint(n):
    b = b""
    while n > 127: b, n = b + bytes([n & 127 | 128]), n >> 7
    return b + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def int_field(number, n):
    return varint(number << 3) + varint(n)


def attribute(name, kind, chunks):
    """An attribute whose elements are already encoded."""
    body = field(1, name.encode()) + b"".join(chunks) + int_field(20, kind)
    return field(5, body)


def ints(values):
    return b"".join(b"\x40" + varint(int(v)) for v in values)


def floats(values):
    a = np.empty(len(values), dtype=[("tag", "u1"), ("v", "<f4")])
    a["tag"], a["v"] = 0x3D, values
    return a.tobytes()


def per_tree(count):
    return [(b"\x40" + varint(t)) * count for t in range(trees)]


def random_floats(count):
    return [floats(rng.standard_normal(count * min(1000, trees - t)).astype(np.float32)) for t in range(0, trees, 1000)]


def random_ints(count):
    # A few patterns are enough: that the bytes differ from tree to tree is what counts.
    patterns = [ints(rng.integers(0, features, count)) for _ in range(64)]
    return [patterns[t % 64] for t in range(trees)]


with open(out, "wb") as f:
    modes = field(9, b"BRANCH_LEQ") * inner + field(9, b"LEAF") * (nodes - inner)
    parts = [
        attribute("nodes_treeids", INTS, per_tree(nodes)),
        attribute("nodes_nodeids", INTS, [ints(range(nodes))] * trees),
        attribute("nodes_featureids", INTS, random_ints(nodes)),
        attribute("nodes_modes", STRINGS, [modes] * trees),
        attribute("nodes_values", FLOATS, random_floats(nodes)),
        attribute("nodes_hitrates", FLOATS, [floats(np.ones(nodes * trees, np.float32))]),
        attribute("nodes_missing_value_tracks_true", INTS, [ints([0] * nodes)] * trees),
        attribute("nodes_truenodeids", INTS, [ints([2 * i + 1 if i < inner else 0 for i in range(nodes)])] * trees),
        attribute("nodes_falsenodeids", INTS, [ints([2 * i + 2 if i < inner else 0 for i in range(nodes)])] * trees),
        attribute("target_treeids", INTS, per_tree(nodes - inner)),
        attribute("target_nodeids", INTS, [ints(range(inner, nodes))] * trees),
        attribute("target_ids", INTS, [ints([0] * (nodes - inner))] * trees),
        attribute("target_weights", FLOATS, random_floats(nodes - inner)),
        field(5, field(1, b"n_targets") + int_field(3, 1) + int_field(20, 2)),
        field(5, field(1, b"post_transform") + field(4, b"NONE") + int_field(20, 3)),
    ]
    node = field(1, b"x") + field(2, b"y") + field(4, b"TreeEnsembleRegressor") + field(7, b"ai.onnx.ml")
    size = len(node) + sum(map(len, parts))

    def value(name, width):
        dims = field(1, field(2, b"N")) + field(1, int_field(1, width))
        return field(1, name) + field(2, field(1, int_field(1, FLOAT) + field(2, dims)))

    rest = field(2, b"g") + field(11, value(b"x", features)) + field(12, value(b"y", 1))
    graph = varint(1 << 3 | 2) + varint(size)
    f.write(int_field(1, 8) + field(8, field(1, b"") + int_field(2, 18)) + field(8, field(1, b"ai.onnx.ml") + int_field(2, 3)))
    f.write(varint(7 << 3 | 2) + varint(len(graph) + size + len(rest)) + graph + node)
    for part in parts: f.write(part)
    f.write(rest)
