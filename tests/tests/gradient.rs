//! `Gradient` against differences: the derivative of the sum of `y` by each element of x and w, for functions that use each rule.

use onnxc::program::{Program, interpret};
use onnxc::{Options, compile_graph, import};
use onnxc_proto::ExternalFiles;
use onnxc_runtime::value::{Tensor, Value};
use onnxc_tests::text;

/// Functions of x (between -1 and 1, never 0) and w (between 0.5 and 1.5), both 2×3.
const FUNCTIONS: &[&str] = &[
    // Elementwise functions, where each is smooth.
    "y = Abs (x)",
    "y = Neg (x)",
    "y = Exp (x)",
    "y = Log (w)",
    "y = Sqrt (w)",
    "y = Reciprocal (w)",
    "a = Sin (x) b = Cos (w) y = Mul (a, b)",
    "y = Tan (x)",
    "h = Mul (x, x) y = Asin (h)",
    "h = Mul (x, x) y = Acos (h)",
    "y = Atan (x)",
    "a = Sinh (x) b = Cosh (w) y = Mul (a, b)",
    "y = Tanh (x)",
    "y = Asinh (x)",
    "h = Exp (w) y = Acosh (h)",
    "h = Mul (x, x) y = Atanh (h)",
    "y = Erf (x)",
    "y = Sigmoid (x)",
    "y = Softplus (x)",
    "y = Relu (x)",
    "y = Mish (x)",
    "y = HardSwish (x)",
    "y = Gelu (x)",
    "y = Gelu <approximate = \"tanh\"> (x)",
    "y = LeakyRelu <alpha = 0.1> (x)",
    "y = Elu <alpha = 0.7> (x)",
    "y = Selu (x)",
    "y = Celu <alpha = 0.6> (x)",
    "y = ThresholdedRelu <alpha = 0.3> (x)",
    "y = Shrink <lambd = 0.3, bias = 0.2> (x)",
    "y = HardSigmoid (x)",
    "f = Floor (x) y = Mul (f, w)",
    "a = Add (x, w) y = Sub (a, w)",
    "y = Div (x, w)",
    "y = Pow (w, x)",
    "y = Min (x, w)",
    "y = Max (x, w)",
    "c = Greater (x, w) n = Not (c) y = Where (n, x, w)",
    "f = Cast <to = 1> (x) d = Cast <to = 11> (f) y = Mul (d, w)",
    // Broadcasting: of an axis of one, of a missing axis, of a scalar.
    "r = ReduceSum <keepdims = 1> (w) y = Mul (x, r)",
    "one = Constant <value_ints = [1]> () r = ReduceSum <keepdims = 1> (w, one) p = Mul (x, r) y = Mul (p, x)",
    "zero = Constant <value_ints = [0]> () r = ReduceMean <keepdims = 0> (w, zero) p = Mul (r, x) y = Mul (p, x)",
    // Reductions.
    "one = Constant <value_ints = [1]> () y = ReduceMean <keepdims = 0> (x, one)",
    "one = Constant <value_ints = [1]> () s = ReduceSumSquare <keepdims = 0> (x, one) y = Mul (s, s)",
    "y = ReduceL1 (x)",
    "y = ReduceL2 (x)",
    "y = ReduceLogSum (w)",
    "one = Constant <value_ints = [-1]> () y = ReduceLogSumExp <keepdims = 0> (x, one)",
    "m = ReduceMax (x) n = ReduceMin (w) y = Mul (m, n)",
    // Products.
    "t = Transpose (w) p = MatMul (x, t) y = Mul (p, p)",
    "y = Gemm <transA = 1, alpha = 0.5, beta = 2.0> (x, w)",
    "p = Gemm <transB = 1> (x, w) y = Mul (p, p)",
    "t = Transpose (w) p = Gemm <transA = 1, transB = 1> (x, t) y = Mul (p, p)",
    "zero = Constant <value_ints = [0]> () v = ReduceSum <keepdims = 0> (w, zero) p = MatMul (x, v) y = Mul (p, p)",
    "one = Constant <value_ints = [1]> () v = ReduceSum <keepdims = 0> (w, one) p = MatMul (v, x) y = Mul (p, p)",
    "axes = Constant <value_ints = [0]> () b = Unsqueeze (x, axes) c = Concat <axis = 0> (b, b) t = Transpose (w) p = MatMul (c, t) y = Mul (p, p)",
    // Normalisations.
    "s = Softmax (x) y = Mul (s, w)",
    "s = Softmax <axis = 0> (x) y = Mul (s, w)",
    "s = LogSoftmax (x) y = Mul (s, w)",
    "one = Constant <value_ints = [0]> () g = ReduceSum <keepdims = 0> (w, one) n = LayerNormalization (x, g, g) y = Mul (n, w)",
    // Windows: x and w as images, with strides, dilations, groups and padding of one side.
    "s = Constant <value_ints = [1, 1, 2, 3]> () a = Reshape (x, s) k = Reshape (w, s) c = Conv <pads = [1, 2, 0, 1]> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 2, 3]> () t = Constant <value_ints = [3, 2, 1]> () a = Reshape (x, s) k = Reshape (w, t) c = Conv <strides = [2], pads = [1, 1]> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 1, 6]> () t = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, s) k = Reshape (w, t) c = Conv <strides = [2], dilations = [2], pads = [2, 1]> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 2, 3]> () t = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, s) k = Reshape (w, t) c = Conv <group = 2, auto_pad = \"SAME_UPPER\"> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [3, 2, 1]> () t = Constant <value_ints = [6, 1, 1]> () a = Reshape (x, s) k = Reshape (w, t) z = Constant <value_ints = [1, 2]> () b = ReduceSum <keepdims = 0> (k, z) c = Conv <group = 2> (a, k, b) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 2, 3]> () t = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, s) k = Reshape (w, t) c = ConvTranspose <strides = [2], pads = [1, 0], output_padding = [1]> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 2, 3]> () t = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, s) k = Reshape (w, t) c = ConvTranspose <group = 2, dilations = [2]> (a, k) y = Mul (c, c)",
    "s = Constant <value_ints = [1, 1, 2, 3]> () a = Reshape (x, s) p = MaxPool <kernel_shape = [2, 2], pads = [0, 1, 0, 0]> (a) y = Mul (p, p)",
    "s = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, s) p = AveragePool <kernel_shape = [2], strides = [2], pads = [1, 0]> (a) y = Mul (p, p)",
    "s = Constant <value_ints = [1, 2, 3]> () a = Reshape (x, s) p = AveragePool <kernel_shape = [2], pads = [1, 1], count_include_pad = 1> (a) y = Mul (p, p)",
    "s = Constant <value_ints = [1, 2, 3]> () a = Reshape (x, s) p = GlobalAveragePool (a) y = Mul (p, p)",
    "t = Transpose (w) i = Einsum <equation = \"ij,jk->ik\"> (x, t) e = Einsum <equation = \"ii->i\"> (i) y = Mul (e, e)",
    "z = Constant <value_ints = [1]> () p = ReduceProd <keepdims = 0> (x, z) y = Mul (p, p)",
    "h = Constant <value_float = 0.31> () d = Cast <to = 11> (h) c = Greater (x, d) o = Cast <to = 11> (c) f = Mul (o, w) z = Constant <value_ints = [1]> () y = ReduceProd (f, z)",
    "z = Constant <value_int = 1> () c = CumSum <exclusive = 1> (x, z) y = Mul (c, w)",
    "z = Constant <value_int = 0> () c = CumSum <reverse = 1> (x, z) y = Mul (c, c)",
    "k = Constant <value_ints = [2]> () v, i = TopK (x, k) y = Mul (v, v)",
    "i = Constant <value_ints = [2, 0]> () s = Constant <value_ints = [2, 1]> () r = Reshape (i, s) z = Constant <value_ints = [1]> () u = ReduceSum (w, z) q = ScatterElements <axis = 1> (x, r, u) y = Mul (q, q)",
    "i = Constant <value_ints = [2, 0]> () s = Constant <value_ints = [2, 1]> () r = Reshape (i, s) z = Constant <value_ints = [1]> () u = ReduceSum (w, z) q = ScatterElements <axis = 1, reduction = \"add\"> (x, r, u) y = Mul (q, q)",
    "n = LpNormalization <p = 2> (x) y = Mul (n, w)",
    "n = LpNormalization <axis = 0, p = 1> (x) y = Mul (n, w)",
    "z = Constant <value_ints = [0]> () g = ReduceSum <keepdims = 0> (w, z) b = BatchNormalization (x, g, g, g, g) y = Mul (b, w)",
    "s = Constant <value_ints = [1, 2, 3]> () a = Reshape (x, s) z = Constant <value_ints = [1]> () g = ReduceSum <keepdims = 0> (w, z) n = InstanceNormalization (a, g, g) y = Mul (n, w)",
    "z = Constant <value_ints = [0]> () g = ReduceSum <keepdims = 0> (w, z) b, c, d = BatchNormalization <training_mode = 1> (x, g, g, g, g) y = Mul (b, w)",
    "lo = Constant <value_float = -0.4> () l = Cast <to = 11> (lo) c = Clip (x, l) y = Mul (c, w)",
    "s = Constant <value_ints = [1, 6, 1]> () a = Reshape (x, s) n = LRN <size = 3, alpha = 0.9, beta = 0.6, bias = 1.5> (a) m = Reshape (w, s) y = Mul (n, m)",
    "s = Constant <value_ints = [1, 6]> () a = Reshape (x, s) n = LRN <size = 4, alpha = 0.9> (a) m = Reshape (w, s) y = Mul (n, m)",
    "s = Constant <value_ints = [1, 1, 6]> () a = Reshape (x, s) p = LpPool <kernel_shape = [3], strides = [2], pads = [1, 0], p = 3> (a) y = Mul (p, p)",
    "s = Constant <value_ints = [1, 1, 2, 3]> () a = Reshape (x, s) p = LpPool <kernel_shape = [2, 2]> (a) y = Mul (p, p)",
    // Resizing: by scales and by sizes, nearest and interpolated.
    "k = Constant <value_floats = [2.0, 1.5]> () r = Resize (x, , k) y = Mul (r, r)",
    "k = Constant <value_floats = [1.0, 2.0]> () r = Resize <mode = \"linear\"> (x, , k) y = Mul (r, r)",
    "k = Constant <value_ints = [3, 5]> () r = Resize <mode = \"linear\", coordinate_transformation_mode = \"align_corners\"> (x, , , k) y = Mul (r, r)",
    "k = Constant <value_ints = [1, 2]> () r = Resize <mode = \"cubic\"> (x, , , k) y = Mul (r, r)",
    // Branches that take different values, of which one is neither's.
    "s = ReduceSum <keepdims = 0> (x) f = Constant <value_float = -90.0> () n = Cast <to = 11> (f) c = Greater (s, n) y = If <then_branch = t () => (double[2, 3] a) { a = Mul (x, w) }, else_branch = e () => (double[2, 3] b) { b = Mul (x, x) }> (c)",
    "s = ReduceSum <keepdims = 0> (x) f = Constant <value_float = 90.0> () n = Cast <to = 11> (f) c = Greater (s, n) v = If <then_branch = t () => (double[2, 3] a) { a = Identity (w) }, else_branch = e () => (double[1, 3] b) { z = Constant <value_ints = [0]> () b = ReduceSum (x, z) }> (c) y = Mul (v, v)",
    // Loops: that carry, stack and capture; that their condition ends; that make no trip; scans both ways, one inside another.
    "n = Constant <value_int = 3> () v, r = Loop <body = b (int64 i, bool c, double[2, 3] s) => (bool d, double[2, 3] t, double[2, 3] u) { d = Identity (c) a = Mul (s, w) t = Sin (a) u = Mul (t, x) }> (n, , x) z = Constant <value_ints = [0]> () e = ReduceSum <keepdims = 0> (r, z) y = Mul (v, e)",
    "n = Constant <value_int = 9> () v = Loop <body = b (int64 i, bool c, double[2, 3] s) => (bool d, double[2, 3] t) { t = Mul (s, w) h = Constant <value_int = 2> () d = Less (i, h) }> (n, , x) y = Mul (v, v)",
    "n = Constant <value_int = 0> () v = Loop <body = b (int64 i, bool c, double[2, 3] s) => (bool d, double[2, 3] t) { d = Identity (c) t = Mul (s, w) }> (n, , x) y = Mul (v, x)",
    "n = Constant <value_int = 2> () v, o = Loop <body = b (int64 i, bool c, double[2, 3] s, double[2, 3] p) => (bool d, double[2, 3] t, double[2, 3] q) { d = Identity (c) t = Mul (s, p) q = Add (p, w) }> (n, , x, x) y = Mul (v, o)",
    "z = Constant <value_ints = [0]> () i = ReduceSum <keepdims = 0> (w, z) v, r = Scan <num_scan_inputs = 2, scan_input_directions = [1, 0], scan_output_directions = [1], body = b (double[3] s, double[3] e, double[3] f) => (double[3] t, double[3] o) { a = Mul (s, e) t = Add (a, f) o = Tanh (t) }> (i, x, w) y = Mul (r, v)",
    "z = Constant <value_ints = [0, 1]> () i = ReduceSum <keepdims = 0> (w, z) v, r = Scan <num_scan_inputs = 1, body = b (double s, double[3] e) => (double t, double[3] o) { t, o = Scan <num_scan_inputs = 1, body = c (double k, double f) => (double l, double m) { j = Sin (f) l = Mul (k, j) m = Add (l, f) }> (s, e) }> (i, x) y = Mul (r, v)",
    // Losses, with weights and a target that does not count; matrices; rotations.
    "i = Constant <value_ints = [2, 0]> () z = Constant <value_ints = [0]> () g = ReduceSum <keepdims = 0> (w, z) l, p = SoftmaxCrossEntropyLoss (x, i, g) q = ReduceSum (p) y = Mul (l, q)",
    "i = Constant <value_ints = [1, 7]> () l = NegativeLogLikelihoodLoss <reduction = \"none\", ignore_index = 7> (x, i) y = Mul (l, l)",
    "i = Constant <value_ints = [0, 1, 2, 1, 0, 1]> () s = Constant <value_ints = [2, 3]> () t = Reshape (i, s) u = Constant <value_ints = [2, 1, 3]> () a = Reshape (x, u) b = Reshape (w, u) c = Concat <axis = 1> (a, b, a) l = NegativeLogLikelihoodLoss <reduction = \"sum\"> (c, t) y = Mul (l, l)",
    "t = Transpose (w) p = MatMul (x, t) d = Det (p) y = Mul (d, d)",
    "t = Transpose (w) p = MatMul (x, t) d = com.microsoft.Inverse (p) y = Mul (d, d)",
    "s = Constant <value_ints = [1, 1, 3, 2]> () a = Reshape (x, s) i = Constant <value_ints = [1, 3, 1]> () e = ConstantOfShape <value = double[1] {0.6}> (i) f = ConstantOfShape <value = double[1] {0.8}> (i) r = RotaryEmbedding (a, e, f) k = Reshape (w, s) y = Mul (r, k)",
    // Attention: two heads of rank 3 with a mask, shared keys with the soft cap, scores, caches and windows, truth values that hide all.
    "s = Constant <value_ints = [1, 3, 2]> () q = Reshape (x, s) k = Reshape (w, s) a = Attention <q_num_heads = 2, kv_num_heads = 2> (q, k, k) y = Mul (a, a)",
    "s = Constant <value_ints = [1, 3, 2]> () q = Reshape (x, s) k = Reshape (w, s) z = Constant <value_ints = [0]> () m3 = Mul (x, w) m2 = Concat <axis = 0> (m3, x) sm = Constant <value_ints = [4, 3]> () m1 = Reshape (m2, sm) e = Constant <value_ints = [3]> () m = Slice (m1, z, e) a, pk, pv, c = Attention <q_num_heads = 1, kv_num_heads = 1, softcap = 0.8, is_causal = 1, qk_matmul_output_mode = 3> (q, k, q, m) a2 = ReduceSum (a) c2 = Mul (c, c) c3 = ReduceSum (c2) y = Mul (a2, c3)",
    "s = Constant <value_ints = [1, 2, 3, 1]> () t = Constant <value_ints = [1, 1, 3, 2]> () u = Constant <value_ints = [1, 1, 6, 1]> () q = Reshape (x, s) k = Reshape (w, u) a = Attention <scale = 1.7> (q, k, k) y = Mul (a, a)",
    "s = Constant <value_ints = [1, 1, 3, 2]> () q = Reshape (x, s) k = Reshape (w, s) a, pk, pv, c = Attention <is_causal = 1, qk_matmul_output_mode = 1, softcap = 0.5> (q, k, k, , k, q) b = Mul (a, a) d = ReduceSum (b) e = ReduceSum (c) f = ReduceSum (pk) g = Mul (d, e) y = Mul (g, f)",
    "s = Constant <value_ints = [1, 1, 3, 2]> () q = Reshape (x, s) k = Reshape (w, s) i = Constant <value_ints = [1, 1, 0, 0, 0, 0, 1, 0, 1]> () sm = Constant <value_ints = [3, 3]> () n = Reshape (i, sm) o = Constant <value_int = 1> () m = Equal (n, o) a = Attention (q, k, k, m) y = Mul (a, a)",
    // Movement.
    "i = Constant <value_ints = [1]> () s = Constant <value_ints = [1, 1]> () r = Reshape (i, s) z = Constant <value_ints = [0]> () u = ReduceSum (w, z) q = ScatterND (x, r, u) y = Mul (q, q)",
    "i = Constant <value_ints = [0, 2, 1, 1]> () s = Constant <value_ints = [2, 2]> () r = Reshape (i, s) z = Constant <value_ints = [1]> () u = ReduceSum <keepdims = 0> (w, z) q = ScatterND <reduction = \"add\"> (x, r, u) y = Mul (q, q)",
    "t = Transpose (x) s = Constant <value_ints = [2, 3]> () r = Reshape (t, s) y = Mul (r, w)",
    "f = Flatten <axis = 0> (x) a = Constant <value_ints = [0]> () q = Squeeze (f, a) y = Mul (q, q)",
    "s = Constant <value_ints = [4, 2, 3]> () e = Expand (x, s) y = Mul (e, w)",
    "c = Concat <axis = 1> (x, w, x) y = Mul (c, c)",
    "b = Constant <value_ints = [2, 1]> () e = Constant <value_ints = [-100, 3]> () a = Constant <value_ints = [1, 0]> () s = Constant <value_ints = [-2, 1]> () p = Slice (x, b, e, a, s) y = Mul (p, p)",
    "a, b = Split <axis = 1, num_outputs = 2> (x) c = Mul (b, b) d = ReduceSum (c) y = Mul (a, d)",
    "a, b = Split <axis = 1, num_outputs = 2> (x) y = Mul (b, b)",
    "i = Constant <value_ints = [2, 0, 2]> () g = Gather <axis = 1> (x, i) y = Mul (g, w)",
    "i = Constant <value_ints = [2, 2]> () s = Constant <value_ints = [2, 1]> () r = Reshape (i, s) g = GatherElements <axis = 1> (x, r) y = Mul (g, g)",
    "i = Constant <value_ints = [1, 1]> () s = Constant <value_ints = [2, 1]> () r = Reshape (i, s) g = GatherND (x, r) y = Mul (g, w)",
    "t = Constant <value_ints = [2, 2]> () r = Tile (x, t) y = Mul (r, r)",
    "p = Constant <value_ints = [1, 0, 0, 2]> () r = Pad (x, p) y = Mul (r, r)",
    "p = Constant <value_ints = [0, 1, 0, 1]> () r = Pad <mode = \"reflect\"> (x, p) y = Mul (r, r)",
    "u = Trilu (x) y = Mul (u, w)",
    "i = Constant <value_ints = [1, 0, 1]> () o = Constant <value_int = 1> () c = Equal (i, o) p = Compress <axis = 1> (x, c) y = Mul (p, p)",
    "c = Greater (x, w) n = Not (c) f = Flatten <axis = 0> (x) s = Constant <value_ints = [-1]> () d = Reshape (n, s) p = Compress (f, d) y = Mul (p, p)",
    "i = Constant <value_ints = [2, 0, 1, 5]> () d = Constant <value_int = 3> () k = Constant <value_ints = [1]> () v = ReduceSum <keepdims = 0> (x, k) h = OneHot <axis = 0> (i, d, v) y = Mul (h, h)",
    // Running products, also with a factor of zero.
    "a = Constant <value_int = 1> () p = CumProd (x, a) y = Mul (p, w)",
    "a = Constant <value_int = 0> () p = CumProd <exclusive = 1> (w, a) y = Mul (p, x)",
    "a = Constant <value_int = -1> () p = CumProd <reverse = 1> (x, a) y = Mul (p, w)",
    "o = Constant <value_floats = [1.0, 0.0, 1.0]> () d = Cast <to = 11> (o) z = Mul (x, d) a = Constant <value_int = 1> () y = CumProd <reverse = 1, exclusive = 1> (z, a)",
    // Grids of places, of images and volumes.
    "n = Constant <value_ints = [1, 2, 3]> () t = Reshape (x, n) s = Constant <value_ints = [1, 1, 3, 4]> () g = AffineGrid (t, s) y = Mul (g, g)",
    "c = Concat <axis = 0> (x, w) n = Constant <value_ints = [1, 3, 4]> () t = Reshape (c, n) s = Constant <value_ints = [1, 1, 2, 3, 2]> () g = AffineGrid <align_corners = 1> (t, s) y = Mul (g, g)",
    // Transforms: of real and complex numbers, one-sided, cut, filled up, back.
    "s = Constant <value_ints = [2, 3, 1]> () a = Constant <value_int = 1> () r = Reshape (x, s) f = DFT (r, , a) y = Mul (f, f)",
    "s = Constant <value_ints = [2, 3, 1]> () a = Constant <value_int = -2> () r = Reshape (x, s) f = DFT <onesided = 1> (r, , a) y = Mul (f, f)",
    "s = Constant <value_ints = [1, 3, 2]> () a = Constant <value_int = 1> () r = Reshape (x, s) v = Reshape (w, s) f = DFT (r, , a) b = DFT <inverse = 1> (v, , a) y = Mul (f, b)",
    "s = Constant <value_ints = [2, 3, 1]> () a = Constant <value_int = 1> () n = Constant <value_int = 5> () r = Reshape (x, s) f = DFT <onesided = 1> (r, n, a) y = Mul (f, f)",
    "s = Constant <value_ints = [1, 3, 2]> () a = Constant <value_int = 1> () n = Constant <value_int = 2> () r = Reshape (x, s) f = DFT <inverse = 1> (r, n, a) y = Mul (f, f)",
    // Frames of signals, with and without a window.
    "s = Constant <value_ints = [1, 6, 1]> () r = Reshape (x, s) l = Constant <value_int = 3> () p = Constant <value_int = 2> () f = STFT (r, p, , l) y = Mul (f, f)",
    "s = Constant <value_ints = [2, 3, 1]> () r = Reshape (x, s) k = Constant <value_ints = [1]> () v = ReduceSum <keepdims = 0> (w, k) p = Constant <value_int = 1> () f = STFT <onesided = 0> (r, p, v) y = Mul (f, f)",
    // Samples at places inside and outside: by all ways of interpolation and padding, of signals, images and volumes.
    "n = Constant <value_ints = [1, 1, 2, 3]> () m = Constant <value_ints = [1, 1, 3, 2]> () a = Reshape (x, n) b = Reshape (w, m) s = GridSample (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 2, 3]> () m = Constant <value_ints = [1, 3, 1, 2]> () a = Reshape (w, n) b = Reshape (x, m) s = GridSample <align_corners = 1, mode = \"cubic\"> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 3, 2]> () m = Constant <value_ints = [1, 3, 1, 2]> () a = Reshape (x, n) b = Reshape (w, m) s = GridSample <padding_mode = \"border\", mode = \"cubic\"> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 3, 2]> () m = Constant <value_ints = [1, 3, 1, 2]> () a = Reshape (x, n) b = Reshape (w, m) s = GridSample <padding_mode = \"border\"> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 6]> () m = Constant <value_ints = [1, 6, 1]> () a = Reshape (x, n) h = Reshape (w, m) b = Add (h, h) s = GridSample <padding_mode = \"reflection\", mode = \"cubic\"> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [2, 3, 1]> () m = Constant <value_ints = [2, 3, 1]> () a = Reshape (x, n) h = Reshape (w, m) b = Add (h, h) s = GridSample <padding_mode = \"reflection\", align_corners = 1> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 2, 3]> () m = Constant <value_ints = [1, 6, 1]> () a = Reshape (x, n) h = Reshape (w, m) b = Add (h, h) s = GridSample <padding_mode = \"reflection\", mode = \"linear\"> (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 1, 2, 3]> () m = Constant <value_ints = [1, 1, 2, 1, 3]> () a = Reshape (x, n) b = Reshape (w, m) s = GridSample (a, b) y = Mul (s, s)",
    "n = Constant <value_ints = [1, 1, 2, 3]> () m = Constant <value_ints = [1, 3, 1, 2]> () a = Reshape (w, n) b = Reshape (x, m) s = GridSample <mode = \"nearest\"> (a, b) y = Mul (s, s)",
    // Blocks that add up to images.
    "c = Concat <axis = 0> (x, w) n = Constant <value_ints = [1, 4, 3]> () b = Reshape (c, n) i = Constant <value_ints = [2, 4]> () k = Constant <value_ints = [2, 2]> () y0 = Col2Im (b, i, k) y = Mul (y0, y0)",
    "c = Concat <axis = 0> (x, w) n = Constant <value_ints = [1, 6, 2]> () b = Reshape (c, n) i = Constant <value_ints = [3]> () k = Constant <value_ints = [3]> () y0 = Col2Im <pads = [1, 2], strides = [2], dilations = [1]> (b, i, k) y = Mul (y0, y0)",
    // A product with a packed matrix: two columns of sixteen numbers from -8 to 7, three of which there are.
    "f = Cast <to = 1> (x) p = Constant <value_ints = [52, 5, 0, 0, 0, 0, 0, 0, 169, 12, 0, 0, 0, 0, 0, 0]> () q = Cast <to = 2> (p) n = Constant <value_ints = [2, 1, 8]> () b = Reshape (q, n) s = Constant <value_floats = [0.5, 0.25]> () m = com.microsoft.MatMulNBits <N = 2, K = 3, bits = 4, block_size = 16> (f, b, s) d = Cast <to = 11> (m) y = Mul (d, d)",
    // Elements of two tensors, and back to the places that a pooling took them from.
    "s = Constant <value_ints = [2, 1, 3, 1]> () c = Reshape (x, s) o = Constant <value_ints = [1]> () r = ReduceSum <keepdims = 0> (w, o) t = Constant <value_ints = [2, 1, 1, 1]> () u = Reshape (r, t) i = Constant <value_ints = [2, 0]> () p = TensorScatter (c, u, i) y = Mul (p, p)",
    "s = Constant <value_ints = [1, 2, 3]> () i = Constant <value_ints = [1, 2, 5, 7, 8, 10]> () n = Reshape (i, s) r = Reshape (x, s) u = MaxUnpool <kernel_shape = [2], strides = [2]> (r, n) y = Mul (u, u)",
    // One value used more than once, and a function that does not depend on w.
    "a = Mul (x, x) b = Mul (a, x) c = Add (a, b) y = Mul (c, b)",
];

/// Functions of operators that a later opset changed or removed.
const OF_OPSET_18: &[&str] = &[
    "n = Constant <value_ints = [1, 6]> () s = Constant <value_ints = [1, 2, 3]> () a = Reshape (x, s) z = Constant <value_ints = [1]> () f = ReduceSum <keepdims = 0> (w, z) g = GroupNormalization <num_groups = 2> (a, f, f) h = Reshape (g, n) y = Mul (h, h)",
    "n = Constant <value_ints = [1, 4, 3]> () c = Concat <axis = 0> (x, w) a = Reshape (c, n) z = Constant <value_ints = [1]> () f = ReduceSum <keepdims = 0> (w, z) g = GroupNormalization <num_groups = 2> (a, f, f) y = Mul (g, a)",
];

fn program(opset: usize, function: &str) -> Program {
    let source = format!(
        "<ir_version: 10, opset_import: [\"\": {opset}, \"com.microsoft\": 1, \"ai.onnx.preview.training\": 1]>\n\
         net (double[2, 3] x, double[2, 3] w) => (double[] y, double[2, 3] dx, double[2, 3] dw) {{ {function}\n\
         dx, dw = ai.onnx.preview.training.Gradient <xs = [\"x\", \"w\"], y = \"y\"> (x, w) }}"
    );
    let graph = import::import(&text::model(&source), ExternalFiles::refused(), &Options::default());
    let graph = graph.unwrap_or_else(|e| panic!("{function}: {e}"));
    compile_graph(graph, "", &Options::default(), &mut |_, _| ()).unwrap_or_else(|e| panic!("{function}: {e}"))
}

fn run(program: &Program, inputs: &[Vec<f64>; 2]) -> Vec<Vec<f64>> {
    let inputs = inputs.each_ref().map(|x| Value::Tensor(Tensor::from_slice(&[2, 3], x).unwrap()));
    let outputs = interpret::run(program, &inputs, usize::MAX).unwrap();
    outputs.iter().map(|v| v.tensor().unwrap().elements::<f64>().unwrap().to_vec()).collect()
}

/// Holds the derivatives of a function to differences.
fn check(opset: usize, function: &str) {
    const STEP: f64 = 1e-5;
    let at = [vec![0.31, -0.52, 0.83, -0.24, 0.65, -0.76], vec![0.9, 1.3, 0.6, 1.1, 0.7, 1.45]];
    let program = program(opset, function);
    let found = run(&program, &at);
    for which in 0..2 {
        for i in 0..6 {
            let sum = |offset: f64| -> f64 {
                let mut moved = at.clone();
                moved[which][i] += offset;
                run(&program, &moved)[0].iter().sum()
            };
            let difference = (sum(STEP) - sum(-STEP)) / (2.0 * STEP);
            // Casting to f32 on the way leaves little of the difference.
            let tolerance = if function.contains("Cast") { 1e-2 } else { 1e-6 } * difference.abs().max(1.0);
            let derivative = found[1 + which][i];
            assert!(
                (derivative - difference).abs() < tolerance,
                "{function}: {derivative} at {which}, {i}, the difference says {difference}"
            );
        }
    }
}

#[test]
fn derivatives_are_the_limits_of_differences() {
    FUNCTIONS.iter().for_each(|function| check(26, function));
    OF_OPSET_18.iter().for_each(|function| check(18, function));
}

/// Layers of three steps, two sequences and two units. Gates, directions, the node: a is X, k is W, o is P, l are
/// the sequences' lengths, h and c the first states.
const LAYERS: &[(usize, usize, &str)] = &[
    (1, 1, "z, hs = RNN <hidden_size = 2> (a, k, r, b) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (hs)"),
    (
        1,
        1,
        "z, hs = RNN <hidden_size = 2, direction = \"reverse\", activations = [\"ScaledTanh\"], activation_alpha = [0.7], activation_beta = [1.3]> (a, k, r, , l, h) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (hs)",
    ),
    (
        1,
        2,
        "z = RNN <hidden_size = 2, direction = \"bidirectional\", activations = [\"Softsign\", \"Affine\"], activation_alpha = [0.6], activation_beta = [0.1]> (a, k, r, b) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (q)",
    ),
    (
        1,
        1,
        "e, hs = RNN <hidden_size = 2, clip = 0.9, activations = [\"LeakyRelu\"]> (a, k, r, b) q = Mul (hs, hs) p = ReduceSum (q) s = ReduceSum (hs)",
    ),
    (3, 1, "z, hs = GRU <hidden_size = 2> (a, k, r, b, l, h) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (hs)"),
    (
        3,
        2,
        "z, hs = GRU <hidden_size = 2, linear_before_reset = 1, direction = \"bidirectional\"> (a, k, r, b, l, h) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (hs)",
    ),
    (3, 1, "z, hs = GRU <hidden_size = 2, layout = 1> (ab, k, r) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (hs)"),
    (4, 1, "z, hs, cs = LSTM <hidden_size = 2> (a, k, r, b) q = Mul (z, cs) p = ReduceSum (q) s = ReduceSum (hs)"),
    (
        4,
        2,
        "z, hs, cs = LSTM <hidden_size = 2, direction = \"bidirectional\"> (a, k, r, b, l, h, c, o) q = Mul (cs, hs) p = ReduceSum (q) s = ReduceSum (z)",
    ),
    (
        4,
        1,
        "z, hs, cs = LSTM <hidden_size = 2, layout = 1, input_forget = 1, activations = [\"HardSigmoid\", \"Tanh\", \"Elu\"]> (ab, k, r, b) q = Mul (z, z) p = ReduceSum (q) s = ReduceSum (cs)",
    ),
];

#[test]
fn recurrent_layers_are_reversed_through_time() {
    for (gates, directions, layer) in LAYERS {
        let (d, n) = (*directions, gates * 2);
        let lengths = [d * n * 2, d * n, d * n * 2, d * 6, d * 4, d * 4];
        let rest = 144 - lengths.iter().sum::<usize>();
        let [r, k, b, o, h, c] = lengths;
        check(26, &format!(
            "sx = Constant <value_ints = [3, 2, 1]> () a = Reshape (x, sx) ab = Transpose <perm = [1, 0, 2]> (a)
             sv = Constant <value_ints = [6, 1]> () v = Reshape (w, sv) vt = Transpose (v) sq = MatMul (v, vt)
             sa = Sin (sq) sb = Cos (sq) sc = Mul (sq, sb) sd = Tanh (sc) se = Concat <axis = 0> (sb, sd, sa, sc)
             sf = Constant <value_ints = [-1]> () sg = Reshape (se, sf) lens = Constant <value_ints = [{r}, {k}, {b}, {o}, {h}, {c}, {rest}]> ()
             pr, pk, pb, po, ph, pc, pz = Split (sg, lens)
             nr = Constant <value_ints = [{d}, {n}, 2]> () r = Reshape (pr, nr) nk = Constant <value_ints = [{d}, {n}, 1]> () k = Reshape (pk, nk)
             nb = Constant <value_ints = [{d}, -1]> () b = Reshape (pb, nb) o = Reshape (po, nb)
             nh = Constant <value_ints = [{d}, 2, 2]> () h = Reshape (ph, nh) c = Reshape (pc, nh)
             l = Constant <value_ints = [3, 2]> () {layer} u = Add (p, s) y = Mul (u, u)"
        ));
    }
}

#[test]
fn a_derivative_of_a_derivative_and_one_at_another_place() {
    let source = "<ir_version: 10, opset_import: [\"\": 20, \"ai.onnx.preview.training\": 1]>
        net (double[2] x, double[2] at) => (double[2] second, double[2] elsewhere) {
            a = Mul (x, x)
            y = Mul (a, x)
            first = ai.onnx.preview.training.Gradient <xs = [\"x\"], y = \"y\"> (x)
            second = ai.onnx.preview.training.Gradient <xs = [\"x\"], y = \"first\"> (x)
            elsewhere = ai.onnx.preview.training.Gradient <xs = [\"a\"], zs = [\"x\"], y = \"y\"> (a, at)
        }";
    let graph = import::import(&text::model(source), ExternalFiles::refused(), &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let program = compile_graph(graph, "", &Options::default(), &mut |_, _| ()).unwrap_or_else(|e| panic!("{e}"));
    let inputs = [[2.0, -1.0], [5.0, 7.0]].map(|x: [f64; 2]| Value::Tensor(Tensor::from_slice(&[2], &x).unwrap()));
    let outputs = interpret::run(&program, &inputs, usize::MAX).unwrap();
    // x³ has the second derivative 6 x; a x has the derivative x by a, at the place `at`.
    assert_eq!(outputs[0].tensor().unwrap().elements::<f64>().unwrap(), [12.0, -6.0]);
    assert_eq!(outputs[1].tensor().unwrap().elements::<f64>().unwrap(), [5.0, 7.0]);
}

#[test]
fn an_operator_without_a_rule_is_named() {
    let source = "<ir_version: 10, opset_import: [\"\": 20, \"ai.onnx.preview.training\": 1]>
        net (float[2, 2] x) => (float[1, 1, 1, 1] y, float[2, 2] dx) {
            r = Constant <value_floats = [0.0, 0.0, 1.0, 1.0]> () t = Constant <value_ints = [1, 4]> () q = Reshape (r, t) n = Constant <value_ints = [0]> () s = Constant <value_ints = [1, 1, 2, 2]> () b = Reshape (x, s) [regions] y = RoiAlign (b, q, n)
            dx = ai.onnx.preview.training.Gradient <xs = [\"x\"], y = \"y\"> (x)
        }";
    let error = import::import(&text::model(source), ExternalFiles::refused(), &Options::default()).err().map(|e| e.to_string());
    assert!(error.as_ref().is_some_and(|e| e.contains("the derivative of RoiAlign") && e.contains("regions")), "{error:?}");
}
