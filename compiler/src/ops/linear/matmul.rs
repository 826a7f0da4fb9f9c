//! `MatMul` and `Gemm`: products of matrices, batched with broadcasting.
//!
//! One core operator holds what both need, and what fusion adds: transposed operands, a factor, a bias, a residual and an activation. f32 runs
//! on packed panels (a constant right operand is packed here, at compile time), every other dtype on the plain loops.

use super::bf16;
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, Operand, loop_nest};
use crate::ops::elementwise::binary::{Binary, BinaryFn};
use crate::ops::elementwise::cast;
use crate::ops::elementwise::compose::activation;
use crate::ops::nn::epilogue::Epilogue;
use crate::ops::shape::transpose::Transpose;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::gemm::{pack_b, pack_len};
use serde::{Deserialize, Serialize};

crate::param_struct!(gemm::Product { batch, m, n, k, a_batch, a_row, a_col, b_batch, b_row, b_col, c_batch, c_row });

/// ONNX `MatMul`.
pub fn parse_matmul(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    cx.add(MatMul::default(), &[a, b]).map(|v| vec![v])
}

/// ONNX `Gemm`: `alpha * A' * B' + beta * C`; before opset 7 C is broadcast as an attribute says, which all files that exist do.
pub fn parse_gemm(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.dtype(a)?;
    let (alpha, beta) = (cx.float("alpha", 1.0)?, cx.float("beta", 1.0)?);
    // Only f32 has a kernel with a factor.
    let (inner, outer) = if dtype == DType::F32 { (alpha, 1.0) } else { (1.0, alpha) };
    let op = MatMul { transpose_a: cx.flag("transA", false)?, transpose_b: cx.flag("transB", false)?, alpha: inner, ..MatMul::default() };
    let Some(c) = cx.opt_input(2)? else {
        let product = cx.add(op, &[a, b])?;
        return scaled(cx, product, outer).map(|v| vec![v]);
    };
    let c = scaled(cx, c, beta)?;
    // A row of C is the epilogue's bias; other forms are added afterwards.
    let (shape, columns) = (cx.shape(c)?, cx.shape(b)?);
    let n = columns.get(usize::from(!op.transpose_b)).copied();
    let row = match shape.as_slice() {
        [d] => n == Some(*d),
        [one, d] => *one == cx.dims().int(1) && n == Some(*d),
        _ => false,
    };
    if row && dtype == DType::F32 {
        let flat = cx.add(crate::ops::shape::reshape::Reshape::Flatten { axis: 0 }, &[c])?;
        let flat = cx.add(crate::ops::shape::reshape::Reshape::Squeeze { axes: Some(vec![0]) }, &[flat])?;
        return cx.add(MatMul { bias: true, ..op }, &[a, b, flat]).map(|v| vec![v]);
    }
    let product = cx.add(op, &[a, b])?;
    let product = scaled(cx, product, outer)?;
    cx.add(Binary { f: BinaryFn::Add }, &[product, c]).map(|v| vec![v])
}

/// com.microsoft `FusedGemm`: `Gemm` and an activation.
pub fn parse_fused_gemm(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let y = parse_gemm(cx)?[0];
    let parameters = [cx.opt_float("activation_alpha")?, cx.opt_float("activation_beta")?];
    activation(cx, y, parameters).map(|v| vec![v])
}

/// com.microsoft `FusedMatMul`: with a factor and transposed operands.
pub fn parse_fused_matmul(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (mut a, mut b, alpha) = (cx.input(0)?, cx.input(1)?, cx.float("alpha", 1.0)?);
    for (x, name) in [(&mut a, "transBatchA"), (&mut b, "transBatchB")] {
        let rank = cx.rank(*x)?;
        if cx.flag(name, false)? && rank > 2 {
            // The axis before the last is the first of all: rows, batch, columns.
            let perm = (1..rank - 1).chain([0, rank - 1]).collect();
            *x = cx.add(Transpose { perm }, &[*x])?;
        }
    }
    // A vector has nothing to transpose.
    let transposed = |cx: &mut Parse<'_>, name: &str, x| -> Result<bool, OpError> { Ok(cx.flag(name, false)? && cx.rank(x)? > 1) };
    let (transpose_a, transpose_b) = (transposed(cx, "transA", a)?, transposed(cx, "transB", b)?);
    let op = MatMul { transpose_a, transpose_b, ..MatMul::default() };
    if cx.dtype(a)? == DType::F32 {
        return cx.add(MatMul { alpha, ..op }, &[a, b]).map(|v| vec![v]);
    }
    let product = cx.add(op, &[a, b])?;
    scaled(cx, product, alpha).map(|v| vec![v])
}

/// A tensor times a factor. Integers times a fraction are multiplied as f64 and cut.
fn scaled(cx: &mut Parse<'_>, x: ValueId, factor: f32) -> Result<ValueId, OpError> {
    if factor == 1.0 {
        return Ok(x);
    }
    let dtype = cx.dtype(x)?;
    let compute = if dtype.is_int() && factor.trunc() != factor { DType::F64 } else { dtype };
    let (x, factor) = (cast::to(cx, x, compute)?, cx.scalar(compute, f64::from(factor))?);
    let y = cx.add(Binary { f: BinaryFn::Mul }, &[x, factor])?;
    cast::to(cx, y, dtype)
}

/// `activation(alpha * A' · B' + bias + residual)`; inputs A, B, then the bias (a vector, one element a column) and the residual (shaped as
/// the result) if there are. Ranks and batch dims as numpy's matmul.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatMul {
    /// Whether A's last two axes are swapped.
    pub transpose_a: bool,
    /// Whether B's last two axes are swapped.
    pub transpose_b: bool,
    /// The factor of the product.
    pub alpha: f32,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether there is a residual.
    pub residual: bool,
    /// Applied last.
    pub epilogue: Epilogue,
}

impl Default for MatMul {
    fn default() -> Self {
        Self { transpose_a: false, transpose_b: false, alpha: 1.0, bias: false, residual: false, epilogue: Epilogue::default() }
    }
}

/// The sizes of a product, as dims.
struct Sizes {
    /// The batch dims of the result.
    batch: Vec<Dim>,
    m: Dim,
    n: Dim,
    k: Dim,
    /// Strides of A: its batch axes as [`loop_nest`] takes shapes, and the strides of its rows and columns.
    a: Sides,
    b: Sides,
}

/// An operand: its batch dims, row and column count before transposition.
struct Sides {
    batch: Vec<Dim>,
    row: Dim,
    col: Dim,
    size: Dim,
}

impl MatMul {
    /// The sizes and the shape of the result.
    fn sizes(
        &self,
        a: &[Dim],
        b: &[Dim],
        int: impl Fn(i64) -> Dim,
        mul: impl Fn(Dim, Dim) -> Dim,
    ) -> Result<(Sizes, Vec<Dim>, Dim), OpError> {
        if a.is_empty() || b.is_empty() {
            return Err(OpError::invalid("a scalar cannot be multiplied as a matrix"));
        }
        let (vector_a, vector_b) = (a.len() == 1, b.len() == 1);
        let a2 = if vector_a { vec![int(1), a[0]] } else { a.to_vec() };
        let b2 = if vector_b { vec![b[0], int(1)] } else { b.to_vec() };
        let side = |shape: &[Dim], transposed: bool| {
            let (rows, cols) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            let (row, col) = if transposed { (int(1), cols) } else { (cols, int(1)) };
            let sides = Sides { batch: shape[..shape.len() - 2].to_vec(), row, col, size: mul(rows, cols) };
            if transposed { (cols, rows, sides) } else { (rows, cols, sides) }
        };
        let (m, k, a) = side(&a2, self.transpose_a);
        let (kb, n, b) = side(&b2, self.transpose_b);
        let mut shape = Vec::new();
        if !vector_a {
            shape.push(m);
        }
        if !vector_b {
            shape.push(n);
        }
        Ok((Sizes { batch: Vec::new(), m, n, k, a, b }, shape, kb))
    }
}

impl Operator for MatMul {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, other) = (cx.dtype(0)?, cx.dtype(1)?);
        if dtype != other {
            return Err(OpError::invalid(format!("the inputs must have one dtype, they have {dtype} and {other}")));
        }
        let dims = cx.dims;
        let (sizes, shape, kb) = self.sizes(&cx.shape(0)?, &cx.shape(1)?, |v| dims.int(v), |a, b| dims.mul(a, b))?;
        cx.require_equal(sizes.k, kb, "the inner dimensions of the product");
        let batch = cx.broadcast(&[sizes.a.batch, sizes.b.batch]);
        Ok(vec![Fact::tensor(dtype, [batch, shape].concat())])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (a, b) = (cx.input(0)?, cx.input(1)?);
        let out = cx.output(0)?;
        let dims = cx.dims();
        let (mut sizes, shape, _) = self.sizes(&a.shape, &b.shape, |v| dims.int(v), |a, b| dims.mul(a, b))?;
        sizes.batch = out.shape[..out.shape.len() - shape.len()].to_vec();
        let (batch, strides) = loop_nest(&dims, &sizes.batch, &[&sizes.a.batch, &sizes.b.batch]);
        if a.dtype == DType::F32 && batch.len() <= 2 {
            return self.tuned(cx, &a, &b, &out, &sizes, &batch, &strides);
        }
        if self.bias || self.residual || !self.epilogue.is_none() || self.alpha != 1.0 {
            return Err(OpError::unsupported("a fused product with more than two batch axes or of another dtype than f32"));
        }
        let scaled = |strides: &[Dim], side: &Sides| -> Vec<Dim> {
            strides.iter().map(|&s| dims.mul(s, side.size)).chain([side.row, side.col]).collect()
        };
        let args = vec![
            out.write(),
            a.read(),
            b.read(),
            Arg::Usizes(batch),
            Arg::Usizes(scaled(&strides[0], &sizes.a)),
            Arg::Usizes(scaled(&strides[1], &sizes.b)),
            Arg::Usize(sizes.m),
            Arg::Usize(sizes.k),
            Arg::Usize(sizes.n),
        ];
        cx.call(crate::kernel!(matmul::matmul(_, _, _, _, _, _, _, _, _) for num(a.dtype)), args)
    }
}

impl MatMul {
    /// f32 on packed panels.
    fn tuned(
        &self,
        cx: &mut Lower<'_>,
        a: &Operand,
        b: &Operand,
        out: &Operand,
        sizes: &Sizes,
        batch: &[Dim],
        strides: &[Vec<Dim>],
    ) -> Result<(), OpError> {
        let dims = cx.dims();
        let (zero, one) = (dims.int(0), dims.int(1));
        let (mut m, mut batch, mut strides) = (sizes.m, batch.to_vec(), strides.to_vec());
        // A batch of products with one right operand is one product of more rows.
        if let ([count], [a_stride], [b_stride]) = (batch.as_slice(), strides[0].as_slice(), strides[1].as_slice())
            && *b_stride == zero
            && *a_stride == one
            && !self.transpose_a
        {
            m = dims.mul(*count, m);
            batch.clear();
            strides.iter_mut().for_each(Vec::clear);
        }
        let two = |v: &[Dim], fill: Dim| -> [Dim; 2] {
            [v.first().copied().filter(|_| v.len() == 2).unwrap_or(fill), v.last().copied().unwrap_or(fill)]
        };
        let lead = two(&batch, one);
        let (a_batch, b_batch) = (two(&strides[0], zero), two(&strides[1], zero));
        let panels = self.panels(cx, 1, sizes)?;
        let by_size = |s: [Dim; 2], size: Dim| s.map(|x| dims.mul(x, size));
        let b_batch = if panels.is_some() { b_batch } else { by_size(b_batch, sizes.b.size) };
        let c_size = dims.mul(m, sizes.n);
        let array = |v: [Dim; 2]| Arg::Array(v.iter().map(|&d| Arg::Usize(d)).collect());
        let product = Arg::Struct(
            "gemm::Product",
            vec![
                ("batch", array(lead)),
                ("m", Arg::Usize(m)),
                ("n", Arg::Usize(sizes.n)),
                ("k", Arg::Usize(sizes.k)),
                ("a_batch", array(by_size(a_batch, sizes.a.size))),
                ("a_row", Arg::Usize(sizes.a.row)),
                ("a_col", Arg::Usize(sizes.a.col)),
                ("b_batch", array(b_batch)),
                ("b_row", Arg::Usize(sizes.b.row)),
                ("b_col", Arg::Usize(sizes.b.col)),
                ("c_batch", array([dims.mul(lead[1], c_size), c_size])),
                ("c_row", Arg::Usize(sizes.n)),
            ],
        );
        let optional = |cx: &mut Lower<'_>, given: bool, i: usize| -> Result<Arg, OpError> {
            if given { Ok(Arg::Present(Box::new(cx.input(i)?.read()))) } else { Ok(Arg::Absent) }
        };
        let bias = optional(cx, self.bias, 2)?;
        let residual = optional(cx, self.residual, 2 + usize::from(self.bias))?;
        let tail = [bias, Arg::Absent, residual, product, Arg::F32(self.alpha), self.epilogue.arg()];
        let call = |a: &Operand, b: &Operand| [Arg::Cx, out.write(), a.read(), b.read()].into_iter().chain(tail.clone()).collect();
        if let Some(panels) = panels {
            const NAME: &str = "packed matrix";
            if !self.transpose_a
                && let Some(pairs) = bf16::pairs(cx, NAME, &panels, sizes.k)?
            {
                let args = call(&bf16::rounded(cx, a)?, &pairs);
                return cx.call(crate::kernel!(gemm::gemm_bf16(_, _, _, _, _, _, _, _, _, _)), args);
            }
            let packed = cx.stored_weight(NAME, &panels);
            cx.call(crate::kernel!(gemm::gemm_packed(_, _, _, _, _, _, _, _, _, _) for stored(packed.dtype)), call(a, &packed))
        } else {
            let panels = dims.scale(dims.ceil_div(sizes.n, dims.int(32)), 32);
            let matrices = dims.product(&[lead[0], lead[1], panels, sizes.k]);
            let scratch = cx.temp(DType::F32, &[matrices]);
            let args = [Arg::Cx, out.write(), scratch.write(), a.read(), b.read()].into_iter().chain(tail).collect();
            cx.call(crate::kernel!(gemm::gemm(_, _, _, _, _, _, _, _, _, _, _)), args)
        }
    }

    /// The right operand as packed panels, if it is a constant.
    fn panels(&self, cx: &mut Lower<'_>, i: usize, sizes: &Sizes) -> Result<Option<Vec<f32>>, OpError> {
        let Some(tensor) = cx.constant(i) else { return Ok(None) };
        let dims = cx.dims();
        let value = |d: Dim| dims.value(d).and_then(|v| usize::try_from(v).ok());
        let (Some(k), Some(n), Some(row), Some(col)) = (value(sizes.k), value(sizes.n), value(sizes.b.row), value(sizes.b.col)) else {
            return Ok(None);
        };
        let (Some(elements), Some(size)) = (tensor.to_vec::<f32>(), value(sizes.b.size)) else { return Ok(None) };
        let count = sizes.b.batch.iter().filter_map(|&d| value(d)).product();
        let mut packed = vec![0f32; pack_len(k, n).saturating_mul(count)];
        pack_b(&mut packed, &elements, count, k, n, size, row, col).map_err(|f| OpError::invalid(f.to_string()))?;
        Ok(Some(packed))
    }
}
