//! `--precision bf16`: the operands of products and convolutions rounded to bf16, weights in pairs along k, as
//! [`gemm_bf16`](onnxc_runtime::kernels::gemm::gemm_bf16) takes them.

use crate::ir::{DType, Dim, Tensor};
use crate::lower::{Lower, Operand};
use crate::ops::OpError;
use crate::options::Precision;
use crate::program::Arg;
use onnxc_runtime::float::BF16;
use onnxc_runtime::kernels::gemm::pack_bf16;

/// Packed panels of runs of `depth` elements as pairs, if the user wants that, pairs fill the runs, and no weight would become infinite.
pub fn pairs(cx: &mut Lower<'_>, name: &str, panels: &[f32], depth: Dim) -> Result<Option<Operand>, OpError> {
    let even = cx.dims().value(depth).is_some_and(|d| d % 2 == 0);
    let fits = |x: &f32| !x.is_finite() || BF16::from_f32(*x).to_f32().is_finite();
    if cx.precision() != Precision::Bf16 || !even || !panels.iter().all(fits) {
        return Ok(None);
    }
    let mut pairs = vec![0u32; panels.len() / 2];
    pack_bf16(&mut pairs, panels).map_err(|f| OpError::invalid(f.to_string()))?;
    Ok(Some(cx.weight(name, Tensor::vector(&pairs))))
}

/// The other operand, whose last axis has an even length, rounded by a step.
pub fn rounded(cx: &mut Lower<'_>, x: &Operand) -> Result<Operand, OpError> {
    let out = cx.temp(DType::F32, &x.shape);
    cx.call(crate::kernel!(gemm::to_bf16(_, _, _)), vec![Arg::Cx, out.write(), x.read()])?;
    Ok(out)
}
