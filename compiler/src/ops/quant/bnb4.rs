//! com.microsoft `MatMulBnb4`: a product with a matrix of 4-bit codes, each block of which has its greatest magnitude as scale.

use crate::import::Parse;
use crate::ir::{DType, Tensor, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::cast;
use crate::ops::linear::matmul::MatMul;

/// The numbers of the codes of FP4 (a sign, two bits of exponent, one of mantissa), over the greatest.
const FP4: [f32; 16] = [
    0.0,
    0.005_208_333_3,
    0.666_666_7,
    1.0,
    0.333_333_34,
    0.5,
    0.166_666_67,
    0.25,
    -0.0,
    -0.005_208_333_3,
    -0.666_666_7,
    -1.0,
    -0.333_333_34,
    -0.5,
    -0.166_666_67,
    -0.25,
];

/// The numbers of the codes of NF4: quantiles of the normal distribution (QLoRA, appendix E).
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Inputs A, the codes of the matrix `[N][K]`, flat and the high half of a byte first, and the scales of its blocks. The matrix is made real when
/// compiling.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let size = |name: &str| -> Result<usize, OpError> {
        let given = cx.int(name, 0)?;
        usize::try_from(given).ok().filter(|v| (1..1 << 31).contains(v)).ok_or_else(|| OpError::invalid(format!("`{name}` is {given}")))
    };
    let (n, k, block) = (size("N")?, size("K")?, size("block_size")?);
    let codes = match cx.int("quant_type", 1)? {
        0 => FP4,
        1 => NF4,
        other => return Err(OpError::invalid(format!("quant_type is {other}"))),
    };
    if !cx.flag("transB", true)? {
        // The form of a backward pass, of which ONNX Runtime's result and its documentation differ.
        return Err(OpError::unsupported("transB = 0"));
    }
    let (x, packed, scales) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let (Some(packed), Some(scales)) = (cx.constant_of(packed), cx.constant_of(scales)) else {
        return Err(OpError::unsupported("a packed matrix that is only known when the model runs"));
    };
    let wrong = || OpError::invalid("the sizes of the packed matrix and its scales do not fit N, K and block_size");
    let (packed, scales) = (packed.to_vec::<u8>().ok_or_else(wrong)?, scales.to_f64s().ok_or_else(wrong)?);
    let count = n.checked_mul(k).ok_or_else(wrong)?;
    if packed.len() != count.div_ceil(2) || scales.len() != count.div_ceil(block) {
        return Err(wrong());
    }
    let code = |i: usize| usize::from(if i.is_multiple_of(2) { packed[i / 2] >> 4 } else { packed[i / 2] & 15 });
    let matrix: Vec<f32> = (0..count).map(|i| codes[code(i)] * scales[i / block] as f32).collect();
    let matrix = Tensor::new(&[n, k], &matrix).ok_or_else(wrong)?;
    let (dtype, matrix) = (cx.dtype(x)?, cx.constant(matrix));
    let x = cast::to(cx, x, DType::F32)?;
    let y = cx.add(MatMul { transpose_b: true, ..MatMul::default() }, &[x, matrix])?;
    cast::to(cx, y, dtype).map(|v| vec![v])
}
