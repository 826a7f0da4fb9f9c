#!/usr/bin/env python3
"""Trains the CNN of this example on scikit-learn's digits and writes what the example needs.

    python3 train.py            # needs numpy, scikit-learn, onnx; takes well under a minute

Writes models/digits.onnx and, from the images the network never saw, one picture of each digit to images/NAME.png
(eight times enlarged). Everything is seeded, so that it writes the same files each time on the same machine.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CHANNELS = (8, 16)
EPOCHS, BATCH, RATE = 40, 32, 2e-3


def convolve(x, w, b):
    """3x3 convolution with a border of zeros; also gives the columns, for the gradient."""
    columns = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    columns = columns.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * 9)
    y = columns @ w.reshape(len(w), -1).T + b
    return y.reshape(len(x), *x.shape[2:], len(w)).transpose(0, 3, 1, 2), columns


def convolve_back(dy, columns, w):
    """Gradients of a 3x3 convolution: of the input, the weights and the bias."""
    flat = dy.transpose(0, 2, 3, 1).reshape(-1, len(w))
    turned = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    dx, _ = convolve(dy, turned, np.zeros(len(turned), np.float32))
    return dx, (flat.T @ columns).reshape(w.shape), flat.sum(0)


def forward(p, image):
    """The network: probabilities, and what the gradient needs."""
    x = (image / 16).astype(np.float32)
    a, columns1 = convolve(x, p["conv1.weight"], p["conv1.bias"])
    a = np.maximum(a, 0)
    windows = a.reshape(len(a), CHANNELS[0], 4, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).reshape(len(a), CHANNELS[0], 4, 4, 4)
    pooled = windows.max(-1)
    h, columns2 = convolve(pooled, p["conv2.weight"], p["conv2.bias"])
    h = np.maximum(h, 0)
    flat = h.reshape(len(h), -1)
    logits = flat @ p["fc.weight"].T + p["fc.bias"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), (columns1, a, windows, columns2, h, flat)


def gradients(p, image, label):
    """Gradients of the mean cross-entropy."""
    probabilities, (columns1, a, windows, columns2, h, flat) = forward(p, image)
    d = (probabilities - np.eye(10, dtype=np.float32)[label]) / len(label)
    g = {"fc.weight": d.T @ flat, "fc.bias": d.sum(0)}
    dh = (d @ p["fc.weight"]).reshape(h.shape) * (h > 0)
    dpooled, g["conv2.weight"], g["conv2.bias"] = convolve_back(dh, columns2, p["conv2.weight"])
    chosen = np.eye(4, dtype=np.float32)[windows.argmax(-1)] * dpooled[..., None]
    da = chosen.reshape(*windows.shape[:4], 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(a.shape) * (a > 0)
    _, g["conv1.weight"], g["conv1.bias"] = convolve_back(da, columns1, p["conv1.weight"])
    return g


def initial(rng):
    """He's initialisation."""
    c1, c2 = CHANNELS
    shapes = {"conv1": (c1, 1, 3, 3), "conv2": (c2, c1, 3, 3), "fc": (10, c2 * 16)}
    p = {}
    for name, shape in shapes.items():
        p[f"{name}.weight"] = (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        p[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return p


def train(images, labels, rng):
    """Adam over shuffled batches."""
    p = initial(rng)
    m, v, step = {k: 0 for k in p}, {k: 0 for k in p}, 0
    for epoch in range(EPOCHS):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = rng.permutation(len(images))
        for start in range(0, len(order), BATCH):
            batch, step = order[start : start + BATCH], step + 1
            for k, g in gradients(p, images[batch], labels[batch]).items():
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                p[k] = (p[k] - rate * (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)).astype(np.float32)
    return p


def export(p, path):
    """The network as ONNX; the division by 16 is part of it, so that the input is what scikit-learn gives."""
    constants = {**p, "scale": np.array(1 / 16, np.float32)}
    nodes = [
        helper.make_node("Mul", ["image", "scale"], ["scaled"], "scale"),
        helper.make_node("Conv", ["scaled", "conv1.weight", "conv1.bias"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, producer_name="examples/digits/train.py")
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def write_png(path, image):
    """An 8x8 image of 0..16 as a grey PNG, eight times enlarged."""
    pixels = np.kron(np.minimum(image * 16, 255).astype(np.uint8), np.ones((8, 8), np.uint8))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", *pixels.shape[::-1], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    digits = load_digits()
    images, labels = digits.images.astype(np.float32)[:, None], digits.target
    rng = np.random.default_rng(8)
    order = rng.permutation(len(images))
    unseen, seen = order[:360], order[360:]
    p = train(images[seen], labels[seen], rng)
    answers = forward(p, images[unseen])[0].argmax(1)
    right = answers == labels[unseen]
    print(f"{right.mean():.1%} of {len(unseen)} unseen images right ({right.sum()}), trained on {len(seen)}")
    (HERE / "models").mkdir(exist_ok=True)
    (HERE / "images").mkdir(exist_ok=True)
    export(p, HERE / "models" / "digits.onnx")
    for digit, name in enumerate(NAMES):
        # The first unseen image of each digit, right or wrong: nothing is picked.
        write_png(HERE / "images" / f"{name}.png", images[unseen[labels[unseen] == digit][0], 0])


if __name__ == "__main__":
    main()
