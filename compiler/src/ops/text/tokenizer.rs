//! `Tokenizer` of com.microsoft: texts to rows of tokens.

use super::regex;
use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use onnxc_runtime::kernels::tokenize::scratch_len;
use serde::{Deserialize, Serialize};

crate::param_enum!(tokenize::Cut { Tokens, Separators, Characters });

/// com.microsoft `Tokenizer`: the tokens are what `tokenexp` matches, or what is between the `separators`; one empty separator cuts into
/// characters. Of the matches at the first place the longest counts, whatever the expression prefers.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let pad = cx.opt_string("pad_value")?.ok_or_else(|| OpError::invalid("pad_value is missing"))?;
    let least = cx.int("mincharnum", 1)?;
    let least = usize::try_from(least).ok().filter(|&l| l > 0).ok_or_else(|| OpError::invalid(format!("mincharnum is {least}")))?;
    let separators = cx.strings("separators")?.unwrap_or_default();
    let expression = cx.opt_string("tokenexp")?.filter(|e| !e.is_empty());
    let (cut, expressions) = match (expression, separators.as_slice()) {
        (Some(expression), []) => (Cut::Tokens, vec![expression]),
        (None, [one]) if one.is_empty() => (Cut::Characters, Vec::new()),
        (None, [_, ..]) if separators.iter().all(|s| !s.is_empty()) => (Cut::Separators, separators),
        _ => return Err(OpError::invalid("either separators or tokenexp is needed")),
    };
    let (mut code, mut ranges, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for expression in expressions {
        let program = regex::compile(&expression)?;
        code.extend(program.code);
        ranges.extend(program.ranges);
        parts.extend([code.len() / 3, ranges.len() / 2]);
    }
    let op = Tokenizer { cut, parts, least, pad, mark: cx.flag("mark", false)? };
    let inputs = [cx.input(0)?, cx.i64s(&code), cx.i64s(&ranges)];
    cx.add(op, &inputs).map(|v| vec![v])
}

/// What the expressions are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Of the tokens.
    Tokens,
    /// Of what separates them.
    Separators,
    /// There are none: characters are tokens.
    Characters,
}

/// Each text of input 0 as a row of its tokens along a new last axis, as long as the longest. Inputs 1 and 2: instructions and ranges of the
/// regular expressions, one after the other, see `onnxc_runtime::kernels::tokenize`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tokenizer {
    cut: Cut,
    /// For each expression where its instructions and its ranges end.
    parts: Vec<usize>,
    /// Tokens of fewer characters are dropped.
    least: usize,
    /// What shorter rows are filled up with.
    pad: String,
    /// Whether the ends of texts are marked.
    mark: bool,
}

impl Tokenizer {
    /// The instructions of the longest expression.
    fn instructions(&self) -> usize {
        let ends = self.parts.iter().step_by(2);
        let starts = [0].iter().chain(ends.clone());
        ends.zip(starts).map(|(end, start)| end.saturating_sub(*start)).max().unwrap_or(0)
    }
}

impl Operator for Tokenizer {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        if cx.dtype(0)? != DType::String {
            return Err(OpError::invalid("the input must be strings"));
        }
        let mut shape = cx.shape(0)?;
        if shape.is_empty() || shape.len() > 2 {
            return Err(OpError::invalid(format!("the rank is {}, it must be 1 or 2", shape.len())));
        }
        shape.push(cx.fresh());
        Ok(vec![Fact::tensor(DType::String, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, code, ranges) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let shape = output_shape(cx, 0)?;
        let length = cx.int(scratch_len(self.instructions()) as i64);
        let scratch = cx.temp(DType::I64, &[length]);
        let spans = cx.temp_object();
        let cut = match self.cut {
            Cut::Tokens => "Tokens",
            Cut::Separators => "Separators",
            Cut::Characters => "Characters",
        };
        let parts = self.parts.iter().map(|&p| cx.int(p as i64)).collect();
        let options =
            vec![Arg::Usizes(parts), Arg::Variant("tokenize::Cut", cut), Arg::Usize(cx.int(self.least as i64)), Arg::Bool(self.mark)];
        let width = &shape[x.shape.len()..];
        cx.call_binding(crate::kernel!(tokenize::find(_, _, _, _, _, _, _, _, _, _)), width, |bind| {
            let spans = Arg::OutObject { buffer: spans, update: false };
            [vec![bind, spans, scratch.write(), x.read(), code.read(), ranges.read()], options].concat()
        })?;
        let out = cx.output(0)?;
        let args = vec![out.write(), Arg::InObject(spans), x.read(), Arg::Str(self.pad.clone()), Arg::Bool(self.mark)];
        cx.call(crate::kernel!(tokenize::fill(_, _, _, _, _)), args)
    }
}
