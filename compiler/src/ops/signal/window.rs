//! `HannWindow`, `HammingWindow`, `BlackmanWindow` and `MelWeightMatrix`: tensors made of a few numbers.

use super::dft::half;
use crate::import::Parse;
use crate::ir::{DType, Fact, ValueId};
use crate::lower::Lower;
use crate::ops::slice::{output_shape, read_ints, require_dims};
use crate::ops::{Infer, OpError, Operator};
use crate::program::Arg;
use serde::{Deserialize, Serialize};

crate::param_enum!(signal::Window { Hann, Hamming, Blackman });

/// ONNX `HannWindow`, `HammingWindow` and `BlackmanWindow`.
pub fn parse_window(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let kind = match cx.op_type() {
        "HannWindow" => WindowKind::Hann,
        "HammingWindow" => WindowKind::Hamming,
        _ => WindowKind::Blackman,
    };
    let op = SignalWindow { kind, periodic: cx.flag("periodic", true)?, dtype: dtype(cx)? };
    let size = cx.input(0)?;
    cx.add(op, &[size]).map(|v| vec![v])
}

/// ONNX `MelWeightMatrix`.
pub fn parse_mel(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let op = MelMatrix { dtype: dtype(cx)? };
    let inputs = (0..5).map(|i| cx.input(i)).collect::<Result<Vec<_>, _>>()?;
    cx.add(op, &inputs).map(|v| vec![v])
}

fn dtype(cx: &Parse<'_>) -> Result<DType, OpError> {
    Ok(cx.dtype_attribute("output_datatype")?.unwrap_or(DType::F32))
}

/// The window functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // ONNX's names.
pub enum WindowKind {
    Hann,
    Hamming,
    Blackman,
}

/// A window function of as many elements as input 0 says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalWindow {
    /// Which one.
    pub kind: WindowKind,
    /// Whether the window is one turn of a periodic function; else its last element equals its first.
    pub periodic: bool,
    /// The dtype.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
}

impl Operator for SignalWindow {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let size = cx.elements(0).and_then(|e| e.first().copied().flatten()).unwrap_or_else(|| cx.fresh());
        if cx.dims.bounds(size).1 < 0 {
            return Err(OpError::invalid("the size of the window is negative"));
        }
        Ok(vec![Fact::tensor(self.dtype, vec![size])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let shape = output_shape(cx, 0)?;
        let size = read_ints(cx, 0, 1)?;
        cx.set(&shape, &size);
        require_dims(cx, &shape);
        let out = cx.output(0)?;
        let kind = match self.kind {
            WindowKind::Hann => "Hann",
            WindowKind::Hamming => "Hamming",
            WindowKind::Blackman => "Blackman",
        };
        let args = vec![out.write(), Arg::Variant("signal::Window", kind), Arg::Bool(self.periodic)];
        cx.call(crate::kernel!(signal::window(_, _, _) for num(self.dtype)), args)
    }
}

/// The matrix from bins of a spectrum to bins of the mel scale. Inputs (one number each): mel bins, length of the transform, sample rate,
/// lowest and highest frequency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MelMatrix {
    /// The dtype.
    #[serde(with = "crate::ir::dtype_text")]
    pub dtype: DType,
}

impl Operator for MelMatrix {
    fn infer(&mut self, cx: &mut Infer<'_>) -> Result<Vec<Fact>, OpError> {
        let one = |i: usize| cx.elements(i).and_then(|e| e.first().copied().flatten());
        let rows = one(1).map_or_else(|| cx.fresh(), |n| half(cx.dims, n));
        let bins = one(0).unwrap_or_else(|| cx.fresh());
        if [rows, bins].iter().any(|&d| cx.dims.bounds(d).1 < 0) {
            return Err(OpError::invalid("a number of bins is negative"));
        }
        Ok(vec![Fact::tensor(self.dtype, vec![rows, bins])])
    }

    fn lower(&self, cx: &mut Lower<'_>) -> Result<(), OpError> {
        let shape = output_shape(cx, 0)?;
        let (bins, length) = (read_ints(cx, 0, 1)?[0], read_ints(cx, 1, 1)?[0]);
        cx.set(&shape, &[half(&cx.dims(), length), bins]);
        require_dims(cx, &shape);
        let mut scalars = vec![cx.input_i64(1)?.read(), cx.input_i64(2)?.read()];
        for i in [3, 4] {
            let edge = cx.input(i)?;
            scalars.push(cx.converted(edge, DType::F64)?.read());
        }
        let out = cx.output(0)?;
        let args = [out.write()].into_iter().chain(scalars).chain([Arg::Usize(bins)]).collect();
        cx.call(crate::kernel!(signal::mel_weight_matrix(_, _, _, _, _, _) for num(self.dtype)), args)
    }
}
