"""Writes cases of com.microsoft operators with ONNX Runtime's results, in the layout of the official cases: microsoft.py OUT_DIR [NAME…].

    python xtask/src/microsoft.py /tmp/microsoft      # a Python that has onnx and onnxruntime
    for mode in static dynamic constant; do onnxc verify /tmp/microsoft --mode $mode; done

Rfft and Irfft have no kernel on CPUs there. Each case is one node. Inputs in a `Const` become initializers; with NAMEs only the cases whose names contain one are written.
"""

import os
import shutil
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)


class Const:
    """An input that is an initializer; `value` is an array or a TensorProto."""

    def __init__(self, value):
        self.value = value


def reals(*shape):
    return random.normal(size=shape).astype(np.float32)


def between(low, high, *shape):
    return random.uniform(low, high, size=shape).astype(np.float32)


def integers(dtype, *shape):
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max + 1, size=shape).astype(dtype)


def weights(dtype, *shape):
    """8-bit weights. Without VNNI ONNX Runtime adds two products of u8 and i8 in 16 bits, saturated, which these do not reach."""
    return integers(dtype, *shape) if dtype == np.uint8 else random.integers(-64, 65, shape).astype(dtype)


def number(value, dtype=np.float32):
    return np.array(value).astype(dtype)


def packed(dtype, *shape):
    """A constant of 4-bit integers."""
    low, high = (-8, 8) if dtype == TensorProto.INT4 else (0, 16)
    return Const(helper.make_tensor("", dtype, shape, random.integers(low, high, size=shape).flatten()))


class Writer:
    """Runs nodes by ONNX Runtime and writes what comes out."""

    def __init__(self, out, only):
        self.out, self.only, self.written, self.refused = out, only, 0, []

    def case(self, name, operator, *inputs, outputs=1, domain="com.microsoft", **attributes):
        """One case: `inputs` are arrays, constants or None; `outputs` a number, or a text of 1 (wanted) and 0 (not)."""
        if self.only and not any(part in name for part in self.only):
            return
        wanted = "1" * outputs if isinstance(outputs, int) else outputs
        names = [f"x{i}" if value is not None else "" for i, value in enumerate(inputs)]
        results = [f"y{i}" if flag == "1" else "" for i, flag in enumerate(wanted)]
        node = helper.make_node(operator, names, results, domain=domain, **attributes)
        feeds = {n: v for n, v in zip(names, inputs) if n and not isinstance(v, Const)}
        initializers = []
        for n, value in zip(names, inputs):
            if isinstance(value, Const):
                tensor = value.value if isinstance(value.value, TensorProto) else numpy_helper.from_array(value.value)
                initializers.append(onnx.TensorProto.FromString(tensor.SerializeToString()))
                initializers[-1].name = n
        results = [r for r in results if r]
        # Every dim is open: the mode decides.
        infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), [f"{n}_{i}" for i in range(v.ndim)]) for n, v in feeds.items()]
        opsets = [helper.make_opsetid("", 17 if domain else 21), helper.make_opsetid("com.microsoft", 1)]

        def model(values):
            graph = helper.make_graph([node], name, infos, values, initializers)
            return helper.make_model(graph, opset_imports=opsets, ir_version=10)

        try:
            options = ort.SessionOptions()
            # With more threads DynamicQuantizeLSTM rounds the states of each thread's rows by themselves.
            options.log_severity_level, options.intra_op_num_threads = 4, 1
            session = ort.InferenceSession(model([onnx.ValueInfoProto(name=r) for r in results]).SerializeToString(), options, providers=["CPUExecutionProvider"])
            found = [np.asarray(v) for v in session.run(results, feeds)]
        except Exception as error:  # ONNX Runtime has many classes of errors
            self.refused.append(f"{name}: {str(error)[:160]}")
            return
        types = [helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(v.dtype), [None] * v.ndim) for r, v in zip(results, found)]
        folder = os.path.join(self.out, name)
        os.makedirs(f"{folder}/test_data_set_0")
        onnx.save(model(types), f"{folder}/model.onnx")
        for stem, values in (("input", feeds.items()), ("output", zip(results, found))):
            for i, (n, value) in enumerate(values):
                with open(f"{folder}/test_data_set_0/{stem}_{i}.pb", "wb") as file:
                    file.write(numpy_helper.from_array(value, n).SerializeToString())
        self.written += 1


def activations(case):
    x = reals(2, 3, 8)
    case("gelu", "Gelu", x)
    case("fast_gelu", "FastGelu", x)
    case("fast_gelu_bias", "FastGelu", x, reals(8))
    case("quick_gelu", "QuickGelu", x)
    case("quick_gelu_alpha", "QuickGelu", x, alpha=0.7)
    case("bias_gelu", "BiasGelu", x, reals(8))


def products(case):
    a, b = reals(2, 4, 3), reals(2, 3, 5)
    case("fused_matmul", "FusedMatMul", a, b, alpha=0.5)
    case("fused_matmul_a", "FusedMatMul", reals(2, 3, 4), b, transA=1)
    case("fused_matmul_b", "FusedMatMul", a, reals(2, 5, 3), transB=1, alpha=2.0)
    case("fused_matmul_batch_a", "FusedMatMul", reals(4, 2, 3), b, transBatchA=1)
    case("fused_matmul_batch_b", "FusedMatMul", a, reals(3, 2, 5), transBatchB=1)
    case("fused_matmul_batch_both", "FusedMatMul", reals(3, 2, 4), reals(5, 2, 3), transBatchA=1, transA=1, transBatchB=1, transB=1)
    case("transpose_matmul", "TransposeMatMul", reals(2, 3, 4), b, transA=1, alpha=0.5)
    for activation in ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "HardSigmoid"):
        alpha = {"activation_alpha": 0.2} if activation in ("LeakyRelu", "Elu", "HardSigmoid") else {}
        beta = {"activation_beta": 0.4} if activation == "HardSigmoid" else {}
        case(f"fused_gemm_{activation.lower()}", "FusedGemm", a[0], b[0], reals(5), activation=activation, alpha=0.5, beta=2.0, **alpha, **beta)
    x, w = reals(1, 4, 6, 7), Const(reals(6, 4, 3, 3))
    case("fused_conv_relu", "FusedConv", x, w, Const(reals(6)), activation="Relu", pads=[1, 1, 1, 1])
    case("fused_conv_leaky", "FusedConv", x, w, activation="LeakyRelu", activation_params=[0.1])
    case("fused_conv_clip", "FusedConv", x, w, Const(reals(6)), activation="Clip", activation_params=[-0.5, 0.5], strides=[2, 2])
    case("fused_conv_hard_sigmoid", "FusedConv", x, w, activation="HardSigmoid", activation_params=[0.3, 0.4])
    case("fused_conv_sum", "FusedConv", x, w, Const(reals(6)), reals(1, 6, 6, 7), activation="Relu", pads=[1, 1, 1, 1])
    case("fused_conv_group", "FusedConv", x, Const(reals(4, 1, 3, 3)), Const(reals(4)), activation="Tanh", group=4)


def normalisations(case):
    x, skip, gamma, beta, bias = reals(2, 3, 8), reals(2, 3, 8), reals(8), reals(8), reals(8)
    case("skip_norm", "SkipLayerNormalization", x, skip, gamma, beta, bias)
    case("skip_norm_plain", "SkipLayerNormalization", x, skip, gamma, epsilon=0.1)
    case("skip_norm_sum", "SkipLayerNormalization", x, skip, gamma, beta, bias, outputs="1001")
    case("skip_norm_broadcast", "SkipLayerNormalization", x, reals(3, 8), gamma, beta)
    case("skip_norm_one", "SkipLayerNormalization", x, reals(1, 3, 8), gamma, beta)
    case("skip_simplified", "SkipSimplifiedLayerNormalization", x, skip, gamma, bias)
    case("skip_simplified_sum", "SkipSimplifiedLayerNormalization", x, skip, gamma, outputs="1001")
    case("simplified", "SimplifiedLayerNormalization", x, gamma, domain="", axis=-1, epsilon=1e-5)
    words, places, segments = Const(reals(10, 8)), Const(reals(6, 8)), Const(reals(2, 8))
    ids, kinds = random.integers(0, 10, (2, 5)).astype(np.int32), random.integers(0, 2, (2, 5)).astype(np.int32)
    mask = np.array([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], np.int32)
    case("embed", "EmbedLayerNormalization", ids, kinds, words, places, segments, Const(gamma), Const(beta), outputs=2)
    case("embed_mask", "EmbedLayerNormalization", ids, kinds, words, places, segments, Const(gamma), Const(beta), mask, outputs=2)
    case("embed_no_segments", "EmbedLayerNormalization", ids, None, words, places, None, Const(gamma), Const(beta), outputs=2)
    case("embed_sum", "EmbedLayerNormalization", ids, kinds, words, places, segments, Const(gamma), Const(beta), outputs=3)
    order = np.array([[1, 0, 2, 3, 5]], np.int32).repeat(2, 0)
    case("embed_positions", "EmbedLayerNormalization", ids, kinds, words, places, segments, Const(gamma), Const(beta), None, order, outputs=2)


def attention(case):
    batch, length, hidden, heads = 2, 3, 8, 2
    x, w, b = reals(batch, length, hidden), reals(hidden, 3 * hidden), reals(3 * hidden)
    padding, past = np.array([[1, 1, 0], [1, 0, 1]], np.int32), reals(2, batch, heads, 4, hidden // heads)
    case("attention", "Attention", x, w, b, num_heads=heads)
    case("attention_constant", "Attention", x, Const(w), Const(b), num_heads=heads)
    case("attention_causal", "Attention", x, w, b, num_heads=heads, unidirectional=1, outputs=2)
    case("attention_scale", "Attention", x, w, b, num_heads=heads, scale=0.3)
    case("attention_lengths", "Attention", x, w, b, np.array([3, 2], np.int32), num_heads=heads)
    case("attention_spans", "Attention", x, w, b, np.array([3, 2, 0, 1], np.int32), num_heads=heads)
    case("attention_mask", "Attention", x, w, b, padding, num_heads=heads)
    case("attention_mask_causal", "Attention", x, w, b, padding, num_heads=heads, unidirectional=1)
    case("attention_mask3", "Attention", x, w, b, random.integers(0, 2, (batch, length, length)).astype(np.int32), num_heads=heads, mask_filter_value=-100.0)
    case("attention_filter", "Attention", x, w, b, padding, num_heads=heads, mask_filter_value=-3.0)
    case("attention_past", "Attention", x, w, b, None, past, num_heads=heads, outputs=2)
    case("attention_past_mask", "Attention", x, w, b, random.integers(0, 2, (batch, 7)).astype(np.int32), past, num_heads=heads, unidirectional=1, outputs=2)
    case("attention_bias", "Attention", x, w, b, None, None, reals(batch, heads, length, length), num_heads=heads)
    case("attention_bias_mask", "Attention", x, w, b, padding, None, reals(1, heads, length, length), num_heads=heads)
    case("attention_sizes", "Attention", x, reals(hidden, 28), reals(28), num_heads=heads, qkv_hidden_sizes=[8, 8, 12])
    q, k, v, bias = reals(2, 3, 8), reals(2, 5, 8), reals(2, 5, 8), reals(24)
    case("multi_head", "MultiHeadAttention", q, k, v, num_heads=heads)
    case("multi_head_bias", "MultiHeadAttention", q, k, v, bias, num_heads=heads)
    case("multi_head_mask", "MultiHeadAttention", q, k, v, bias, np.array([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]], np.int32), num_heads=heads)
    # Where nothing is seen, the default of -10000 would leave three digits of the scores.
    case("multi_head_mask_all", "MultiHeadAttention", q, k, v, bias, np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]], np.int32), num_heads=heads, mask_filter_value=-100.0)
    case("multi_head_mask_filter", "MultiHeadAttention", q, k, v, None, np.array([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]], np.int32), num_heads=heads, mask_filter_value=-2.0)
    case("multi_head_mask_lengths", "MultiHeadAttention", q, k, v, None, np.array([4, 2], np.int32), num_heads=heads)
    case("multi_head_mask_scores", "MultiHeadAttention", q, k, v, None, np.array([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]], np.int32), reals(2, heads, 3, 5), num_heads=heads)
    case("multi_head_mask3", "MultiHeadAttention", q, k, v, None, random.integers(0, 2, (2, 3, 5)).astype(np.int32), num_heads=heads, mask_filter_value=-100.0)
    case("multi_head_scores", "MultiHeadAttention", q, k, v, None, None, reals(2, heads, 3, 5), num_heads=heads, scale=0.4)
    case("multi_head_causal", "MultiHeadAttention", q, reals(2, 3, 8), reals(2, 3, 8), num_heads=heads, unidirectional=1)
    case("multi_head_wide_values", "MultiHeadAttention", q, k, reals(2, 5, 12), num_heads=heads)
    case("multi_head_cross", "MultiHeadAttention", q, reals(2, heads, 5, 4), reals(2, heads, 5, 4), num_heads=heads)
    old = reals(2, heads, 4, 4), reals(2, heads, 4, 4)
    case("multi_head_past", "MultiHeadAttention", q, reals(2, 3, 8), reals(2, 3, 8), None, None, None, *old, num_heads=heads, outputs=3)
    query, key, value = reals(2, 3, 64), reals(2, 3, 32), reals(2, 3, 32)
    past, none = (reals(2, 2, 6, 16), reals(2, 2, 6, 16)), (np.zeros((2, 2, 0, 16), np.float32),) * 2
    angles = between(-3, 3, 16, 8)
    rotary = Const(np.cos(angles)), Const(np.sin(angles))
    sizes = {"num_heads": 4, "kv_num_heads": 2, "outputs": 3}
    lengths, total = np.array([2, 2], np.int32), np.array(3, np.int32)
    case("group_query", "GroupQueryAttention", query, key, value, *none, lengths, total, **sizes)
    case("group_query_rotary", "GroupQueryAttention", query, key, value, *none, lengths, total, *rotary, do_rotary=1, **sizes)
    case("group_query_interleaved", "GroupQueryAttention", query, key, value, *none, lengths, total, *rotary, do_rotary=1, rotary_interleaved=1, **sizes)
    case("group_query_packed", "GroupQueryAttention", reals(2, 3, 128), None, None, *none, lengths, total, **sizes)
    case("group_query_softcap", "GroupQueryAttention", query, key, value, *none, lengths, total, softcap=1.5, scale=0.7, **sizes)
    case("group_query_window", "GroupQueryAttention", query, key, value, *none, lengths, total, local_window_size=2, **sizes)
    one = reals(2, 1, 64), reals(2, 1, 32), reals(2, 1, 32)
    case("group_query_step", "GroupQueryAttention", *one, *past, np.array([6, 6], np.int32), np.array(7, np.int32), *rotary, do_rotary=1, **sizes)
    case("group_query_uneven", "GroupQueryAttention", *one, *past, np.array([3, 6], np.int32), np.array(7, np.int32), **sizes)
    angles = between(-3, 3, 10, 4)
    caches, places = (Const(np.cos(angles)), Const(np.sin(angles))), random.integers(0, 10, (2, 3))
    case("rotary", "RotaryEmbedding", reals(2, 2, 3, 8), places, *caches)
    case("rotary_interleaved", "RotaryEmbedding", reals(2, 2, 3, 8), places, *caches, interleaved=1)
    case("rotary_offset", "RotaryEmbedding", reals(2, 3, 16), np.array([4]), *caches, num_heads=2)
    case("rotary_part", "RotaryEmbedding", reals(2, 3, 24), places, *caches, num_heads=2, rotary_embedding_dim=8)
    xq, wq = integers(np.uint8, 2, 3, 8), weights(np.int8, 8, 24)
    scales, zero = (number(0.02), number(0.01)), number(120, np.uint8)
    case("qattention", "QAttention", xq, wq, b, *scales, None, zero, number(3, np.int8), num_heads=heads)
    case("qattention_u8", "QAttention", xq, integers(np.uint8, 8, 24), b, *scales, None, zero, number(128, np.uint8), num_heads=heads)
    case("qattention_columns", "QAttention", xq, Const(wq), b, scales[0], Const(between(0.005, 0.02, 24)), None, zero, Const(np.zeros(24, np.int8)), num_heads=heads)
    case("qattention_mask", "QAttention", xq, wq, b, *scales, padding, zero, number(0, np.int8), num_heads=heads)
    case("qattention_past", "QAttention", xq, wq, b, *scales, None, zero, number(0, np.int8), reals(2, 2, heads, 4, 4), num_heads=heads, unidirectional=1, outputs=2)


def blocks(case):
    """Matrices of few bits."""
    for bits in (2, 4, 8):
        for level in (0, 4):
            for zeros in ("none", "packed", "real")[: 2 if bits == 8 else 3]:
                for m, n, k, block in ((1, 5, 32, 16), (3, 9, 100, 32), (20, 70, 256, 64)):
                    count = -(-k // block)
                    zero = {"none": [], "packed": [Const(integers(np.uint8, n * -(-count * bits // 8)))], "real": [Const(reals(n, count) * 4)]}[zeros]
                    inputs = [reals(m, k), Const(integers(np.uint8, n, count, block * bits // 8)), Const(reals(n * count) * np.float32(0.1)), *zero]
                    case(f"nbits_{bits}_{level}_{zeros}_{m}x{n}x{k}", "MatMulNBits", *inputs, bits=bits, block_size=block, N=n, K=k, accuracy_level=level)
    for kind in (0, 1):
        inputs = [reals(2, 3, 32), Const(integers(np.uint8, 6 * 16)), Const(np.abs(reals(12)))]
        case(f"bnb4_{kind}", "MatMulBnb4", *inputs, K=32, N=6, block_size=16, quant_type=kind, transB=1)
    for bits in (2, 4, 8):
        rows = Const(integers(np.uint8, 10, 64 * bits // 8)), random.integers(0, 10, (2, 3)), Const(reals(10, 4))
        attributes = {"bits": bits, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}
        case(f"gather_blocks_u8_{bits}", "GatherBlockQuantized", *rows, **attributes)
        case(f"gather_blocks_u8_{bits}_zeros", "GatherBlockQuantized", *rows, Const(integers(np.uint8, 10, -(-4 * bits // 8))), **attributes)
    for name, dtype in (("i4", TensorProto.INT4), ("u4", TensorProto.UINT4)):
        for gather, quantize in ((0, 1), (1, 1), (1, 0), (0, 0), (0, 2)):
            shape = [32, 48, 32] if quantize == 2 else [32, 48]
            scales = [-(-d // 16) if i == quantize else d for i, d in enumerate(shape)]
            inputs = packed(dtype, *shape), random.integers(-5, 30, (2, 3)), Const(reals(*scales))
            attributes = {"block_size": 16, "gather_axis": gather, "quantize_axis": quantize}
            case(f"gather_blocks_{name}_{gather}{quantize}", "GatherBlockQuantized", *inputs, **attributes)
            case(f"gather_blocks_{name}_{gather}{quantize}_zeros", "GatherBlockQuantized", *inputs, packed(dtype, *scales), **attributes)


def quantised(case):
    for dtype in (np.uint8, np.int8):
        name = np.dtype(dtype).name
        q, zero, mid = (lambda *shape: integers(dtype, *shape)), (lambda v: number(v, dtype)), 128 if dtype == np.uint8 else 0
        x, to = (q(1, 3, 6, 7), number(0.02), zero(mid + 7)), (number(0.03), zero(mid - 9))
        case(f"qadd_{name}", "QLinearAdd", *x, q(7), number(0.05), zero(3), *to)
        case(f"qmul_{name}", "QLinearMul", *x, q(6, 1), number(0.05), zero(3), *to)
        case(f"qsigmoid_{name}", "QLinearSigmoid", *x, number(1 / 256), zero(mid - 128))
        case(f"qleaky_{name}", "QLinearLeakyRelu", *x, *to, alpha=0.1)
        case(f"qconcat_{name}", "QLinearConcat", *map(Const, to), *x, q(1, 2, 6, 7), number(0.03), zero(mid - 9), axis=1)
        case(f"qglobal_{name}", "QLinearGlobalAveragePool", *x, *to)
        case(f"qglobal_last_{name}", "QLinearGlobalAveragePool", *x, *to, channels_last=1)
        case(f"qpool_{name}", "QLinearAveragePool", *x, *to, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        case(f"qpool_padded_{name}", "QLinearAveragePool", *x, *to, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
        case(f"qpool_ceil_{name}", "QLinearAveragePool", *x, *to, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
        case(f"qpool_last_{name}", "QLinearAveragePool", q(1, 6, 7, 4), *x[1:], *to, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], channels_last=1)
        case(f"qsoftmax_{name}", "QLinearSoftmax", *map(lambda v: v if v.ndim else Const(v), x), Const(number(1 / 256)), Const(zero(mid - 128)), axis=-1, opset=13)
        case(f"qsoftmax_old_{name}", "QLinearSoftmax", q(3, 4, 5), Const(number(0.05)), Const(zero(3)), Const(number(1 / 256)), Const(zero(mid - 128)), axis=1, opset=12)
        where = random.integers(0, 2, (3, 1, 4)).astype(bool), q(3, 5, 4), number(0.02), zero(7), q(5, 1), number(0.05), zero(3)
        case(f"qwhere_{name}", "QLinearWhere", where[0], where[1], *map(Const, where[2:4]), where[4], *map(Const, where[5:]), Const(number(0.04)), Const(zero(9)))
        filters = lambda *shape: (Const(q(*shape)), Const(np.abs(reals(shape[0])) * np.float32(0.01)), Const(np.full(shape[0], 5 if mid else 0, dtype)))
        bias = lambda n: Const(random.integers(-999, 999, n).astype(np.int32))
        result = Const(number(0.4)), Const(zero(9))
        scale = Const(number(0.02)), Const(zero(7))
        case(f"qconv_last_{name}", "QLinearConv", q(1, 6, 7, 4), *scale, *filters(6, 4, 3, 3), *result, bias(6), channels_last=1, pads=[1, 1, 1, 1], strides=[2, 1])
        case(f"qconv_depthwise_{name}", "QLinearConv", q(1, 6, 7, 12), *scale, *filters(12, 1, 3, 3), *result, bias(12), channels_last=1, group=12, pads=[1, 1, 1, 1])
        a, b = (q(3, 8), number(0.02), zero(7)), (q(8, 5), number(0.03), zero(3))
        case(f"qgemm_{name}", "QGemm", *a, *b, random.integers(-999, 999, 5).astype(np.int32), number(0.1), zero(mid + 4), alpha=0.5)
        case(f"qgemm_real_{name}", "QGemm", *a, q(5, 8), number(0.03), zero(3), None, transB=1)
        case(f"qgemm_columns_{name}", "QGemm", *a, Const(q(8, 5)), Const(between(0.01, 0.03, 5)), Const(np.full(5, 3, dtype)), None, number(0.1), zero(mid))
        case(f"quantize_{name}", "QuantizeLinear", reals(3, 4), number(0.02), zero(mid))
        case(f"quantize_axis_{name}", "QuantizeLinear", reals(3, 4), between(0.01, 0.05, 4), np.full(4, mid, dtype), axis=1)
        case(f"dequantize_{name}", "DequantizeLinear", q(3, 4), number(0.02), zero(mid))
        case(f"nhwc_max_{name}", "NhwcMaxPool", q(2, 7, 6, 3), kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])
        case(f"integer_to_float_{name}", "MatMulIntegerToFloat", q(2, 3, 8), q(8, 5), number(0.02), between(0.01, 0.03, 5), zero(mid + 3), np.full(5, 3, dtype), reals(5))
        case(f"dynamic_matmul_{name}", "DynamicQuantizeMatMul", reals(2, 3, 8), weights(dtype, 8, 5), number(0.02), zero(mid), reals(5))
        w, r = Const(weights(dtype, 1, 4, 24)), Const(weights(dtype, 1, 6, 24))
        scales = [Const(v) for v in (between(0.005, 0.02, 1), np.full(1, mid, dtype)) * 2]
        case(f"dynamic_lstm_{name}", "DynamicQuantizeLSTM", reals(3, 2, 4), w, r, Const(reals(1, 48)), None, None, None, None, *scales, outputs=3, hidden_size=6)
    case("quantize_u16", "QuantizeLinear", reals(3, 4), number(0.001), number(30000, np.uint16))
    case("nhwc_max_ceil", "NhwcMaxPool", integers(np.int8, 1, 6, 6, 2), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    case("nhwc_max_1d", "NhwcMaxPool", integers(np.int8, 1, 6, 2), kernel_shape=[3], dilations=[2])
    case("matmul_integer16", "MatMulInteger16", integers(np.int16, 2, 3, 4), integers(np.int16, 4, 5))


def others(case):
    texts = np.array(["the quick  fox", "", "a-b c"], object)
    pad = {"pad_value": "#"}
    case("tokenizer_separators", "Tokenizer", texts, mark=0, mincharnum=1, separators=[" ", "-"], **pad)
    case("tokenizer_marks", "Tokenizer", texts, mark=1, mincharnum=2, separators=[" "], **pad)
    case("tokenizer_characters", "Tokenizer", texts, mark=0, mincharnum=1, separators=[""], **pad)
    case("tokenizer_expression", "Tokenizer", texts, mark=0, mincharnum=1, tokenexp="[a-z]+", **pad)
    case("cdist", "CDist", reals(4, 3), reals(5, 3), metric="euclidean")
    case("cdist_squares", "CDist", reals(4, 3), reals(5, 3), metric="sqeuclidean")
    case("unique", "Unique", np.array([2, 1, 1, 3, 4, 3, -0.5], np.float32), outputs=3)
    for name, values in {
        "i32": np.array([[3, 4], [-5, 0]], np.int32), "i64": np.array([3, 4, -5, 2**40]), "u64": np.array([3, 4, 2**63], np.uint64),
        "f32": np.array([3, 4.5, -0.0], np.float32), "f64": np.array([3, 4.5, -0.0]), "text": np.array(["foo", "", "abcde", "ünï"], object),
    }.items():
        case(f"hash_{name}", "MurmurHash3", values)
        case(f"hash_{name}_signed", "MurmurHash3", values, positive=0, seed=42)
    case("expand_dims", "ExpandDims", reals(2, 5), Const(np.array([-1], np.int32)))
    case("inverse", "Inverse", reals(2, 3, 3, 3))
    case("inverse_f64", "Inverse", random.normal(size=(4, 4)))
    places = between(-1.1, 1.1, 1, 3, 3, 2)
    case("grid", "GridSample", reals(1, 2, 4, 4), places)
    case("grid_nearest", "GridSample", reals(1, 2, 4, 4), places, mode="nearest", padding_mode="border", align_corners=1)
    case("grid_cubic", "GridSample", reals(1, 2, 4, 4), places, mode="bicubic", padding_mode="reflection")
    case("trilu", "Trilu", reals(2, 4, 3), Const(np.array(1)), upper=0)
    case("range", "Range", Const(number(2)), Const(number(7)))
    case("range_step", "Range", *(Const(np.array(v)) for v in (9, 1, -3)))
    case("gather_nd", "GatherND", reals(2, 4, 3), random.integers(0, 2, (3, 2)))
    for size in (1, 2, 3, 5, 8):
        case(f"ngram_{size}", "NGramRepeatBlock", random.integers(0, 4, (3, 6)), reals(3, 5), ngram_size=size)


def main(out, only):
    shutil.rmtree(out, ignore_errors=True)
    writer = Writer(out, only)
    for group in (activations, products, normalisations, attention, blocks, quantised, others):
        group(writer.case)
    for line in writer.refused:
        print("ONNX Runtime refuses", line)
    print(f"{writer.written} cases, {len(writer.refused)} refused, onnxruntime {ort.__version__}")


main(sys.argv[1], sys.argv[2:])
