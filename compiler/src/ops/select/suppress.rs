//! `NonMaxSuppression`: boxes by score, without those that overlap a better one.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::{Lower, Place};
use crate::ops::slice::output_shape;
use crate::ops::{Infer, OpError, Operator};
use crate::program::{Arg, View};
use serde::{Deserialize, Serialize};

/// ONNX `NonMaxSuppression`.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let center = cx.flag("center_point_box", false)?;
    let inputs = cx.inputs()?;
    cx.add_n(NonMaxSuppression { center }, &inputs)
}

/// Inputs: boxes `[batches, boxes, 4]`, scores `[batches, classes, boxes]`, the most boxes a class, the overlap threshold, the score threshold (one
/// element each, optional). Output: `[batch, class, box]` of each box that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NonMaxSuppression {
    /// Boxes are centre and size, else two corners.
    center: bool,
}

impl Operator for NonMaxSuppression {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (boxes, scores) = (cx.shape(0)?, cx.shape(1)?);
        if boxes.len() != 3 || scores.len() != 3 {
            return Err(OpError::invalid("boxes and scores must have three axes"));
        }
        let four = cx.int(4);
        cx.require_equal(boxes[0], scores[0], "the batches of boxes and scores");
        cx.require_equal(boxes[1], scores[2], "the numbers of boxes and scores");
        cx.require_equal(boxes[2], four, "the numbers of a box and 4");
        Ok(vec![Fact::tensor(DType::I64, vec![cx.fresh(), cx.int(3)])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (boxes, scores) = (cx.input(0)?, cx.input(1)?);
        let dims = cx.dims();
        let (batches, classes, count) = (boxes.shape[0], scores.shape[1], boxes.shape[1]);
        let mut option = |i: usize| {
            Ok(if !cx.has(i) {
                Arg::Absent
            } else if i == 2 {
                Arg::Present(Box::new(cx.input_i64(i)?.read()))
            } else {
                Arg::Present(Box::new(cx.input(i)?.read()))
            })
        };
        let options = [option(2)?, option(3)?, option(4)?];
        // `non_max_suppression_max_len`, with no more boxes a class than a constant limit says.
        let limit = cx.ints(2).and_then(|v| v.first().copied()).filter(|&n| n >= 0);
        let each = limit.map_or(count, |n| dims.min(count, dims.int(n)));
        let selected = cx.temp(DType::I64, &[batches, classes, each, dims.int(3)]);
        let order = cx.temp(DType::I64, &[count]);
        let shape = output_shape(cx, 0)?;
        let [most, overlap, score] = options;
        cx.call_binding(
            crate::kernel!(non_max_suppression::non_max_suppression(_, _, _, _, _, _, _, _, _, _, _, _)),
            &shape[..1],
            |bind| {
                let sizes = [batches, classes, count].map(Arg::Usize);
                let args = vec![bind, selected.write(), order.write(), boxes.read(), scores.read(), most, overlap, score];
                args.into_iter().chain(sizes).chain([Arg::Bool(self.center)]).collect()
            },
        )?;
        cx.alias(0, Place::Tensor(View { len: dims.product(&shape), ..selected.view }));
        Ok(())
    }
}
