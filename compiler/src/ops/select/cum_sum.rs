//! `CumSum` and `CumProd`: sums and products of all elements up to each, along an axis.

use crate::import::Parse;
use crate::ir::{Fact, ValueId};
use crate::lower::Lower;
use crate::ops::infer::resolve_axis;
use crate::ops::slice::around;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

/// ONNX `CumSum` and `CumProd`; the axis is an input.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = CumSum { product: cx.op_type() == "CumProd", exclusive: cx.flag("exclusive", false)?, reverse: cx.flag("reverse", false)? };
    let (x, axis) = (cx.input(0)?, cx.input(1)?);
    cx.add(op, &[x, axis]).map(|v| vec![v])
}

/// `out[i]` is the sum (product) of `x[j]` for `j <= i` along the axis that input 1, one element, says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CumSum {
    /// Whether products.
    pub product: bool,
    /// `j < i` instead.
    pub exclusive: bool,
    /// `j >= i` instead.
    pub reverse: bool,
}

impl CumSum {
    /// The sums from the other end, whose element `j` is the sum of what `x[j]` is part of.
    pub fn backwards(&self) -> Self {
        Self { reverse: !self.reverse, ..self.clone() }
    }
}

impl Operator for CumSum {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let shape = cx.shape(0)?;
        if let Some(axis) = cx.ints(1) {
            resolve_axis(axis.first().copied().unwrap_or(0), shape.len())?;
        }
        Ok(vec![Fact::tensor(cx.dtype(0)?, shape)])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let x = cx.input(0)?;
        let dims = cx.dims();
        let (outer, len, inner) = if let Some(axis) = cx.ints(1).and_then(|a| a.first().copied()) {
            around(&dims, &x.shape, resolve_axis(axis, x.shape.len())?)
        } else {
            // The axis is only known when the model runs: a kernel sees the shape around it.
            let axis = cx.input_i64(1)?;
            let (symbols, sizes): (Vec<_>, Vec<_>) = (0..3).map(|_| cx.symbol(0)).unzip();
            cx.call(crate::kernel!(shape::around(_, _, _)), vec![Arg::Bind(symbols), Arg::Usizes(x.shape.clone()), axis.read()])?;
            (sizes[0], sizes[1], sizes[2])
        };
        let out = cx.output(0)?;
        let kernel = if self.product {
            crate::kernel!(cumsum::cumprod(_, _, _, _, _, _, _) for num(x.dtype))
        } else {
            crate::kernel!(cumsum::cumsum(_, _, _, _, _, _, _) for num(x.dtype))
        };
        let sizes = [outer, len, inner].map(Arg::Usize);
        let flags = [self.exclusive, self.reverse].map(Arg::Bool);
        cx.call(kernel, [out.write(), x.read()].into_iter().chain(sizes).chain(flags).collect())
    }
}
