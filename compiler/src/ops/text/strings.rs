//! `StringConcat`, `StringSplit`, `StringNormalizer`.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::{Lower, loop_nest};
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(text::Case { None, Lower, Upper });

/// ONNX `StringConcat`.
pub fn parse_concat(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    cx.add(Strings::Concat, &[a, b]).map(|v| vec![v])
}

/// ONNX `StringSplit`.
pub fn parse_split(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = Strings::Split { delimiter: cx.string("delimiter", "")?, most: cx.int("maxsplit", -1)? };
    let x = cx.input(0)?;
    cx.add_n(op, &[Some(x)])
}

/// ONNX `StringNormalizer`. The locale is not needed: letters change case as Unicode says.
pub fn parse_normalizer(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let case = match cx.string("case_change_action", "NONE")?.as_str() {
        "NONE" => "None",
        "LOWER" => "Lower",
        "UPPER" => "Upper",
        other => return Err(OpError::invalid(format!("case_change_action is `{other}`"))),
    };
    let op = Strings::Normalize {
        stopwords: cx.strings("stopwords")?.unwrap_or_default(),
        sensitive: cx.flag("is_case_sensitive", false)?,
        case: case.to_owned(),
    };
    let x = cx.input(0)?;
    cx.add(op, &[x]).map(|v| vec![v])
}

/// What is done with strings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Strings {
    /// Each element of input 0 followed by that of input 1, broadcast.
    Concat,
    /// The parts of each element along a new axis, and the number of parts.
    Split {
        /// What stands between parts; empty: white space.
        delimiter: String,
        /// The most cuts; none if negative.
        most: i64,
    },
    /// The elements that are no stop words, with their letters changed.
    Normalize {
        /// The stop words.
        stopwords: Vec<String>,
        /// Whether stop words are compared as they are written.
        sensitive: bool,
        /// `None`, `Lower` or `Upper`.
        case: String,
    },
}

impl Operator for Strings {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        for i in 0..cx.len() {
            if cx.dtype(i)? != DType::String {
                return Err(OpError::invalid(format!("input {i} must be strings")));
            }
        }
        let mut shape = cx.shape(0)?;
        Ok(match self {
            Self::Concat => {
                let shape = cx.broadcast(&[shape, cx.shape(1)?]);
                vec![Fact::tensor(DType::String, shape)]
            }
            Self::Split { .. } => {
                let counts = Fact::tensor(DType::I64, shape.clone());
                shape.push(cx.fresh());
                vec![Fact::tensor(DType::String, shape), counts]
            }
            Self::Normalize { .. } => {
                let one = cx.int(1);
                match shape.as_mut_slice() {
                    [n] => *n = cx.fresh(),
                    [first, n] => {
                        *n = cx.fresh();
                        *first = cx.require_equal(*first, one, "the first dim and 1");
                    }
                    _ => return Err(OpError::invalid("a vector or a matrix of one row is needed")),
                }
                vec![Fact::tensor(DType::String, shape)]
            }
        })
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        match self {
            Self::Concat => {
                let y = cx.input(1)?;
                let out = cx.output(0)?;
                let (shape, strides) = loop_nest(&cx.dims(), &out.shape, &[&x.shape, &y.shape]);
                let lists = [shape].into_iter().chain(strides).map(Arg::Usizes);
                let args = [out.write(), x.read(), y.read()].into_iter().chain(lists).collect();
                cx.call(crate::kernel!(text::concat(_, _, _, _, _, _)), args)
            }
            Self::Split { delimiter, most } => {
                let counts = cx.output(1)?;
                let shape = output_shape(cx, 0)?;
                let most = cx.int(*most);
                let options = [Arg::Str(delimiter.clone()), Arg::I64(most)];
                cx.call_binding(crate::kernel!(text::split_count(_, _, _, _, _)), &shape[x.shape.len()..], |bind| {
                    [vec![bind, counts.write(), x.read()], options.to_vec()].concat()
                })?;
                let out = cx.output(0)?;
                cx.call(crate::kernel!(text::split(_, _, _, _)), [vec![out.write(), x.read()], options.to_vec()].concat())
            }
            Self::Normalize { stopwords, sensitive, case } => {
                let case = match case.as_str() {
                    "Lower" => "Lower",
                    "Upper" => "Upper",
                    _ => "None",
                };
                let shape = output_shape(cx, 0)?;
                let options = [Arg::Strs(stopwords.clone()), Arg::Bool(*sensitive)];
                cx.call_binding(crate::kernel!(text::normalize_count(_, _, _, _)), &shape[x.shape.len() - 1..], |bind| {
                    [vec![bind, x.read()], options.to_vec()].concat()
                })?;
                let out = cx.output(0)?;
                let args = [vec![out.write(), x.read()], options.to_vec(), vec![Arg::Variant("text::Case", case)]].concat();
                cx.call(crate::kernel!(text::normalize(_, _, _, _, _)), args)
            }
        }
    }
}
