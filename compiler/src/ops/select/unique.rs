//! `Unique`: the different elements, or the different entries of an axis.

use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::{around, output_shape};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `Unique`: without an axis the tensor is flattened.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let axis = match cx.opt_int("axis")? {
        Some(axis) => Some(resolve_axis(axis, cx.rank(x)?)?),
        None => None,
    };
    let sorted = cx.flag("sorted", true)?;
    cx.add_n(Unique { axis, sorted }, &[Some(x)])
}

/// com.microsoft `Unique`: in the order of first appearance; outputs are the different elements, which one each of the input is, and how often
/// each occurs.
pub fn parse_microsoft(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    let made = cx.add_n(Unique { axis: None, sorted: false }, &[Some(x)])?;
    match made.as_slice() {
        &[y, _, inverse, counts] => Ok(vec![y, inverse, counts]),
        _ => Err(OpError::invalid("internal error: Unique has four outputs")),
    }
}

/// Outputs: the different entries, the index of the first of each, which one each entry of the input is, how often each occurs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unique {
    axis: Option<usize>,
    /// Ascending; else in the order of first appearance.
    sorted: bool,
}

impl Operator for Unique {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (dtype, mut shape, count) = (cx.dtype(0)?, cx.shape(0)?, cx.fresh());
        let all = match self.axis {
            Some(axis) => *shape.get(axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?,
            None => cx.dims.product(&shape),
        };
        match self.axis {
            Some(axis) => shape[axis] = count,
            None => shape = vec![count],
        }
        let ints = |d| Fact::tensor(DType::I64, vec![d]);
        Ok(vec![Fact::tensor(dtype, shape), ints(count), ints(all), ints(count)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let one = cx.int(1);
        let (outer, len, inner) = match self.axis {
            Some(axis) => around(&cx.dims(), &x.shape, axis),
            None => (one, x.view.len, one),
        };
        let sizes = [outer, len, inner].map(Arg::Usize);
        let order = cx.temp(DType::I64, &[len]);
        let counted = output_shape(cx, 1)?;
        let count = crate::kernel!(unique::unique_count(_, _, _, _, _, _) for order(x.dtype));
        cx.call_binding(count, &counted, |bind| [vec![bind, order.write(), x.read()], sizes.to_vec()].concat())?;
        let outs = (0..4).map(|i| cx.output(i).map(|o| o.write())).collect::<Result<Vec<_>, _>>()?;
        cx.call(
            crate::kernel!(unique::unique(_, _, _, _, _, _, _, _, _, _) for order(x.dtype)),
            [outs, vec![x.read(), order.read()], sizes.to_vec(), vec![Arg::Bool(self.sorted)]].concat(),
        )
    }
}
