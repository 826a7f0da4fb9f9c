//! Products with few columns, and the scaler before them: what [`scalers`](crate::passes::fuse::scaler) makes of a linear model.

use crate::ir::{DType, Fact, Tensor};
use crate::lower::Lower;
use crate::ops::nn::epilogue::Epilogue;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::few_columns::padded;
use serde::{Deserialize, Serialize};

crate::param_struct!(few_columns::Sizes { rows, features, columns });

/// `activation(((x - offset) * scale) · weights' + bias)`; inputs x (the last axis are the features), the constant weights (a row for each
/// column of the result), then offset and scale (constants, an element for each feature) and the bias (an element for each column) if there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FewColumns {
    /// Whether there are offset and scale.
    pub scaled: bool,
    /// Whether there is a bias.
    pub bias: bool,
    /// Applied last.
    pub epilogue: Epilogue,
}

impl Operator for FewColumns {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (mut shape, weights) = (cx.shape(0)?, cx.shape(1)?);
        let (Some(features), &[columns, k]) = (shape.pop(), weights.as_slice()) else {
            return Err(OpError::invalid("rows of features and a matrix of weights are needed"));
        };
        cx.require_equal(features, k, "the features and the weights of a column");
        shape.push(columns);
        Ok(vec![Fact::tensor(DType::F32, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, out) = (cx.input(0)?, cx.output(0)?);
        let dims = cx.dims();
        let (lead, features, columns) = (&out.shape[..out.shape.len() - 1], x.shape[x.shape.len() - 1], out.shape[out.shape.len() - 1]);
        let rows = dims.product(lead);
        let weights = parameters(cx, &[1])?;
        let weights = cx.weight("rows of weights", weights).read();
        let scaler = if self.scaled {
            let scaler = parameters(cx, &[2, 3])?;
            Arg::Present(Box::new(cx.weight("offsets and scales", scaler).read()))
        } else {
            Arg::Absent
        };
        let bias = if self.bias { Arg::Present(Box::new(cx.input(if self.scaled { 4 } else { 2 })?.read())) } else { Arg::Absent };
        let sizes = [("rows", rows), ("features", features), ("columns", columns)].map(|(name, dim)| (name, Arg::Usize(dim)));
        let sizes = Arg::Struct("few_columns::Sizes", sizes.to_vec());
        let args = vec![Arg::Cx, out.write(), x.read(), weights, scaler, bias, sizes, self.epilogue.arg()];
        cx.call(crate::kernel!(few_columns::few_columns(_, _, _, _, _, _, _, _)), args)
    }
}

/// The rows of some constant inputs, each filled up to the length that the kernel wants.
fn parameters(cx: &Lower<'_>, inputs: &[usize]) -> Result<Tensor, OpError> {
    let mut packed = Vec::new();
    for &i in inputs {
        let tensor = cx.constant(i).filter(|t| t.shape.last().is_some_and(|&features| features > 0));
        let elements = tensor.and_then(|t| t.to_vec::<f32>().zip(t.shape.last().copied()));
        let (elements, features) =
            elements.ok_or_else(|| OpError::unsupported("weights of a product with few columns that are computed"))?;
        for row in elements.chunks(features) {
            packed.extend_from_slice(row);
            packed.resize(packed.len() + padded(features) - features, 0.0);
        }
    }
    Ok(Tensor::vector(&packed))
}
