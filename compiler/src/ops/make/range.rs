//! `Range`: numbers from start to limit by steps.

use crate::import::Parse;
use crate::ir::dim::Dim;
use crate::ir::fact::MAX_ELEMENTS;
use crate::ir::{Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::{output_shape, with_elements};
use crate::ops::{Infer, OpError, Operator};
use serde::{Deserialize, Serialize};

/// ONNX `Range`, and com.microsoft's, whose step is one if it is not given.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let (start, limit) = (cx.input(0)?, cx.input(1)?);
    let delta = match cx.opt_input(2)? {
        Some(delta) => delta,
        None => {
            let dtype = cx.dtype(start)?;
            cx.scalar(dtype, 1.0)?
        }
    };
    cx.add(Range, &[start, limit, delta]).map(|v| vec![v])
}

/// `start + i * delta` for `i` from 0 to `max(ceil((limit - start) / delta), 0)`; the inputs are scalars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range;

/// Start, step and number of the elements, where integers are known.
fn known(cx: &Infer<'_>) -> Result<Option<(Dim, i64, Dim)>, OpError> {
    let one = |i: usize| cx.elements(i).and_then(|e| e.first().copied().flatten());
    let (Some(start), Some(limit), Some(delta)) = (one(0), one(1), one(2)) else { return Ok(None) };
    let d = cx.dims;
    let Some(step) = d.value(delta) else { return Ok(None) };
    let (span, size) = match step {
        0 => return Err(OpError::invalid("the step is 0")),
        1.. => (d.sub(limit, start), step),
        _ => (d.sub(start, limit), step.saturating_neg()),
    };
    Ok(Some((start, step, d.max(d.ceil_div(span, d.int(size)), d.int(0)))))
}

impl Operator for Range {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let dtype = cx.dtype(0)?;
        if cx.dtype(1)? != dtype || cx.dtype(2)? != dtype {
            return Err(OpError::invalid("start, limit and delta must have one dtype"));
        }
        let Some((start, step, count)) = known(cx)? else { return Ok(vec![Fact::tensor(dtype, vec![cx.fresh()])]) };
        let d = cx.dims;
        let elements = d
            .value(count)
            .filter(|&n| n <= MAX_ELEMENTS as i64)
            .map(|n| (0..n).map(|i| Some(d.offset(start, i.saturating_mul(step)))).collect());
        Ok(vec![with_elements(cx, dtype, vec![count], elements)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (start, limit, delta) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let shape = output_shape(cx, 0)?;
        let dims = cx.dims();
        if dims.as_symbol(shape[0]).is_some_and(|s| dims.info(s).source == crate::ir::dim::Source::Step) {
            let args = [start.read(), limit.read(), delta.read()];
            let kernel = crate::kernel!(generate::range_count(_, _, _, _) for num(start.dtype));
            cx.call_binding(kernel, &shape, |bind| [vec![bind], args.to_vec()].concat())?;
        }
        let out = cx.output(0)?;
        cx.call(crate::kernel!(generate::range(_, _, _) for num(out.dtype)), vec![out.write(), start.read(), delta.read()])
    }
}
