//! `FeatureVectorizer`: columns of several tables side by side.

use super::{numeric, reshape, rows};
use crate::import::Parse;
use crate::ir::{DType, ValueId};
use crate::ops::OpError;
use crate::ops::elementwise::cast;
use crate::ops::shape::reshape::Reshape;
use crate::ops::slice::concat::Concat;
use crate::ops::slice::pad::{Mode, Pad};

/// ONNX `FeatureVectorizer`: each input gives as many columns as `inputdimensions` says, cut or filled up with zeros.
pub fn parse(cx: &mut Parse<'_>) -> Result<Vec<ValueId>, OpError> {
    let inputs = cx.all_inputs()?;
    let widths = cx.ints("inputdimensions")?.unwrap_or_default();
    if widths.len() != inputs.len() || inputs.is_empty() || widths.iter().any(|&w| !(0..1 << 31).contains(&w)) {
        return Err(OpError::invalid(format!("inputdimensions is {widths:?}, there are {} inputs", inputs.len())));
    }
    let mut parts = Vec::new();
    for (x, width) in inputs.into_iter().zip(widths) {
        numeric(cx, x)?;
        let x = if cx.rank(x)? > 2 { cx.add(Reshape::Flatten { axis: 1 }, &[x])? } else { rows(cx, x)? };
        let x = cast::to(cx, x, DType::F32)?;
        let columns = cx.shape(x)?[1];
        parts.push(match cx.dims().value(columns) {
            Some(n) if n != width => {
                let pads = cx.i64s(&[0, 0, 0, width - n]);
                cx.add_n(Pad { mode: Mode::Constant }, &[Some(x), Some(pads)])?[0]
            }
            Some(_) => x,
            None => reshape(cx, x, &[-1, width])?,
        });
    }
    cx.add(Concat { axis: 1 }, &parts).map(|v| vec![v])
}
