//! `DeformConv`: a convolution whose places data moves.

use crate::import::Parse;
use crate::ir::{Dim, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_struct!(region::Deform { batch, channels, input, filters, output, kernel, strides, pads, dilations, groups, offset_groups });

/// ONNX `DeformConv`, over two spatial axes.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let x = cx.input(0)?;
    if cx.rank(x)? != 4 {
        return Err(OpError::unsupported("DeformConv with other than two spatial axes"));
    }
    let pair = |name: &str, default: i64| -> Result<[i64; 2], OpError> {
        match cx.ints(name)?.as_deref() {
            None => Ok([default; 2]),
            Some(&[a, b]) if a > 0 && b > 0 => Ok([a, b]),
            Some(_) => Err(OpError::invalid(format!("{name} must be two positive numbers"))),
        }
    };
    let pads = cx.ints("pads")?.unwrap_or_else(|| vec![0; 4]);
    let pads: [i64; 4] = pads.try_into().map_err(|_| OpError::invalid("pads must be four numbers"))?;
    let (groups, offset_groups) = (cx.int("group", 1)?, cx.int("offset_group", 1)?);
    if pads.iter().any(|&p| p < 0) || groups < 1 || offset_groups < 1 {
        return Err(OpError::invalid("pads must not be negative, groups must be positive"));
    }
    let op = DeformConv { strides: pair("strides", 1)?, dilations: pair("dilations", 1)?, pads, groups, offset_groups };
    let inputs = cx.inputs()?;
    cx.add_n(op, &inputs)
}

/// Inputs: images, weights, offsets, bias (optional), mask (optional).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeformConv {
    strides: [i64; 2],
    dilations: [i64; 2],
    pads: [i64; 4],
    groups: i64,
    offset_groups: i64,
}

impl Operator for DeformConv {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let (x, w, offset) = (cx.shape(0)?, cx.shape(1)?, cx.shape(2)?);
        let (&[n, c, h, wide], &[m, deep, kh, kw], &[on, oc, oh, ow]) = (x.as_slice(), w.as_slice(), offset.as_slice()) else {
            return Err(OpError::invalid("images, weights and offsets must have rank 4"));
        };
        let d = cx.dims.clone();
        cx.require_equal(d.scale(deep, self.groups), c, "the channels of the weights and of the images");
        cx.require_equal(on, n, "the batches of the offsets and of the images");
        let taps = d.mul(kh, kw);
        cx.require_equal(oc, d.scale(taps, 2 * self.offset_groups), "the channels of the offsets");
        let out = |len: Dim, k: Dim, axis: usize| {
            let room = d.offset(d.sub(len, d.scale(d.offset(k, -1), self.dilations[axis])), self.pads[axis] + self.pads[axis + 2] - 1);
            d.offset(d.floor_div(room, d.int(self.strides[axis])), 1)
        };
        let (rows, columns) = (out(h, kh, 0), out(wide, kw, 1));
        let rows = cx.require_equal(rows, oh, "the rows of the result and of the offsets");
        let columns = cx.require_equal(columns, ow, "the columns of the result and of the offsets");
        Ok(vec![Fact::tensor(cx.dtype(0)?, vec![n, m, rows, columns])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let (x, w, offset) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
        let mut optional = Vec::new();
        for i in [3, 4] {
            optional.push(if cx.has(i) { Arg::Present(Box::new(cx.input(i)?.read())) } else { Arg::Absent });
        }
        let out = cx.output(0)?;
        let dims = cx.dims();
        let pair = |a: Dim, b: Dim| Arg::Array(vec![Arg::Usize(a), Arg::Usize(b)]);
        let ints = |v: &[i64]| pair(dims.int(v[0]), dims.int(v[1]));
        let sizes = Arg::Struct(
            "region::Deform",
            vec![
                ("batch", Arg::Usize(x.shape[0])),
                ("channels", Arg::Usize(x.shape[1])),
                ("input", pair(x.shape[2], x.shape[3])),
                ("filters", Arg::Usize(w.shape[0])),
                ("output", pair(out.shape[2], out.shape[3])),
                ("kernel", pair(w.shape[2], w.shape[3])),
                ("strides", ints(&self.strides)),
                ("pads", ints(&self.pads)),
                ("dilations", ints(&self.dilations)),
                ("groups", Arg::Usize(dims.int(self.groups))),
                ("offset_groups", Arg::Usize(dims.int(self.offset_groups))),
            ],
        );
        cx.call(
            crate::kernel!(region::deform_conv(_, _, _, _, _, _, _) for float(x.dtype)),
            [vec![out.write(), x.read(), w.read(), offset.read()], optional, vec![sizes]].concat(),
        )
    }
}
