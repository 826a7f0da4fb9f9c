//! Random tensors: `RandomNormal`, `RandomUniform` (and `…Like`), `Multinomial`, `Bernoulli`.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::elementwise::cast;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `RandomNormal` and `RandomUniform`: the shape is an attribute; `…Like`: that of the input.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let name = cx.op_type();
    let like = if name.ends_with("Like") { Some(cx.input(0)?) } else { None };
    let kind = if name.starts_with("RandomNormal") {
        Kind::Normal { mean: cx.float("mean", 0.0)?, scale: cx.float("scale", 1.0)? }
    } else {
        Kind::Uniform { low: cx.float("low", 0.0)?, high: cx.float("high", 1.0)? }
    };
    let dtype = match (cx.nonzero_dtype("dtype")?, like) {
        (Some(dtype), _) => dtype,
        (None, Some(like)) => cx.dtype(like)?,
        (None, None) => DType::F32,
    };
    let shape =
        if like.is_some() { Vec::new() } else { cx.ints("shape")?.ok_or_else(|| OpError::invalid("the attribute `shape` is missing"))? };
    let op = Random { kind, dtype, seed: seed(cx)?, shape };
    cx.add_n(op, &like.map_or_else(Vec::new, |like| vec![Some(like)]))
}

/// ONNX `Multinomial`.
pub fn parse_multinomial(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let dtype = cx.nonzero_dtype("dtype")?.unwrap_or(DType::I32);
    let samples = cx.int("sample_size", 1)?;
    let x = cx.input(0)?;
    let op = Random { kind: Kind::Multinomial { samples }, dtype, seed: seed(cx)?, shape: Vec::new() };
    cx.add(op, &[x]).map(|v| vec![v])
}

/// ONNX `Bernoulli`.
pub fn parse_bernoulli(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let dtype = cx.nonzero_dtype("dtype")?.map_or_else(|| cx.dtype(x), Ok)?;
    let op = Random { kind: Kind::Bernoulli, dtype, seed: seed(cx)?, shape: Vec::new() };
    cx.add(op, &[x]).map(|v| vec![v])
}

/// The seed's bits: it is a float in the file.
fn seed(cx: &Parse<'_>) -> Result<Option<i64>, OpError> {
    Ok(cx.opt_float("seed")?.map(|s| i64::from(s.to_bits())))
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// Real numbers in [low, high).
    Uniform {
        /// The least.
        low: f32,
        /// The bound above.
        high: f32,
    },
    /// Normally distributed real numbers.
    Normal {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        scale: f32,
    },
    /// Zeros and ones, with the probabilities of input 0.
    Bernoulli,
    /// Classes, with the logarithms of probabilities of input 0.
    Multinomial {
        /// How many a row.
        samples: i64,
    },
}

/// Random elements of the shape of input 0, or of `shape` if there is none. With a seed each run gives the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Random {
    /// What is drawn.
    pub kind: Kind,
    /// The dtype of the result.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
    /// The seed.
    pub seed: Option<i64>,
    /// The shape where there is no input.
    pub shape: Vec<i64>,
}

impl Operator for Random {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if self.shape.iter().any(|&d| d < 0) {
            return Err(OpError::invalid("a dim of the shape is negative"));
        }
        let mut shape = if cx.has(0) { cx.shape(0)? } else { self.shape.iter().map(|&d| cx.int(d)).collect() };
        if let Kind::Multinomial { samples } = self.kind {
            let [rows, classes] = shape[..] else { return Err(OpError::invalid("the input must have rank 2")) };
            let one = cx.int(1);
            cx.require_at_most(one, classes, "1 and the number of classes");
            if samples < 0 {
                return Err(OpError::invalid("sample_size is negative"));
            }
            shape = vec![rows, cx.int(samples)];
        }
        Ok(vec![Fact::tensor(self.dtype, shape)])
    }

    fn folds(&self) -> bool {
        false
    }

    fn pure(&self) -> bool {
        false
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let out = cx.output(0)?;
        let seed = [Arg::I64(cx.int(self.seed.unwrap_or(0))), Arg::Bool(self.seed.is_some())].into_iter();
        let given = match self.kind {
            Kind::Bernoulli | Kind::Multinomial { .. } => {
                let x = cx.input(0)?;
                Some(cx.converted(x, DType::F32)?)
            }
            _ => None,
        };
        match (self.kind, given) {
            (Kind::Uniform { low: a, high: b } | Kind::Normal { mean: a, scale: b }, _) => {
                let args = [out.write(), Arg::F32(a), Arg::F32(b)].into_iter().chain(seed).collect();
                if matches!(self.kind, Kind::Normal { .. }) {
                    cx.call(crate::kernel!(random::normal(_, _, _, _, _) for float(out.dtype)), args)
                } else {
                    cx.call(crate::kernel!(random::uniform(_, _, _, _, _) for float(out.dtype)), args)
                }
            }
            (Kind::Bernoulli, Some(x)) => cx.call(
                crate::kernel!(random::bernoulli(_, _, _, _) for ordered(out.dtype)),
                [out.write(), x.read()].into_iter().chain(seed).collect(),
            ),
            (Kind::Multinomial { samples }, Some(x)) => {
                let y = if out.dtype == DType::I64 { out.clone() } else { cx.temp(DType::I64, &out.shape) };
                let sizes = [Arg::Usize(x.shape[1]), Arg::Usize(cx.int(samples))];
                let args = [y.write(), x.read()].into_iter().chain(sizes).chain(seed).collect();
                cx.call(crate::kernel!(random::multinomial(_, _, _, _, _, _)), args)?;
                if out.dtype == DType::I64 { Ok(()) } else { cast::call(cx, &out, &y, true) }
            }
            _ => Err(OpError::invalid("internal error: the input is missing")),
        }
    }
}
