//! `LinearAttention` and `CausalConvWithState`: layers that carry a state of fixed size from token to token.

use super::norm::{optional, wider};
use crate::import::Parse;
use crate::ir::{DType, Dim, Fact, ValueId};
use crate::lower::{Lower, Operand};
use crate::ops::elementwise::cast;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(linear_attention::UpdateRule { Linear, Gated, Delta, GatedDelta });

/// ONNX `LinearAttention` (opset 27).
pub fn parse_attention(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let rule = match cx.string("update_rule", "gated_delta")?.as_str() {
        "linear" => Rule::Linear,
        "gated" => Rule::Gated,
        "delta" => Rule::Delta,
        "gated_delta" => Rule::GatedDelta,
        other => return Err(OpError::invalid(format!("update_rule is `{other}`"))),
    };
    let heads = |name: &str| -> Result<i64, OpError> {
        cx.opt_int(name)?.filter(|&h| h > 0).ok_or_else(|| OpError::invalid(format!("the attribute `{name}` must be given and positive")))
    };
    let op = LinearAttention { rule, q_heads: heads("q_num_heads")?, kv_heads: heads("kv_num_heads")?, scale: cx.float("scale", 0.0)? };
    if op.q_heads % op.kv_heads != 0 {
        return Err(OpError::invalid("q_num_heads must be a multiple of kv_num_heads"));
    }
    let mut inputs = (0..6).map(|i| cx.opt_input(i)).collect::<Result<Vec<_>, _>>()?;
    for (i, name, used) in [(4, "decay", rule.gated()), (5, "beta", rule.delta())] {
        if used && inputs[i].is_none() {
            return Err(OpError::invalid(format!("the update rule needs the input `{name}`")));
        }
        // What the rule does not use must not reach the kernel.
        inputs[i] = inputs[i].filter(|_| used);
    }
    cx.add_n(op, &inputs)
}

/// ONNX `CausalConvWithState` (opset 27).
pub fn parse_conv(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let silu = match cx.string("activation", "none")?.as_str() {
        "none" => false,
        "silu" | "swish" => true,
        other => return Err(OpError::invalid(format!("activation is `{other}`"))),
    };
    let inputs = [Some(cx.input(0)?), Some(cx.input(1)?), cx.opt_input(2)?, cx.opt_input(3)?];
    cx.add_n(CausalConv { silu }, &inputs)
}

/// How the state changes with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's names; documented in the runtime.
pub enum Rule {
    Linear,
    Gated,
    Delta,
    GatedDelta,
}

impl Rule {
    fn gated(self) -> bool {
        matches!(self, Self::Gated | Self::GatedDelta)
    }
    fn delta(self) -> bool {
        matches!(self, Self::Delta | Self::GatedDelta)
    }
}

/// Inputs: queries, keys and values (batch, tokens, heads * size), and optional: the past state (batch, heads, key size, value size), decay and
/// beta. Outputs: the result, and the state after the last token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearAttention {
    rule: Rule,
    q_heads: i64,
    kv_heads: i64,
    /// The factor of the result; 0: one over the root of the key size.
    scale: f32,
}

impl LinearAttention {
    /// The dtype of the states: that of the past one.
    fn state_dtype(given: Option<DType>, dtype: DType) -> DType {
        given.unwrap_or(dtype)
    }
}

impl Operator for LinearAttention {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = cx.dtype(0)?;
        let three =
            |shape: Vec<Dim>| <[Dim; 3]>::try_from(shape).map_err(|_| OpError::invalid("queries, keys and values must have rank 3"));
        let (q, k, v) = (three(cx.shape(0)?)?, three(cx.shape(1)?)?, three(cx.shape(2)?)?);
        let (q_heads, kv_heads) = (cx.int(self.q_heads), cx.int(self.kv_heads));
        let (dk, dv) = (cx.dims.floor_div(k[2], kv_heads), cx.dims.floor_div(v[2], kv_heads));
        for (a, b, what) in [
            (q[0], k[0], "the batches of queries and keys"),
            (k[0], v[0], "the batches of keys and values"),
            (q[1], k[1], "the tokens of queries and keys"),
            (k[1], v[1], "the tokens of keys and values"),
            (cx.dims.mul(dk, q_heads), q[2], "the query's last dim and its heads times the key size"),
            (cx.dims.mul(dk, kv_heads), k[2], "the key's last dim and a multiple of its heads"),
            (cx.dims.mul(dv, kv_heads), v[2], "the value's last dim and a multiple of its heads"),
        ] {
            cx.require_equal(a, b, what);
        }
        let state = vec![q[0], kv_heads, dk, dv];
        let mut state_dtype = None;
        if cx.has(3) {
            let past = cx.shape(3)?;
            if past.len() != 4 {
                return Err(OpError::invalid("the past state must have rank 4"));
            }
            past.iter().zip(&state).for_each(|(&a, &b)| _ = cx.require_equal(a, b, "the dims of the past state and those of the state"));
            state_dtype = Some(cx.dtype(3)?);
        }
        let y = Fact::tensor(dtype, vec![q[0], q[1], cx.dims.mul(q_heads, dv)]);
        Ok(vec![y, Fact::tensor(Self::state_dtype(state_dtype, dtype), state)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (q, k, v) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let past = if cx.has(3) { cx.fact(3)?.dtype() } else { None };
        // One kernel has one dtype: a state that is kept in a wider one stays so.
        let compute = past.map_or(q.dtype, |p| if p == q.dtype { p } else { wider(p, q.dtype) });
        let dims = cx.dims();
        let (dk, dv) = (dims.floor_div(k.shape[2], dims.int(self.kv_heads)), dims.floor_div(v.shape[2], dims.int(self.kv_heads)));
        let sizes = [q.shape[0], q.shape[1], dims.int(self.q_heads), dims.int(self.kv_heads), dk, dv].map(Arg::Usize);
        let (y, y_out) = result(cx, 0, compute)?;
        let (state, state_out) = result(cx, 1, compute)?;
        let scratch = cx.temp(DType::F64, &[dims.mul(dims.offset(dk, 1), dv)]);
        let mut args = vec![y.write(), state.write(), scratch.write()];
        for x in [q, k, v] {
            args.push(cx.converted(x, compute)?.read());
        }
        for i in 3..6 {
            args.push(optional(cx, i, compute)?);
        }
        let rule = match self.rule {
            Rule::Linear => "Linear",
            Rule::Gated => "Gated",
            Rule::Delta => "Delta",
            Rule::GatedDelta => "GatedDelta",
        };
        args.extend(sizes.into_iter().chain([Arg::F32(self.scale), Arg::Variant("linear_attention::UpdateRule", rule)]));
        cx.call(
            crate::kernel!(linear_attention::linear_attention(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _) for float(compute)),
            args,
        )?;
        finish(cx, &y, y_out)?;
        finish(cx, &state, state_out)
    }
}

/// Where the kernel writes output `i`, and the output itself if that has another dtype; nowhere if nobody wants it.
fn result(cx: &mut Lower<'_>, i: usize, compute: DType) -> Result<(Operand, Option<Operand>), OpError> {
    if !cx.wanted(i) && i > 0 {
        let zero = cx.int(0);
        return Ok((cx.temp(compute, &[zero]), None));
    }
    let out = cx.output(i)?;
    if out.dtype == compute { Ok((out, None)) } else { Ok((cx.temp(compute, &out.shape), Some(out))) }
}

fn finish(cx: &mut Lower<'_>, from: &Operand, to: Option<Operand>) -> Result<(), OpError> {
    to.map_or(Ok(()), |to| cast::call(cx, &to, from, true))
}

/// Each channel of input 0 (batch, channels, length) convolved with its own weights (input 1: channels, 1, width), which look back only. Inputs 2
/// and 3, optional: a bias by channel, and the `width - 1` positions before the first. Outputs: the result and the last `width - 1` positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalConv {
    /// Whether the result y becomes y sigmoid(y).
    pub silu: bool,
}

impl Operator for CausalConv {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (shape, weights) = (cx.shape(0)?, cx.shape(1)?);
        let (&[batch, channels, _], &[rows, middle, width]) = (shape.as_slice(), weights.as_slice()) else {
            return Err(OpError::invalid("input and weights must have rank 3"));
        };
        let one = cx.int(1);
        cx.require_equal(channels, rows, "the channels of the input and of the weights");
        cx.require_equal(middle, one, "the middle dim of the weights and 1");
        cx.require_at_most(one, width, "1 and the width of the weights");
        let carried = vec![batch, channels, cx.dims.offset(width, -1)];
        if cx.has(2) {
            let bias = cx.shape(2)?;
            let count = cx.dims.product(&bias);
            cx.require_equal(count, channels, "the bias and the channels");
        }
        if cx.has(3) {
            let past = cx.shape(3)?;
            if past.len() != 3 {
                return Err(OpError::invalid("the past state must have rank 3"));
            }
            past.iter().zip(&carried).for_each(|(&a, &b)| _ = cx.require_equal(a, b, "the dims of the past state and those of the state"));
        }
        let dtype = cx.dtype(0)?;
        Ok(vec![Fact::tensor(dtype, shape), Fact::tensor(dtype, carried)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, w) = (cx.input(0)?, cx.input(1)?);
        let (y, _) = result(cx, 0, x.dtype)?;
        let (state, _) = result(cx, 1, x.dtype)?;
        let mut args = vec![y.write(), state.write(), x.read(), w.read()];
        for i in [2, 3] {
            args.push(optional(cx, i, x.dtype)?);
        }
        args.extend([x.shape[0], x.shape[1], x.shape[2], w.shape[2]].map(Arg::Usize));
        args.push(Arg::Bool(self.silu));
        cx.call(crate::kernel!(linear_attention::causal_conv(_, _, _, _, _, _, _, _, _, _, _) for float(x.dtype)), args)
    }
}
