//! `GroupNormalization` and `InstanceNormalization`: groups of channels of each sample to mean 0 and variance 1.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::cast;
use crate::ops::reduce::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `GroupNormalization`: scale and bias are per group before opset 21, per channel since.
pub fn parse_group(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let groups = cx.opt_int("num_groups")?.filter(|&g| g > 0).ok_or_else(|| OpError::invalid("num_groups must be positive"))?;
    let op = GroupNorm { groups: Some(groups), per_group: cx.opset() < 21, epsilon: cx.float("epsilon", 1e-5)? };
    let (x, scale, bias) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.add(op, &[x, scale, bias]).map(|v| vec![v])
}

/// ONNX `InstanceNormalization`: each channel is a group.
pub fn parse_instance(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = GroupNorm { groups: None, per_group: false, epsilon: cx.float("epsilon", 1e-5)? };
    let (x, scale, bias) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    cx.add(op, &[x, scale, bias]).map(|v| vec![v])
}

/// Input 0 (channels on axis 1) normalised by groups of channels, times input 1, plus input 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupNorm {
    /// How many groups; `None`: as many as channels.
    pub groups: Option<i64>,
    /// Whether scale and bias have one element a group, rather than a channel.
    pub per_group: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Operator for GroupNorm {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, shape) = (cx.dtype(0)?, cx.shape(0)?);
        let &channels = shape.get(1).ok_or_else(|| OpError::invalid("the input must have channels on axis 1"))?;
        if let Some(groups) = self.groups {
            let groups = cx.int(groups);
            let rest = cx.dims.modulo(channels, groups);
            let zero = cx.int(0);
            cx.require_equal(rest, zero, "the rest of the channels divided by the groups and 0");
        }
        let count = self.groups.filter(|_| self.per_group).map_or(channels, |g| cx.int(g));
        for i in [1, 2] {
            let given = cx.shape(i)?;
            let given = cx.dims.product(&given);
            cx.require_equal(count, given, "the channels or groups and their scale or bias");
        }
        Ok(vec![Fact::tensor(dtype, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let [outer, channels, inner] = around(&dims, &x.shape, 1);
        let groups = self.groups.map_or(channels, |g| dims.int(g));
        // One kernel has one dtype: where the operands differ, all are computed in f32.
        let same = [1, 2].iter().all(|&i| cx.fact(i).is_ok_and(|f| f.dtype() == Some(x.dtype)));
        let compute = if same { x.dtype } else { DType::F32 };
        let x = cx.converted(x, compute)?;
        let (scale, bias) = (self.param(cx, 1, compute, channels)?, self.param(cx, 2, compute, channels)?);
        let out = cx.output(0)?;
        let y = if out.dtype == compute { out.clone() } else { cx.temp(compute, &x.shape) };
        let sizes = [outer, channels, inner, groups].map(Arg::Usize);
        let operands = [y.write(), x.read(), scale.read(), bias.read()];
        let args = operands.into_iter().chain(sizes).chain([Arg::F32(self.epsilon)]);
        if compute == DType::F32 {
            let args = [Arg::Cx].into_iter().chain(args).collect();
            cx.call(crate::kernel!(norm_f32::group_norm(_, _, _, _, _, _, _, _, _, _)), args)?;
        } else {
            cx.call(crate::kernel!(norm::group_norm(_, _, _, _, _, _, _, _, _) for float(compute)), args.collect())?;
        }
        if out.dtype == compute { Ok(()) } else { cast::call(cx, &out, &y, true) }
    }
}

impl GroupNorm {
    /// Scale or bias with one element a channel.
    fn param(&self, cx: &mut Lower<'_>, i: usize, dtype: DType, channels: crate::ir::Dim) -> Result<Operand, OpError> {
        let param = cx.input(i)?;
        let param = cx.converted(param, dtype)?;
        let (true, Some(groups)) = (self.per_group, self.groups) else { return Ok(param) };
        let dims = cx.dims();
        let groups = dims.int(groups);
        let wide = cx.temp(dtype, &[channels]);
        let args = vec![
            wide.write(),
            param.read(),
            Arg::Usizes(vec![groups, dims.floor_div(channels, groups)]),
            Arg::Usize(dims.int(0)),
            Arg::I64s(vec![dims.int(1), dims.int(0)]),
        ];
        cx.call(crate::kernel!(copy::strided(_, _, _, _, _) for any(dtype)), args)?;
        Ok(wide)
    }
}
